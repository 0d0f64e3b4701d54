package binfmt

import (
	"bytes"
	"slices"
	"strings"
)

// evidence is what the symbol names of relocatable code prove about the runtimes it was compiled for. In an archive it is gathered over
// all members, since one member may define what another lacks.
type evidence struct {
	cxx       bool
	libstdcxx bool
	libcxx    bool
	otherLibc bool // neither glibc nor musl
	msvc, gnu bool // of COFF

	// glibc maps names of glibc's that were seen to whether the code itself defines them.
	glibc map[string]bool

	// Of ELF objects.
	needs, needsCXX symbolNeeds
	cxx11           bool // something of libstdc++'s namespace std::__cxx11 is needed
	gccCXX          bool // something is needed that only GCC's compiler asks for, mostly of libstdc++
}

// maxProofs bounds evidence.glibc. There are fewer than a hundred such names.
const maxProofs = 1 << 10

// add takes note of one global symbol, without the underscore that Mach-O and 32-bit COFF put in front.
func (e *evidence) add(name []byte, defined bool) {
	if len(name) < 3 {
		return
	}
	switch {
	case name[0] == '.':
		e.gnu = e.gnu || bytes.HasPrefix(name, []byte(".refptr.")) // by which mingw's compilers reach data of DLLs
	case name[0] == '_' && name[1] == 'Z':
		e.mangled(name, defined)
	case name[0] == '_' && name[1] == '_':
		e.reserved(name, defined)
	case name[0] == '?':
		e.msvc = true
		// Operators new and delete, and the vtable of type_info.
		if !defined && hasAnyPrefix(name, "??2@", "??3@", "??_U@", "??_V@", "??_7type_info@@", "?_X") {
			e.cxx = true
		}
	case !defined && bytes.Equal(name, []byte("_CxxThrowException")):
		e.cxx = true
	}
}

// addVersioned takes note of one global symbol of an ELF object, if glibc or libstdc++ may have it.
func (e *evidence) addVersioned(name []byte, symbol Symbol) {
	e.needs.add(name, symbol)
	if !hasAnyPrefix(name, "_Z", "__cxa_") {
		return
	}
	e.needsCXX.library = libstdcxxLibrary
	known := e.needsCXX.add(name, symbol)
	if symbol.Defined || symbol.Weak {
		return
	}
	e.cxx11 = e.cxx11 || hasAnyPrefix(name, "_ZNSt7__cxx11", "_ZNKSt7__cxx11")
	switch string(name) {
	case "_ZSt19uncaught_exceptionsv": // libc++ has it under the same name
	case "__cxa_call_terminate": // and this for what GCC compiled
		e.gccCXX = true
	default:
		e.libstdcxx = e.libstdcxx || known && hasAnyPrefix(name, "_ZSt", "_ZNSt", "_ZNKSt")
	}
}

// mangled takes note of a name of the Itanium C++ ABI. Rust's older names (_ZN4core3fmt…) are made alike, so that only those of
// std, of operators new and delete, and of the ABI's own classes tell C++.
// See https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling.
func (e *evidence) mangled(name []byte, defined bool) {
	if !defined && hasAnyPrefix(name, "_Znw", "_Zna", "_ZdlP", "_ZdaP", "_ZSt", "_ZNSt", "_ZNKSt", "_ZNSs", "_ZNKSs", "_ZTVN10__cxxabiv1") {
		e.cxx = true
	}
	switch {
	// libc++ has all of std in an inline namespace, __1 (__ndk1 on Android).
	case bytes.Contains(name, []byte("St3__1")), bytes.Contains(name, []byte("St6__ndk1")):
		e.libcxx = true
	// libstdc++ has some of it in __cxx11; Ss, So and Si abbreviate std::string, ostream and istream of no inline namespace.
	case bytes.Contains(name, []byte("St7__cxx11")), hasAnyPrefix(name, "_ZNSs", "_ZNKSs", "_ZNSo", "_ZNSi", "_ZSt4cout", "_ZSt4cerr"),
		bytes.HasPrefix(name, []byte("_ZSt")) && bytes.Contains(name, []byte("__throw_")):
		e.libstdcxx = true
	}
}

