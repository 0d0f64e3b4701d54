package binfmt

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

const (
	machineARM64X  = 0xa64e
	machineARM64EC = 0xa641

	symbolSize    = 18
	bigSymbolSize = 20 // with a section number of 4 bytes
	bigHeaderSize = 56
	maxImportData = 2*maxSymbol + maxName

	sectionRemoved = 0x800 // IMAGE_SCN_LNK_REMOVE: not for the linked file

	classExternal     = 2
	classWeakExternal = 105
)

// Objects with an anonymous header say by a class identifier what they are.
const (
	classBigObject = "\xC7\xA1\xBA\xD1\xEE\xBA\xA9\x4B\xAF\x20\xFA\xF6\x6A\xA4\xDC\xB8"
	classLTCG      = "\x38\xFE\xB3\x0C\xA5\xD9\xAB\x4D\xAC\x9B\xD6\xB6\x22\x26\x53\xC2" // Microsoft's intermediate representation, from /GL
)

// coffArchitecture gives GOARCH's name and the variant of a machine, "" for one that has none, and the size of its pointers.
func coffArchitecture(machine uint16) (architecture, variant string, bits int) {
	switch machine {
	case pe.IMAGE_FILE_MACHINE_I386:
		return "386", "", 32
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return "amd64", "", 64
	case pe.IMAGE_FILE_MACHINE_ARM, pe.IMAGE_FILE_MACHINE_THUMB:
		return "arm", "", 32
	case pe.IMAGE_FILE_MACHINE_ARMNT:
		return "arm", "v7", 32
	case pe.IMAGE_FILE_MACHINE_ARM64, machineARM64EC, machineARM64X:
		return "arm64", "", 64
	case pe.IMAGE_FILE_MACHINE_RISCV64:
		return "riscv64", "", 64
	case pe.IMAGE_FILE_MACHINE_LOONGARCH64:
		return "loong64", "", 64
	}
	return "", "", 0
}

// looksLikeCOFF tells an object by its machine and the fields that have one value in all of them: its magic number is of 2 bytes only.
func looksLikeCOFF(head []byte) bool {
	if len(head) < coffHeaderSize {
		return false
	}
	architecture, _, _ := coffArchitecture(binary.LittleEndian.Uint16(head))
	sections, optional := binary.LittleEndian.Uint16(head[2:]), binary.LittleEndian.Uint16(head[16:])
	return architecture != "" && sections > 0 && sections < 0xff00 && optional == 0 &&
		binary.LittleEndian.Uint16(head[18:])&pe.IMAGE_FILE_EXECUTABLE_IMAGE == 0
}

// coffFile is a COFF object's header.
type coffFile struct {
	s                    *source
	machine              uint16
	sectionsAt, sections int64
	symbolsAt, symbols   int64
	symbolSize           int
	names                *nameTable
}

// readCOFF reads the header of an object, plain or big.
func readCOFF(s *source, c content) (*coffFile, error) {
	var o *coffFile
	if c == contentCOFF {
		h, err := s.bytes(0, coffHeaderSize, coffHeaderSize)
		if err != nil {
			return nil, err
		}
		o = &coffFile{
			s: s, machine: binary.LittleEndian.Uint16(h), symbolSize: symbolSize,
			sectionsAt: coffHeaderSize, sections: int64(binary.LittleEndian.Uint16(h[2:])),
			symbolsAt: int64(binary.LittleEndian.Uint32(h[8:])), symbols: int64(binary.LittleEndian.Uint32(h[12:])),
		}
	} else {
		h, err := s.bytes(0, bigHeaderSize, bigHeaderSize)
		if err != nil {
			return nil, err
		}
		o = &coffFile{
			s: s, machine: binary.LittleEndian.Uint16(h[6:]), symbolSize: bigSymbolSize,
			sectionsAt: bigHeaderSize, sections: int64(binary.LittleEndian.Uint32(h[44:])),
			symbolsAt: int64(binary.LittleEndian.Uint32(h[48:])), symbols: int64(binary.LittleEndian.Uint32(h[52:])),
		}
	}
	stringsAt := o.symbolsAt + o.symbols*int64(o.symbolSize)
	if o.sectionsAt+o.sections*sectionSize > s.size || stringsAt > s.size {
		if c == contentCOFF { // two bytes of magic are no proof that this is an object
			return nil, fmt.Errorf("%w: no COFF object", ErrNotBinary)
		}
		return nil, malformed("%d sections and %d symbols exceed the %d bytes of the file", o.sections, o.symbols, s.size)
	}
	if o.symbolsAt > 0 {
		table, err := s.sub(stringsAt, s.size-stringsAt)
		if err != nil {
			return nil, err
		}
		o.names = &nameTable{s: table}
	}
	return o, nil
}

