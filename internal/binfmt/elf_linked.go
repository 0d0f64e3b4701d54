package binfmt

import (
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// elfDynamic is what the dynamic section says, before names are looked up.
type elfDynamic struct {
	needed, rpath, runpath []uint64
	soname                 uint64
	hasSoname              bool
	strtab, strtabSize     uint64
	versions, versionCount uint64
	symtab                 uint64
	hash, gnuHash          uint64
	flags1                 uint64
	hasDebug               bool // a place where debuggers look for the loader's list, which linkers give programs only
}

// isDebugOnly says whether the code was stripped from a linked file to leave debugging information: its segments then say where
// bytes would be that are not there.
func (e *elfFile) isDebugOnly() bool {
	if len(e.sections) > 0 && e.find(elf.SHT_DYNAMIC) == nil && e.segment(elf.PT_DYNAMIC) != nil {
		return true
	}
	stripped := false
	for i := range e.sections {
		if s := &e.sections[i]; elf.SectionFlag(s.flags)&elf.SHF_EXECINSTR != 0 {
			if s.typ != elf.SHT_NOBITS {
				return false
			}
			stripped = true
		}
	}
	return stripped
}

// segment gives the first segment of a type, nil when there is none.
func (e *elfFile) segment(typ elf.ProgType) *elfSegment {
	for i := range e.segments {
		if e.segments[i].typ == typ {
			return &e.segments[i]
		}
	}
	return nil
}

// linked inspects an executable or a shared library.
func (e *elfFile) linked(f *File) error {
	if e.isDebugOnly() {
		return nil
	}
	d, err := e.dynamic()
	if err != nil {
		return fmt.Errorf("read ELF dynamic section: %w", err)
	}
	if interp := e.segment(elf.PT_INTERP); interp != nil {
		b, err := e.s.bytes(int64(interp.off), int64(interp.fileSize), maxName)
		if err != nil {
			return fmt.Errorf("read ELF interpreter: %w", err)
		}
		f.Interpreter, _, _ = strings.Cut(string(b), "\x00")
	}
	f.Kind = e.linkedKind(d)
	f.Static = f.Kind == KindExecutable && f.Interpreter == ""
	if d == nil {
		return nil
	}
	if err := e.dynamicNames(d, f); err != nil {
		return fmt.Errorf("read ELF dynamic section: %w", err)
	}
	libraryRuntimes(f)
	e.libc(f)
	return nil
}

// linkedKind tells position-independent executables from shared libraries: the newer say what they are; the older have an
// interpreter, as libraries that can be run have, and an entry for debuggers, as no library has.
func (e *elfFile) linkedKind(d *elfDynamic) Kind {
	switch {
	case e.typ == elf.ET_EXEC:
		return KindExecutable
	case d != nil && elf.DynFlag1(d.flags1)&elf.DF_1_PIE != 0:
		return KindExecutable
	case e.segment(elf.PT_INTERP) != nil && (d == nil || d.hasDebug):
		return KindExecutable
	}
	return KindShared
}

// errDone ends a walk over records.
var errDone = errors.New("done")

// dynamic reads the entries of the dynamic segment, nil when there is none.
func (e *elfFile) dynamic() (*elfDynamic, error) {
	segment := e.segment(elf.PT_DYNAMIC)
	if segment == nil {
		return nil, nil
	}
	var buf []byte
	d := &elfDynamic{}
	width := e.pick(16, 8)
	count := segment.fileSize / uint64(width)
	if count > maxEntries {
		return nil, malformed("%d dynamic entries exceed the bound of %d", count, maxEntries)
	}
	err := e.s.records(int64(segment.off), int64(count), width, &buf, func(b []byte) error {
		tag, value := elf.DynTag(e.word(b, 0, 0)), e.word(b, 8, 4)
		if tag == elf.DT_NULL {
			return errDone
		}
		d.entry(tag, value)
		return nil
	})
	if err != nil && err != errDone {
		return nil, err
	}
	return d, nil
}

func (d *elfDynamic) entry(tag elf.DynTag, value uint64) {
	switch tag {
	case elf.DT_NEEDED:
		d.needed = append(d.needed, value)
	case elf.DT_RPATH:
		d.rpath = append(d.rpath, value)
	case elf.DT_RUNPATH:
		d.runpath = append(d.runpath, value)
	case elf.DT_SONAME:
		d.soname, d.hasSoname = value, true
	case elf.DT_STRTAB:
		d.strtab = value
	case elf.DT_SYMTAB:
		d.symtab = value
	case elf.DT_HASH:
		d.hash = value
	case elf.DT_GNU_HASH:
		d.gnuHash = value
	case elf.DT_STRSZ:
		d.strtabSize = value
	case elf.DT_VERNEED:
		d.versions = value
	case elf.DT_VERNEEDNUM:
		d.versionCount = value
	case elf.DT_DEBUG:
		d.hasDebug = true
	case elf.DT_FLAGS_1:
		d.flags1 = value
	}
}

// mapped gives the bytes that are loaded at an address, to the end of their segment.
func (e *elfFile) mapped(address uint64) (*source, error) {
	for _, p := range e.segments {
		if p.typ == elf.PT_LOAD && address >= p.vaddr && address-p.vaddr < p.fileSize {
			skip := address - p.vaddr
			whole, err := e.s.sub(int64(p.off), int64(p.fileSize))
			if err != nil {
				return nil, err
			}
			return whole.sub(int64(skip), int64(p.fileSize-skip))
		}
	}
	return nil, malformed("address %#x is in no loaded segment", address)
}

// dynamicNames looks up the names that the dynamic section has.
func (e *elfFile) dynamicNames(d *elfDynamic, f *File) error {
	if len(d.needed)+len(d.rpath)+len(d.runpath) == 0 && !d.hasSoname && d.versions == 0 {
		return nil
	}
	if len(d.needed) > maxNeeded || len(d.rpath)+len(d.runpath) > maxPaths {
		return malformed("%d needed libraries and %d lists of paths exceed the bounds of %d and %d",
			len(d.needed), len(d.rpath)+len(d.runpath), maxNeeded, maxPaths)
	}
	names, err := e.dynamicStrings(d)
	if err != nil {
		return err
	}
	if d.hasSoname {
		if f.Soname, err = names.name(int64(d.soname), maxName); err != nil {
			return err
		}
	}
	for _, off := range d.needed {
		needed, err := names.name(int64(off), maxName)
		if err != nil {
			return err
		}
		f.Needed = append(f.Needed, needed)
	}
	if f.RPath, err = searchPaths(names, d.rpath); err != nil {
		return err
	}
	if f.RunPath, err = searchPaths(names, d.runpath); err != nil {
		return err
	}
	if d.versions == 0 {
		return nil
	}
	return e.versionNeeds(d, names, f)
}

// dynamicStrings gives the table of the names that the dynamic section has.
func (e *elfFile) dynamicStrings(d *elfDynamic) (*nameTable, error) {
	table, err := e.mapped(d.strtab)
	if err != nil {
		return nil, err
	}
	if d.strtabSize < uint64(table.size) {
		table.size = int64(d.strtabSize)
	}
	return &nameTable{s: table}, nil
}

// searchPaths looks up lists of directories and splits them.
func searchPaths(names *nameTable, offsets []uint64) ([]string, error) {
	var paths []string
	for _, off := range offsets {
		list, err := names.name(int64(off), maxPath)
		if err != nil {
			return nil, err
		}
		paths = append(paths, strings.Split(list, ":")...)
	}
	return paths, nil
}

// versionNeeds reads the versions needed: a list of libraries, each with a list of versions. Both are chained by
// distances, with which a file may make them overlap.
func (e *elfFile) versionNeeds(d *elfDynamic, names *nameTable, f *File) error {
	table, err := e.mapped(d.versions)
	if err != nil {
		return err
	}
	var b [16]byte // the size of both Verneed and Vernaux
	left := maxEntries
	for off, libraries := int64(0), d.versionCount; libraries > 0; libraries-- {
		if err := table.readAt(b[:], off); err != nil {
			return err
		}
		count := int(e.order.Uint16(b[2:]))
		file, aux, next := e.order.Uint32(b[4:]), e.order.Uint32(b[8:]), e.order.Uint32(b[12:])
		library, err := names.name(int64(file), maxName)
		if err != nil {
			return err
		}
		if left -= 1 + count; left < 0 {
			return malformed("the versions needed exceed the bound of %d", maxEntries)
		}
		if err := e.versionsOf(library, table, off+int64(aux), count, names, f); err != nil || next == 0 {
			return err
		}
		off += int64(next)
	}
	return nil
}

const versionWeak = 2 // VER_FLG_WEAK: loaders go without a version that only weak references need

// versionsOf reads the versions needed of one library and keeps the highest of glibc's and libstdc++'s.
func (e *elfFile) versionsOf(library string, table *source, off int64, count int, names *nameTable, f *File) error {
	var b [16]byte
	for ; count > 0; count-- {
		if err := table.readAt(b[:], off); err != nil {
			return err
		}
		name, next := e.order.Uint32(b[8:]), e.order.Uint32(b[12:])
		version, err := names.name(int64(name), maxName)
		if err != nil {
			return err
		}
		if library == "libc.so" && strings.HasPrefix(version, "LIBC") {
			f.Platform.OS = "android" // bionic, whose libc.so has versions; musl's has none
		}
		if e.order.Uint16(b[4:])&versionWeak == 0 {
			f.LibcVersion = higherVersion(f.LibcVersion, glibcVersion(version))
			f.CXXVersion = higherVersion(f.CXXVersion, symbolVersion(version, "GLIBCXX_"))
		}
		if next == 0 {
			break
		}
		off += int64(next)
	}
	return nil
}

// libc tells the C library from a version of it or from the names of interpreter and libraries.
func (e *elfFile) libc(f *File) {
	isGlibc := func(name string) bool {
		return systemOfLibc(name) == "linux" && strings.HasPrefix(name, "libc.so.") || strings.HasPrefix(name, "ld-linux")
	}
	isMusl := func(name string) bool { return name == "libc.so" || strings.HasPrefix(name, "libc.musl-") }
	switch {
	case f.LibcVersion != "":
		f.Libc = Glibc
	case f.Platform.OS == "android":
	case strings.Contains(f.Interpreter, "/ld-musl-"), slices.ContainsFunc(f.Needed, isMusl):
		f.Libc = Musl
	case slices.ContainsFunc(f.Needed, isGlibc):
		f.Libc = Glibc
	}
}

// glibcVersion gives the version of glibc that has a symbol version, "" for another's and for GLIBC_PRIVATE.
func glibcVersion(name string) string {
	if name == "GLIBC_ABI_DT_RELR" {
		return "2.36" // the loader's support for packed relative relocations
	}
	return symbolVersion(name, "GLIBC_")
}
