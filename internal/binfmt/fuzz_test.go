package binfmt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
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
	paths, err := filepath.Glob("testdata/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the corpus of failures, a directory
		}
		f.Add(b)
		f.Add(gnuArchive(arFile{"first.o", b}, arFile{"a name of more than sixteen bytes.o", b}))
	}
	f.Add([]byte(thinMagic))
	f.Add([]byte("#!/bin/sh\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &countingReader{Reader: bytes.NewReader(b)}
		file, err := Inspect(r, int64(len(b)))
		checkError(t, err)
		if (file == nil) != (err != nil) {
			t.Errorf("Inspect = %v, %v", file, err)
		}
		if limit := newBudget(int64(len(b))); r.read > limit {
			t.Errorf("Inspect read %d bytes, more than %d", r.read, limit)
		}
		total := 0
		for symbol, symbolErr := range Symbols(r, int64(len(b))) {
			checkError(t, symbolErr)
			if symbolErr != nil && errors.Is(symbolErr, ErrNotBinary) && err == nil {
				t.Errorf("Inspect found a %s where Symbols says: %v", file.Kind, symbolErr)
			}
			total += len(symbol.Name)
		}
		if limit := newBudget(int64(len(b))); int64(total) > limit {
			t.Errorf("Symbols listed names of %d bytes, more than %d", total, limit)
		}
		if _, err := IsExecutable(r, int64(len(b))); err != nil {
			t.Errorf("IsExecutable: %v", err)
		}
	})
}

// checkError accepts the errors that a reader without faults may cause.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrNotBinary) && !errors.Is(err, ErrMalformed) {
		t.Errorf("undocumented error: %v", err)
	}
}
