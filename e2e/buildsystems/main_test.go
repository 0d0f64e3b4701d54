// Package buildsystems tests that build systems link packages by their names:
// Meson, autotools, make, a plain compiler and cargo. Most of it is done by
// following the guides in docs/guides.
package buildsystems

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
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/subject"
)

func TestMain(m *testing.M) { program.Main(m) }

// user is somebody who builds a program with libpng, and has got no package yet.
type user struct {
	*program.Session
	host string
	// producer is who published the packages.
	producer *program.Session
	// linked is where the linker writes what it linked.
	linked string
}

// newUser publishes libpng and zlib in a registry, and gives a user who has the
// C program that all tests build as main.c.
func newUser(t *testing.T) *user {
	t.Helper()
	return newUserWith(t, program.Options{})
}

func newUserWith(t *testing.T, options program.Options) *user {
	t.Helper()
	registry := registrytest.StartMemory(t)
	producer := program.New(t, program.Options{})
	subject.Publish(t, producer, registry.Host, "zlib", "libpng")
	u := &user{Session: program.New(t, options), host: registry.Host, producer: producer}
	u.linked = filepath.Join(u.Temp, "linked.d")
	u.Env = append(u.Env, "PATH="+u.tools(t)+string(os.PathListSeparator)+u.variable("PATH"))
	text, err := os.ReadFile("testdata/png/main.c")
	if err != nil {
		t.Fatal(err)
	}
	u.WriteFile("main.c", string(text), 0o644)
	return u
}

// publishAnew publishes another package of libpng under the same name.
func (u *user) publishAnew() {
	u.producer.WriteFile("libpng/NEWS", "the same, and news\n", 0o644)
	u.producer.Run("ocipkg", "push", "libpng", u.host+"/acme/libpng:1.6", "--annotations", "libpng.toml").OK()
}

// tools makes a directory with the compilers that build systems look for: the
// system's, each of which has the linker write what it linked last.
func (u *user) tools(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(u.Temp, "tools")
	for name, real := range map[string]string{"cc": "cc", "gcc": "gcc", "x86_64-linux-gnu-gcc": "gcc", "clang": "clang"} {
		path, err := exec.LookPath(real)
		if err != nil {
			t.Fatalf("%v; install it: apt-get install %s", err, real)
		}
		u.WriteFile(filepath.Join(dir, name), fmt.Sprintf("#!/bin/sh\nexec %s \"$@\" -Wl,--dependency-file=%s\n", path, u.linked), 0o755)
	}
	return dir
}

// variable gives the value of a variable of the user's environment.
func (u *user) variable(name string) string {
	value := ""
	for _, entry := range u.Env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// answer is what the program prints, whatever built it: the PNG that it makes
// is always the same.
const answer = "a PNG of 2250 bytes, 58546228, came back\n"

// check checks that a program works, and that it has libpng and zlib from the
// store, and from nowhere else.
func (u *user) check(t *testing.T, s story) {
	t.Helper()
	path := filepath.Join(u.Dir, s.program)
	printed := u.Run(path).OK().Stdout
	mappings, ok := strings.CutPrefix(printed, answer)
	if !ok {
		t.Errorf("the program printed %q", printed)
	}
	from := storetest.Dir(u.Session) + "/packages/sha256/"
	if !s.shared {
		if mappings != "" || slices.ContainsFunc(needed(t, path), isSubject) {
			t.Errorf("the program needs shared libraries: %v\n%s", needed(t, path), mappings)
		}
		checkFiles(t, "the linker took", linked(t, u.linked), from, ".a", "libpng16", "libz")
		return
	}
	if s.libraries != "" {
		// What was copied must be enough.
		if err := os.Rename(storetest.Dir(u.Session), storetest.Dir(u.Session)+".away"); err != nil {
			t.Fatal(err)
		}
		from = filepath.Join(u.Dir, s.libraries) + "/"
		mappings = strings.TrimPrefix(u.Run(path).OK().Stdout, answer)
	} else {
		checkFiles(t, "the linker took", linked(t, u.linked), from, ".so", "libpng16")
	}
	var loaded []string
	for line := range strings.Lines(mappings) {
		fields := strings.Fields(line)
		loaded = append(loaded, fields[len(fields)-1])
	}
	checkFiles(t, "the program loaded", loaded, from, ".so", "libpng16", "libz")
}

// checkFiles checks that the wanted libraries are among files, and that all of
// these are of a kind and from a directory.
func checkFiles(t *testing.T, what string, files []string, from, kind string, want ...string) {
	t.Helper()
	for _, file := range files {
		base := filepath.Base(file)
		if !strings.HasPrefix(file, from) || !strings.Contains(base, kind) {
			t.Errorf("%s %s, which is not a %s from %s", what, file, kind, from)
		}
		want = slices.DeleteFunc(want, func(name string) bool { return strings.HasPrefix(base, name+".") })
	}
	if len(want) > 0 {
		t.Errorf("%s %q, and not %q", what, files, want)
	}
}

func isSubject(file string) bool {
	base := filepath.Base(file)
	return strings.HasPrefix(base, "libz.") || strings.HasPrefix(base, "libpng") || strings.HasPrefix(base, "libframe")
}

// linked reads from a linker's list of what it read which of the libraries of
// these tests it linked.
func linked(t *testing.T, list string) []string {
	t.Helper()
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for word := range strings.FieldsSeq(string(text)) {
		if file := strings.TrimSuffix(word, ":"); isSubject(file) && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
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
