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

// checkError accepts the errors that a reader without faults may cause.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrNotBinary) && !errors.Is(err, ErrMalformed) {
		t.Errorf("undocumented error: %v", err)
	}
}