// coff inspects an object with a plain header.
func (in *inspector) coff(s *source) (*File, error) {
	o, err := readCOFF(s, contentCOFF)
	if err != nil {
		return nil, err
	}
	return in.coffObject(o)
}

// anonymous inspects what begins with Microsoft's header for other things than plain objects.
func (in *inspector) anonymous(s *source) (*File, error) {
	head, err := s.head()
	if err != nil {
		return nil, err
	}
	if len(head) < headSize {
		return nil, ErrNotBinary
	}
	if binary.LittleEndian.Uint16(head[4:]) == 0 {
		i, err := readShortImport(s)
		if err != nil {
			return nil, err
		}
		return i.file(), nil
	}
	class := make([]byte, 16)
	if s.size < 12+int64(len(class)) {
		return nil, ErrNotBinary
	}
	if err := s.readAt(class, 12); err != nil {
		return nil, err
	}
	switch string(class) {
	case classBigObject:
		o, err := readCOFF(s, contentAnon)
		if err != nil {
			return nil, err
		}
		return in.coffObject(o)
	case classLTCG:
		in.evidence.msvc = true
		f := &File{Format: FormatCOFF, Kind: KindObject, SlimLTO: true}
		f.Platform.OS = "windows"
		f.Platform.Architecture, f.Platform.Variant, f.Bits = coffArchitecture(binary.LittleEndian.Uint16(head[6:]))
		return f, nil
	}
	return nil, ErrNotBinary
}

// coffObject inspects an object's sections and symbols.
func (in *inspector) coffObject(o *coffFile) (*File, error) {
	f := &File{Format: FormatCOFF, Kind: KindObject}
	f.Platform.OS = "windows"
	f.Platform.Architecture, f.Platform.Variant, f.Bits = coffArchitecture(o.machine)
	if err := in.coffSections(o, f); err != nil {
		return nil, fmt.Errorf("read COFF sections: %w", err)
	}
	err := in.coffSymbols(o, symbolPrefix, func(name []byte, symbol Symbol) error {
		if o.machine == pe.IMAGE_FILE_MACHINE_I386 {
			name = bytes.TrimPrefix(name, []byte{'_'})
		}
		if imported, ok := bytes.CutPrefix(name, []byte("__imp_")); ok {
			name = imported
		}
		in.evidence.add(name, symbol.Defined)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read COFF symbols: %w", err)
	}
	return f, nil
}

// coffSections looks for the sections that import libraries are made of, for GCC's intermediate representation in place of code, and for
// what compilers leave to tell which they are.
func (in *inspector) coffSections(o *coffFile, f *File) error {
	var hasCode, hasLTO, hasDescriptor bool
	err := o.s.records(o.sectionsAt, o.sections, sectionSize, &in.records, func(b []byte) error {
		name, err := o.sectionName(b[:8])
		if err != nil {
			return err
		}
		size, removed := binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[36:])&sectionRemoved != 0
		content := func() ([]byte, error) {
			return o.s.bytes(int64(binary.LittleEndian.Uint32(b[20:])), int64(min(size, maxNote)), maxNote)
		}
		switch {
		case strings.HasPrefix(name, ".gnu.lto_"):
			hasLTO = true
		case strings.HasPrefix(name, ".idata$"):
			hasCode = true
			hasDescriptor = hasDescriptor || name == ".idata$2"
			return in.importSection(name, hasDescriptor, content, f)
		case name == ".drectve", name == ".rdata$zzz":
			text, err := content()
			in.evidence.directives(text)
			return err
		case size > 0 && !removed && !strings.HasPrefix(name, ".debug"):
			hasCode = true
		}
		return nil
	})
	f.SlimLTO = hasLTO && !hasCode
	return err
}

