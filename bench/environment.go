package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/ocipkg/ocipkg/bench/internal/peer"
)

// environment is where and when was measured.
type environment struct {
	Date     string         `json:"date"`
	Commit   string         `json:"commit"`
	CPU      string         `json:"cpu"`
	Cores    int            `json:"cores"`
	Memory   int64          `json:"memory"` // bytes
	System   string         `json:"system"`
	Go       string         `json:"go"`
	Versions []peer.Version `json:"versions"`
}

// describe notes where the benchmarks run.
func (b *bench) describe(ctx context.Context) error {
	e := environment{Date: time.Now().UTC().Format("2006-01-02"), Cores: runtime.NumCPU(), Go: runtime.Version()}
	var err error
	if e.Versions, err = peer.Versions(ctx); err != nil {
		return err
	}
	commit, err := exec.CommandContext(ctx, "git", "-C", b.root, "describe", "--always", "--dirty").Output()
	if err != nil {
		return fmt.Errorf("ask git for the commit: %w", err)
	}
	e.Commit = strings.TrimSpace(string(commit))
	e.CPU = field("/proc/cpuinfo", "model name", ":")
	e.System = strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`)
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return err
	}
	e.Memory = int64(info.Totalram) * int64(info.Unit)
	return b.save("environment", e)
}

// field gives what a file has after a name and a separator; empty when it has
// not.
func field(file, name, separator string) string {
	text, _ := os.ReadFile(file)
	for line := range bytes.Lines(text) {
		key, value, ok := strings.Cut(string(line), separator)
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
