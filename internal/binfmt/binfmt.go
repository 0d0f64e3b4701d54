// Package binfmt tells from the bytes of a file what compiled code it holds: ELF, Mach-O (also universal), PE and
// COFF, and the ar archives of these in their GNU, BSD, COFF and thin variants. Names of files are never looked at.
//
// It answers what a package of native libraries has to know: the platform the code runs on, what it needs at run
// time, the oldest C and C++ runtime it works with. [Inspect] reads headers, and of objects the symbol tables;
// [Symbols] lists the symbols; [IsExecutable] reads no more than it must to say whether a file can be run.
//
// Nothing in a file is trusted. All three stream over an [io.ReaderAt], hold at most 32 MiB whatever the size of
// the file, and do work that is linear in that size: a read that exceeds it fails with [ErrMalformed].
// For that reason the package takes the constants of debug/elf, debug/macho and debug/pe but not their readers, which
// build every section and symbol name of a file in memory: a file of a few MiB can make them ask for hundreds of GiB.
//
// Formats: ELF https://gabi.xinuos.com/, Mach-O https://github.com/apple-oss-distributions/xnu (EXTERNAL_HEADERS/mach-o),
// PE and COFF https://learn.microsoft.com/windows/win32/debug/pe-format.
package binfmt

import (
	"errors"
	"io"
	"strings"
)

// ErrNotBinary is returned for a file that is no compiled code: text, a header, a linker script, an archive that
// holds no object (an empty one too), a core dump.
var ErrNotBinary = errors.New("not compiled code")

// ErrMalformed is returned for a file that begins as compiled code does and then contradicts itself, is cut short, or
// exceeds a bound of this package. An error of the underlying reader is returned as such instead.
var ErrMalformed = errors.New("malformed binary")

// Format is the family of file formats that code is stored in; for an archive, that of its members.
type Format string

// The formats. The empty Format is unknown: a thin archive's, or that of an archive with members of several.
const (
	FormatELF     Format = "elf"
	FormatMachO   Format = "macho"
	FormatPE      Format = "pe"           // a linked Windows image
	FormatCOFF    Format = "coff"         // a Windows object or an archive of these
	FormatBitcode Format = "llvm-bitcode" // LLVM's intermediate representation in place of an object
)

// Kind is the role a file has in linking.
type Kind string

// The kinds. The empty Kind is unknown: a file of debugging information only, a universal file of several kinds.
const (
	KindObject        Kind = "object"
	KindArchive       Kind = "archive"
	KindThinArchive   Kind = "thin archive" // names other files as members; they are not followed
	KindShared        Kind = "shared"       // also a loadable module, such as a Mach-O bundle
	KindExecutable    Kind = "executable"   // also a position-independent one
	KindImportLibrary Kind = "import library"
)

// The values of [File.Libc] and [File.CXXRuntime].
const (
	Glibc     = "glibc"
	Musl      = "musl"
	Libstdcxx = "libstdc++"
	Libcxx    = "libc++"
)

// Platform is what code runs on, in the values of the OCI platform object, which are those of GOOS and GOARCH
// where Go has one. An empty field is unknown.
// See https://github.com/opencontainers/image-spec/blob/main/image-index.md.
type Platform struct {
	OS           string // "linux", "darwin", "windows", "freebsd", "ios", …
	Architecture string // "amd64", "arm64", "arm", "ppc64le", …
	Variant      string // of arm "v5" to "v8"; of amd64 "v2" to "v4" where the file is marked so
}