// importSection takes the DLL's name from where GNU tools (.idata$7) and Microsoft's (.idata$6 beside a descriptor) put it. The first keep
// an address in the same section of other members.
func (in *inspector) importSection(name string, hasDescriptor bool, content func() ([]byte, error), f *File) error {
	if f.imports == "" {
		f.imports = "?"
	}
	isGNU := name == ".idata$7"
	if !isGNU && (name != ".idata$6" || !hasDescriptor) {
		return nil
	}
	b, err := content()
	if err != nil {
		return err
	}
	dll, _, _ := bytes.Cut(b, []byte{0})
	if len(dll) < 3 || len(dll) > maxName || bytes.ContainsFunc(dll, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil
	}
	f.imports = string(dll)
	if isGNU {
		in.evidence.gnu = true
	}
	return nil
}

// directives takes note of what compilers say to linkers, and of GCC's name in the section that it keeps for that.
func (e *evidence) directives(text []byte) {
	upper := bytes.ToUpper(text)
	if bytes.Contains(upper, []byte("/DEFAULTLIB:")) {
		e.msvc = true
	}
	if bytes.Contains(upper, []byte("-ALIGNCOMM:")) || bytes.Contains(text, []byte("GCC: (")) {
		e.gnu = true
	}
}

// sectionName gives a section's name; a long one is in the string table, at the decimal number after a "/".
func (o *coffFile) sectionName(field []byte) (string, error) {
	name := string(bytes.TrimRight(field, "\x00"))
	offset, long := strings.CutPrefix(name, "/")
	if !long || o.names == nil {
		return name, nil
	}
	off, err := strconv.ParseUint(offset, 10, 32)
	if err != nil {
		return name, nil // "//" and base 64, of tables beyond 10 MB: none of the names looked for
	}
	prefix, err := o.names.prefix(int64(off), 32)
	return string(prefix), err
}

// coffSymbols calls visit for each external symbol, with at most limit bytes of its name.
func (in *inspector) coffSymbols(o *coffFile, limit int, visit symbolVisitor) error {
	if o.names == nil {
		return nil
	}
	if err := o.names.load(&in.names); err != nil {
		return err
	}
	auxiliary, next := 0, int64(0) // the index of the record after this one
	return o.s.records(o.symbolsAt, o.symbols, o.symbolSize, &in.records, func(b []byte) error {
		next++
		if auxiliary > 0 {
			auxiliary--
			return nil
		}
		auxiliary = int(b[o.symbolSize-1])
		class := b[o.symbolSize-2]
		if class != classExternal && class != classWeakExternal {
			return nil
		}
		name := bytes.TrimRight(b[:8], "\x00")
		if binary.LittleEndian.Uint32(b) == 0 {
			var err error
			if name, err = o.names.prefix(int64(binary.LittleEndian.Uint32(b[4:])), limit); err != nil {
				return err
			}
		}
		if len(name) == 0 {
			return nil
		}
		// A symbol of no section that has a value is a common one: the value is its size.
		defined := o.section(b) != 0 || class == classExternal && binary.LittleEndian.Uint32(b[8:]) != 0
		if class == classWeakExternal && auxiliary > 0 && !defined {
			var err error
			if defined, err = o.hasDefault(next); err != nil {
				return err
			}
		}
		return visit(name, Symbol{Defined: defined, Weak: class == classWeakExternal})
	})
}

// section gives the number of the section that a symbol is in: 0 for none, negative for an absolute one and the like.
func (o *coffFile) section(b []byte) int32 {
	if o.symbolSize == bigSymbolSize {
		return int32(binary.LittleEndian.Uint32(b[12:]))
	}
	return int32(int16(binary.LittleEndian.Uint16(b[12:])))
}

// hasDefault says whether a weak external symbol, with its auxiliary record at an index, is a weak definition: the symbol that is to be taken
// where there is no other is one of a section of the object, and not the absolute 0 of a need that may stay unmet.
func (o *coffFile) hasDefault(index int64) (bool, error) {
	b := make([]byte, o.symbolSize)
	for range 2 {
		if index >= o.symbols {
			return false, malformed("a weak symbol stands for symbol %d of %d", index, o.symbols)
		}
		if err := o.s.readAt(b, o.symbolsAt+index*int64(o.symbolSize)); err != nil {
			return false, err
		}
		index = int64(binary.LittleEndian.Uint32(b)) // what the auxiliary record has
	}
	return o.section(b) > 0, nil
}
