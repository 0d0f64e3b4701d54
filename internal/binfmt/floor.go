package binfmt

import (
	"bytes"
	"slices"
	"strings"
)

// LinkableOn estimates the oldest glibc that an ELF object or a static archive can be linked on, such as "2.28": the highest of
// the oldest versions that the symbols have which it needs and does not define. Empty: any glibc for its architecture, or not known, or
// the file is none of these. It assumes that the file is for glibc, which it need not prove (see [File.Libc]).
//
// Symbols that come from elsewhere do not count, nor do those of libcrypt, which is no part of glibc any more, those that came after
// the glibc of the package's table, 2.43, and those that may stay undefined.
//
// The known glibc is one that the file was linked on or made for, "" for none. What is not in that must come from elsewhere
// and does not count, such as strlcpy, which glibc has since 2.38 and other libraries had before.
func (f *File) LinkableOn(known string, elsewhere *Elsewhere) string {
	oldest, _ := f.glibc.versions(f.Platform.Architecture, elsewhere.of(f.glibc))
	t := glibcSymbols()
	if known == "" {
		return t.highest(oldest)
	}
	return t.highest(oldest & t.upTo(known))
}

// LinkedFloor estimates the oldest glibc that code loads with once the file, an ELF object or a static archive, is linked into it
// on a given glibc, such as "2.36": the linker binds each symbol to the newest version that it finds there. It is never above the
// given one, and empty as for [File.LinkableOn].
//
// It is the file's own share. A program's start files ask for 2.34 on any glibc from that on; a shared library has none of these.
func (f *File) LinkedFloor(glibc string) string {
	_, all := f.glibc.versions(f.Platform.Architecture, nil)
	t := glibcSymbols()
	return t.highest(all & t.upTo(glibc))
}

// LinkableWithLibstdcxx is [File.LinkableOn] for libstdc++: the oldest that an object or archive can be linked with, as the version of
// GLIBCXX, such as "3.4.29". Versions of CXXABI, which is the same library, stand for those of GLIBCXX that came with them. It is
// empty for what is not for libstdc++ (see [File.CXXRuntime]), or needs nothing that came after GCC 4.9.
func (f *File) LinkableWithLibstdcxx(elsewhere *Elsewhere) string {
	if f.CXXRuntime != Libstdcxx {
		return ""
	}
	oldest, _ := f.libstdcxx.versions(f.Platform.Architecture, elsewhere.of(f.libstdcxx))
	if floor := libstdcxxSymbols().highest(oldest); floor != "" || !f.cxx11 {
		return floor
	}
	return cxx11Version
}

// cxx11Version is the GLIBCXX in which the strings and streams of namespace std::__cxx11 came. The table begins after it.
const cxx11Version = "3.4.21"

// OnlyInGlibc lists the symbols that an object or archive needs, which glibc has and musl has not, sorted.
func (f *File) OnlyInGlibc(elsewhere *Elsewhere) []string {
	t := glibcSymbols()
	return t.namesOf(f.glibc.missing(elsewhere.of(f.glibc), func(index uint16) bool { return !t.musl[index] }))
}

// ProvesGlibc reports whether an object or archive needs a symbol that nothing but glibc has, so that it is for that.
func (f *File) ProvesGlibc(elsewhere *Elsewhere) bool {
	t := glibcSymbols()
	base := t.bases["amd64"]
	newer := f.glibc.missing(elsewhere.of(f.glibc), func(index uint16) bool {
		return !t.musl[index] && t.versionsOf(index, "amd64").lowest().above(base) != 0
	})
	return slices.ContainsFunc(t.namesOf(newer), func(name string) bool {
		// Names of functions with 64-bit offsets musl had, too, for linking.
		return !strings.Contains(name, "64") && !inAnyCompanion(name)
	})
}

// Elsewhere is the symbols of glibc and libstdc++ that code finds in other files than these libraries. The zero value has none, and
// so has nil.
type Elsewhere struct{ glibc, libstdcxx map[uint16]bool }

// AddFile adds the symbols that an object or archive defines.
func (e *Elsewhere) AddFile(f *File) {
	for _, from := range []struct {
		needs *symbolNeeds
		to    *map[uint16]bool
	}{{f.glibc, &e.glibc}, {f.libstdcxx, &e.libstdcxx}} {
		if from.needs == nil {
			continue
		}
		for _, index := range from.needs.seen {
			if from.needs.uses[index]&useDefines != 0 {
				set(from.to, index)
			}
		}
	}
}

// AddLibrary adds the symbols of a library, by its name as after -l or that of its pkg-config module, if it is one that is known
// for symbols that glibc has, too.
func (e *Elsewhere) AddLibrary(name string) {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "musl-"), "lib")
	for _, suffix := range []string{"-overlay", "-standalone"} {
		name = strings.TrimSuffix(name, suffix)
	}
	patterns, ok := companions[name]
	if !ok {
		return
	}
	for symbol, index := range glibcSymbols().names {
		if matchesAny(symbol, patterns) {
			set(&e.glibc, index)
		}
	}
}

func set(of *map[uint16]bool, index uint16) {
	if *of == nil {
		*of = make(map[uint16]bool)
	}
	(*of)[index] = true
}

