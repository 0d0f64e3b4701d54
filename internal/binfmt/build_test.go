package binfmt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// fixture reads a file of testdata.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inspect inspects bytes that must be understood.
func inspect(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := Inspect(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// newReader gives the arguments of Inspect for bytes.
func newReader(b []byte) (io.ReaderAt, int64) {
	return bytes.NewReader(b), int64(len(b))
}

// listSymbols lists the symbols of bytes that must be understood, "U " before the undefined ones.
func listSymbols(t testing.TB, b []byte) []string {
	t.Helper()
	var names []string
	for s, err := range Symbols(bytes.NewReader(b), int64(len(b))) {
		if err != nil {
			t.Fatal(err)
		}
		name := s.Name
		if !s.Defined {
			name = "U " + name
		}
		names = append(names, name)
	}
	return names
}

// arFile is a member to be archived.
type arFile struct {
	name string
	data []byte
}

func arHeader(name string, size int) string {
	return fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "644", size)
}

// gnuArchive makes an archive with a table of long names, where it needs one.
func gnuArchive(files ...arFile) []byte {
	var long bytes.Buffer
	fields := make([]string, len(files))
	for i, f := range files {
		fields[i] = f.name + "/"
		if len(fields[i]) > 16 {
			fields[i] = fmt.Sprintf("/%d", long.Len())
			long.WriteString(f.name + "/\n")
		}
	}
	b := []byte(arMagic + arHeader("/", 4) + "\x00\x00\x00\x00")
	if long.Len() > 0 {
		b = appendMember(b, "//", long.Bytes())
	}
	for i, f := range files {
		b = appendMember(b, fields[i], f.data)
	}
	return b
}

// bsdArchive makes an archive whose long names stand before the data.
func bsdArchive(files ...arFile) []byte {
	b := appendMember([]byte(arMagic), "#1/12", []byte("__.SYMDEF\x00\x00\x00\x00\x00\x00\x00"))
	for _, f := range files {
		name := f.name + "\x00\x00"
		b = appendMember(b, fmt.Sprintf("#1/%d", len(name)), append([]byte(name), f.data...))
	}
	return b
}

// coffArchive makes an archive with two indexes and names that end with a NUL.
func coffArchive(files ...arFile) []byte {
	b := appendMember([]byte(arMagic), "/", []byte{0, 0, 0, 0})
	b = appendMember(b, "/", []byte{0, 0, 0, 0, 0, 0, 0, 0})
	var long bytes.Buffer
	for _, f := range files {
		long.WriteString(f.name + "\x00")
	}
	b = appendMember(b, "//", long.Bytes())
	at := 0
	for _, f := range files {
		b = appendMember(b, fmt.Sprintf("/%d", at), f.data)
		at += len(f.name) + 1
	}
	return appendMember(b, "/<ECSYMBOLS>/", []byte{0, 0, 0, 0})
}

func appendMember(b []byte, field string, data []byte) []byte {
	b = append(b, arHeader(field, len(data))...)
	b = append(b, data...)
	if len(data)%2 == 1 {
		b = append(b, '\n')
	}
	return b
}

// shortImportObject makes a member of an import library in the short form.
func shortImportObject(symbol, dll string) []byte {
	data := symbol + "\x00" + dll + "\x00"
	b := []byte{0, 0, 0xff, 0xff, 0, 0, 0x64, 0x86, 0, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(append(b, 0, 0, 4, 0), data...)
}
