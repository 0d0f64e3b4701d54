package binfmt

import (
	"debug/elf"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// hostSymbol is what the libraries of this machine's glibc say of a symbol.
type hostSymbol struct {
	versions versionSet
	current  string // the default, which programs are linked with
}

// hostGlibc reads the symbols of this machine's glibc, and the version of it, as far as the table knows them.
func hostGlibc(t *testing.T) (symbols map[string]hostSymbol, version string) {
	t.Helper()
	table := glibcSymbols()
	base := table.bases[runtime.GOARCH]
	symbols = make(map[string]hostSymbol)
	for _, library := range []string{"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libresolv.so.2", "libanl.so.1"} {
		path := strings.TrimSpace(run(t, t.TempDir(), "gcc", "-print-file-name="+library))
		file, err := elf.Open(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		list, err := file.DynamicSymbols()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			set := table.set(symbolVersion(s.Version, "GLIBC_")).from(base)
			if s.Section == elf.SHN_UNDEF || set == 0 || strings.HasPrefix(s.Name, "GLIBC_") {
				continue
			}
			known := symbols[s.Name]
			known.versions |= set
			if !s.VersionIndex.IsHidden() {
				known.current = higherVersion(known.current, table.highest(set))
				version = higherVersion(version, known.current)
			}
			symbols[s.Name] = known
		}
	}
	if base == 0 || symbols["puts"].current == "" {
		return // not on glibc, or on an architecture that the table does not have
	}
	return symbols, version
}

func TestTableAgreesWithTheGlibcOfThisMachine(t *testing.T) {
	symbols, version := hostGlibc(t)
	table := glibcSymbols()
	base := table.bases[runtime.GOARCH]
	agreed := 0
	for name, host := range symbols {
		if host.current == "" {
			continue
		}
		index, ok := table.names[name]
		if !ok {
			// What 2.34 and later have can still be linked with.
			if host.versions != base && compareVersions(version, "2.34") >= 0 {
				t.Errorf("%s is not in the table, glibc %s has %#x", name, version, host.versions)
			}
			continue
		}
		got := table.versionsOf(index, runtime.GOARCH) & table.upTo(version)
		if got&host.versions != host.versions || table.highest(got) != host.current {
			t.Errorf("%s has versions %#x, up to %s, glibc %s has %#x, up to %s",
				name, got, table.highest(got), version, host.versions, host.current)
		}
		if slices.Contains([]string{"stat", "fstat", "lstat", "fstatat", "mknod", "mknodat"}, strings.TrimSuffix(name, "64")) {
			got &= host.versions // these were in libc_nonshared.a
		}
		if got != host.versions {
			t.Errorf("%s has versions %#x, glibc %s has %#x", name, got, version, host.versions)
		}
		agreed++
	}
	if agreed < 100 {
		t.Errorf("compared %d symbols only", agreed)
	}
}

// readelfFloor gives the highest version of glibc that readelf lists as needed.
func readelfFloor(t *testing.T, path string) (floor string) {
	t.Helper()
	_, needs, _ := strings.Cut(run(t, filepath.Dir(path), "readelf", "-W", "-V", path), "Version needs section")
	for _, word := range strings.Fields(needs) {
		floor = higherVersion(floor, symbolVersion(word, "GLIBC_"))
	}
	return floor
}

// atLeastBase gives the version that readelf lists for code of this floor: the base for an empty one.
func atLeastBase(floor string) string {
	table := glibcSymbols()
	return higherVersion(table.highest(table.bases[runtime.GOARCH]), floor)
}

func TestFloorOfAnArchiveIsThatOfWhatIsLinkedFromIt(t *testing.T) {
	_, version := hostGlibc(t)
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main.c", "int main(void) { return 0; }\n")
	write("other.c", "#include <stdio.h>\nvoid other(void) { puts(\"other\"); }\n")
	run(t, dir, "gcc", "-fPIC", "-c", "main.c", "other.c")
	run(t, dir, "gcc", "main.o", "-o", "main")
	startFiles := readelfFloor(t, filepath.Join(dir, "main"))
	for _, c := range []struct {
		name, source string
		linkable     string // on amd64
		since        string // the glibc that has the function
	}{
		{"nothing but old functions", `#include <stdio.h>
			void f(void) { puts("f"); }`, "", ""},
		{"memcpy", `#include <string.h>
			void *f(void *a, void *b, size_t n) { return memcpy(a, b, n); }`, "", ""},
		{"stat", `#include <sys/stat.h>
			int f(struct stat *s) { return stat("/", s) + fstat(0, s) + lstat("/", s); }`, "", ""},
		{"fstatat", `#include <sys/stat.h>
			int f(struct stat *s) { return fstatat(0, "/", s, 0); }`, "2.4", ""},
		{"pthread_create", `#include <pthread.h>
			int f(pthread_t *p, void *(*g)(void *)) { return pthread_create(p, 0, g, 0); }`, "", ""},
		{"dlopen", `#include <dlfcn.h>
			void *f(void) { return dlopen("x", RTLD_NOW); }`, "", ""},
		{"timers", `#include <signal.h>
			#include <time.h>
			int f(timer_t *t) { return timer_create(CLOCK_REALTIME, 0, t); }`, "", ""},
		{"fcntl64", `#define _FILE_OFFSET_BITS 64
			#include <fcntl.h>
			int f(void) { return fcntl(0, F_GETFL); }`, "2.28", "2.28"},
		{"arc4random", `#include <stdlib.h>
			unsigned f(void) { return arc4random(); }`, "2.36", "2.36"},
		{"mathematics", `#include <math.h>
			double f(double x) { return exp(x) + pow(x, x) + log(x); }`, "", "2.29"},
		{"functions at the end", `#include <pthread.h>
			#include <stdlib.h>
			int f(void g(void)) { return atexit(g) + at_quick_exit(g) + pthread_atfork(g, g, g); }`, "2.10", ""},
		{"a weak need", `unsigned arc4random(void) __attribute__((weak));
			unsigned f(void) { return arc4random ? arc4random() : 0; }`, "", ""},
		{"an old version by name", `#include <string.h>
			__asm__(".symver old, memcpy@GLIBC_2.2.5");
			void *old(void *, const void *, size_t);
			void *f(void *a, void *b) { return old(a, b, 64); }`, "", ""},
		{"a function that is its own", `unsigned arc4random(void) { return 4; }
			unsigned f(void) { return arc4random(); }`, "", ""},
	} {
		if compareVersions(version, c.since) < 0 || runtime.GOARCH != "amd64" && strings.Contains(c.source, "GLIBC_2.2.5") {
			continue
		}
		write("lib.c", c.source)
		run(t, dir, "gcc", "-O1", "-fPIC", "-fno-builtin", "-fno-stack-protector", "-c", "lib.c")
		run(t, dir, "ar", "rcs", "lib.a", "lib.o", "other.o")
		link := []string{"-Wl,--whole-archive", "lib.a", "-Wl,--no-whole-archive", "-lm", "-lpthread", "-ldl", "-lrt", "-o"}
		run(t, dir, "gcc", append(append([]string{"-shared"}, link...), "lib.so")...)
		run(t, dir, "gcc", append(append([]string{"main.o"}, link...), "program")...)

		f := inspectPath(t, filepath.Join(dir, "lib.a"))
		got := f.LinkedFloor(version)
		if want := readelfFloor(t, filepath.Join(dir, "lib.so")); atLeastBase(got) != want {
			t.Errorf("%s: needs %q when linked on %s, readelf says %q of a library", c.name, got, version, want)
		}
		if want := readelfFloor(t, filepath.Join(dir, "program")); higherVersion(got, startFiles) != want {
			t.Errorf("%s: needs %q when linked on %s, %q with start files, readelf says %q of a program", c.name, got, version, startFiles, want)
		}
		if got := f.LinkableOn("", nil); runtime.GOARCH == "amd64" && got != c.linkable {
			t.Errorf("%s: linkable on %q, want %q", c.name, got, c.linkable)
		}
	}
}

func TestSymbolThatAnotherMemberDefinesIsNoNeed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"use.c":    "unsigned arc4random(void); unsigned use(void) { return arc4random(); }\n",
		"define.c": "__attribute__((visibility(\"hidden\"), weak)) unsigned arc4random(void) { return 4; }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "gcc", "-c", "use.c", "define.c")
	for _, c := range []struct{ members, want string }{
		{"use.o", "2.36"}, {"use.o define.o", ""}, {"define.o use.o", ""},
	} {
		run(t, dir, "rm", "-f", "lib.a")
		run(t, dir, "ar", append([]string{"rcs", "lib.a"}, strings.Fields(c.members)...)...)
		f := inspectPath(t, filepath.Join(dir, "lib.a"))
		if f.LinkableOn("", nil) != c.want || f.LinkedFloor("2.43") != c.want {
			t.Errorf("%s: linkable on %q, needs %q when linked on 2.43, want %q", c.members, f.LinkableOn("", nil), f.LinkedFloor("2.43"), c.want)
		}
	}
}

