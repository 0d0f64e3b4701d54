// Package cgo tests that Go programs link packages by the names in their source:
// with the go command as users have it, modules of others, a module proxy, Go's
// own cache, and the commands that keep all of these honest.
package cgo

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

func TestMain(m *testing.M) { program.Main(m) }

// goUser gives a user who has the Go toolchain, a module proxy that is a
// directory, and what ocipkg env prints in their shell. All have one build
// cache, so that the standard library is built once; no two have the same
// packages in it, since these are in their own directories.
func goUser(t testing.TB) *program.Session {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatalf("%v; install it: https://go.dev/dl", err)
	}
	s := program.New(t, program.Options{Path: []string{filepath.Dir(tool)}})
	s.Env = append(s.Env,
		"GOMODCACHE="+filepath.Join(s.Home, "modules"),
		"GOPROXY=file://"+proxyDir(s),
		"GOSUMDB=off", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "GOTELEMETRY=off")
	s.Env = append(s.Env, "GOCACHE="+standardLibrary(t, s))
	s.Env = append(s.Env, environment(t, s)...)
	return s
}

var buildStandardLibrary sync.Once

// standardLibrary gives the build cache that all users have, with the standard
// library in it, which tests that run at the same time would each build.
func standardLibrary(t testing.TB, s *program.Session) string {
	t.Helper()
	dir := program.SharedDir(t, "go-build")
	buildStandardLibrary.Do(func() {
		only := program.SharedDir(t, "standard-library")
		s.Run("env", "GOCACHE="+only, "go", "build", "runtime/cgo").OK()
		s.Run("cp", "-R", only+"/.", dir).OK()
	})
	return dir
}

// useNewCache gives a user a build cache that has the standard library and
// nothing else.
func useNewCache(t testing.TB, s *program.Session) {
	t.Helper()
	dir := filepath.Join(s.Home, "cache")
	empty(t, dir)
	s.Run("cp", "-R", program.SharedDir(t, "standard-library"), dir).OK()
	s.Env = append(s.Env, "GOCACHE="+dir)
}

// environment gives the variables that eval $(ocipkg env) sets.
func environment(t testing.TB, s *program.Session) []string {
	t.Helper()
	before := s.Run("env").OK().Stdout
	var changed []string
	for line := range strings.Lines(s.Run("sh", "-c", "eval $(ocipkg env) && env").OK().Stdout) {
		if !strings.Contains(before, line) {
			changed = append(changed, strings.TrimSuffix(line, "\n"))
		}
	}
	if len(changed) == 0 {
		t.Fatal("ocipkg env sets nothing")
	}
	return changed
}

// publish makes a package of the library answer, whose function gives a number,
// with other files if there are any, pushes it, and gives its digest.
func publish(t testing.TB, name string, answer int, others map[string][]byte) string {
	t.Helper()
	s := program.New(t, program.Options{})
	s.WriteFile("answer.c", fmt.Sprintf("int answer(void) { return %d; }\n", answer), 0o644)
	s.WriteFile("tree/include/answer.h", "int answer(void);\n", 0o644)
	s.WriteFile("tree/lib/README", "libraries\n", 0o644)
	for path, content := range others {
		s.WriteFile(filepath.Join("tree", path), string(content), 0o644)
	}
	s.Run("cc", "-c", "-O2", "-o", "answer.o", "answer.c").OK()
	s.Run("ar", "rcs", "tree/lib/libanswer.a", "answer.o").OK()
	return s.Run("ocipkg", "push", "tree", name).Digest()
}

// useAnswer is a Go package that asks for the library by a name.
func useAnswer(name string) string {
	return `// Package answer gives the answer.
package answer

/*
#cgo pkg-config: ` + name + `
#include <answer.h>
*/
import "C"

func Answer() int { return int(C.answer()) }
`
}

const printAnswer = `package main

import "example.com/answer"

func main() { println(answer.Answer()) }
`

// checkAnswer runs a program that was built, and checks what it says.
func checkAnswer(t testing.TB, s *program.Session, file string, want int) {
	t.Helper()
	if got := s.Run("./" + file).OK().Stderr; got != fmt.Sprintln(want) {
		t.Errorf("the program says %q, want %d", got, want)
	}
}

// read gives the content of a file in the session's directory.
func read(t testing.TB, s *program.Session, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// empty empties a directory of a session, such as a cache or the store.
func empty(t testing.TB, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// checkNoRequest checks that a registry has had no request since the last look.
func checkNoRequest(t testing.TB, registry *registrytest.Registry) {
	t.Helper()
	for _, r := range registry.Requests() {
		t.Errorf("the registry was asked: %s %s", r.Method, r.Path)
	}
}
