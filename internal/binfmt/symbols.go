package binfmt

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Symbol is a global symbol of a file: one that other files can link with, or one that it needs of them.
type Symbol struct {
	Name         string // as in the file: Mach-O and 32-bit Windows objects put an underscore before C's names
	Defined      bool   // false: undefined, needed of others
	Weak         bool   // a definition that gives way to another, or a need that may stay unmet
	Hidden       bool   // seen by the linker, but not exported from the shared library that it makes
	Member       string // the archive's member that has it, "" outside archives
	Architecture string // of the slice of a universal file that has it, "" in all other files
}

// symbolVisitor is called with each symbol. The name is valid during the call; Symbol.Name is left empty.
type symbolVisitor func(name []byte, symbol Symbol) error

// Symbols lists the global symbols of a file in its own order: of a shared library or an ELF executable the dynamic ones, of
// objects and archives those of all members, of a DLL its exports and then its imports by name, of an import library what it
// stands for. Slices of a universal file come one after the other. Duplicates are not removed.
//
// It ends with one error, beside a zero Symbol, where [Inspect] would return it, and for a name longer than 1 MiB.
// Of a thin archive, of LLVM bitcode, of a static executable it lists nothing.
func Symbols(r io.ReaderAt, size int64) iter.Seq2[Symbol, error] {
	return func(yield func(Symbol, error) bool) {
		in := newInspector(size)
		s := &source{r: r, size: size, budget: &in.budget}
		err := in.symbols(s, func(name []byte, symbol Symbol) error {
			if len(name) > maxSymbol {
				return malformed("a symbol's name exceeds the bound of %d bytes", maxSymbol)
			}
			symbol.Name = string(name)
			if !yield(symbol, nil) {
				return errDone
			}
			return nil
		})
		if err != nil && !errors.Is(err, errDone) {
			yield(Symbol{}, err)
		}
	}
}

// symbols visits the symbols of a whole file.
func (in *inspector) symbols(s *source, visit symbolVisitor) error {
	if s.size <= 0 {
		return fmt.Errorf("%w: the file is empty", ErrNotBinary)
	}
	head, err := s.head()
	if err != nil {
		return err
	}
	c := identify(head)
	if c != contentFat {
		return in.thinSymbols(s, c, visit)
	}
	slices, err := fatSlices(s)
	if err != nil {
		return err
	}
	for _, slice := range slices {
		head, err := slice.s.head()
		if err != nil {
			return err
		}
		err = in.thinSymbols(slice.s, identify(head), func(name []byte, symbol Symbol) error {
			symbol.Architecture = slice.architecture
			return visit(name, symbol)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// thinSymbols visits the symbols of what is not a fat file.
func (in *inspector) thinSymbols(s *source, c content, visit symbolVisitor) error {
	switch c {
	case contentThin:
		return nil
	case contentArchive:
	default:
		return in.objectSymbols(s, c, maxSymbol+1, visit)
	}
	objects := 0
	err := eachMember(s, func(m *member) error {
		c, err := m.content()
		if err != nil || c == contentOther {
			return err
		}
		objects++
		name := m.name
		err = in.objectSymbols(m.s, c, maxSymbol+1, func(symbolName []byte, symbol Symbol) error {
			symbol.Member = name
			return visit(symbolName, symbol)
		})
		if errors.Is(err, ErrNotBinary) {
			objects--
			return nil
		}
		return err
	})
	if err == nil && objects == 0 {
		return fmt.Errorf("%w: an archive without objects", ErrNotBinary)
	}
	return err
}

// objectSymbols visits the symbols of one object or image.
func (in *inspector) objectSymbols(s *source, c content, limit int, visit symbolVisitor) error {
	switch c {
	case contentELF:
		e, err := in.readELF(s)
		if err != nil {
			return err
		}
		table := elf.SHT_DYNSYM
		switch e.typ {
		case elf.ET_REL:
			table = elf.SHT_SYMTAB
		case elf.ET_EXEC, elf.ET_DYN:
			if e.isDebugOnly() {
				return nil
			}
		default:
			return fmt.Errorf("%w: an ELF file of type %d", ErrNotBinary, e.typ)
		}
		return in.elfSymbols(e, table, limit, visit)
	case contentMachO:
		m, err := readMachO(s)
		if err != nil {
			return err
		}
		return in.machoSymbols(m, limit, visit)
	case contentImage:
		p, err := readImage(s)
		if err != nil || p.isDebugOnly() {
			return err
		}
		return in.imageSymbols(p, limit, visit)
	case contentCOFF, contentAnon:
		return in.coffFileSymbols(s, c, limit, visit)
	case contentBitcode:
		return nil
	}
	return ErrNotBinary
}
