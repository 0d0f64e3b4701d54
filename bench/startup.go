package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ocipkg/ocipkg/bench/internal/measure"
)

// startup is how long one command takes, from its start to its end.
type startup struct {
	Command string        `json:"command"`
	Costs   measure.Costs `json:"costs"`
}

// startup lets commands that builds call often take turns, with a package in the
// store and no registry.
func (b *bench) startup(ctx context.Context) error {
	set, err := b.set(ctx, "small")
	if err != nil {
		return err
	}
	runs := 200
	if b.quick {
		runs = 40
	}
	name, pc := "localhost:1/bench/small:1", filepath.Join(b.work, "pc")
	commands := []struct {
		title string
		args  []string
	}{
		{"ocipkg version", []string{filepath.Join(b.ours, "ocipkg"), "version"}},
		{"ocipkg-pkg-config, warm", []string{filepath.Join(b.ours, "ocipkg-pkg-config"), "--cflags", "--libs", name}},
		{"ocipkg link, warm", []string{filepath.Join(b.ours, "ocipkg"), "link", name}},
		{"pkg-config", []string{"pkg-config", "--cflags", "--libs", "bench"}},
		{"crane version", []string{filepath.Join(b.bin, "crane"), "version"}},
		{"oras version", []string{filepath.Join(b.bin, "oras"), "version"}},
	}
	result := make([]startup, len(commands))
	env := b.env(b.work, "OCIPKG_HOME="+filepath.Join(b.work, "store"), "PKG_CONFIG_PATH="+pc)
	if err := b.prepareStartup(ctx, set.Dir, name, pc, env); err != nil {
		return err
	}
	b.say("start-up, %d runs", runs)
	for run := range runs {
		for i := range commands {
			at := (i + run) % len(commands)
			cost, err := single(ctx, commands[at].args, b.work, env)
			if err != nil {
				return fmt.Errorf("start %s: %w", commands[at].title, err)
			}
			result[at].Command = commands[at].title
			result[at].Costs = append(result[at].Costs, cost)
		}
	}
	return b.save("startup", result)
}

// linkable makes a package of a set, with a library and a header.
const linkable = `
cp -r "$SET" package
mkdir -p package/lib package/include
printf '!<arch>\n' >package/lib/libbench.a
touch package/include/bench.h
`

// prepareStartup puts a package with a library into the store, and a description
// of the same where pkg-config finds it.
func (b *bench) prepareStartup(ctx context.Context, dir, name, pc string, env []string) error {
	const description = "Name: bench\nDescription: of a benchmark\nVersion: 1\nCflags: -I/usr/include/bench\nLibs: -L/usr/lib/bench -lbench\n"
	if err := os.MkdirAll(pc, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(pc, "bench.pc"), []byte(description), 0o644); err != nil {
		return err
	}
	script := linkable + fmt.Sprintf(`
ocipkg --quiet pack package package.tar -t %s
ocipkg --quiet load package.tar`, name)
	_, err := measure.Run(ctx, measure.Command{Script: script, Dir: b.work, Env: append(env, "SET="+dir)})
	return err
}

// single runs one program without a shell and the helper, which would cost as
// much as the program. The peak is not known: it would be this process's.
func single(ctx context.Context, args []string, dir string, env []string) (measure.Cost, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, env
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return measure.Cost{}, err
	}
	return measure.Cost{
		Wall: wall.Seconds(),
		CPU:  (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(),
	}, nil
}