// of returns the part for the library that needs are about.
func (e *Elsewhere) of(needs *symbolNeeds) map[uint16]bool {
	switch {
	case e == nil || needs == nil:
		return nil
	case needs.library == libstdcxxLibrary:
		return e.libstdcxx
	}
	return e.glibc
}

// companions maps libraries to the symbols that they have for systems whose libc has not: of OpenBSD's libc, and of glibc's for musl.
var companions = map[string][]string{
	"bsd": {
		"arc4random*", "strlcat", "strlcpy", "wcslcat", "wcslcpy", "closefrom", "explicit_bzero", "reallocarray", "getentropy",
		"fgetln", "getprogname", "setprogname",
	},
	"argp":     {"argp_*"},
	"execinfo": {"backtrace*"},
	"fts":      {"fts_*", "fts64_*"},
	"obstack":  {"obstack_*", "_obstack_*"},
	"tirpc":    {"*rpc*", "bindresvport*", "xdr*"},
	"ucontext": {"getcontext", "makecontext", "setcontext", "swapcontext"},
}

func inAnyCompanion(symbol string) bool {
	for _, patterns := range companions {
		if matchesAny(symbol, patterns) {
			return true
		}
	}
	return false
}

// matchesAny reports whether a name is one of patterns, in which * at an end stands for any.
func matchesAny(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		switch inner := strings.Trim(pattern, "*"); {
		case pattern[0] == '*':
			return strings.Contains(name, inner)
		case inner != pattern:
			return strings.HasPrefix(name, inner)
		}
		return name == pattern
	})
}

// symbolNeeds gathers which symbols of a library's table the objects of a file need and define: a byte for each, whatever their number.
type symbolNeeds struct {
	library versionedLibrary
	uses    []symbolUse // by the index of the name; nil before the first
	seen    []uint16    // indexes of those that are not 0

	// bound and weaklyBound are the versions of symbols that the assembler was told to bind: memcpy@GLIBC_2.2.5.
	bound, weaklyBound versionSet
}

// versionedLibrary names a table.
type versionedLibrary uint8

const (
	glibcLibrary versionedLibrary = iota
	libstdcxxLibrary
)

func (l versionedLibrary) table() *versionTable {
	if l == libstdcxxLibrary {
		return libstdcxxSymbols()
	}
	return glibcSymbols()
}

// symbolUse is what members do with a symbol, as bits.
type symbolUse uint8

const (
	useNeeds symbolUse = 1 << iota
	useNeedsWeakly
	useDefines
)

// add takes note of one global symbol, and reports whether the table has it.
func (n *symbolNeeds) add(name []byte, symbol Symbol) bool {
	t := n.library.table()
	index, ok := t.find(name)
	if !ok {
		if !symbol.Defined && n.library == glibcLibrary {
			n.addBound(name, symbol.Weak)
		}
		return false
	}
	if n.uses == nil {
		n.uses = make([]symbolUse, len(t.rowOf))
	}
	if n.uses[index] == 0 {
		n.seen = append(n.seen, index)
	}
	switch {
	case symbol.Defined:
		n.uses[index] |= useDefines
	case symbol.Weak:
		n.uses[index] |= useNeedsWeakly
	default:
		n.uses[index] |= useNeeds
	}
	return true
}

// addBound takes note of an undefined symbol, if its name, which is not empty, ends with a version.
func (n *symbolNeeds) addBound(name []byte, weak bool) {
	if last := name[len(name)-1]; last < '0' || last > '9' {
		return
	}
	at := bytes.IndexByte(name, '@')
	if at < 0 {
		return
	}
	version := glibcSymbols().set(symbolVersion(string(bytes.TrimLeft(name[at:], "@")), "GLIBC_"))
	if weak {
		n.weaklyBound |= version
	} else {
		n.bound |= version
	}
}

// versions returns what is needed of a library, without the base version of the architecture: of each symbol that must be found its
// oldest version, and of each symbol all its versions. A weak need may stay unmet, so that it keeps nothing from being linked,
// but it is met, and bound to a version, where the library can.
func (n *symbolNeeds) versions(architecture string, elsewhere map[uint16]bool) (oldest, all versionSet) {
	if n == nil {
		return 0, 0
	}
	t := n.library.table()
	base, ok := t.bases[architecture]
	if !ok {
		return 0, 0
	}
	oldest, all = n.bound, n.bound|n.weaklyBound
	for _, index := range n.seen {
		use := n.uses[index]
		if use&useDefines != 0 || elsewhere[index] {
			continue
		}
		versions := t.versionsOf(index, architecture)
		all |= versions
		if use&useNeeds != 0 {
			oldest |= versions.lowest()
		}
	}
	return oldest.above(base), all.above(base)
}

// missing returns the indexes of the symbols that must be found, and for which of is true.
func (n *symbolNeeds) missing(elsewhere map[uint16]bool, of func(index uint16) bool) map[uint16]bool {
	if n == nil {
		return nil
	}
	found := make(map[uint16]bool)
	for _, index := range n.seen {
		if use := n.uses[index]; use&useNeeds != 0 && use&useDefines == 0 && !elsewhere[index] && of(index) {
			found[index] = true
		}
	}
	return found
}
