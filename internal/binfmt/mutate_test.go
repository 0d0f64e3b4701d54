package binfmt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// watchedReader notes where a file is read.
type watchedReader struct {
	io.ReaderAt
	starts map[int64]int // of reads: their lengths
}

func (w watchedReader) ReadAt(p []byte, off int64) (int, error) {
	w.starts[off] = len(p)
	return w.ReaderAt.ReadAt(p, off)
}

// region is a part of a file that its reader looks at.
type region struct{ off, size int }

// structure finds the headers and tables of a file, as those parts that this package reads. Only the beginning of a long
// table counts: its records are alike.
func structure(b []byte) []region {
	w := watchedReader{bytes.NewReader(b), map[int64]int{}}
	_, _ = Inspect(w, int64(len(b)))
	for range Symbols(w, int64(len(b))) {
	}
	var all []region
	for _, off := range slices.Sorted(maps.Keys(w.starts)) {
		all = append(all, region{int(off), min(w.starts[off], 512)})
	}
	return slices.DeleteFunc(all, func(r region) bool { return r.size == 0 })
}

// editSize is the number of bytes that describe one change to a file: which region, where in it, the value, its width and order.
const editSize = 6

// mutate changes fields of a file to values at which readers go wrong.
func mutate(b []byte, regions []region, edits []byte) []byte {
	b = slices.Clone(b)
	for ; len(edits) >= editSize && len(regions) > 0; edits = edits[editSize:] {
		r := regions[int(binary.LittleEndian.Uint16(edits))%len(regions)]
		width := 1 << (edits[5] & 3)
		off := r.off + int(binary.LittleEndian.Uint16(edits[2:]))%r.size&^(width-1)
		if off+width > len(b) {
			continue
		}
		if edits[5]&8 != 0 { // a number in text, as archives have them
			copy(b[off:], []string{"9", "9999999999", "-1", "0         ", "1e9", "#1/", "/"}[int(edits[4])%7])
			continue
		}
		value := boundary(edits[4], width, len(b), off)
		for i := range width {
			at := off + i
			if edits[5]&4 != 0 {
				at = off + width - 1 - i
			}
			b[at] = byte(value >> (8 * i))
		}
	}
	return b
}

// boundary gives a value next to which something changes: of numbers of this width, or of the file.
func boundary(which byte, width, size, off int) uint64 {
	highest := ^uint64(0) >> (64 - 8*width)
	values := []uint64{
		0, 1, 2, 7, 0xff, 0x7fff, 0xffff, 0x10000, maxSections, maxEntries, highest, highest - 1, highest/2 + 1, highest / 2, highest - 63,
		uint64(size), uint64(size - 1), uint64(size + 1), uint64(size / 2), uint64(off), uint64(off + width), uint64(size - off),
	}
	return values[int(which)%len(values)]
}

// checkBounds checks what holds of any bytes: documented errors, bounded work, and that the three functions agree.
func checkBounds(t *testing.T, b []byte) {
	t.Helper()
	r := &countingReader{Reader: bytes.NewReader(b)}
	limit := newBudget(int64(len(b)))
	file, err := Inspect(r, int64(len(b)))
	checkError(t, err)
	if (file == nil) != (err != nil) {
		t.Errorf("Inspect = %v, %v", file, err)
	}
	if r.read > limit {
		t.Errorf("Inspect read %d bytes, more than %d", r.read, limit)
	}
	if file != nil {
		checkFloors(t, file)
	}
	r.read = 0
	total := int64(0)
	for symbol, symbolErr := range Symbols(r, int64(len(b))) {
		checkError(t, symbolErr)
		if errors.Is(symbolErr, ErrNotBinary) && err == nil {
			t.Errorf("Inspect found a %s where Symbols says: %v", file.Kind, symbolErr)
		}
		total += int64(len(symbol.Name))
	}
	if total = max(total, r.read); total > limit {
		t.Errorf("Symbols read or listed %d bytes, more than %d", total, limit)
	}
	executable, err := IsExecutable(r, int64(len(b)))
	if err != nil {
		t.Errorf("IsExecutable: %v", err)
	}
	if file != nil && file.Slices == nil && executable != (file.Kind == KindExecutable) {
		t.Errorf("IsExecutable = %t of what Inspect calls %q", executable, file.Kind)
	}
}

// fixtures reads the files of testdata, makes an archive of each that may be a member, and takes the section headers from a shared library.
func fixtures(t testing.TB) (all [][]byte) {
	t.Helper()
	paths, err := filepath.Glob("testdata/[a-z]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if filepath.Base(path) == "fuzz" {
			continue // what fuzzing found
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) == "elf-amd64-musl-shared" {
			stripped := slices.Clone(b)
			clear(stripped[0x28:0x30]) // e_shoff
			all = append(all, stripped)
		}
		all = append(all, b, gnuArchive(arFile{"first.o", b}, arFile{"a name of more than sixteen bytes.o", b}))
	}
	return all
}

// FuzzMutated changes fields of the headers and tables of whole files, which a fuzzer that sees only bytes hardly finds.
func FuzzMutated(f *testing.F) {
	all := fixtures(f)
	regions := make([][]region, len(all))
	for i, b := range all {
		regions[i] = structure(b)
		f.Add(uint16(i), []byte{0, 0, 16, 0, 10, 2})
	}
	f.Fuzz(func(t *testing.T, file uint16, edits []byte) {
		i := int(file) % len(all)
		checkBounds(t, mutate(all[i], regions[i], edits))
	})
}

// realFiles reads files of this machine, those of the size of small libraries: its programs, and what its compilers link with.
func realFiles(t testing.TB) (all [][]byte) {
	t.Helper()
	const most, wanted = 1 << 20, 24
	patterns := []string{
		"/usr/bin/[a-f]*", "/usr/lib/*/*.so.*", "/usr/lib/*/*.a", "/usr/lib/*/*.o", "/usr/lib/gcc/*/*/*.a", "/usr/*-w64-mingw32/lib/*",
		"/usr/lib/gcc/*-mingw32/*/*.dll", filepath.Join(os.Getenv("HOME"), ".rustup/toolchains/*/lib/rustlib/*/lib/*.rlib"),
	}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for i := range min(wanted/len(patterns), len(paths)) {
			path := paths[i*len(paths)/(wanted/len(patterns))%len(paths)]
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > most {
				continue
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b)
		}
	}
	return all
}

func TestRealFilesWithWrongFieldsStayWithinBounds(t *testing.T) {
	const rounds = 300
	random := rand.New(rand.NewPCG(1, 2))
	for _, b := range slices.Concat(fixtures(t), realFiles(t)) {
		regions := structure(b)
		for range cmp.Or(rounds*min(1, 64<<10/len(b)), rounds/10) {
			edits := make([]byte, editSize*(1+random.IntN(3)))
			for i := range edits {
				edits[i] = byte(random.Uint32())
			}
			checkBounds(t, mutate(b, regions, edits))
			if t.Failed() {
				t.Fatalf("with the edits %x of a file of %d bytes", edits, len(b))
			}
		}
	}
}
