// Package stories tests what users do with ocipkg from beginning to end: they
// make packages, publish them in a real registry, fetch them on another
// machine, and build programs with real toolchains.
package stories

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// root gives the directory of the project.
func root(t testing.TB) string {
	t.Helper()
	dir, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// goUser gives a user who has the Go toolchain. It is the account of the tests,
// with its build cache.
func goUser(t testing.TB) *program.Session {
	t.Helper()
	return program.New(t, program.Options{
		Privileged: true,
		Path:       []string{directoryOf(t, "go", "https://go.dev/dl")},
		Env:        []string{"GOCACHE=" + program.GoCache(t), "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTELEMETRY=off"},
	})
}

// rustUser returns a user who has cargo and git. It is the account of the tests:
// rustup keeps its toolchains in a home directory, which others cannot read.
func rustUser(t testing.TB) *program.Session {
	t.Helper()
	env := []string{"CARGO_NET_OFFLINE=true", "CARGO_TERM_COLOR=never"}
	rustup := os.Getenv("RUSTUP_HOME")
	if rustup == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		rustup = filepath.Join(home, ".rustup")
	}
	if _, err := os.Stat(rustup); err == nil {
		env = append(env, "RUSTUP_HOME="+rustup)
	}
	if toolchain := os.Getenv("RUSTUP_TOOLCHAIN"); toolchain != "" {
		env = append(env, "RUSTUP_TOOLCHAIN="+toolchain)
	}
	return program.New(t, program.Options{
		Privileged: true,
		Path:       []string{directoryOf(t, "cargo", "apt-get install cargo, or https://rustup.rs")},
		Env:        env,
	})
}

// directoryOf gives the directory of a program that the tests have, and fails
// the test with how to install it when they have not.
func directoryOf(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v; install it: %s", err, install)
	}
	return filepath.Dir(path)
}