// String gives the platform as os/architecture/variant, "unknown" for each of the first two that is empty.
func (p Platform) String() string {
	known := func(s string) string {
		if s == "" {
			return "unknown"
		}
		return s
	}
	s := known(p.OS) + "/" + known(p.Architecture)
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// File is what the bytes of one file say. The zero value of each field means that they do not say it.
type File struct {
	Format Format
	Kind   Kind

	// Platform is zero for a universal file (see Slices) and for an archive with a Conflict.
	//
	// An ELF file that carries no mark of its system is taken for "linux": FreeBSD and Solaris mark every
	// file in its header, the others what is linked (a note, the interpreter, libc's name); only Linux leaves most unmarked.
	// So an object or static archive for Android, NetBSD or OpenBSD is called "linux", unless its symbols deny it.
	// Likewise Mach-O objects with no version command are taken for "darwin".
	Platform Platform
	Bits     int // 32 or 64

	// Env is the last part of the target's triple: for Windows "gnu" or "msvc" where the file proves it, for Apple's
	// systems "simulator" or "macabi".
	Env string

	// OSVersion is the oldest version of Apple's system that the file asks for, such as "12.0"; of an archive the highest of its members'.
	OSVersion string

	// Libc is [Glibc] or [Musl]. A static archive can prove glibc by symbols that only its headers make, and never musl.
	Libc string

	// LibcVersion is the oldest glibc that a dynamic object loads with, such as "2.28": the highest version it names.
	LibcVersion string

	// CXX is true for code that needs a C++ runtime.
	CXX bool

	// CXXRuntime is [Libstdcxx] or [Libcxx]: needed by a dynamic object, or told by symbol names of the others.
	CXXRuntime string

	// CXXVersion is the highest GLIBCXX symbol version that a dynamic object names, such as "3.4.29".
	CXXVersion string

	// Soname is the name that a program linked with this file will look for: DT_SONAME, Mach-O's install name, the name in
	// a DLL's export table, the DLL of an import library.
	Soname string

	// Needed lists the shared libraries that a dynamic object asks for, as written and in order: DT_NEEDED,
	// LC_LOAD_DYLIB and its kin, a PE file's imports and delayed imports.
	Needed []string

	// RPath and RunPath list the directories of DT_RPATH (LC_RPATH) and DT_RUNPATH, as written: $ORIGIN is not expanded.
	RPath, RunPath []string

	// Interpreter is the dynamic loader that an ELF file asks for.
	Interpreter string

	// Static is true for an ELF executable without an interpreter, position-independent or not.
	Static bool

	// SlimLTO is true when code is there only as a compiler's intermediate representation, which no other compiler (version) links.
	SlimLTO bool

	// NonPIC is true for objects proven unfit for a shared library by an absolute relocation in code; false proves nothing.
	NonPIC bool

	// PIEOnly is true for objects proven fit for programs alone: their code takes a symbol that others may define for one of the
	// program's own, as it is compiled with -fPIE. False proves nothing.
	PIEOnly bool

	// Members is the number of objects in an archive, or of all members of a thin one.
	Members int

	// Conflict is not nil when members of an archive are of platforms that cannot be linked together.
	Conflict *Conflict

	// Slices holds the parts of a universal (fat) Mach-O file, one for each architecture, in order; nil for all other files.
	Slices []*File

	assumedOS bool   // Platform.OS is the format's default
	imports   string // of a COFF object that is part of an import library: its DLL, or "?"

	// What ELF objects for Linux need of these libraries, and define of it; nil for nothing.
	glibc, libstdcxx *symbolNeeds
	cxx11            bool // they need symbols of libstdc++'s namespace std::__cxx11
}

// FixedInstallName returns the install name of a Mach-O library when programs linked with it look for it there and nowhere
// else: one that is neither relative to the program or to its directories, such as @rpath/libz.dylib, nor the system's.
// It is empty for all other files.
func (f *File) FixedInstallName() string {
	if f.Format != FormatMachO || f.Kind != KindShared {
		return ""
	}
	for _, start := range []string{"@rpath/", "@loader_path/", "@executable_path/", "/usr/lib/", "/System/"} {
		if strings.HasPrefix(f.Soname, start) {
			return ""
		}
	}
	return f.Soname
}

// Platforms lists the platforms that the file has code for: several for a universal file, else one at most.
func (f *File) Platforms() []Platform {
	if f.Slices == nil {
		if f.Platform == (Platform{}) {
			return nil
		}
		return []Platform{f.Platform}
	}
	var all []Platform
	for _, slice := range f.Slices {
		all = append(all, slice.Platforms()...)
	}
	return all
}

// Inspect says what the size bytes of r are. It returns an error that wraps [ErrNotBinary] or [ErrMalformed] for files that are
// not compiled code or cannot be understood, and an error of r as it is.
func Inspect(r io.ReaderAt, size int64) (*File, error) {
	in := newInspector(size)
	return in.file(&source{r: r, size: size, budget: &in.budget})
}
