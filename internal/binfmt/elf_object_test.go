package binfmt

import (
	"debug/elf"
	"encoding/binary"
	"testing"
)

// elf64Relocated makes an object that has code, or data, with one relocation in it.
func elf64Relocated(order binary.ByteOrder, machine elf.Machine, flags elf.SectionFlag, typ uint32) []byte {
	const sections = 3
	b := make([]byte, 64+sections*64+24)
	copy(b, "\x7fELF\x02\x01\x01")
	if order == binary.BigEndian {
		b[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	order.PutUint16(b[16:], uint16(elf.ET_REL))
	order.PutUint16(b[18:], uint16(machine))
	order.PutUint64(b[40:], 64)
	order.PutUint16(b[58:], 64)
	order.PutUint16(b[60:], sections)
	code, relocations := b[128:], b[192:]
	order.PutUint32(code[4:], uint32(elf.SHT_PROGBITS))
	order.PutUint64(code[8:], uint64(flags))
	order.PutUint32(relocations[4:], uint32(elf.SHT_RELA))
	order.PutUint64(relocations[24:], uint64(len(b)-24))
	order.PutUint64(relocations[32:], 24)
	order.PutUint32(relocations[44:], 1) // the section that it is about
	order.PutUint64(b[len(b)-24+8:], 7<<32|uint64(typ))
	return b
}

func TestRelocationsProveThatCodeIsNotPositionIndependent(t *testing.T) {
	const code = elf.SHF_ALLOC | elf.SHF_EXECINSTR
	le, be := binary.ByteOrder(binary.LittleEndian), binary.ByteOrder(binary.BigEndian)
	for _, c := range []struct {
		order   binary.ByteOrder
		machine elf.Machine
		flags   elf.SectionFlag
		typ     uint32
		want    bool
	}{
		{le, elf.EM_X86_64, code, uint32(elf.R_X86_64_32S), true},
		{le, elf.EM_X86_64, code, uint32(elf.R_X86_64_64), true},
		{le, elf.EM_X86_64, code, uint32(elf.R_X86_64_PLT32), false},
		{le, elf.EM_X86_64, code | elf.SHF_WRITE, uint32(elf.R_X86_64_64), false},
		{le, elf.EM_X86_64, elf.SHF_ALLOC, uint32(elf.R_X86_64_64), false},
		{le, elf.EM_AARCH64, code, uint32(elf.R_AARCH64_MOVW_UABS_G1_NC), true},
		{be, elf.EM_AARCH64, code, uint32(elf.R_AARCH64_ABS64), true},
		{le, elf.EM_AARCH64, code, uint32(elf.R_AARCH64_ADR_GOT_PAGE), false},
		{le, elf.EM_RISCV, code, uint32(elf.R_RISCV_HI20), true},
		{le, elf.EM_RISCV, code, uint32(elf.R_RISCV_PCREL_HI20), false},
		{be, elf.EM_S390, code, uint32(elf.R_390_PC32DBL), false},
	} {
		if got := inspect(t, elf64Relocated(c.order, c.machine, c.flags, c.typ)).NonPIC; got != c.want {
			t.Errorf("%s, relocation %d in a section of flags %s: NonPIC = %t, want %t", c.machine, c.typ, c.flags, got, c.want)
		}
	}
}
