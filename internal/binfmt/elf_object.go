package binfmt

import (
	"bytes"
	"debug/elf"
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
	elf.EM_X86_64: {uint32(elf.R_X86_64_32), uint32(elf.R_X86_64_32S), uint32(elf.R_X86_64_64), uint32(elf.R_X86_64_TPOFF32)},
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
	elf.EM_RISCV: {uint32(elf.R_RISCV_64), uint32(elf.R_RISCV_HI20), uint32(elf.R_RISCV_TPREL_HI20)},
}

// hasOneABI says whether the relocations of this machine and class are those of the table. On x32, they are ordinary pointers; 32 bits of
// arm64 have numbers of their own.
func (e *elfFile) hasOneABI() bool {
	return e.wide || e.machine != elf.EM_X86_64 && e.machine != elf.EM_AARCH64
}

// absoluteCode looks for such relocations.
func (in *inspector) absoluteCode(e *elfFile) error {
	absolute := absoluteRelocations[e.machine]
	if absolute == nil || !e.hasOneABI() {
		return nil
	}
	for i := range e.sections {
		s := &e.sections[i]
		if s.typ != elf.SHT_RELA && s.typ != elf.SHT_REL || uint64(s.info) >= uint64(len(e.sections)) {
			continue
		}
		if elf.SectionFlag(e.sections[s.info].flags)&(elf.SHF_EXECINSTR|elf.SHF_WRITE) != elf.SHF_EXECINSTR {
			continue
		}
		width := e.pick(16, 8)
		if s.typ == elf.SHT_RELA {
			width = e.pick(24, 12)
		}
		err := e.s.records(int64(s.off), int64(s.size)/int64(width), width, &in.records, func(b []byte) error {
			typ := uint32(e.word(b, 8, 4)) // the low half of r_info, or the low byte
			if !e.wide {
				typ &= 0xff
			}
			if slices.Contains(absolute, typ) {
				in.nonPIC = true
				return errDone
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
