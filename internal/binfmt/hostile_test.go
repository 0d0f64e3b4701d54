package binfmt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

func TestWhatIsNoBinaryIsNotTakenForOne(t *testing.T) {
	for name, content := range map[string]string{
		"nothing":            "",
		"a byte":             "\x7f",
		"text":               "MZ is how this text begins, which goes on for longer than sixty-four bytes, as text may",
		"a header":           "#ifndef A_H\n#define A_H\n#endif\n",
		"a linker script":    "/* GNU ld script */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/libc.so.6 AS_NEEDED ( /lib/ld.so.2 ) )\n",
		"an Apple text stub": "--- !tapi-tbd\ntbd-version: 4\n",
		"a Java class":       "\xca\xfe\xba\xbe\x00\x00\x00\x34\x00\x1d\x0a\x00\x06\x00\x0f\x09",
		"two magic bytes":    "\x64\x86\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"a core dump":        "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x04\x00\x3e\x00" + strings.Repeat("\x00", 60),
	} {
		if _, err := Inspect(newReader([]byte(content))); !errors.Is(err, ErrNotBinary) {
			t.Errorf("%s: %v, want ErrNotBinary", name, err)
		}
	}
}

func TestFilesCutShortAreMalformedOrUnderstoodButNeverPanic(t *testing.T) {
	for _, name := range []string{
		"elf-amd64-musl-shared", "elf-arm-armv6", "macho-universal-archive", "macho-amd64-dylib",
		"pe-gnu-dll-needing", "import-short", "coff-gnu-slim-lto",
	} {
		whole := fixture(t, name)
		for n := range whole {
			_, err := Inspect(newReader(whole[:n]))
			checkError(t, err)
			for _, err := range Symbols(newReader(whole[:n])) {
				checkError(t, err)
			}
		}
	}
	elf := fixture(t, "elf-amd64-nopic")
	if _, err := Inspect(newReader(elf[:len(elf)-1])); !errors.Is(err, ErrMalformed) {
		t.Errorf("an object without its last byte: %v, want ErrMalformed", err)
	}
}

var errDisk = errors.New("disk on fire")

type brokenReader struct{ io.ReaderAt }

func (r brokenReader) ReadAt(p []byte, off int64) (int, error) {
	if off > 100 {
		return 0, errDisk
	}
	return r.ReaderAt.ReadAt(p, off)
}

func TestErrorsOfTheReaderArePassedOn(t *testing.T) {
	r, size := newReader(gnuArchive(arFile{"a.o", fixture(t, "elf-amd64-nopic")}))
	if _, err := Inspect(brokenReader{r}, size); !errors.Is(err, errDisk) || errors.Is(err, ErrMalformed) {
		t.Errorf("Inspect: %v, want the reader's error", err)
	}
	var last error
	for _, err := range Symbols(brokenReader{r}, size) {
		last = err
	}
	if !errors.Is(last, errDisk) {
		t.Errorf("Symbols: %v, want the reader's error", last)
	}
	elf, size := newReader(fixture(t, "elf-amd64-musl-shared"))
	if _, err := IsExecutable(brokenReader{elf}, size); !errors.Is(err, errDisk) {
		t.Errorf("IsExecutable: %v, want the reader's error", err)
	}
}

func TestSizeThatTheReaderDoesNotHaveIsAnErrorOfReading(t *testing.T) {
	b := gnuArchive(arFile{"a.o", fixture(t, "elf-amd64-nopic")})
	if _, err := Inspect(bytes.NewReader(b), int64(len(b))+200); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Inspect: %v, want io.ErrUnexpectedEOF", err)
	}
}

// elfWithSharedNames makes an object of n sections, all of whose names are the whole string table of size bytes: a reader that keeps each
// name keeps n times size bytes.
func elfWithSharedNames(n, size int) []byte {
	b := make([]byte, 64+n*64+size)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 1)  // ET_REL
	le.PutUint16(b[18:], 62) // EM_X86_64
	le.PutUint64(b[40:], 64) // e_shoff
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], uint16(n))
	le.PutUint16(b[62:], 1) // e_shstrndx
	for i := range n {
		h := b[64+i*64:]
		le.PutUint32(h[4:], 3) // SHT_STRTAB
		if i > 1 {
			le.PutUint32(h[4:], 1) // SHT_PROGBITS
		}
		le.PutUint64(h[24:], uint64(64+n*64))
		le.PutUint64(h[32:], uint64(size))
	}
	names := b[64+n*64:]
	for i := range size - 1 {
		names[i] = 'n'
	}
	return b
}

func TestNamesThatShareBytesAreNotMultiplied(t *testing.T) {
	r, size := newReader(elfWithSharedNames(60000, 4<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Inspect(r, size); err != nil && !errors.Is(err, ErrMalformed) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 32<<20 {
		t.Errorf("an object of 8 MiB took %d MiB of memory", got>>20)
	}
}

// symbolBomb makes an object whose symbols all have the same long name.
func symbolBomb(symbols, length int) []byte {
	b := elfWithSharedNames(3, 1)
	le := binary.LittleEndian
	symtab, strtab := len(b), len(b)+symbols*24
	h := b[64+2*64:]
	le.PutUint32(h[4:], 2) // SHT_SYMTAB
	le.PutUint64(h[24:], uint64(symtab))
	le.PutUint64(h[32:], uint64(symbols*24))
	le.PutUint32(h[40:], 1) // sh_link
	le.PutUint64(b[64+64+24:], uint64(strtab))
	le.PutUint64(b[64+64+32:], uint64(length))
	for range symbols {
		symbol := make([]byte, 24)
		symbol[4] = 0x10 // STB_GLOBAL
		b = append(b, symbol...)
	}
	return append(b, bytes.Repeat([]byte("n"), length)...)
}

func TestWorkEndsWithAnErrorThatNamesTheBound(t *testing.T) {
	r, size := newReader(symbolBomb(10000, 100000))
	var last error
	total := 0
	for s, err := range Symbols(r, size) {
		total += len(s.Name)
		last = err
	}
	if !errors.Is(last, ErrMalformed) || !strings.Contains(last.Error(), "8 times its size") {
		t.Errorf("error %v, want the bound", last)
	}
	if limit := int(newBudget(size)); total > limit {
		t.Errorf("listed names of %d bytes, more than %d", total, limit)
	}
}

func TestSymbolsEndWhenTheCallerStops(t *testing.T) {
	n := 0
	for _, err := range Symbols(newReader(fixture(t, "elf-amd64-nopic"))) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d symbols before the first break", n)
	}
}
