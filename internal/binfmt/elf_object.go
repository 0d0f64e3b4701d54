package binfmt

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
)

// elfObject inspects relocatable code: its symbols, whether there is code at all, whether it is position-independent.
func (in *inspector) elfObject(e *elfFile, f *File) error {
	slim, err := e.hasOnlyLTO()
	if err != nil {
		return fmt.Errorf("read ELF section names: %w", err)
	}
	f.SlimLTO = slim
	err = in.elfSymbols(e, elf.SHT_SYMTAB, symbolPrefix, func(name []byte, symbol Symbol) error {
		in.evidence.add(name, symbol.Defined)
		in.evidence.addVersioned(name, symbol)
		if bytes.Equal(name, []byte("__gnu_lto_slim")) {
			f.SlimLTO = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read ELF symbols: %w", err)
	}
	if !in.nonPIC {
		if err := in.absoluteCode(e); err != nil {
			return fmt.Errorf("read ELF relocations: %w", err)
		}
	}
	return nil
}

// hasOnlyLTO says whether GCC's intermediate representation stands in place of code: sections .gnu.lto_… and nothing to load.
func (e *elfFile) hasOnlyLTO() (bool, error) {
	for i := range e.sections {
		s := &e.sections[i]
		if elf.SectionFlag(s.flags)&elf.SHF_ALLOC != 0 && s.size > 0 && s.typ != elf.SHT_NOTE {
			return false, nil
		}
	}
	if uint64(e.names) >= uint64(len(e.sections)) || e.names == 0 {
		return false, nil
	}
	table, err := e.sub(&e.sections[e.names])
	if err != nil {
		return false, err
	}
	names := &nameTable{s: table}
	for i := range e.sections {
		if s := &e.sections[i]; s.typ == elf.SHT_PROGBITS && s.size > 0 {
			name, err := names.prefix(int64(s.name), len(".gnu.lto_"))
			if err != nil || bytes.Equal(name, []byte(".gnu.lto_")) {
				return err == nil, err
			}
		}
	}
	return false, nil
}

// absoluteRelocations maps machines to the relocations that linkers refuse in code of a shared library, or that would make
// the loader write to it.
var absoluteRelocations = map[elf.Machine][]uint32{
	elf.EM_X86_64: {uint32(elf.R_X86_64_32), uint32(elf.R_X86_64_32S), uint32(elf.R_X86_64_64)},
	elf.EM_386:    {uint32(elf.R_386_32)},
	elf.EM_ARM: {
		uint32(elf.R_ARM_MOVW_ABS_NC), uint32(elf.R_ARM_MOVT_ABS),
		uint32(elf.R_ARM_THM_MOVW_ABS_NC), uint32(elf.R_ARM_THM_MOVT_ABS),
	},
	elf.EM_AARCH64: {
		uint32(elf.R_AARCH64_ABS64), uint32(elf.R_AARCH64_MOVW_UABS_G3),
		uint32(elf.R_AARCH64_MOVW_UABS_G2), uint32(elf.R_AARCH64_MOVW_UABS_G2_NC),
		uint32(elf.R_AARCH64_MOVW_UABS_G1), uint32(elf.R_AARCH64_MOVW_UABS_G1_NC),
		uint32(elf.R_AARCH64_MOVW_UABS_G0), uint32(elf.R_AARCH64_MOVW_UABS_G0_NC),
	},
	elf.EM_RISCV: {uint32(elf.R_RISCV_64), uint32(elf.R_RISCV_HI20)},
}

// programRelocations are those that linkers refuse in code of a shared library and not in that of a program: of thread-local
// variables of the program itself.
var programRelocations = map[elf.Machine][]uint32{
	elf.EM_X86_64:  {uint32(elf.R_X86_64_TPOFF32)},
	elf.EM_AARCH64: {uint32(elf.R_AARCH64_TLSLE_ADD_TPREL_HI12)},
	elf.EM_RISCV:   {uint32(elf.R_RISCV_TPREL_HI20)},
}

// directRelocations are those that they refuse there against a symbol which another library may define in its place. Compilers
// call functions by others.
var directRelocations = map[elf.Machine][]uint32{
	elf.EM_X86_64:  {uint32(elf.R_X86_64_PC32)},
	elf.EM_AARCH64: {uint32(elf.R_AARCH64_ADR_PREL_LO21), uint32(elf.R_AARCH64_ADR_PREL_PG_HI21)},
}

// hasOneABI says whether the relocations of this machine and class are those of the table. On x32, they are ordinary pointers; 32 bits of
// arm64 have numbers of their own.
func (e *elfFile) hasOneABI() bool {
	return e.wide || e.machine != elf.EM_X86_64 && e.machine != elf.EM_AARCH64
}

// absoluteCode looks for such relocations.
func (in *inspector) absoluteCode(e *elfFile) error {
	absolute, program, direct := absoluteRelocations[e.machine], programRelocations[e.machine], directRelocations[e.machine]
	if absolute == nil || !e.hasOneABI() {
		return nil
	}
	var preemptible *elfSymbolSet
	for i := range e.sections {
		s := &e.sections[i]
		if s.typ != elf.SHT_RELA && s.typ != elf.SHT_REL || uint64(s.info) >= uint64(len(e.sections)) {
			continue
		}
		if elf.SectionFlag(e.sections[s.info].flags)&(elf.SHF_EXECINSTR|elf.SHF_WRITE) != elf.SHF_EXECINSTR {
			continue
		}
		if preemptible == nil && direct != nil && !in.pieOnly {
			var err error
			if preemptible, err = in.preemptible(e, s.link); err != nil {
				return err
			}
		}
		width := e.pick(16, 8)
		if s.typ == elf.SHT_RELA {
			width = e.pick(24, 12)
		}
		err := e.s.records(int64(s.off), int64(s.size)/int64(width), width, &in.records, func(b []byte) error {
			info := e.word(b, 8, 4)
			typ := uint32(info) // the low half, or the low byte
			if !e.wide {
				typ &= 0xff
			}
			switch {
			case slices.Contains(absolute, typ):
				in.nonPIC = true
				return errDone
			case in.pieOnly:
			case slices.Contains(program, typ):
				in.pieOnly = true
			case slices.Contains(direct, typ):
				return in.takesDirectly(preemptible, info>>32)
			}
			return nil
		})
		if err != nil && err != errDone {
			return err
		}
		if in.nonPIC {
			return nil
		}
	}
	return nil
}

// elfSymbolSet is a set of the symbols of a table.
type elfSymbolSet struct {
	e     *elfFile
	table *elfSection
	bits  []byte
}

// preemptible returns the symbols of a table that another library may define: the global ones that are not hidden. It is nil
// where there is no such table.
func (in *inspector) preemptible(e *elfFile, table uint32) (*elfSymbolSet, error) {
	if uint64(table) >= uint64(len(e.sections)) || e.sections[table].typ != elf.SHT_SYMTAB {
		return nil, nil
	}
	s := &e.sections[table]
	width := int64(e.pick(24, 16))
	count := int64(min(s.size, uint64(e.s.size))) / width
	symbol := min(int64(s.info), count) // the local symbols come first
	in.bits = slices.Grow(in.bits[:0], int(count+7)/8)[:(count+7)/8]
	clear(in.bits)
	err := e.s.records(int64(s.off)+symbol*width, count-symbol, int(width), &in.records, func(b []byte) error {
		if e.preemptible(b) {
			in.bits[symbol/8] |= 1 << (symbol % 8)
		}
		symbol++
		return nil
	})
	return &elfSymbolSet{e, s, in.bits}, err
}

func (e *elfFile) preemptible(symbol []byte) bool {
	info, other := symbol[e.pick(4, 12)], symbol[e.pick(5, 13)]
	return elf.ST_BIND(info) != elf.STB_LOCAL && elf.ST_VISIBILITY(other) == elf.STV_DEFAULT && e.sectionOf(symbol) != elf.SHN_ABS
}

func (e *elfFile) sectionOf(symbol []byte) elf.SectionIndex {
	return elf.SectionIndex(e.order.Uint16(symbol[e.pick(6, 14):]))
}

// maxDirect bounds how many undefined symbols that code takes directly are noted of one file.
const maxDirect = 64

// takesDirectly takes note of code that takes a symbol for one of its own program. When it is only declared here, another
// member of the archive may define it as hidden.
func (in *inspector) takesDirectly(preemptible *elfSymbolSet, symbol uint64) error {
	if preemptible == nil || symbol/8 >= uint64(len(preemptible.bits)) || preemptible.bits[symbol/8]>>(symbol%8)&1 == 0 {
		return nil
	}
	preemptible.bits[symbol/8] &^= 1 << (symbol % 8) // once is enough
	e := preemptible.e
	width := e.pick(24, 16)
	record, err := e.s.bytes(int64(preemptible.table.off)+int64(symbol)*int64(width), int64(width), int64(width))
	if err != nil {
		return err
	}
	if section := e.sectionOf(record); section != elf.SHN_UNDEF && section != elf.SHN_COMMON {
		in.pieOnly = true
		return nil
	}
	if len(in.direct) >= maxDirect || uint64(preemptible.table.link) >= uint64(len(e.sections)) {
		return nil
	}
	table, err := e.sub(&e.sections[preemptible.table.link])
	if err != nil {
		return err
	}
	name, err := (&nameTable{s: table}).prefix(int64(e.order.Uint32(record)), symbolPrefix)
	if err != nil {
		return err
	}
	if in.direct == nil {
		in.direct = map[string]bool{}
	}
	in.direct[string(name)] = true
	return nil
}

// dropHidden drops from what code takes directly the symbols that a member of an archive has as hidden ones.
func (in *inspector) dropHidden(s *source) error {
	if in.nonPIC || in.pieOnly || len(in.direct) == 0 {
		return nil
	}
	return eachMember(s, func(m *member) error {
		c, err := m.content()
		if err != nil || c != contentELF {
			return err
		}
		err = in.objectSymbols(m.s, c, symbolPrefix, func(name []byte, symbol Symbol) error {
			if symbol.Hidden {
				delete(in.direct, string(name))
			}
			return nil
		})
		if errors.Is(err, ErrNotBinary) {
			return nil
		}
		return err
	})
}
