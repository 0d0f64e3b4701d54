// Package dependencies tests that projects link packages that require others: by
// [dependencies] and a lock, with the registry and without it, with the tools
// that build systems have, and with all that can go wrong.
package dependencies

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
)

func TestMain(m *testing.M) { program.Main(m) }

// The exit codes of the programs.
const (
	failed       = 1
	usage        = 2
	notFound     = 3
	verification = 5
	stale        = 6
	noPlatform   = 7
	network      = 8
)

// builder is a user who builds programs with packages.
type builder struct {
	*program.Session
	t *testing.T
	// linked is where the linker writes what it linked last.
	linked string
}

// newBuilder gives a user who has Go, cargo, CMake and a compiler, and in their
// shell what ocipkg env prints. It is the account of the tests: rustup keeps its
// toolchains in a home directory, which others cannot read.
func newBuilder(t *testing.T, env ...string) *builder {
	t.Helper()
	var path []string
	for _, tool := range []string{"go", "cargo"} {
		found, err := exec.LookPath(tool)
		if err != nil {
			t.Fatalf("%v; install it: see scripts/tools", err)
		}
		path = append(path, filepath.Dir(found))
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	rustup := filepath.Join(home, ".rustup")
	if set := os.Getenv("RUSTUP_HOME"); set != "" {
		rustup = set
	}
	b := &builder{Session: program.New(t, program.Options{Privileged: true, Path: path}), t: t}
	// One build cache for all tests, in which no two have the same packages, since
	// these are in their own directories.
	b.Env = append(b.Env, "RUSTUP_HOME="+rustup, "CARGO_NET_OFFLINE=true", "CARGO_TERM_COLOR=never",
		"GOCACHE="+program.GoCache(t), "GOMODCACHE="+filepath.Join(b.Home, "modules"),
		"GOPROXY=off", "GOSUMDB=off", "GOTOOLCHAIN=local", "GOTELEMETRY=off", "GOFLAGS=-mod=mod",
		"PKG_CONFIG="+filepath.Join(program.Bin(t), "ocipkg-pkg-config"))
	if set := os.Getenv("RUSTUP_TOOLCHAIN"); set != "" {
		b.Env = append(b.Env, "RUSTUP_TOOLCHAIN="+set)
	}
	b.linked = filepath.Join(b.Temp, "linked.d")
	b.Env = append(b.Env, "PATH="+b.compilers()+string(os.PathListSeparator)+b.variable("PATH"))
	b.Env = append(b.Env, env...)
	return b
}

// compilers makes a directory with the compilers that build systems look for:
// the system's, each of which has the linker write what it linked last.
func (b *builder) compilers() string {
	dir := filepath.Join(b.Temp, "tools")
	for _, name := range []string{"cc", "gcc"} {
		path, err := exec.LookPath(name)
		if err != nil {
			b.t.Fatalf("%v; install it: apt-get install gcc", err)
		}
		b.WriteFile(filepath.Join(dir, name), fmt.Sprintf("#!/bin/sh\nexec %s \"$@\" -Wl,--dependency-file=%s\n", path, b.linked), 0o755)
	}
	return dir
}

// variable gives the value of a variable of the user's environment.
func (b *builder) variable(name string) string {
	value := ""
	for _, entry := range b.Env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// in gives the same user in another directory, and with other variables.
func (b *builder) in(dir string, env ...string) *builder {
	other, session := *b, *b.Session
	other.Session = &session
	if dir != "" {
		other.Dir = dir
	}
	other.Env = append(slices.Clone(b.Env), env...)
	return &other
}

// store is where the user's packages are.
func (b *builder) store() string {
	if set := b.variable("OCIPKG_HOME"); set != "" {
		return set
	}
	return storetest.Dir(b.Session)
}

// linkedFiles gives what the linker took last, of the libraries of a set of names.
func (b *builder) linkedFiles(names []string) []string {
	b.t.Helper()
	text, err := os.ReadFile(b.linked)
	if err != nil {
		b.t.Fatal(err)
	}
	var files []string
	for word := range strings.FieldsSeq(string(text)) {
		file := strings.TrimSuffix(word, ":")
		if slices.Contains(names, libraryOf(file)) && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

// libraryOf gives the name of a library's file without what its kind adds.
func libraryOf(file string) string {
	name := filepath.Base(file)
	for _, kind := range []string{".a", ".so"} {
		if before, after, found := strings.Cut(name, kind); found && (after == "" || after[0] == '.') {
			return before
		}
	}
	return ""
}

// checkLibraries checks that files are the wanted libraries, each of the kind
// and from the directory.
func checkLibraries(t *testing.T, what string, files []string, from, kind string, want []string) {
	t.Helper()
	var got []string
	for _, file := range files {
		if !strings.HasPrefix(file, from) || !strings.Contains(filepath.Base(file), kind) {
			t.Errorf("%s %s, which is no %s from %s", what, file, kind, from)
		}
		got = append(got, libraryOf(file))
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("%s %q, want %q", what, got, want)
	}
}

// needed lists the shared libraries that a program asks for.
func needed(t *testing.T, path string) []string {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	return libraries
}

// read gives the content of a file in the session's directory.
func read(t *testing.T, s *program.Session, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// empty removes a directory, such as a cache or a store, whose parts may be
// read-only.
func empty(t *testing.T, s *program.Session, dir string) {
	t.Helper()
	s.Run("sh", "-c", `test ! -e "$1" || chmod -R u+w "$1" && rm -rf "$1"`, "empty", dir).OK()
}