// reserved takes note of a name that belongs to the implementation: the C++ ABI's, libc's, the compiler's.
func (e *evidence) reserved(name []byte, defined bool) {
	if isGlibcName(name) {
		e.glibcName(string(name), defined)
		return
	}
	if defined {
		return
	}
	switch string(name) {
	case "__cxa_finalize", "__cxa_atexit", "__cxa_at_quick_exit", "__cxa_thread_atexit_impl":
		// These are libc's: C and Rust use them too.
	case "__gxx_personality_v0", "__gxx_personality_seh0", "__gxx_personality_sj0", "__gxx_personality_imp":
		e.cxx = true
		e.gnu = true
	case "__CxxFrameHandler3", "__CxxFrameHandler4":
		e.cxx = true
		e.msvc = true
	case "__security_check_cookie", "__security_cookie", "__GSHandlerCheck":
		e.msvc = true
	case "___chkstk_ms", "__main", "__mingw_vfprintf", "__mingw_printf", "__mingw_vsnprintf", "__mingw_vsprintf":
		e.gnu = true
	case "__errno", "__sF":
		// Bionic's, newlib's, NetBSD's and OpenBSD's errno and stdio.
		e.otherLibc = true
	default:
		if bytes.HasPrefix(name, []byte("__cxa_")) {
			e.cxx = true
		}
	}
}

// isGlibcName says whether only glibc's headers, or code written for glibc alone, make this name: fortified functions, C23's
// scanf and strtol, and two of its aliases. The obstack functions do not count: musl has them as a library of their own.
func isGlibcName(name []byte) bool {
	switch string(name) {
	case "__libc_single_threaded", "__strdup", "__rawmemchr":
		return true
	}
	return bytes.HasSuffix(name, []byte("_chk")) && len(name) > len("___chk") || bytes.HasPrefix(name, []byte("__isoc23_"))
}

func (e *evidence) glibcName(name string, defined bool) {
	if e.glibc == nil {
		e.glibc = make(map[string]bool)
	}
	if before, seen := e.glibc[name]; seen || len(e.glibc) < maxProofs {
		e.glibc[name] = before || defined
	}
}

// provesGlibc says whether some name of glibc's is undefined in all of the code.
func (e *evidence) provesGlibc() bool {
	for _, definedHere := range e.glibc {
		if !definedHere {
			return !e.otherLibc
		}
	}
	return false
}

// conclude adds to a file of objects what is proven. Contradicting proof counts for nothing.
func (e *evidence) conclude(f *File) {
	f.CXX = f.CXX || e.cxx
	switch {
	case (e.libstdcxx || e.gccCXX) && !e.libcxx:
		f.CXXRuntime = Libstdcxx
	case e.libcxx && !e.libstdcxx:
		f.CXXRuntime = Libcxx
	}
	switch f.Format {
	case FormatELF:
		if f.Platform.OS == "linux" && e.provesGlibc() {
			f.Libc = Glibc
		}
		if f.assumedOS && e.otherLibc {
			f.Platform.OS = ""
		}
		if f.Platform.OS == "linux" && !e.otherLibc {
			f.cxx11 = e.cxx11
			// Copies, so that what else the inspector holds can go.
			for _, n := range []struct {
				needs symbolNeeds
				to    **symbolNeeds
			}{{e.needs, &f.glibc}, {e.needsCXX, &f.libstdcxx}} {
				if n.needs.uses != nil || n.needs.bound|n.needs.weaklyBound != 0 {
					*n.to = &n.needs
				}
			}
		}
	case FormatCOFF:
		f.Env = e.env()
	}
}

// env tells the last part of a Windows target's triple.
func (e *evidence) env() string {
	switch {
	case e.msvc && !e.gnu:
		return "msvc"
	case e.gnu && !e.msvc:
		return "gnu"
	}
	return ""
}

// hasAnyPrefix says whether name begins with one of the prefixes.
func hasAnyPrefix(name []byte, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if bytes.HasPrefix(name, []byte(prefix)) {
			return true
		}
	}
	return false
}

// libraryRuntimes says which C++ runtime is among needed libraries, whose names are paths on Apple's systems.
func libraryRuntimes(f *File) {
	for _, needed := range f.Needed {
		name := strings.ToLower(needed[strings.LastIndexByte(needed, '/')+1:])
		switch {
		case strings.HasPrefix(name, "libstdc++.so"), strings.HasPrefix(name, "libstdc++-"), strings.HasPrefix(name, "libstdc++."):
			f.CXX, f.CXXRuntime = true, Libstdcxx
		case strings.HasPrefix(name, "libc++.so"), slices.Contains([]string{"libc++.1.dylib", "libc++.dll", "libc++_shared.so"}, name):
			f.CXX, f.CXXRuntime = true, Libcxx
		case strings.HasPrefix(name, "msvcp"):
			f.CXX = true
		}
	}
}
