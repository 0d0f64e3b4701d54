//go:build !linux && !darwin

// Package rawfile reads and writes regular files; here they are those of
// package os.
package rawfile

import "os"

// File is an open file.
type File struct{ *os.File }

// Open opens a file for reading.
func Open(name string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return &File{f}, nil
}

// Size gives the number of bytes in the file.
func (f *File) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