func TestFloorsOfArchivesOfThisMachineAreThoseOfReadelf(t *testing.T) {
	_, version := hostGlibc(t)
	dir := t.TempDir()
	// Whole archives are linked, with what they need of others left open, and without start files.
	before := []string{"-nostdlib", "-no-pie", "-w", "-Wl,-e,0,--defsym,__dso_handle=0,--unresolved-symbols=ignore-all,--whole-archive"}
	after := []string{"-Wl,--no-whole-archive", "-lc", "-lm", "-lpthread", "-ldl", "-lrt", "-lresolv", "-o", "out"}
	for _, library := range []string{
		// gcc's own, but for libquadmath.a: the linker copies signgam out of libm, and then needs its newer alias as well.
		"libstdc++.a", "libgomp.a", "libitm.a", "libatomic.a",
		// Those of other packages, if they are there.
		"liblzma.a", "libpng.a", "libcrypto.a", "libssl.a", "libsqlite3.a", "libuuid.a", "libpq.a", "libtcl.a",
	} {
		archive := strings.TrimSpace(run(t, dir, "gcc", "-print-file-name="+library))
		if !filepath.IsAbs(archive) { // gcc echoes the name of what it does not find
			continue
		}
		run(t, dir, "gcc", slices.Concat(before, []string{archive}, after)...)
		got, want := inspectPath(t, archive).LinkedFloor(version), readelfFloor(t, filepath.Join(dir, "out"))
		if atLeastBase(got) != want {
			t.Errorf("%s: needs %q when linked on %s, readelf says %q", archive, got, version, want)
		}
		t.Logf("%s: %s", library, want)
	}
}
