package binfmt

import "bytes"

// glibcFloors is what glibc the objects of a file need. Both sets are without the base version of the architecture.
type glibcFloors struct {
	oldest versionSet // of each symbol that must be found, its oldest version
	all    versionSet // of each symbol, all its versions
}

// LinkableOn estimates the oldest glibc that an ELF object or a static archive can be linked on, such as "2.28": the highest of
// the oldest versions that the symbols have which it needs and does not define. Empty: any glibc for its architecture, or not known, or
// the file is none of these. It assumes that the file is for glibc, which it need not prove (see [File.Libc]).
//
// Symbols of libcrypt, which is no part of glibc any more, do not count, nor do those that came after the glibc of the package's table, 2.43.
//
// The known glibc is one that the file was linked on or made for, "" for none. What is not in that must come from elsewhere
// and does not count, such as strlcpy, which glibc has since 2.38 and other libraries had before.
func (f *File) LinkableOn(known string) string {
	t := glibcSymbols()
	if known == "" {
		return t.highest(f.floors.oldest)
	}
	return t.highest(f.floors.oldest & t.upTo(known))
}

// LinkedFloor estimates the oldest glibc that code loads with once the file, an ELF object or a static archive, is linked into it
// on a given glibc, such as "2.36": the linker binds each symbol to the newest version that it finds there. It is never above the
// given one, and empty as for [File.LinkableOn].
//
// It is the file's own share. A program's start files ask for 2.34 on any glibc from that on; a shared library has none of these.
func (f *File) LinkedFloor(glibc string) string {
	t := glibcSymbols()
	return t.highest(f.floors.all & t.upTo(glibc))
}

// glibcNeeds gathers which symbols of glibc's table the objects of a file need and define: a byte for each, whatever their number.
type glibcNeeds struct {
	uses []symbolUse // by the index of the name; nil before the first
	seen []uint16    // indexes of those that are not 0

	// bound and weaklyBound are the versions of symbols that the assembler was told to bind: memcpy@GLIBC_2.2.5.
	bound, weaklyBound versionSet
}

// symbolUse says what members do with a symbol, as bits.
type symbolUse uint8

const (
	useNeeds symbolUse = 1 << iota
	useNeedsWeakly
	useDefines
)

// add takes note of one global symbol.
func (n *glibcNeeds) add(name []byte, symbol Symbol) {
	t := glibcSymbols()
	index, ok := t.find(name)
	if !ok {
		if !symbol.Defined {
			n.addBound(name, symbol.Weak)
		}
		return
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
}

// addBound takes note of an undefined symbol, if its name, which is not empty, ends with a version.
func (n *glibcNeeds) addBound(name []byte, weak bool) {
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

// conclude adds to an ELF file of objects for Linux what glibc they need. A weak need may stay unmet, so that it keeps nothing from
// being linked, but it is met, and bound to a version, where glibc can.
func (n *glibcNeeds) conclude(f *File) {
	oldest, all := n.bound, n.bound|n.weaklyBound
	if n.uses == nil && all == 0 {
		return
	}
	t := glibcSymbols()
	base, ok := t.bases[f.Platform.Architecture]
	if !ok {
		return
	}
	for _, index := range n.seen {
		use := n.uses[index]
		if use&useDefines != 0 {
			continue
		}
		versions := t.versionsOf(index, f.Platform.Architecture)
		all |= versions
		if use&useNeeds != 0 {
			oldest |= versions.lowest()
		}
	}
	f.floors = glibcFloors{oldest.above(base), all.above(base)}
}
