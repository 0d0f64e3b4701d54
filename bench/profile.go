package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/ocipkg/ocipkg"
)

// profile pushes and gets a set in this process, and writes what took the time
// into the cache: for go tool pprof.
func (b *bench) profile(ctx context.Context, name string) error {
	set, err := b.set(ctx, name)
	if err != nil {
		return err
	}
	return b.inTurn(ctx, tool{}, set, distribution, func(turn *turn) error {
		client := &ocipkg.Client{Store: filepath.Join(turn.out, "store"), Anonymous: true}
		defer client.Close()
		target := turn.host + "/bench/profile:1"
		push := func() error {
			_, err := client.Push(ctx, set.Dir, []string{target}, ocipkg.PackOptions{})
			return err
		}
		get := func() error {
			_, err := client.Get(ctx, target, ocipkg.GetOptions{})
			return err
		}
		os.Setenv("TMPDIR", turn.work)
		return errors.Join(b.profiled(name+"-push", push), b.profiled(name+"-get", get))
	})
}

// profiled runs do and prints how busy it kept the machine's cores; the registry's
// share is not in it.
func (b *bench) profiled(name string, do func() error) error {
	dir := filepath.Join(b.cache, "profiles")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, name+".pprof"))
	if err != nil {
		return err
	}
	defer file.Close()
	syscall.Sync()
	before, start := cpuTime(), time.Now()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	err = do()
	pprof.StopCPUProfile()
	wall, cpu := time.Since(start), cpuTime()-before
	fmt.Printf("%s: %.2f s, %.2f s of CPU, %.0f %% of %d cores; go tool pprof -top %s\n", name, wall.Seconds(), cpu.Seconds(),
		100*cpu.Seconds()/wall.Seconds()/float64(runtime.NumCPU()), runtime.NumCPU(), file.Name())
	return err
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
