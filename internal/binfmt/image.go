package binfmt

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"strings"
)

// Places in a PE image. See https://learn.microsoft.com/windows/win32/debug/pe-format.
const (
	dosHeaderSize   = 64
	peOffsetField   = 0x3c
	coffHeaderSize  = 20
	sectionSize     = 40
	dirExport       = 0
	dirImport       = 1
	dirDelayImport  = 13
	maxImports      = maxNeeded
	maxImportedBy   = 1 << 16 // names imported from one DLL
	subsystemEFI    = 10
	subsystemEFIROM = 13
	pe32Plus        = 0x20b
	maxRichHeader   = 4 << 10 // bytes before the PE header in which linkers leave their mark
)

// imageFile is a PE image's header and sections.
type imageFile struct {
	s               *source
	machine         uint16
	characteristics uint16
	wide            bool // of the form PE32+
	subsystem       uint16
	linkerVersion   uint8  // major
	entry           uint32 // address of the first instruction, 0 when there is none
	dirs            []byte // data directories, 8 bytes each
	sections        []imageSection
	rich            bool // Microsoft's linker made it
}

type imageSection struct {
	address, virtualSize, off, size uint32
}

// readImage reads the headers. An MZ executable without them is a DOS program, or text that begins with these letters.
func readImage(s *source) (*imageFile, error) {
	if s.size < dosHeaderSize {
		return nil, fmt.Errorf("%w: no Windows image", ErrNotBinary)
	}
	dos, err := s.bytes(0, dosHeaderSize, dosHeaderSize)
	if err != nil {
		return nil, err
	}
	off := int64(binary.LittleEndian.Uint32(dos[peOffsetField:]))
	if off < 4 || off+4+coffHeaderSize > s.size {
		return nil, fmt.Errorf("%w: no Windows image", ErrNotBinary)
	}
	h, err := s.bytes(off, 4+coffHeaderSize, 4+coffHeaderSize)
	if err != nil {
		return nil, err
	}
	if string(h[:4]) != "PE\x00\x00" {
		return nil, fmt.Errorf("%w: no Windows image", ErrNotBinary)
	}
	h = h[4:]
	p := &imageFile{s: s, machine: binary.LittleEndian.Uint16(h), characteristics: binary.LittleEndian.Uint16(h[18:])}
	optional := off + 4 + coffHeaderSize
	optionalSize := int64(binary.LittleEndian.Uint16(h[16:]))
	if err := p.optionalHeader(optional, optionalSize); err != nil {
		return nil, fmt.Errorf("read PE header: %w", err)
	}
	if err := p.readSections(optional+optionalSize, int64(binary.LittleEndian.Uint16(h[2:]))); err != nil {
		return nil, fmt.Errorf("read PE sections: %w", err)
	}
	// Between the DOS program and the PE header Microsoft's linker, and no other, leaves a list of tools that ends in "Rich".
	stub, err := s.bytes(dosHeaderSize, min(max(off-dosHeaderSize, 0), maxRichHeader), maxRichHeader)
	p.rich = hasRichHeader(stub)
	return p, err
}

// hasRichHeader finds that list. "Rich" is followed by a key, with which its first word, "DanS", is masked.
func hasRichHeader(stub []byte) bool {
	end := bytes.LastIndex(stub, []byte("Rich"))
	if end < 0 || end+8 > len(stub) {
		return false
	}
	start := []byte("DanS")
	for i := range start {
		start[i] ^= stub[end+4+i]
	}
	return bytes.Contains(stub[:end], start)
}

func (p *imageFile) optionalHeader(off, size int64) error {
	b, err := p.s.bytes(off, size, 1<<16)
	if err != nil {
		return err
	}
	if len(b) < 2 {
		return malformed("an image without an optional header")
	}
	p.wide = binary.LittleEndian.Uint16(b) == pe32Plus
	start := 96
	if p.wide {
		start = 112
	}
	if len(b) < start {
		return malformed("an optional header of %d bytes", len(b))
	}
	p.linkerVersion, p.entry = b[2], binary.LittleEndian.Uint32(b[16:])
	p.subsystem = binary.LittleEndian.Uint16(b[68:])
	count := uint64(binary.LittleEndian.Uint32(b[start-4:]))
	p.dirs = b[start:]
	p.dirs = p.dirs[:min(count*8, uint64(len(p.dirs)))]
	return nil
}

