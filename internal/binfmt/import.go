package binfmt

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// shortImport is a member of an import library in the short form: one symbol of one DLL.
// See https://learn.microsoft.com/windows/win32/debug/pe-format#import-library-format.
type shortImport struct {
	machine uint16
	isCode  bool // the symbol is a function, defined beside __imp_ and its name
	symbol  []byte
	dll     string
}

// readShortImport reads a whole import object.
func readShortImport(s *source) (*shortImport, error) {
	h, err := s.bytes(0, coffHeaderSize, coffHeaderSize)
	if err != nil {
		return nil, err
	}
	data, err := s.bytes(coffHeaderSize, int64(binary.LittleEndian.Uint32(h[12:])), maxImportData)
	if err != nil {
		return nil, fmt.Errorf("read import object: %w", err)
	}
	symbol, rest, ok := bytes.Cut(data, []byte{0})
	dll, _, ended := bytes.Cut(rest, []byte{0})
	if !ok || !ended || len(dll) == 0 || len(dll) > maxName {
		return nil, malformed("an import object does not name its symbol and its DLL")
	}
	isCode := binary.LittleEndian.Uint16(h[18:])&3 == 0
	return &shortImport{machine: binary.LittleEndian.Uint16(h[6:]), isCode: isCode, symbol: symbol, dll: string(dll)}, nil
}

// file says what an import object is. LLVM's tools for both of Windows' environments write this form, so that it proves neither.
func (i *shortImport) file() *File {
	f := &File{Format: FormatCOFF, Kind: KindImportLibrary, Soname: i.dll, imports: i.dll}
	f.Platform.OS = "windows"
	f.Platform.Architecture, f.Platform.Variant, f.Bits = coffArchitecture(i.machine)
	return f
}

// coffFileSymbols visits the symbols of an object or import object.
func (in *inspector) coffFileSymbols(s *source, c content, limit int, visit symbolVisitor) error {
	if c == contentCOFF {
		o, err := readCOFF(s, c)
		if err != nil {
			return err
		}
		return in.coffSymbols(o, limit, visit)
	}
	f, err := (&inspector{budget: in.budget}).anonymous(s)
	if err != nil || f.SlimLTO {
		return err
	}
	if f.Kind != KindImportLibrary {
		o, err := readCOFF(s, c)
		if err != nil {
			return err
		}
		return in.coffSymbols(o, limit, visit)
	}
	i, err := readShortImport(s)
	if err != nil {
		return err
	}
	imported := append([]byte("__imp_"), i.symbol...)
	if err := visit(imported[:min(len(imported), limit)], Symbol{Defined: true}); err != nil || !i.isCode {
		return err
	}
	return visit(i.symbol[:min(len(i.symbol), limit)], Symbol{Defined: true})
}
