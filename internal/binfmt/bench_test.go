package binfmt

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// repeated is an archive that is not in memory: one block of members again and again after the head.
type repeated struct {
	head, block []byte
	count       int64
}

func (r *repeated) size() int64 { return int64(len(r.head)) + r.count*int64(len(r.block)) }

func (r *repeated) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		switch {
		case at >= r.size():
			return n, io.EOF
		case at < int64(len(r.head)):
			n += copy(p[n:], r.head[at:])
		default:
			n += copy(p[n:], r.block[(at-int64(len(r.head)))%int64(len(r.block)):])
		}
	}
	return n, nil
}

// largeArchive makes an archive of about size bytes: objects each with 64 KiB behind them in place of code and debugging information.
func largeArchive(tb testing.TB, size int64) *repeated {
	object := append(fixture(tb, "elf-amd64-fat-lto"), make([]byte, 64<<10)...)
	r := &repeated{head: []byte(arMagic), block: appendMember(nil, "member.o/", object)}
	r.count = size / int64(len(r.block))
	return r
}

func TestLargeArchiveIsReadInPassingOver(t *testing.T) {
	r := largeArchive(t, 400<<20)
	var f *File
	allocated := testing.AllocsPerRun(1, func() {
		var err error
		if f, err = Inspect(r, r.size()); err != nil {
			t.Fatal(err)
		}
	})
	if int64(f.Members) != r.count {
		t.Errorf("%d members, want %d", f.Members, r.count)
	}
	if perMember := allocated / float64(r.count); perMember > 40 {
		t.Errorf("%.0f allocations a member", perMember)
	}
}

func BenchmarkInspectLargeArchive(b *testing.B) {
	r := largeArchive(b, 400<<20)
	b.SetBytes(r.size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Inspect(r, r.size()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSymbolsLargeArchive(b *testing.B) {
	r := largeArchive(b, 400<<20)
	b.SetBytes(r.size())
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range Symbols(r, r.size()) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	for _, name := range []string{"elf-amd64-musl-shared", "elf-amd64-nopic", "macho-universal-archive", "pe-gnu-dll-needing"} {
		content := fixture(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Inspect(bytes.NewReader(content), int64(len(content))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleInspect() {
	b := []byte("#!/bin/sh\n")
	_, err := Inspect(bytes.NewReader(b), int64(len(b)))
	fmt.Println(err)
	// Output: not compiled code
}
