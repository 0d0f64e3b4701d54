package binfmt

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// elfFile is an ELF file's header and tables of sections and segments.
type elfFile struct {
	s        *source
	order    binary.ByteOrder
	wide     bool // of class ELFCLASS64
	osabi    elf.OSABI
	typ      elf.Type
	machine  elf.Machine
	flags    uint32
	sections []elfSection
	segments []elfSegment
	names    uint32 // index of the section that holds the names of sections, 0 when there is none
}

type elfSection struct {
	name       uint32
	typ        elf.SectionType
	flags      uint64
	off, size  uint64
	link, info uint32
	align      uint64
}

type elfSegment struct {
	typ                  elf.ProgType
	off, vaddr, fileSize uint64
	align                uint64
}

// word reads an address, offset or size: 8 bytes at wideOff in a 64-bit file, 4 bytes at narrowOff in a 32-bit one.
func (e *elfFile) word(b []byte, wideOff, narrowOff int) uint64 {
	if e.wide {
		return e.order.Uint64(b[wideOff:])
	}
	return uint64(e.order.Uint32(b[narrowOff:]))
}

// pick chooses between the two classes of a file.
func (e *elfFile) pick(wide, narrow int) int {
	if e.wide {
		return wide
	}
	return narrow
}

// readELF reads the header and the tables.
func (in *inspector) readELF(s *source) (*elfFile, error) {
	e := &elfFile{s: s}
	ident, err := s.bytes(0, elf.EI_NIDENT, elf.EI_NIDENT)
	if err != nil {
		return nil, err
	}
	switch elf.Class(ident[elf.EI_CLASS]) {
	case elf.ELFCLASS32:
	case elf.ELFCLASS64:
		e.wide = true
	default:
		return nil, malformed("ELF class %d is neither 32 nor 64 bits", ident[elf.EI_CLASS])
	}
	switch elf.Data(ident[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		e.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		e.order = binary.BigEndian
	default:
		return nil, malformed("ELF data encoding %d is neither little nor big endian", ident[elf.EI_DATA])
	}
	e.osabi = elf.OSABI(ident[elf.EI_OSABI])
	return e, in.readELFTables(e)
}

// readELFTables reads the rest of the header, sections and segments.
func (in *inspector) readELFTables(e *elfFile) error {
	size := int64(e.pick(64, 52))
	h, err := e.s.bytes(0, size, size)
	if err != nil {
		return err
	}
	e.typ = elf.Type(e.order.Uint16(h[16:]))
	e.machine = elf.Machine(e.order.Uint16(h[18:]))
	phoff, shoff := e.word(h, 32, 28), e.word(h, 40, 32)
	h = h[e.pick(48, 36):]
	e.flags = e.order.Uint32(h)
	phentsize, phnum := int(e.order.Uint16(h[6:])), int64(e.order.Uint16(h[8:]))
	shentsize, shnum := int(e.order.Uint16(h[10:])), int64(e.order.Uint16(h[12:]))
	e.names = uint32(e.order.Uint16(h[14:]))
	if phnum > 0 {
		if want := e.pick(56, 32); phentsize != want {
			return malformed("ELF program headers of %d bytes where %d are due", phentsize, want)
		}
		if err := in.readSegments(e, int64(phoff), phnum); err != nil {
			return fmt.Errorf("read ELF program headers: %w", err)
		}
	}
	if shoff > 0 {
		if want := e.pick(64, 40); shentsize != want {
			return malformed("ELF section headers of %d bytes where %d are due", shentsize, want)
		}
		if err := in.readSections(e, int64(shoff), shnum); err != nil {
			return fmt.Errorf("read ELF section headers: %w", err)
		}
	}
	return nil
}

func (in *inspector) readSegments(e *elfFile, off, count int64) error {
	return e.s.records(off, count, e.pick(56, 32), &in.records, func(b []byte) error {
		e.segments = append(e.segments, elfSegment{
			typ:      elf.ProgType(e.order.Uint32(b)),
			off:      e.word(b, 8, 4),
			vaddr:    e.word(b, 16, 8),
			fileSize: e.word(b, 32, 16),
			align:    e.word(b, 48, 28),
		})
		return nil
	})
}

func (in *inspector) readSections(e *elfFile, off, count int64) error {
	width := e.pick(64, 40)
	if count == 0 { // 65280 or more: the number is in the first section, and so is the index of the names
		var first elfSection
		err := e.s.records(off, 1, width, &in.records, func(b []byte) error {
			first = e.section(b)
			return nil
		})
		if err != nil {
			return err
		}
		if first.size > maxSections {
			return malformed("%d sections exceed the bound of %d", first.size, maxSections)
		}
		count = int64(first.size)
		if e.names == uint32(elf.SHN_XINDEX) {
			e.names = first.link
		}
	}
	if off > e.s.size || count > (e.s.size-off)/int64(width) {
		return malformed("%d sections at offset %d exceed the %d bytes of the file", count, off, e.s.size)
	}
	if cap(in.sections) < int(count) {
		in.sections = make([]elfSection, 0, count) // and not a copy beside the one before
	}
	in.sections = in.sections[:0]
	err := e.s.records(off, count, width, &in.records, func(b []byte) error {
		in.sections = append(in.sections, e.section(b))
		return nil
	})
	e.sections = in.sections
	return err
}

func (e *elfFile) section(b []byte) elfSection {
	return elfSection{
		name:  e.order.Uint32(b),
		typ:   elf.SectionType(e.order.Uint32(b[4:])),
		flags: e.word(b, 8, 8),
		off:   e.word(b, 24, 16),
		size:  e.word(b, 32, 20),
		link:  e.order.Uint32(b[e.pick(40, 24):]),
		info:  e.order.Uint32(b[e.pick(44, 28):]),
		align: e.word(b, 48, 32),
	}
}

// sub gives the bytes of a section.
func (e *elfFile) sub(section *elfSection) (*source, error) {
	if section.typ == elf.SHT_NOBITS {
		return nil, malformed("a table is in a section that has no bytes")
	}
	return e.s.sub(int64(section.off), int64(section.size))
}

// find returns the first section of a type, nil when there is none.
func (e *elfFile) find(typ elf.SectionType) *elfSection {
	for i := range e.sections {
		if e.sections[i].typ == typ {
			return &e.sections[i]
		}
	}
	return nil
}

// elf inspects an ELF file.
func (in *inspector) elf(s *source) (*File, error) {
	e, err := in.readELF(s)
	if err != nil {
		return nil, err
	}
	f := &File{Format: FormatELF}
	f.Platform.Architecture, f.Bits = elfArchitecture(e)
	if err := e.attributes(f); err != nil {
		return nil, fmt.Errorf("read ELF attributes: %w", err)
	}
	if err := e.notes(f); err != nil {
		return nil, fmt.Errorf("read ELF notes: %w", err)
	}
	switch e.typ {
	case elf.ET_REL:
		f.Kind = KindObject
		err = in.elfObject(e, f)
	case elf.ET_EXEC, elf.ET_DYN:
		err = e.linked(f)
	default:
		return nil, fmt.Errorf("%w: an ELF file of type %d", ErrNotBinary, e.typ)
	}
	if err != nil {
		return nil, err
	}
	e.system(f)
	return f, nil
}
