package binfmt

import (
	"slices"
	"strings"
	"testing"
)

// needing makes a file of objects for Linux with these symbols, undefined ones but for "weak name" and "defined name".
func needing(architecture string, symbols ...string) *File {
	var e evidence
	for _, name := range symbols {
		name, weak := strings.CutPrefix(name, "weak ")
		name, defined := strings.CutPrefix(name, "defined ")
		e.add([]byte(name), defined)
		e.addVersioned([]byte(name), Symbol{Weak: weak, Defined: defined})
	}
	f := &File{Format: FormatELF, Kind: KindArchive, Platform: Platform{OS: "linux", Architecture: architecture}, assumedOS: true}
	e.conclude(f)
	return f
}

func TestFloorsAreThoseOfTheUndefinedSymbols(t *testing.T) {
	for _, c := range []struct {
		symbols                  string // with commas between them
		linkable, on2_31, on2_36 string
	}{
		{"arc4random", "2.36", "", "2.36"},
		{"memcpy", "", "2.14", "2.14"},
		{"puts,malloc", "", "", ""},
		{"fcntl64", "2.28", "2.28", "2.28"},
		{"fcntl64,memcpy,puts", "2.28", "2.28", "2.28"},
		{"no_function_of_glibc", "", "", ""},
		{"exp", "", "2.29", "2.29"},
		{"quick_exit", "2.10", "2.24", "2.24"},
		{"__isoc23_strtol", "2.38", "", ""},
		{"__memcpy_chk", "2.3.4", "2.3.4", "2.3.4"},

		// Once in libpthread, libdl, librt and libutil.
		{"pthread_create", "", "", "2.34"},
		{"dlopen", "", "", "2.34"},
		{"timer_create", "", "2.3.3", "2.34"},
		{"forkpty", "", "", "2.34"},
		{"pthread_getname_np", "2.12", "2.12", "2.34"},
		{"clock_gettime", "", "2.17", "2.17"},

		// In libc_nonshared.a, always or before 2.33.
		{"stat", "", "", "2.33"},
		{"fstat,lstat,mknod,stat64,fstat64,lstat64", "", "", "2.33"},
		{"fstatat,fstatat64,mknodat", "2.4", "2.4", "2.33"},
		{"atexit", "", "", ""},
		{"at_quick_exit", "2.10", "2.10", "2.10"},
		{"pthread_atfork", "", "2.3.2", "2.3.2"},
		{"__stack_chk_fail_local", "2.4", "2.4", "2.4"},

		// Hidden: only programs that were linked long ago find them.
		{"__malloc_hook", "", "", ""},
		{"_sys_errlist", "", "", ""},

		{"arc4random,defined arc4random", "", "", ""},
		{"defined arc4random,arc4random", "", "", ""},
		{"defined arc4random", "", "", ""},
		{"defined arc4random,arc4random,fcntl64", "2.28", "2.28", "2.28"},

		{"weak arc4random", "", "", "2.36"},
		{"weak arc4random,arc4random", "2.36", "", "2.36"},
		{"weak arc4random,defined arc4random", "", "", ""},

		{"memcpy@GLIBC_2.2.5", "", "", ""},
		{"expf@GLIBC_2.27", "2.27", "2.27", "2.27"},
		{"weak expf@GLIBC_2.27", "", "2.27", "2.27"},
		{"expf@GLIBC_PRIVATE,expf@,@,expf@GLIBC_2.999,expf@GLIBC_2.27,2.28,f@OTHER_2.27", "2.27", "2.27", "2.27"},
	} {
		f := needing("amd64", strings.Split(c.symbols, ",")...)
		got := []string{f.LinkableOn("", nil), f.LinkedFloor("2.31"), f.LinkedFloor("2.36")}
		if want := []string{c.linkable, c.on2_31, c.on2_36}; !slices.Equal(got, want) {
			t.Errorf("%s: linkable on %q, needs %q when linked on 2.31, %q on 2.36, want %q", c.symbols, got[0], got[1], got[2], want)
		}
	}
}

