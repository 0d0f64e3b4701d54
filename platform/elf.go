package platform

import (
	"encoding/binary"
	"os"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// elfFile reads the little of an ELF file of this machine that [Host] wants. It
// is not debug/elf, because it runs at the start of each link: that reads all
// sections, and links DWARF and zlib.
// https://gabi.xinuos.com/elf/07-pheader.html
type elfFile struct {
	*os.File
	is64     bool
	segments []elfSegment
}

// elfSegment is what one program header says.
type elfSegment struct {
	kind                  uint32
	offset, address, size uint64 // in the file, in memory, in the file
}

const maxSegments = 64

// openELF opens a file whose headers are in its first page, where linkers put
// them.
func openELF(path string) (*elfFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &elfFile{File: file}
	if !f.readHeaders() {
		file.Close()
		return nil, errdef.Errorf(errdef.ErrVerification, "%s is no ELF file of this machine", path)
	}
	return f, nil
}

func (f *elfFile) readHeaders() bool {
	page := f.read(0, 4096)
	if len(page) < 64 || string(page[:4]) != "\x7fELF" {
		return false
	}
	order := binary.NativeEndian
	f.is64 = page[4] == 2
	table, entry, count := uint64(order.Uint32(page[0x1c:])), int(order.Uint16(page[0x2a:])), int(order.Uint16(page[0x2c:]))
	want := 32
	if f.is64 {
		table, entry, count, want = order.Uint64(page[0x20:]), int(order.Uint16(page[0x36:])), int(order.Uint16(page[0x38:])), 56
	}
	if entry != want || count > maxSegments || table > uint64(len(page)) || uint64(count*entry) > uint64(len(page))-table {
		return false
	}
	for at := page[table:]; count > 0; count, at = count-1, at[entry:] {
		s := elfSegment{kind: order.Uint32(at)}
		if f.is64 {
			s.offset, s.address, s.size = order.Uint64(at[8:]), order.Uint64(at[16:]), order.Uint64(at[32:])
		} else {
			s.offset, s.address, s.size = uint64(order.Uint32(at[4:])), uint64(order.Uint32(at[8:])), uint64(order.Uint32(at[16:]))
		}
		f.segments = append(f.segments, s)
	}
	return true
}

// read gives up to n bytes at offset, fewer where the file ends.
func (f *elfFile) read(offset, n uint64) []byte {
	const most = 1 << 20
	if offset > 1<<40 || n > most {
		return nil
	}
	b := make([]byte, n)
	got, _ := f.ReadAt(b, int64(offset))
	return b[:got]
}

// segment gives the first segment of a kind.
func (f *elfFile) segment(kind uint32) (elfSegment, bool) {
	for _, s := range f.segments {
		if s.kind == kind {
			return s, true
		}
	}
	return elfSegment{}, false
}

// loaded gives up to n bytes of what is loaded at an address.
func (f *elfFile) loaded(address, n uint64) []byte {
	const ptLoad = 1
	for _, s := range f.segments {
		if s.kind == ptLoad && address >= s.address && address-s.address < s.size {
			skip := address - s.address
			return f.read(s.offset+skip, min(n, s.size-skip))
		}
	}
	return nil
}

// definedVersions gives the names of the symbol versions that a library
// defines.
// https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html
func (f *elfFile) definedVersions() []string {
	const (
		ptDynamic = 2
		dtStrtab  = 5
		dtStrsz   = 10
		dtVerdef  = 0x6ffffffc
	)
	order := binary.NativeEndian
	s, ok := f.segment(ptDynamic)
	if !ok {
		return nil
	}
	entries := map[uint64]uint64{}
	width := 8
	if f.is64 {
		width = 16
	}
	for b := f.read(s.offset, min(s.size, 64<<10)); len(b) >= width; b = b[width:] {
		tag, value := uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
		if f.is64 {
			tag, value = order.Uint64(b), order.Uint64(b[8:])
		}
		entries[tag] = value
	}
	names := f.loaded(entries[dtStrtab], min(entries[dtStrsz], 1<<20))
	table := f.loaded(entries[dtVerdef], 64<<10)
	var versions []string
	for len(table) >= 20 {
		aux, next := order.Uint32(table[12:]), order.Uint32(table[16:])
		if uint64(aux)+4 > uint64(len(table)) {
			break
		}
		if name := order.Uint32(table[aux:]); uint64(name) < uint64(len(names)) {
			versions = append(versions, text(names[name:]))
		}
		if next == 0 || uint64(next) > uint64(len(table)) {
			break
		}
		table = table[next:]
	}
	return versions
}

// text gives the string at the start of b, up to a NUL.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