func (p *imageFile) readSections(off, count int64) error {
	var buf []byte
	return p.s.records(off, count, sectionSize, &buf, func(b []byte) error {
		p.sections = append(p.sections, imageSection{
			virtualSize: binary.LittleEndian.Uint32(b[8:]),
			address:     binary.LittleEndian.Uint32(b[12:]),
			size:        binary.LittleEndian.Uint32(b[16:]),
			off:         binary.LittleEndian.Uint32(b[20:]),
		})
		return nil
	})
}

// directory gives the bytes that a data directory points to, to the end of their section; nil when there is none.
func (p *imageFile) directory(which int) (*source, error) {
	if len(p.dirs) < (which+1)*8 {
		return nil, nil
	}
	address := binary.LittleEndian.Uint32(p.dirs[which*8:])
	if address == 0 {
		return nil, nil
	}
	return p.mapped(address)
}

// isDebugOnly says whether the code was stripped from the image to leave debugging information: its sections then have no bytes.
func (p *imageFile) isDebugOnly() bool {
	for _, section := range p.sections {
		if p.entry >= section.address && p.entry-section.address < section.virtualSize {
			return section.size == 0
		}
	}
	return false
}

// mapped gives the bytes that are loaded at an address relative to the image's, to the end of their section.
func (p *imageFile) mapped(address uint32) (*source, error) {
	if err := p.s.charge(len(p.sections)); err != nil {
		return nil, err
	}
	for _, section := range p.sections {
		if address >= section.address && address-section.address < section.size {
			skip := int64(address - section.address)
			return p.s.sub(int64(section.off)+skip, int64(section.size)-skip)
		}
	}
	return nil, malformed("address %#x is in no section", address)
}

// name reads the string at an address.
func (p *imageFile) name(address uint32, limit int) (string, error) {
	s, err := p.mapped(address)
	if err != nil {
		return "", err
	}
	return (&nameTable{s: s}).name(0, limit)
}

// image inspects a PE image.
func (in *inspector) image(s *source) (*File, error) {
	p, err := readImage(s)
	if err != nil {
		return nil, err
	}
	f := &File{Format: FormatPE, Kind: p.kind()}
	if p.subsystem < subsystemEFI || p.subsystem > subsystemEFIROM {
		f.Platform.OS = "windows"
	}
	f.Platform.Architecture, f.Platform.Variant, f.Bits = coffArchitecture(p.machine)
	if p.isDebugOnly() {
		return f, nil
	}
	if err := p.exportedName(f); err != nil {
		return nil, fmt.Errorf("read PE exports: %w", err)
	}
	err = p.eachImport(func(name string, _ uint32) error {
		f.Needed = append(f.Needed, name)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read PE imports: %w", err)
	}
	libraryRuntimes(f)
	f.Env = p.env(f)
	return f, nil
}

func (p *imageFile) kind() Kind {
	switch {
	case p.isDebugOnly():
		return ""
	case p.characteristics&pe.IMAGE_FILE_DLL != 0:
		return KindShared
	case p.characteristics&pe.IMAGE_FILE_EXECUTABLE_IMAGE != 0:
		return KindExecutable
	}
	return ""
}

// env tells the C runtime's family from what only one of them brings. Neither msvcrt.dll nor ucrtbase.dll does: both use these.
func (p *imageFile) env(f *File) string {
	for _, name := range f.Needed {
		name = strings.ToLower(name)
		switch {
		case strings.HasPrefix(name, "vcruntime"), strings.HasPrefix(name, "msvcp"):
			return "msvc"
		case strings.HasPrefix(name, "libgcc_s_"), strings.HasPrefix(name, "libstdc++-"), strings.HasPrefix(name, "libwinpthread-"):
			return "gnu"
		case name == "cygwin1.dll", name == "msys-2.0.dll":
			return ""
		}
	}
	switch {
	case p.rich:
		return "msvc"
	case p.linkerVersion == 2 && f.Bits == 64:
		return "gnu" // GNU ld writes its own version, 2.x; Microsoft's was there before 64 bits were
	}
	return ""
}

// exportedName reads the name that a DLL gives itself.
func (p *imageFile) exportedName(f *File) error {
	exports, err := p.directory(dirExport)
	if err != nil || exports == nil {
		return err
	}
	b, err := exports.bytes(0, 40, 40)
	if err != nil {
		return err
	}
	if address := binary.LittleEndian.Uint32(b[12:]); address != 0 {
		f.Soname, err = p.name(address, maxName)
	}
	return err
}