func TestFloorsDifferByArchitecture(t *testing.T) {
	for _, c := range []struct{ architecture, symbol, linkable, on2_36 string }{
		{"386", "memcpy", "", ""},
		{"arm64", "memcpy", "", ""},
		{"arm64", "__fdelt_chk", "", ""}, // 2.15, before the first glibc for it
		{"amd64", "__fdelt_chk", "2.15", "2.15"},
		{"386", "fcntl64", "2.28", "2.28"},
		{"arm64", "fcntl64", "2.28", "2.28"},
		{"riscv64", "fcntl64", "2.28", "2.28"},
		{"loong64", "fcntl64", "", ""},
		{"arm64", "pthread_create", "", "2.34"},
		{"riscv64", "stat", "", "2.33"},
		{"loong64", "stat", "", ""},
		{"amd64", "_mcount", "", ""},
		{"arm64", "_mcount", "2.18", "2.18"},
		{"s390x", "printf", "", "2.4"}, // with long double
		{"ppc64", "printf", "", "2.4"},
		{"ppc64le", "printf", "", ""},
		{"mips64le", "arc4random", "2.36", "2.36"},
		{"sparc64", "arc4random", "2.36", "2.36"},
		{"arm", "arc4random", "2.36", "2.36"},
		{"arm", "__memcpy_chk", "", ""},
		{"amd64p32", "memcpy", "", ""},
		{"m68k", "arc4random", "", ""},
		{"", "arc4random", "", ""},
	} {
		f := needing(c.architecture, c.symbol)
		if got, linked := f.LinkableOn("", nil), f.LinkedFloor("2.36"); got != c.linkable || linked != c.on2_36 {
			t.Errorf("%s on %s: linkable on %q, needs %q when linked on 2.36, want %q, %q",
				c.symbol, c.architecture, got, linked, c.linkable, c.on2_36)
		}
	}
}

func TestSymbolsThatTheKnownGlibcLacksDoNotCount(t *testing.T) {
	f := needing("amd64", "strlcpy", "fcntl64", "memcpy")
	for known, want := range map[string]string{"": "2.38", "2.43": "2.38", "2.38": "2.38", "2.37": "2.28", "2.28": "2.28", "2.17": "", "2.2": ""} {
		if got := f.LinkableOn(known, nil); got != want {
			t.Errorf("known on %q: linkable on %q, want %q", known, got, want)
		}
	}
	for glibc, want := range map[string]string{"": "", "2.13": "", "2.14": "2.14", "2.37": "2.28", "2.38": "2.38", "2.100": "2.38", "3": "2.38"} {
		if got := f.LinkedFloor(glibc); got != want {
			t.Errorf("linked on %q: needs %q, want %q", glibc, got, want)
		}
	}
}

func TestOnlyFilesThatMayBeForGlibcHaveFloors(t *testing.T) {
	if f := needing("amd64", "arc4random", "__errno"); f.LinkableOn("", nil) != "" || f.LinkedFloor("2.36") != "" {
		t.Errorf("an archive for Bionic or a BSD is linkable on glibc %q", f.LinkableOn("", nil))
	}
	for _, c := range []struct {
		format Format
		kind   Kind
		os     string
		want   string
	}{
		{FormatELF, KindArchive, "linux", "2.36"},
		{FormatELF, KindArchive, "freebsd", ""},
		{FormatMachO, KindArchive, "darwin", ""},
	} {
		var e evidence
		e.needs.add([]byte("arc4random"), Symbol{})
		f := &File{Format: c.format, Kind: c.kind, Platform: Platform{OS: c.os, Architecture: "amd64"}}
		e.conclude(f)
		if got := f.LinkableOn("", nil); got != c.want {
			t.Errorf("%s for %s: linkable on %q, want %q", c.format, c.os, got, c.want)
		}
	}
	for _, name := range []string{"elf-amd64-musl-shared", "elf-amd64-nopic", "macho-arm64", "coff-gnu", "bitcode"} {
		if f := inspect(t, fixture(t, name)); f.LinkableOn("", nil) != "" || f.LinkedFloor("2.36") != "" {
			t.Errorf("%s: linkable on %q, needs %q when linked on 2.36", name, f.LinkableOn("", nil), f.LinkedFloor("2.36"))
		}
	}
}

