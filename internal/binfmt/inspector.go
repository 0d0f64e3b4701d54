package binfmt

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// inspector holds what the parsers of one file share: the budget and the buffers that an archive's members reuse.
type inspector struct {
	budget   int64
	evidence evidence
	nonPIC   bool // proven, no need to look further
	pieOnly  bool
	direct   map[string]bool // undefined symbols that code takes for those of its own program
	records  []byte
	sections []elfSection
	names    []byte
	bits     []byte
}

func newInspector(size int64) *inspector {
	return &inspector{budget: newBudget(size)}
}

// content is what the first bytes of a file announce.
type content int

const (
	contentOther content = iota
	contentELF
	contentMachO
	contentFat
	contentImage   // an MZ executable, which may be a PE image
	contentCOFF    // an object with a plain header
	contentAnon    // a COFF object with a header of its own: import, bigobj, compiler-specific
	contentBitcode // LLVM
	contentArchive
	contentThin
)

// headSize is the number of bytes that identify looks at.
const headSize = 20

const (
	arMagic   = "!<arch>\n"
	thinMagic = "!<thin>\n"

	bitcodeMagic        = "BC\xC0\xDE"
	bitcodeWrapperMagic = "\xDE\xC0\x17\x0B"
)

// identify tells the content from the head of a file, which is shorter than headSize when the file is.
func identify(head []byte) content {
	starts := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case starts("\x7fELF"):
		return contentELF
	case starts(arMagic):
		return contentArchive
	case starts(thinMagic):
		return contentThin
	case starts("\xFE\xED\xFA\xCE"), starts("\xFE\xED\xFA\xCF"), starts("\xCE\xFA\xED\xFE"), starts("\xCF\xFA\xED\xFE"):
		return contentMachO
	case starts("\xCA\xFE\xBA\xBE"), starts("\xCA\xFE\xBA\xBF"):
		// A Java class begins alike; where a fat file counts its slices, it has its version, 45 or more.
		if len(head) >= 8 && binary.BigEndian.Uint32(head[4:]) <= maxSlices {
			return contentFat
		}
	case starts("MZ"):
		return contentImage
	case starts(bitcodeMagic), starts(bitcodeWrapperMagic):
		return contentBitcode
	case starts("\x00\x00\xFF\xFF"):
		return contentAnon
	case looksLikeCOFF(head):
		return contentCOFF
	}
	return contentOther
}

// head reads the first bytes of s.
func (s *source) head() ([]byte, error) {
	head := make([]byte, min(headSize, s.size))
	return head, s.readAt(head, 0)
}

// file inspects a whole file.
func (in *inspector) file(s *source) (*File, error) {
	if s.size <= 0 {
		return nil, fmt.Errorf("%w: the file is empty", ErrNotBinary)
	}
	head, err := s.head()
	if err != nil {
		return nil, err
	}
	switch c := identify(head); c {
	case contentFat:
		return in.fat(s)
	default:
		return in.thin(s, c)
	}
}

// thin inspects what is not a fat file: a file of its own or a slice of one.
func (in *inspector) thin(s *source, c content) (*File, error) {
	in.evidence, in.nonPIC, in.pieOnly, in.direct = evidence{}, false, false, nil
	switch c {
	case contentArchive:
		return in.archive(s)
	case contentThin:
		return in.thinArchive(s)
	}
	f, err := in.object(s, c)
	if err != nil {
		return nil, err
	}
	in.conclude(f)
	return f, nil
}

// object inspects what may be a member of an archive. The evidence of its symbols is left in the inspector.
func (in *inspector) object(s *source, c content) (*File, error) {
	switch c {
	case contentELF:
		return in.elf(s)
	case contentMachO:
		return in.macho(s)
	case contentImage:
		return in.image(s)
	case contentCOFF:
		return in.coff(s)
	case contentAnon:
		return in.anonymous(s)
	case contentBitcode:
		return in.bitcode(s)
	}
	return nil, ErrNotBinary
}

// conclude adds to f what the symbols of all its objects prove together.
func (in *inspector) conclude(f *File) {
	switch f.Kind {
	case KindObject, KindArchive:
		in.evidence.conclude(f)
		f.NonPIC, f.PIEOnly = in.nonPIC, in.pieOnly || len(in.direct) > 0
	case KindImportLibrary:
		f.Env = in.evidence.env()
	}
}

// bitcode inspects LLVM bitcode. Only the wrapper that Apple's tools put around it names an architecture in its header.
// See https://llvm.org/docs/BitCodeFormat.html#bitcode-wrapper-format.
func (in *inspector) bitcode(s *source) (*File, error) {
	f := &File{Format: FormatBitcode, Kind: KindObject, SlimLTO: true}
	head, err := s.head()
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(head, []byte(bitcodeWrapperMagic)) && len(head) == headSize {
		architecture, bits := machoArchitecture(binary.LittleEndian.Uint32(head[16:]))
		if architecture != "" { // of arm64, LLVM writes none
			f.Platform.Architecture, f.Bits = architecture, bits
		}
	}
	return f, nil
}
