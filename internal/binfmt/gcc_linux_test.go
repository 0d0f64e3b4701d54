package binfmt

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// run runs a command in a directory.
func run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// workshop makes a directory with the sources of these tests.
func workshop(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"add.c":  "int add(int a, int b) { return a + b; }\n",
		"use.c":  "#include <stdlib.h>\n#include <stdio.h>\nint add(int, int);\nint use(const char *s) { puts(s); return add(atoi(s), 1); }\n",
		"main.c": "int main(void) { return 0; }\n",
		"cxx.cc": "#include <string>\nstd::string twice(const std::string &s) { return s + s; }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// inspectPath inspects a file.
func inspectPath(t testing.TB, path string) *File {
	t.Helper()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Inspect(r, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	executable, err := IsExecutable(r, info.Size())
	if err != nil || executable != (f.Kind == KindExecutable) {
		t.Errorf("IsExecutable = %t, %v of a file that is %s", executable, err, f.Kind)
	}
	return f
}

func TestLinkedFilesOfGCCAreToldApart(t *testing.T) {
	dir := workshop(t)
	for _, c := range []struct {
		args   string
		kind   Kind
		static bool
	}{
		{"-pie main.c", KindExecutable, false},
		{"-no-pie main.c", KindExecutable, false},
		{"-static main.c", KindExecutable, true},
		{"-static-pie main.c", KindExecutable, true},
		{"-shared -fPIC add.c", KindShared, false},
		{"-c main.c", KindObject, false},
	} {
		run(t, dir, "gcc", append(strings.Fields(c.args), "-o", "out")...)
		f := inspectPath(t, filepath.Join(dir, "out"))
		if f.Kind != c.kind || f.Static != c.static || f.Format != FormatELF {
			t.Errorf("gcc %s: %s, static = %t, want %s, %t", c.args, f.Kind, f.Static, c.kind, c.static)
		}
		if f.Platform.OS != "linux" || f.Platform.Architecture != runtime.GOARCH {
			t.Errorf("gcc %s: for %s", c.args, f.Platform)
		}
		if c.static && (f.Libc != "" || f.LibcVersion != "") {
			t.Errorf("gcc %s: a static executable needs %s %s", c.args, f.Libc, f.LibcVersion)
		}
	}
}

func TestLibraryThatCanBeRunIsShared(t *testing.T) {
	dir := workshop(t)
	source := "const char loader[] __attribute__((section(\".interp\"))) = \"/lib/ld.so\";\n"
	if err := os.WriteFile(filepath.Join(dir, "run.c"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "gcc", "-shared", "-fPIC", "run.c", "-o", "lib.so")
	if f := inspectPath(t, filepath.Join(dir, "lib.so")); f.Kind != KindShared || f.Interpreter != "/lib/ld.so" {
		t.Errorf("%s with the interpreter %q, want a shared library", f.Kind, f.Interpreter)
	}
}

func TestPositionIndependentProgramOfAnOldLinkerIsExecutable(t *testing.T) {
	dir := workshop(t)
	run(t, dir, "gcc", "-pie", "main.c", "-o", "main")
	b, err := os.ReadFile(filepath.Join(dir, "main"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	dynamic := file.Section(".dynamic")
	for off := dynamic.Offset; off < dynamic.Offset+dynamic.Size; off += 16 {
		if elf.DynTag(file.ByteOrder.Uint64(b[off:])) == elf.DT_FLAGS_1 {
			clear(b[off+8 : off+16])
		}
	}
	if f := inspect(t, b); f.Kind != KindExecutable {
		t.Errorf("%s, want an executable", f.Kind)
	}
}

func TestSharedLibraryTellsNamesPathsAndFloor(t *testing.T) {
	dir := workshop(t)
	run(t, dir, "gcc", "-shared", "-fPIC", "-Wl,-soname,libadd.so.1", "add.c", "-o", "libadd.so")
	for flag, get := range map[string]func(*File) []string{
		"-Wl,--enable-new-dtags":  func(f *File) []string { return f.RunPath },
		"-Wl,--disable-new-dtags": func(f *File) []string { return f.RPath },
	} {
		run(t, dir, "gcc", "-shared", "-fPIC", "-Wl,-soname,libuse.so.2", flag, "-Wl,-rpath,$ORIGIN:/opt/x",
			"use.c", "-L.", "-ladd", "-o", "libuse.so")
		f := inspectPath(t, filepath.Join(dir, "libuse.so"))
		if f.Soname != "libuse.so.2" || !slices.Equal(f.Needed, []string{"libadd.so.1", "libc.so.6"}) {
			t.Errorf("%s: soname %q, needs %q", flag, f.Soname, f.Needed)
		}
		if want := []string{"$ORIGIN", "/opt/x"}; !slices.Equal(get(f), want) || len(f.RPath)+len(f.RunPath) != len(want) {
			t.Errorf("%s: rpath %q, runpath %q, want %q", flag, f.RPath, f.RunPath, want)
		}
		if f.Libc != Glibc || f.LibcVersion == "" || f.CXX {
			t.Errorf("%s: libc %q %q, C++ = %t", flag, f.Libc, f.LibcVersion, f.CXX)
		}
	}
}

func TestFloorIsTheHighestVersionThatReadelfLists(t *testing.T) {
	dir := workshop(t)
	run(t, dir, "gcc", "-shared", "-fPIC", "cxx.cc", "use.c", "-lstdc++", "-o", "lib.so")
	f := inspectPath(t, filepath.Join(dir, "lib.so"))
	var glibc, glibcxx string
	for _, word := range strings.Fields(run(t, dir, "readelf", "-W", "-V", "lib.so")) {
		glibc = higherVersion(glibc, symbolVersion(word, "GLIBC_"))
		glibcxx = higherVersion(glibcxx, symbolVersion(word, "GLIBCXX_"))
	}
	if glibc == "" || f.LibcVersion != glibc {
		t.Errorf("glibc %q, readelf says %q", f.LibcVersion, glibc)
	}
	if glibcxx == "" || f.CXXVersion != glibcxx || !f.CXX || f.CXXRuntime != Libstdcxx {
		t.Errorf("C++ = %t, %s %q, readelf says %q", f.CXX, f.CXXRuntime, f.CXXVersion, glibcxx)
	}
}

func TestVersionThatMayBeMissingIsNoFloor(t *testing.T) {
	dir := workshop(t)
	run(t, dir, "gcc", "-shared", "-fPIC", "use.c", "-o", "lib.so")
	b, err := os.ReadFile(filepath.Join(dir, "lib.so"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	// Of one library, libc, the versions follow the record that counts them.
	section := file.Section(".gnu.version_r")
	count := int(file.ByteOrder.Uint16(b[section.Offset+2:]))
	for i := range count {
		file.ByteOrder.PutUint16(b[int(section.Offset)+16+i*16+4:], versionWeak)
	}
	if f := inspect(t, b); f.LibcVersion != "" || f.Libc != Glibc {
		t.Errorf("libc %q %q, want glibc without a floor", f.Libc, f.LibcVersion)
	}
}

func TestFileWithoutSectionHeadersIsUnderstood(t *testing.T) {
	dir := workshop(t)
	for _, style := range []string{"gnu", "sysv", "both"} {
		run(t, dir, "gcc", "-shared", "-fPIC", "-Wl,-soname,libuse.so.2", "-Wl,--hash-style="+style, "use.c", "-o", "lib.so")
		b, err := os.ReadFile(filepath.Join(dir, "lib.so"))
		if err != nil {
			t.Fatal(err)
		}
		want := listSymbols(t, b)
		clear(b[0x28:0x30]) // e_shoff
		clear(b[0x3c:0x40]) // e_shnum, e_shstrndx
		if f := inspect(t, b); f.Kind != KindShared || f.Soname != "libuse.so.2" || f.Libc != Glibc {
			t.Errorf("got %+v", f)
		}
		if got := listSymbols(t, b); !slices.Contains(got, "use") || !slices.Equal(got, want) {
			t.Errorf("hash style %s: symbols %q, want %q", style, got, want)
		}
	}
}

func TestFileOfDebuggingInformationHasNoKind(t *testing.T) {
	dir := workshop(t)
	for _, mode := range []string{"-pie", "-static"} {
		run(t, dir, "gcc", mode, "-g", "main.c", "-o", "main")
		run(t, dir, "objcopy", "--only-keep-debug", "main", "main.debug")
		if f := inspectPath(t, filepath.Join(dir, "main.debug")); f.Kind != "" || f.Platform.Architecture != runtime.GOARCH {
			t.Errorf("gcc %s: %s for %s, want no kind", mode, f.Kind, f.Platform)
		}
	}
}

func TestArchivesOfArAreUnderstood(t *testing.T) {
	dir := workshop(t)
	run(t, dir, "gcc", "-c", "-O2", "-D_FORTIFY_SOURCE=2", "add.c", "use.c", "cxx.cc")
	for _, flags := range []string{"rcs", "rcS", "rcsT"} {
		run(t, dir, "rm", "-f", "lib.a")
		run(t, dir, "ar", flags, "lib.a", "add.o", "use.o", "cxx.o", "main.c")
		f := inspectPath(t, filepath.Join(dir, "lib.a"))
		if strings.Contains(flags, "T") {
			if f.Kind != KindThinArchive || f.Members != 4 {
				t.Errorf("ar %s: %s of %d members", flags, f.Kind, f.Members)
			}
			continue
		}
		if f.Kind != KindArchive || f.Members != 3 || !f.CXX || f.CXXRuntime != Libstdcxx || f.Platform.Architecture != runtime.GOARCH {
			t.Errorf("ar %s: %s of %d objects, C++ = %t %s, for %s", flags, f.Kind, f.Members, f.CXX, f.CXXRuntime, f.Platform)
		}
	}
}

func TestSymbolsAreThoseOfNm(t *testing.T) {
	dir := workshop(t)
	run(t, dir, "gcc", "-c", "-O2", "add.c", "use.c", "cxx.cc")
	run(t, dir, "ar", "rcs", "lib.a", "add.o", "use.o", "cxx.o")
	run(t, dir, "gcc", "-shared", "-fPIC", "use.c", "-o", "lib.so")
	for file, flags := range map[string][]string{"lib.a": {"-g"}, "lib.so": {"-D", "--without-symbol-versions"}} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(run(t, dir, "nm", append(flags, file)...)) {
			switch words := strings.Fields(line); {
			case len(words) == 2:
				want = append(want, "U "+words[1])
			case len(words) == 3:
				want = append(want, words[2])
			}
		}
		got := listSymbols(t, b)
		slices.Sort(got)
		slices.Sort(want)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %q, nm says %q", file, got, want)
		}
	}
}

func TestSystemLibrariesAreUnderstood(t *testing.T) {
	out := strings.TrimSpace(run(t, t.TempDir(), "gcc", "-print-file-name=libc.so.6"))
	if f := inspectPath(t, out); f.Kind != KindShared || f.Soname != "libc.so.6" || f.Libc != Glibc {
		t.Errorf("%s: %s, soname %q, libc %q", out, f.Kind, f.Soname, f.Libc)
	}
	out = strings.TrimSpace(run(t, t.TempDir(), "gcc", "-print-file-name=libc.a"))
	if f := inspectPath(t, out); f.Kind != KindArchive || f.Members < 1000 || f.Conflict != nil {
		t.Errorf("%s: %s of %d objects, conflict %v", out, f.Kind, f.Members, f.Conflict)
	}
}

func TestCodeForProgramsAloneIsWhatTheLinkerRefusesInASharedLibrary(t *testing.T) {
	const other = "int counter = 1; int count(void) { return 1; }"
	for name, c := range map[string]struct {
		flags, first, second string
		want                 bool
	}{
		"a variable of another library":       {"-fPIE", "extern int counter; int f(void) { return counter++; }", "", true},
		"compiled for shared libraries":       {"-fPIC", "extern int counter; int f(void) { return counter++; }", other, false},
		"a variable of another member":        {"-fPIE", "extern int counter; int f(void) { return counter++; }", other, true},
		"a hidden variable of another member": {"-fPIE", "extern int counter; int f(void) { return counter++; }", "__attribute__((visibility(\"hidden\"))) int counter;", false},
		"a variable that it defines":          {"-fPIE", "int counter = 1; int f(void) { return counter++; }", "", true},
		"a hidden variable that it defines":   {"-fPIE -fvisibility=hidden", "int counter = 1; int f(void) { return counter++; }", "", false},
		"a static variable":                   {"-fPIE", "static int counter; int f(void) { return counter++; }", "", false},
		"functions":                           {"-fPIE", "int count(void); int g(void) { return 2; } int f(void) { return count() + g(); }", other, false},
		"a thread's variable":                 {"-fPIE", "static __thread int mine; int f(void) { return mine++; }", "", true},
		"a thread's variable in shared code":  {"-fPIC", "static __thread int mine; int f(void) { return mine++; }", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{"first.c": c.first, "second.c": c.second} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, member := range []string{"first", "second"} {
				run(t, dir, "gcc", append(strings.Fields(c.flags), "-O1", "-c", member+".c")...)
			}
			for _, order := range [][]string{{"first.o", "second.o"}, {"second.o", "first.o"}} {
				os.Remove(filepath.Join(dir, "liba.a"))
				run(t, dir, "ar", append([]string{"rcs", "liba.a"}, order...)...)
				link := exec.Command("ld", "-shared", "-o", "liba.so", "--whole-archive", "liba.a")
				link.Dir = dir
				if out, err := link.CombinedOutput(); (err != nil) != c.want {
					t.Fatalf("the linker says %v\n%s", err, out)
				}
				if f := inspectPath(t, filepath.Join(dir, "liba.a")); f.PIEOnly != c.want || f.NonPIC {
					t.Errorf("%s: for programs alone = %t, not position-independent = %t", order, f.PIEOnly, f.NonPIC)
				}
			}
		})
	}
}