func TestObjectsOfAnotherArchitectureHaveItsFloors(t *testing.T) {
	object := fixture(t, "elf-aarch64-glibc")
	other := fixture(t, "elf-aarch64-linux-gnu") // needs add
	for name, b := range map[string][]byte{
		"object":  object,
		"archive": gnuArchive(arFile{"other.o", other}, arFile{"glibc.o", object}),
	} {
		f := inspect(t, b)
		if got := []string{f.LinkableOn("", nil), f.LinkedFloor("2.31"), f.LinkedFloor("2.36")}; !slices.Equal(got, []string{"2.28", "2.28", "2.34"}) {
			t.Errorf("%s: %q, want 2.28, 2.28 and 2.34", name, got)
		}
	}
}

func TestArchiveOfSeveralPlatformsHasNoFloors(t *testing.T) {
	f := inspect(t, gnuArchive(arFile{"a.o", fixture(t, "elf-aarch64-glibc")}, arFile{"b.o", fixture(t, "elf-amd64-nopic")}))
	if f.Conflict == nil || f.LinkableOn("", nil) != "" || f.LinkedFloor("2.36") != "" {
		t.Errorf("conflict %v, linkable on %q", f.Conflict, f.LinkableOn("", nil))
	}
}

func TestFloorsOfLibstdcxxAreThoseOfTheUndefinedSymbols(t *testing.T) {
	for _, c := range []struct{ symbols, runtime, want string }{ // with commas between them
		{"_Znwm,_ZSt4cout", Libstdcxx, ""},
		{"_ZSt28__throw_bad_array_new_lengthv", Libstdcxx, "3.4.29"},
		{"_ZSt21ios_base_library_initv", Libstdcxx, "3.4.32"},
		{"_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE15_M_replace_coldEPcmPKcmm", Libstdcxx, "3.4.31"},
		{"_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE7replaceEmmPKc", Libstdcxx, "3.4.21"},
		{"_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE7replaceEmmPKc,defined _ZSt28__throw_bad_array_new_lengthv", Libstdcxx, "3.4.21"},
		{"_ZNKSt6chrono9tzdb_list5beginEv", Libstdcxx, "3.4.31"},
		{"weak _ZSt28__throw_bad_array_new_lengthv,_ZSt4cout", Libstdcxx, ""},

		// Versions of CXXABI stand for those of GLIBCXX that came with them.
		{"__cxa_call_terminate", Libstdcxx, "3.4.33"},
		{"_ZnwmSt11align_val_t,_ZSt4cout", Libstdcxx, "3.4.23"},

		// libc++ has these, too.
		{"_ZnwmSt11align_val_t", "", ""},
		{"_ZSt19uncaught_exceptionsv", "", ""},
		{"_ZNSt3__14coutE,_ZnwmSt11align_val_t,__cxa_call_terminate", Libcxx, ""},
	} {
		f := needing("amd64", strings.Split(c.symbols, ",")...)
		if got := f.LinkableWithLibstdcxx(nil); got != c.want || f.CXXRuntime != c.runtime {
			t.Errorf("%s: %q of %q, want %q of %q", c.symbols, got, f.CXXRuntime, c.want, c.runtime)
		}
	}
}

