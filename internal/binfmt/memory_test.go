package binfmt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// maxMemory is the bound that the package promises, in bytes.
const maxMemory = 32 << 20

// memoryReader measures, while a file is read, the memory that is in use beside that of before.
type memoryReader struct {
	io.ReaderAt
	before, peak uint64 // live bytes
	allocated    uint64 // in all, at the last measurement
}

func newMemoryReader(b []byte) *memoryReader {
	m := &memoryReader{ReaderAt: bytes.NewReader(b)}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m.before, m.allocated = stats.HeapAlloc, stats.TotalAlloc
	return m
}

func (m *memoryReader) ReadAt(p []byte, off int64) (int, error) {
	m.measure()
	return m.ReaderAt.ReadAt(p, off)
}

// measure looks at what is live, if much was allocated since it last did.
func (m *memoryReader) measure() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if stats.TotalAlloc-m.allocated < 256<<10 {
		return
	}
	runtime.GC()
	runtime.ReadMemStats(&stats)
	m.allocated = stats.TotalAlloc
	m.peak = max(m.peak, max(stats.HeapAlloc, m.before)-m.before)
}

// elf32Sections makes an object with n empty sections, the most memory that a header of 40 bytes asks for.
func elf32Sections(n int) []byte {
	b := make([]byte, 52+n*40)
	copy(b, "\x7fELF\x01\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 1)  // ET_REL
	le.PutUint16(b[18:], 3)  // EM_386
	le.PutUint32(b[32:], 52) // e_shoff
	le.PutUint16(b[46:], 40)
	le.PutUint32(b[52+20:], uint32(n)) // the number, where 16 bits do not hold it
	return b
}

// glibcBomb makes an object that asks for n names of glibc's, each as long as those that are kept.
func glibcBomb(n int) []byte {
	const length = symbolPrefix
	b := elfWithSharedNames(3, 1)
	le := binary.LittleEndian
	names := bytes.Repeat([]byte("n"), n*length)
	for i := range n {
		copy(names[i*length:], fmt.Sprintf("__%08d", i))
		copy(names[(i+1)*length-5:], "_chk\x00")
	}
	h := b[64+2*64:]
	le.PutUint32(h[4:], 2) // SHT_SYMTAB
	le.PutUint64(h[24:], uint64(len(b)))
	le.PutUint64(h[32:], uint64(n*24))
	le.PutUint32(h[40:], 1)
	le.PutUint64(b[64+64+24:], uint64(len(b)+n*24))
	le.PutUint64(b[64+64+32:], uint64(len(names)))
	for i := range n {
		symbol := make([]byte, 24)
		le.PutUint32(symbol, uint32(i*length))
		symbol[4] = 0x10
		b = append(b, symbol...)
	}
	return append(b, names...)
}

// machoCommands makes a dynamic library that needs n others with names of length bytes.
func machoCommands(n, length int) []byte {
	le := binary.LittleEndian
	b := make([]byte, 32)
	le.PutUint32(b, 0xfeedfacf)
	le.PutUint32(b[4:], 0x0100000c)
	le.PutUint32(b[12:], 6)
	le.PutUint32(b[16:], uint32(n))
	for i := range n {
		command := make([]byte, 24)
		le.PutUint32(command, 0xc)
		le.PutUint32(command[4:], uint32(24+length))
		le.PutUint32(command[8:], 24)
		b = append(b, append(command, strings.Repeat(string(rune('a'+i%26)), length)...)...)
	}
	le.PutUint32(b[20:], uint32(len(b)-32))
	return b
}

// universalOf makes a universal file all of whose n slices are the same bytes, with as many more behind them as it takes to be allowed
// to read them so often.
func universalOf(n int, slice []byte) []byte {
	be := binary.BigEndian
	b := make([]byte, 8+20*n)
	be.PutUint32(b, 0xcafebabe)
	be.PutUint32(b[4:], uint32(n))
	for i := range n {
		be.PutUint32(b[8+i*20+8:], uint32(len(b)))
		be.PutUint32(b[8+i*20+12:], uint32(len(slice)))
	}
	return append(append(b, slice...), make([]byte, n*len(slice)/4)...)
}

func TestMemoryStaysWithinTheBound(t *testing.T) {
	for name, b := range map[string][]byte{
		"sections": elf32Sections(maxSections),
		"ever more sections": gnuArchive(
			arFile{"a.o", elf32Sections(maxSections - 1)}, arFile{"b.o", elf32Sections(maxSections)},
			arFile{"c.o", symbolBomb(100, loadSize-1)}, arFile{"d.o", glibcBomb(2 * maxProofs)}),
		"one long name":    symbolBomb(1000, 4<<20),
		"a table on disk":  symbolBomb(1000, loadSize+1),
		"names of glibc's": glibcBomb(2 * maxProofs),
		"needed libraries": machoCommands(maxNeeded-1, maxCommands/maxNeeded-24),
		"slices":           universalOf(maxSlices, machoCommands(maxNeeded-1, maxCommands/maxNeeded-24)),
		"slices of few":    universalOf(maxSlices, machoCommands(1, maxCommands-32)),
	} {
		m := newMemoryReader(b)
		file, err := Inspect(m, int64(len(b)))
		checkError(t, err)
		m.measure()
		for _, err := range Symbols(m, int64(len(b))) {
			checkError(t, err)
			m.measure()
		}
		t.Logf("%s: %d MiB for a file of %d MiB (error: %v)", name, m.peak>>20, len(b)>>20, err)
		if m.peak > maxMemory {
			t.Errorf("%s: %d MiB are in use for a file of %d MiB, more than %d", name, m.peak>>20, len(b)>>20, maxMemory>>20)
		}
		runtime.KeepAlive(file)
		runtime.KeepAlive(b)
	}
}
