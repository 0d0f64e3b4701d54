package binfmt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// note makes one ELF note with the alignment of 4.
func note(owner string, typ uint32, desc []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(owner)+1))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, typ)
	b = append(b, owner+"\x00"...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return append(b, desc...)
}

func TestNotesTellTheSystem(t *testing.T) {
	for want, b := range map[string][]byte{
		"linux":     note("GNU", 1, []byte{0, 0, 0, 0, 3, 0, 0, 0}),
		"hurd":      note("GNU", 1, []byte{1, 0, 0, 0}),
		"freebsd":   note("FreeBSD", 1, []byte{0, 0, 0, 0}),
		"netbsd":    note("NetBSD", 1, []byte{0, 0, 0, 0}),
		"openbsd":   note("OpenBSD", 1, []byte{0, 0, 0, 0}),
		"dragonfly": note("DragonFly", 1, []byte{0, 0, 0, 0}),
		"android":   note("Android", 1, []byte{21, 0, 0, 0}),
		"":          note("Go", 4, []byte("build")),
	} {
		e := &elfFile{order: binary.LittleEndian, wide: true}
		f := &File{}
		e.noteList(append(note("GNU", 3, []byte("build id")), b...), 4, f)
		if f.Platform.OS != want {
			t.Errorf("system %q, want %q", f.Platform.OS, want)
		}
	}
}

func TestMicrosoftsLinkerIsToldByItsListOfTools(t *testing.T) {
	key := []byte{0x11, 0x22, 0x33, 0x44}
	list := []byte{'D' ^ 0x11, 'a' ^ 0x22, 'n' ^ 0x33, 'S' ^ 0x44, 1, 2, 3, 4}
	marked := slices.Concat([]byte("This program"), list, []byte("Rich"), key)
	if !hasRichHeader(marked) {
		t.Error("the list was not found")
	}
	for name, stub := range map[string][]byte{
		"none":     []byte("This program cannot be run in DOS mode"),
		"the word": []byte("Rich people's program"),
		"cut":      marked[:len(marked)-1],
		"no start": marked[16:],
	} {
		if hasRichHeader(stub) {
			t.Errorf("%s: a list was found", name)
		}
	}
}

func TestImageStrippedToDebuggingInformationHasNoKind(t *testing.T) {
	b := append([]byte(nil), fixture(t, "pe-gnu-dll")...)
	p, err := readImage(&source{r: bytes.NewReader(b), size: int64(len(b)), budget: new(int64(1 << 20))})
	if err != nil {
		t.Fatal(err)
	}
	header := 0x80 + 4 + coffHeaderSize // of the optional header
	binary.LittleEndian.PutUint32(b[header+16:], p.sections[0].address)
	if got := inspect(t, b).Kind; got != KindShared {
		t.Fatalf("%q, want a shared library before its code is stripped", got)
	}
	sections := header + int(binary.LittleEndian.Uint16(b[0x80+4+16:]))
	binary.LittleEndian.PutUint32(b[sections+16:], 0)
	if got := inspect(t, b).Kind; got != "" {
		t.Errorf("%q, want no kind", got)
	}
}

func TestAuxiliaryRecordsOfCOFFAreNoSymbols(t *testing.T) {
	b := make([]byte, coffHeaderSize+sectionSize)
	le := binary.LittleEndian
	le.PutUint16(b, 0x8664)
	le.PutUint16(b[2:], 1)
	le.PutUint32(b[8:], uint32(len(b)))
	le.PutUint32(b[12:], 3)
	record := func(name string, section, class, auxiliary byte) {
		b = append(b, slices.Concat([]byte(name), make([]byte, 12-len(name)), []byte{section, 0, 0, 0, class, auxiliary})...)
	}
	record("first", 1, classExternal, 1)
	record("aux", 1, classExternal, 0)
	record("second", 0, classExternal, 0)
	b = append(b, 4, 0, 0, 0)
	if got, want := listSymbols(t, b), []string{"first", "U second"}; !slices.Equal(got, want) {
		t.Errorf("symbols %q, want %q", got, want)
	}
}

func TestWeakSymbolsOfCOFFWithADefaultAreDefined(t *testing.T) {
	b := make([]byte, coffHeaderSize+sectionSize)
	le := binary.LittleEndian
	le.PutUint16(b, 0x8664)
	le.PutUint16(b[2:], 1)
	le.PutUint32(b[8:], uint32(len(b)))
	le.PutUint32(b[12:], 6)
	record := func(name string, section uint16, class, auxiliary byte) {
		b = append(b, slices.Concat([]byte(name), make([]byte, 12-len(name)), []byte{byte(section), byte(section >> 8), 0, 0, class, auxiliary})...)
	}
	const absolute = 0xffff
	record("mine", 0, classWeakExternal, 1)
	record("\x04\x00", 0, 0, 0) // an auxiliary record begins with the index of the default
	record("may", 0, classWeakExternal, 1)
	record("\x05\x00", 0, 0, 0)
	record(".mine", 1, classExternal, 0)
	record(".may", absolute, classExternal, 0)
	b = append(b, 4, 0, 0, 0)
	if got, want := listSymbols(t, b), []string{"mine", "U may", ".mine", ".may"}; !slices.Equal(got, want) {
		t.Errorf("symbols %q, want %q", got, want)
	}
	for _, outside := range []byte{6, 0xff} {
		bad := slices.Clone(b)
		bad[coffHeaderSize+sectionSize+symbolSize] = outside
		if _, err := Inspect(newReader(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("a default that is symbol %d of 6: %v, want ErrMalformed", outside, err)
		}
	}
}