func TestSymbolsFromElsewhereDoNotCount(t *testing.T) {
	f := needing("amd64", "strlcpy", "pidfd_open", "fcntl64")
	for _, c := range []struct {
		name      string
		elsewhere func(*Elsewhere)
		linkable  string
	}{
		{"nothing", func(*Elsewhere) {}, "2.38"},
		{"another file", func(e *Elsewhere) { e.AddFile(needing("amd64", "defined strlcpy", "pidfd_open")) }, "2.36"},
		{"libbsd", func(e *Elsewhere) { e.AddLibrary("bsd") }, "2.36"},
		{"a module of libbsd", func(e *Elsewhere) { e.AddLibrary("libbsd-overlay") }, "2.36"},
		{"an unknown library", func(e *Elsewhere) { e.AddLibrary("libbsdx") }, "2.38"},
	} {
		var elsewhere Elsewhere
		c.elsewhere(&elsewhere)
		if got := f.LinkableOn("", &elsewhere); got != c.linkable {
			t.Errorf("%s: linkable on %q, want %q", c.name, got, c.linkable)
		}
	}
	var elsewhere Elsewhere
	elsewhere.AddFile(needing("amd64", "defined _ZSt28__throw_bad_array_new_lengthv"))
	if got := needing("amd64", "_ZSt28__throw_bad_array_new_lengthv").LinkableWithLibstdcxx(&elsewhere); got != "" {
		t.Errorf("libstdc++ %s for a symbol that another file defines", got)
	}
}

func TestSymbolsThatOnlyGlibcHas(t *testing.T) {
	for _, c := range []struct {
		symbols, lacking string // with commas between them
		proves           bool
	}{
		{"strlen,memcpy,strlcpy,getentropy,__ctype_b_loc,stat,atexit", "", false},
		{"pidfd_open", "pidfd_open", true},
		{"weak pidfd_open,defined mseal", "", false},
		{"__isoc23_strtol,__memcpy_chk", "__isoc23_strtol,__memcpy_chk", true},
		{"fcntl64,open64,gnu_get_libc_version", "fcntl64,gnu_get_libc_version,open64", false},
		{"arc4random,obstack_free,makecontext", "arc4random,makecontext,obstack_free", false},
	} {
		f := needing("amd64", strings.Split(c.symbols, ",")...)
		if got := strings.Join(f.OnlyInGlibc(nil), ","); got != c.lacking || f.ProvesGlibc(nil) != c.proves {
			t.Errorf("%s: musl lacks %q, proves glibc: %t; want %q, %t", c.symbols, got, f.ProvesGlibc(nil), c.lacking, c.proves)
		}
	}
	var elsewhere Elsewhere
	elsewhere.AddLibrary("musl-obstack")
	if got := needing("amd64", "obstack_free").OnlyInGlibc(&elsewhere); got != nil {
		t.Errorf("musl lacks %q of its library for obstacks", got)
	}
}

func TestTablesHaveNoFault(t *testing.T) {
	for _, c := range []struct {
		text  string
		table *versionTable
		least int // names
	}{{glibcText, glibcSymbols(), 3000}, {libstdcxxText, libstdcxxSymbols(), 900}} {
		table := c.table
		if n := len(table.versions); n > 64 || !slices.IsSortedFunc(table.versions, compareVersions) {
			t.Errorf("%d versions, which must be 64 at most and in order: %q", n, table.versions)
		}
		for architecture, base := range table.bases {
			if base.lowest() != base || base == 0 {
				t.Errorf("%s has the base versions %#x, want one", architecture, base)
			}
		}
		if len(table.names) != len(table.rowOf) || len(table.names) < c.least {
			t.Errorf("%d different names of %d", len(table.names), len(table.rowOf))
		}
		for name := range table.names {
			if name == "" || strings.ContainsAny(name, "@, \t") {
				t.Errorf("name %q", name)
			}
		}
		for line := range strings.Lines(c.text) {
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "row" {
				continue
			}
			for _, list := range words[1:] {
				architecture, versions, differs := strings.Cut(list, "=")
				if !differs {
					architecture, versions = "amd64", list
				}
				for version := range strings.SplitSeq(versions, ",") {
					if table.set(version) == 0 || table.bases[architecture] == 0 {
						t.Errorf("%q has a version or an architecture that is not announced: %s", line, list)
					}
				}
			}
		}
	}
}

func BenchmarkGlibcTable(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parseVersionTable(glibcText)
	}
}
