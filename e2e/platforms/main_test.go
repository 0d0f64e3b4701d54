// Package platforms tests that one name serves every platform: a library is
// built by the compilers of five, published under one tag in each of the ways
// there are, and each build takes its own.
package platforms

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// build is how the library is made for one platform, and what a package of it is
// for.
type build struct {
	name    string   // of the archive
	compile []string // makes where.o of where.c
	archive []string // makes libwhere.a of where.o
	flags   []string // of pack, for what the bytes do not say
	says    string   // what the library, and so a program with it, says
	// platform is what the package is for, up to its floors.
	platform string
}

// Fortified functions are glibc's own, by which its archives are known.
var builds = []build{
	{
		name: "glibc", compile: []string{"gcc", "-O2", "-D_FORTIFY_SOURCE=2"}, archive: []string{"ar", "rcs"},
		says: "amd64 and glibc", platform: "linux/amd64 glibc",
	},
	{
		name: "musl", compile: []string{"musl-gcc", "-O2", "-D_FORTIFY_SOURCE=0"}, archive: []string{"ar", "rcs"}, flags: []string{"--libc", "musl"},
		says: "amd64 and musl", platform: "linux/amd64 musl",
	},
	{
		name: "arm64", compile: []string{"aarch64-linux-gnu-gcc", "-O2", "-D_FORTIFY_SOURCE=2"}, archive: []string{"aarch64-linux-gnu-ar", "rcs"},
		says: "arm64 and glibc", platform: "linux/arm64 glibc",
	},
	{
		name: "windows", compile: []string{"x86_64-w64-mingw32-gcc", "-O2"}, archive: []string{"x86_64-w64-mingw32-ar", "rcs"}, flags: []string{"--target", "x86_64-w64-mingw32"},
		says: "amd64 and Windows", platform: "windows/amd64 gnu",
	},
	{
		name: "macos", compile: []string{"clang", "-target", "arm64-apple-macos12", "-ffreestanding", "-O2"}, archive: []string{"llvm-ar", "--format=darwin", "rcs"},
		says: "arm64 and macOS", platform: "darwin/arm64 12.0",
	},
}

// where is the library: where prints what it was built for, where there is a C
// library to print it with.
const where = `#if __STDC_HOSTED__
#include <stdio.h>
void where(const char *before) { printf("%s " WHERE "\n", before); }
#else
const char *where(const char *before) { return before ? WHERE : 0; }
#endif
`

const useWhere = `#include <where.h>
int main(void) { where("built for"); return 0; }
`

// producer is somebody who has built the library for all platforms, packed as
// NAME.tar.
func producer(t *testing.T) *program.Session {
	t.Helper()
	s := program.New(t, program.Options{})
	s.WriteFile("where.c", where, 0o644)
	for _, b := range builds {
		pack(t, s, b)
	}
	return s
}

// pack builds the library for one platform and packs it.
func pack(t *testing.T, s *program.Session, b build) {
	t.Helper()
	s.WriteFile(b.name+"/include/where.h", "void where(const char *before);\n", 0o644)
	s.WriteFile(b.name+"/lib/README", b.says+"\n", 0o644)
	compile := append(b.compile, "-fPIC", "-DWHERE=\""+b.says+"\"", "-c", "where.c", "-o", b.name+".o")
	s.Run(compile[0], compile[1:]...).OK()
	archive := append(b.archive, b.name+"/lib/libwhere.a", b.name+".o")
	s.Run(archive[0], archive[1:]...).OK()
	s.Run("ocipkg", append([]string{"pack", b.name, b.name + ".tar", "--strict"}, b.flags...)...).OK()
}

// archives are those that producer has made.
func archives() []string {
	var names []string
	for _, b := range builds {
		names = append(names, b.name+".tar")
	}
	return names
}

// index is what inspect --json says of one.
type index struct {
	Descriptor struct {
		Digest       string
		ArtifactType string
	}
	Packages []entry
}

// entry is a package of an index.
type entry struct {
	Digest   string
	Platform struct{ OS, Architecture, OSVersion, Libc, LibcVersion, Env string }
	Size     int64
	Target   string
}

func inspect(t *testing.T, s *program.Session, name string) index {
	t.Helper()
	var in index
	if err := json.Unmarshal([]byte(s.Run("ocipkg", "inspect", "--json", name).OK().Stdout), &in); err != nil {
		t.Fatal(err)
	}
	return in
}

// checkAll checks that a name has a package for each platform.
func checkAll(t *testing.T, s *program.Session, name string) {
	t.Helper()
	has := map[string]bool{}
	in := inspect(t, s, name)
	for _, p := range in.Packages {
		of := p.Platform
		has[strings.Join(strings.Fields(fmt.Sprintf("%s/%s %s %s %s", of.OS, of.Architecture, of.OSVersion, of.Libc, of.Env)), " ")] = true
		if p.Size == 0 {
			t.Errorf("%s: %s has no size", name, p.Digest)
		}
	}
	for _, b := range builds {
		if !has[b.platform] {
			t.Errorf("%s has nothing for %s: %v", name, b.platform, has)
		}
	}
	if len(in.Packages) != len(builds) {
		t.Errorf("%s has %d packages, want %d", name, len(in.Packages), len(builds))
	}
}

// tool gives the path of a program of this machine.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return real
}
