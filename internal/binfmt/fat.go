package binfmt

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// maxSlices is the number of architectures up to which a file is taken for a fat one. Files with more than five are unheard of.
const maxSlices = 16

const fatMagic64 = 0xcafebabf // slices of 4 GiB and more

// fatSlice is one part of a universal file, a Mach-O file or an archive of these.
type fatSlice struct {
	s            *source
	architecture string
}

// fatSlices reads the header of a universal file. See EXTERNAL_HEADERS/mach-o/fat.h; it is big-endian.
func fatSlices(s *source) ([]fatSlice, error) {
	header, err := s.bytes(0, 8, 8)
	if err != nil {
		return nil, err
	}
	count := binary.BigEndian.Uint32(header[4:])
	if count == 0 || count > maxSlices {
		return nil, malformed("a universal file of %d slices", count)
	}
	wide := binary.BigEndian.Uint32(header) == fatMagic64
	width := 20
	if wide {
		width = 32
	}
	var found []fatSlice
	var buf []byte
	err = s.records(8, int64(count), width, &buf, func(b []byte) error {
		off, size := uint64(binary.BigEndian.Uint32(b[8:])), uint64(binary.BigEndian.Uint32(b[12:]))
		if wide {
			off, size = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
		}
		sub, err := s.sub(int64(off), int64(size))
		if err != nil {
			return err
		}
		architecture, _ := machoArchitecture(binary.BigEndian.Uint32(b))
		found = append(found, fatSlice{sub, architecture})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read slices of universal file: %w", err)
	}
	return found, nil
}

// fat inspects a universal file slice by slice. What all slices agree on is said of the file as well.
func (in *inspector) fat(s *source) (*File, error) {
	parts, err := fatSlices(s)
	if err != nil {
		return nil, err
	}
	f := &File{}
	for i, part := range parts {
		head, err := part.s.head()
		if err != nil {
			return nil, err
		}
		c := identify(head)
		if c != contentMachO && c != contentArchive && c != contentBitcode {
			return nil, fmt.Errorf("%w: slice %d of a universal file holds none", ErrNotBinary, i)
		}
		slice, err := in.thin(part.s, c)
		if err != nil {
			return nil, fmt.Errorf("read slice %d (%s) of universal file: %w", i, part.architecture, err)
		}
		if slice.Platform.Architecture == "" && slice.Conflict == nil {
			slice.Platform.Architecture = part.architecture // bitcode does not say
		}
		f.Slices = append(f.Slices, slice)
	}
	first := f.Slices[0]
	f.Format, f.Kind, f.Soname, f.CXXRuntime = first.Format, first.Kind, first.Soname, first.CXXRuntime
	f.Needed = first.Needed
	for _, slice := range f.Slices {
		f.agree(slice)
	}
	return f, nil
}

// agree clears what a slice of the file does not share, and takes over what holds of the file if it holds of one slice.
func (f *File) agree(slice *File) {
	f.Format = common(f.Format, slice.Format)
	f.Kind = common(f.Kind, slice.Kind)
	f.Soname = common(f.Soname, slice.Soname)
	f.CXXRuntime = common(f.CXXRuntime, slice.CXXRuntime)
	if !slices.Equal(f.Needed, slice.Needed) {
		f.Needed = nil
	}
	f.CXX = f.CXX || slice.CXX
	f.SlimLTO = f.SlimLTO || slice.SlimLTO
	if f.Conflict == nil {
		f.Conflict = slice.Conflict
	}
}

// common gives a where both are the same, else the zero value, which says that it is unknown.
func common[T comparable](a, b T) T {
	if a == b {
		return a
	}
	var unknown T
	return unknown
}
