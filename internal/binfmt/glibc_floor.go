package binfmt

import "bytes"

// LinkedFloor estimates the oldest glibc that code which is linked with the file on a given glibc, such as "2.36", will load
// with: the linker binds each symbol to the newest version that it finds. It is never below [File.LinkableOn], and is empty for
// the same reasons, where it stands for any glibc. A version above that of the package's table (2.43) is taken for that one.
//
// It is the file's own share. A program's start files ask for 2.34 wherever glibc has that; a shared library has none of these.
func (f *File) LinkedFloor(glibc string) string {
	t := glibcSymbols()
	return higherVersion(f.LinkableOn, t.highest(f.glibcVersions&t.upTo(glibc)))
}

// glibcNeeds gathers which symbols of glibc's table the objects of a file need and define: a byte for each, whatever their number.
type glibcNeeds struct {
	uses []symbolUse // by the index of the name; nil before the first

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
	index, ok := t.names[string(name)]
	if !ok {
		if !symbol.Defined {
			n.addBound(name, symbol.Weak)
		}
		return
	}
	if n.uses == nil {
		n.uses = make([]symbolUse, len(t.rowOf))
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

// addBound takes note of an undefined symbol, if its name has a version.
func (n *glibcNeeds) addBound(name []byte, weak bool) {
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
	t := glibcSymbols()
	base, ok := t.bases[f.Platform.Architecture]
	if !ok {
		return
	}
	oldest, all := n.bound.from(base), (n.bound | n.weaklyBound).from(base)
	for index, use := range n.uses {
		if use == 0 || use&useDefines != 0 {
			continue
		}
		versions := t.versionsOf(uint16(index), f.Platform.Architecture)
		all |= versions
		if use&useNeeds != 0 {
			oldest |= versions.lowest()
		}
	}
	f.LinkableOn, f.glibcVersions = t.highest(oldest&^base), all&^base
}
