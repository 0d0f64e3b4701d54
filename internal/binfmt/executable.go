package binfmt

import (
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"io"
)

// IsExecutable says whether a file is one that is run: a script, which begins with "#!", or a linked program of any format, not
// necessarily one for this machine. Shared libraries are not, and what cannot be understood is not: the only errors are those of r.
//
// It is for systems whose files have no mode to tell that, and reads a few kilobytes at most.
func IsExecutable(r io.ReaderAt, size int64) (bool, error) {
	in := newInspector(size)
	s := &source{r: r, size: max(size, 0), budget: &in.budget}
	head, err := s.head()
	if err != nil {
		return false, err
	}
	if len(head) >= 2 && string(head[:2]) == "#!" {
		return true, nil
	}
	kind, err := in.kind(s, identify(head))
	if errors.Is(err, ErrMalformed) || errors.Is(err, ErrNotBinary) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read program headers: %w", err)
	}
	return kind == KindExecutable, nil
}

// kind tells programs and shared libraries from headers alone; for all else it is empty.
func (in *inspector) kind(s *source, c content) (Kind, error) {
	switch c {
	case contentELF:
		e, err := in.readELF(s)
		if err != nil || e.typ != elf.ET_EXEC && e.typ != elf.ET_DYN || e.isDebugOnly() {
			return "", err
		}
		d, err := e.dynamic()
		if err != nil {
			return "", err
		}
		return e.linkedKind(d), nil
	case contentMachO:
		m, err := readMachO(s)
		if err == nil && m.typ == uint32(macho.TypeExec) {
			return KindExecutable, nil
		}
		return "", err
	case contentImage:
		p, err := readImage(s)
		if err != nil {
			return "", err
		}
		return p.kind(), nil
	case contentFat:
		slices, err := fatSlices(s)
		if err != nil {
			return "", err
		}
		head, err := slices[0].s.head()
		if err != nil || identify(head) == contentFat {
			return "", err
		}
		return in.kind(slices[0].s, identify(head))
	}
	return "", nil
}
