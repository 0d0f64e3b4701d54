package binfmt

import "testing"

// proven says what undefined symbols prove of an ELF archive for Linux.
func proven(undefined, defined []string) *File {
	var e evidence
	for _, name := range undefined {
		e.add([]byte(name), false)
	}
	for _, name := range defined {
		e.add([]byte(name), true)
	}
	f := &File{Format: FormatELF, Kind: KindArchive, Platform: Platform{OS: "linux"}, assumedOS: true}
	e.conclude(f)
	return f
}

func TestGlibcIsProvenByNamesThatOnlyItsHeadersMake(t *testing.T) {
	for name, want := range map[string]string{
		"__memcpy_chk":               Glibc,
		"__libc_single_threaded":     Glibc,
		"__isoc23_strtol":            Glibc,
		"__strdup":                   Glibc,
		"__rawmemchr":                Glibc,
		"__stack_chk_fail":           "",
		"__chk":                      "",
		"memcpy":                     "",
		"__cxa_thread_atexit_impl":   "",
		"obstack_free":               "", // musl has a library of these
		"_ZN4core3fmt5write17h0123E": "",
	} {
		if got := proven([]string{name}, nil).Libc; got != want {
			t.Errorf("undefined %s proves libc %q, want %q", name, got, want)
		}
	}
}

func TestGlibcIsNotProvenByNamesThatTheArchiveDefinesItself(t *testing.T) {
	if got := proven([]string{"__my_chk"}, []string{"__my_chk"}).Libc; got != "" {
		t.Errorf("libc = %q, want none", got)
	}
	if got := proven([]string{"__my_chk", "__read_chk"}, []string{"__my_chk"}).Libc; got != Glibc {
		t.Errorf("libc = %q, want %q", got, Glibc)
	}
}

func TestSymbolsOfAnotherLibcDenyTheAssumedSystem(t *testing.T) {
	f := proven([]string{"__errno", "__memcpy_chk"}, nil)
	if f.Platform.OS != "" || f.Libc != "" {
		t.Errorf("system %q, libc %q, want neither", f.Platform.OS, f.Libc)
	}
}

func TestCXXIsTheNeedOfItsRuntime(t *testing.T) {
	for name, want := range map[string]bool{
		"_Znwm":                                 true,
		"_ZdlPvm":                               true,
		"__cxa_throw":                           true,
		"__cxa_guard_acquire":                   true,
		"__gxx_personality_v0":                  true,
		"_ZSt9terminatev":                       true,
		"_ZTVN10__cxxabiv117__class_type_infoE": true,
		"??2@YAPEAX_K@Z":                        true,
		"_CxxThrowException":                    true,
		"__cxa_finalize":                        false, // every C library has it
		"__cxa_atexit":                          false,
		"__cxa_thread_atexit_impl":              false, // Rust
		"_ZN4core9panicking5panic17h0123456789abcdefE": false,
		"_Unwind_Resume": false,
	} {
		if got := proven([]string{name}, nil).CXX; got != want {
			t.Errorf("undefined %s: C++ = %t, want %t", name, got, want)
		}
	}
	if proven(nil, []string{"_Znwm"}).CXX {
		t.Error("code that defines operator new itself needs no runtime for it")
	}
}

func TestCXXRuntimeIsToldByItsInlineNamespace(t *testing.T) {
	const (
		gnu  = "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE9_M_createERmm"
		llvm = "_ZNSt3__112basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEE6resizeEmc"
	)
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{gnu}, Libstdcxx},
		{[]string{llvm}, Libcxx},
		{[]string{"_Z1fNSt3__112basic_stringIcEE"}, Libcxx},
		{[]string{"_ZNSt6__ndk16localeD1Ev"}, Libcxx},
		{[]string{"_ZSt20__throw_length_errorPKc"}, Libstdcxx},
		{[]string{"_ZNSs4_Rep20_S_empty_rep_storageE"}, Libstdcxx},
		{[]string{"_ZSt9terminatev"}, ""},
		{[]string{gnu, llvm}, ""},
	} {
		if got := proven(c.names, nil).CXXRuntime; got != c.want {
			t.Errorf("%q: runtime %q, want %q", c.names, got, c.want)
		}
	}
}

func TestSystemIsToldByLoaderOrLibc(t *testing.T) {
	for interpreter, want := range map[string]string{
		"/lib64/ld-linux-x86-64.so.2": "linux",
		"/lib/ld-musl-aarch64.so.1":   "linux",
		"/system/bin/linker64":        "android",
		"/libexec/ld-elf.so.1":        "freebsd",
		"/usr/libexec/ld-elf.so.2":    "dragonfly",
		"/usr/libexec/ld.elf_so":      "netbsd",
		"/usr/libexec/ld.so":          "openbsd",
		"/usr/lib/amd64/ld.so.1":      "solaris",
		"/opt/ld.so":                  "",
		"":                            "",
	} {
		if got := systemOfLoader(interpreter); got != want {
			t.Errorf("systemOfLoader(%q) = %q, want %q", interpreter, got, want)
		}
	}
	for needed, want := range map[string]string{
		"libc.so.6":             "linux",
		"libc.musl-x86_64.so.1": "linux",
		"libc.so.7":             "freebsd",
		"libc.so.12":            "netbsd",
		"libc.so.96.1":          "openbsd",
		"libc.so.0.3":           "hurd",
		"libc.so":               "",
		"libm.so.6":             "",
	} {
		if got := systemOfLibc(needed); got != want {
			t.Errorf("systemOfLibc(%q) = %q, want %q", needed, got, want)
		}
	}
}
