// Package measure runs commands and says what they cost.
//
// A command runs below a small helper, which is this program started again: so
// the resources of a whole pipeline are counted, and a command's peak memory is
// not that of a large parent at the moment of the fork. The program must call
// [Helper] before anything else.
package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Cost is what a command took.
type Cost struct {
	Wall float64 `json:"wall"` // seconds
	CPU  float64 `json:"cpu"`  // seconds, user and system, of all processes
	Peak int64   `json:"peak"` // bytes resident at most, of the largest process
}

// Command is a shell script with its surroundings.
type Command struct {
	Script string // for bash, with errexit, nounset and pipefail
	Dir    string
	Env    []string // all of it
}

// Run runs a command to its end, with all the processes that it starts. An error
// has the end of what it printed.
func Run(ctx context.Context, c Command) (Cost, error) {
	self, err := os.Executable()
	if err != nil {
		return Cost{}, err
	}
	report, report2, err := os.Pipe()
	if err != nil {
		return Cost{}, err
	}
	defer report.Close()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, self, helperName, c.Script)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.ExtraFiles = []*os.File{report2}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = cmd.Start()
	report2.Close()
	if err != nil {
		return Cost{}, err
	}
	var cost Cost
	decoded := json.NewDecoder(report).Decode(&cost)
	if err := cmd.Wait(); err != nil {
		return Cost{}, fmt.Errorf("run %s: %w\n%s", firstLine(c.Script), err, tail(output.String()))
	}
	return cost, decoded
}

func firstLine(script string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(script), "\n")
	return line
}

func tail(s string) string { return s[max(0, len(s)-2000):] }
