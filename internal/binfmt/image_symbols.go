package binfmt

import (
	"encoding/binary"
	"fmt"
)

// eachImport calls visit for each DLL that the image needs at its start and then for each that it loads on first use, with the address of
// the table of what it imports from it.
func (p *imageFile) eachImport(visit func(dll string, names uint32) error) error {
	if err := p.importDirectory(dirImport, 20, 12, 0, 16, visit); err != nil {
		return err
	}
	return p.importDirectory(dirDelayImport, 32, 4, 16, 12, visit)
}

// importDirectory reads descriptors of width bytes until one without a name. The offsets in a descriptor are those of the name,
// of the table of imported names, and of the table that stands in where that is 0.
func (p *imageFile) importDirectory(which, width, name, table, fallback int, visit func(dll string, names uint32) error) error {
	dir, err := p.directory(which)
	if err != nil || dir == nil {
		return err
	}
	b := make([]byte, width)
	for i := int64(0); ; i++ {
		if i == maxImports {
			return malformed("the imported DLLs exceed the bound of %d", maxImports)
		}
		if err := dir.readAt(b, i*int64(width)); err != nil {
			return err
		}
		address := binary.LittleEndian.Uint32(b[name:])
		if address == 0 {
			return nil
		}
		if which == dirDelayImport && b[0]&1 == 0 {
			return nil // a form of before 2003, with addresses that are not relative
		}
		dll, err := p.name(address, maxName)
		if err != nil {
			return err
		}
		names := binary.LittleEndian.Uint32(b[table:])
		if names == 0 {
			names = binary.LittleEndian.Uint32(b[fallback:])
		}
		if err := visit(dll, names); err != nil {
			return err
		}
	}
}

// imageSymbols calls visit for the names that an image exports and then for those that it imports.
func (in *inspector) imageSymbols(p *imageFile, limit int, visit symbolVisitor) error {
	if err := in.exports(p, limit, visit); err != nil {
		return fmt.Errorf("read PE exports: %w", err)
	}
	err := p.eachImport(func(_ string, names uint32) error {
		if names == 0 {
			return nil
		}
		return p.importedNames(names, limit, visit)
	})
	if err != nil {
		return fmt.Errorf("read PE imports: %w", err)
	}
	return nil
}

// exports visits the exported names; exports by number alone have none.
func (in *inspector) exports(p *imageFile, limit int, visit symbolVisitor) error {
	dir, err := p.directory(dirExport)
	if err != nil || dir == nil {
		return err
	}
	b, err := dir.bytes(0, 40, 40)
	if err != nil {
		return err
	}
	count, address := binary.LittleEndian.Uint32(b[24:]), binary.LittleEndian.Uint32(b[32:])
	if count == 0 {
		return nil
	}
	table, err := p.mapped(address)
	if err != nil {
		return err
	}
	return table.records(0, int64(count), 4, &in.records, func(b []byte) error {
		return p.visitName(binary.LittleEndian.Uint32(b), limit, Symbol{Defined: true}, visit)
	})
}

// importedNames visits the names imported from one DLL; imports by number have none.
func (p *imageFile) importedNames(address uint32, limit int, visit symbolVisitor) error {
	table, err := p.mapped(address)
	if err != nil {
		return err
	}
	width, byNumber := 4, uint64(1)<<31
	if p.wide {
		width, byNumber = 8, 1<<63
	}
	var b [8]byte
	for i := range int64(maxImportedBy) {
		if err := table.readAt(b[:width], i*int64(width)); err != nil {
			return err
		}
		entry := binary.LittleEndian.Uint64(b[:])
		if entry == 0 {
			return nil
		}
		if entry&byNumber != 0 {
			continue
		}
		// Before the name stands a guess of its place in the DLL's table, of 2 bytes.
		if err := p.visitName(uint32(entry)+2, limit, Symbol{}, visit); err != nil {
			return err
		}
	}
	return malformed("the names imported from one DLL exceed the bound of %d", maxImportedBy)
}

// visitName visits the symbol whose name is at an address.
func (p *imageFile) visitName(address uint32, limit int, symbol Symbol, visit symbolVisitor) error {
	s, err := p.mapped(address)
	if err != nil {
		return err
	}
	name, err := (&nameTable{s: s}).prefix(0, limit)
	if err != nil {
		return err
	}
	return visit(name, symbol)
}
