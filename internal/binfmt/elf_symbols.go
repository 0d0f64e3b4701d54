package binfmt

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// elfSymbols calls visit for each global or weak symbol of the table of a type, SHT_SYMTAB or SHT_DYNSYM, with at
// most limit bytes of its name.
func (in *inspector) elfSymbols(e *elfFile, typ elf.SectionType, limit int, visit symbolVisitor) error {
	section := e.find(typ)
	if section == nil {
		if typ == elf.SHT_DYNSYM && len(e.sections) == 0 {
			return in.loadedSymbols(e, limit, visit)
		}
		return nil
	}
	if section.typ == elf.SHT_NOBITS || uint64(section.link) >= uint64(len(e.sections)) {
		return malformed("the symbol table names section %d as its strings, of %d", section.link, len(e.sections))
	}
	table, err := e.sub(&e.sections[section.link])
	if err != nil {
		return err
	}
	width := e.pick(24, 16)
	skip := min(int64(section.info), int64(section.size)/int64(width)) // the local symbols come first
	count := int64(section.size)/int64(width) - skip
	return in.symbolTable(e, e.s, int64(section.off)+skip*int64(width), count, &nameTable{s: table}, limit, visit)
}

// symbolTable visits the global symbols of count records at off of s.
func (in *inspector) symbolTable(e *elfFile, s *source, off, count int64, names *nameTable, limit int, visit symbolVisitor) error {
	if err := names.load(&in.names); err != nil {
		return err
	}
	return s.records(off, count, e.pick(24, 16), &in.records, func(b []byte) error {
		info, other, shndx := b[e.pick(4, 12)], b[e.pick(5, 13)], elf.SectionIndex(e.order.Uint16(b[e.pick(6, 14):]))
		bind := elf.ST_BIND(info)
		if bind == elf.STB_LOCAL {
			return nil
		}
		name, err := names.prefix(int64(e.order.Uint32(b)), limit)
		if err != nil || len(name) == 0 {
			return err
		}
		visibility := elf.ST_VISIBILITY(other)
		return visit(name, Symbol{
			Defined: shndx != elf.SHN_UNDEF,
			Weak:    bind == elf.STB_WEAK,
			Hidden:  visibility == elf.STV_HIDDEN || visibility == elf.STV_INTERNAL,
		})
	})
}

// loadedSymbols visits the dynamic symbols of a file whose section headers were stripped, which a loader does not read either. Nothing but
// the hash tables tells how many there are.
func (in *inspector) loadedSymbols(e *elfFile, limit int, visit symbolVisitor) error {
	d, err := e.dynamic()
	if err != nil || d == nil || d.symtab == 0 || d.strtab == 0 {
		return err
	}
	count, err := in.countSymbols(e, d)
	if err != nil {
		return fmt.Errorf("count ELF symbols: %w", err)
	}
	table, err := e.mapped(d.symtab)
	if err != nil {
		return err
	}
	names, err := e.dynamicStrings(d)
	if err != nil {
		return err
	}
	return in.symbolTable(e, table, 0, count, names, limit, visit)
}

// countSymbols gives the length of the table of dynamic symbols: the System V hash table says it; in GNU's, each bucket has the first of a
// chain of symbols, and a bit marks the last, so that the highest chain ends with the last symbol. Without either it is 0.
// See https://gabi.xinuos.com/elf/08-dynamic.html and https://sourceware.org/gnu-gabi/program-loading-and-dynamic-linking.txt.
func (in *inspector) countSymbols(e *elfFile, d *elfDynamic) (int64, error) {
	var b [16]byte
	if d.hash != 0 && e.machine != elf.EM_S390 && e.machine != elf.EM_ALPHA { // whose 64-bit tables are of 8 bytes
		table, err := e.mapped(d.hash)
		if err != nil {
			return 0, err
		}
		err = table.readAt(b[:8], 0)
		return int64(e.order.Uint32(b[4:])), err
	}
	if d.gnuHash == 0 {
		return 0, nil
	}
	table, err := e.mapped(d.gnuHash)
	if err != nil {
		return 0, err
	}
	if err := table.readAt(b[:], 0); err != nil {
		return 0, err
	}
	buckets, first, bloom := e.order.Uint32(b[:]), e.order.Uint32(b[4:]), e.order.Uint32(b[8:])
	start := 16 + int64(bloom)*int64(e.pick(8, 4))
	return in.endOfChains(e.order, table, start, int64(buckets), int64(first))
}

// endOfChains finds the end of the highest chain. The symbols before the first are in none: they are undefined.
func (in *inspector) endOfChains(order binary.ByteOrder, table *source, start, buckets, first int64) (int64, error) {
	last := int64(0)
	err := table.records(start, buckets, 4, &in.records, func(b []byte) error {
		last = max(last, int64(order.Uint32(b)))
		return nil
	})
	if err != nil || last < first {
		return first, err
	}
	chains := start + buckets*4
	end := last
	err = table.records(chains+(last-first)*4, max(0, (table.size-chains)/4-(last-first)), 4, &in.records, func(b []byte) error {
		end++
		if order.Uint32(b)&1 != 0 {
			return errDone
		}
		return nil
	})
	if err == errDone {
		err = nil
	}
	return end, err
}
