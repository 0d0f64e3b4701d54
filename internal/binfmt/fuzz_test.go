package binfmt

import (
	"bytes"
	"errors"
	"testing"
)

// countingReader counts the bytes that are read.
type countingReader struct {
	*bytes.Reader
	read int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	c.read += int64(n)
	return n, err
}

// FuzzInspect checks on any bytes that nothing panics, that work is bounded, that errors are those documented, and that the three functions
// agree on what is a binary.
func FuzzInspect(f *testing.F) {
	for _, b := range fixtures(f) {
		f.Add(b)
	}
	f.Add([]byte(thinMagic))
	f.Add([]byte("#!/bin/sh\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkBounds(t, b)
	})
}

// checkFloors checks that only objects and archives of ELF for Linux have floors, that none is above the glibc asked about, and
// that what links on no older one needs no older one.
func checkFloors(t *testing.T, f *File) {
	t.Helper()
	linkable, linked := f.LinkableOn("", nil), f.LinkedFloor("2.999")
	if compareVersions(linked, linkable) < 0 {
		t.Errorf("linkable on %q, but needs %q", linkable, linked)
	}
	relocatable := f.Kind == KindObject || f.Kind == KindArchive
	if linked != "" && (!relocatable || f.Format != FormatELF || f.Platform.OS != "linux") {
		t.Errorf("%s %s for %s needs glibc %q", f.Format, f.Kind, f.Platform, linked)
	}
	for _, glibc := range []string{"2.17", "2.36"} {
		if on, with := f.LinkableOn(glibc, nil), f.LinkedFloor(glibc); compareVersions(on, glibc) > 0 || compareVersions(with, glibc) > 0 {
			t.Errorf("on %s: linkable on %q, needs %q", glibc, on, with)
		}
	}
}

// checkError accepts the errors that a reader without faults may cause.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrNotBinary) && !errors.Is(err, ErrMalformed) {
		t.Errorf("undocumented error: %v", err)
	}
}
