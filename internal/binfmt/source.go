package binfmt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The bounds. Each is far above what compilers and linkers make.
const (
	chunkSize    = 64 << 10 // bytes read at a time of tables of records
	loadSize     = 8 << 20  // bytes up to which a table of names is held in memory
	maxSections  = 1 << 18  // of an ELF file; 16 bits' worth but for -ffunction-sections
	maxEntries   = 1 << 16  // dynamic entries, versions, load commands, import descriptors
	maxCommands  = 1 << 20  // bytes of Mach-O load commands
	maxNote      = 64 << 10 // bytes of a note or an attributes section
	maxName      = 1 << 10  // bytes of a library's name or a version
	maxPath      = 16 << 10 // bytes of a list of paths
	maxNeeded    = 1 << 10  // libraries
	maxPaths     = 4        // lists of paths
	maxSymbol    = 1 << 20  // bytes of a symbol's name
	symbolPrefix = 1 << 10  // bytes of a symbol's name that Inspect looks at
)

// source is a range of bytes that is read within bounds. All sources of one inspection share a budget.
type source struct {
	r      io.ReaderAt
	base   int64
	size   int64
	budget *int64
}

// newBudget gives the number of bytes that may be looked at in a file of this size: each byte belongs to one table, or two
// where linkers share them, and names share tails; what goes far beyond that repeats itself to waste time.
func newBudget(size int64) int64 {
	return 8*min(max(size, 0), 1<<56) + 4<<20
}

// malformed makes an error that wraps ErrMalformed.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// charge takes n bytes of work from the budget.
func (s *source) charge(n int) error {
	*s.budget -= int64(n)
	if *s.budget < 0 {
		return malformed("its tables overlap so often that reading them exceeds the bound of 8 times its size")
	}
	return nil
}

// readAt fills p from offset off.
func (s *source) readAt(p []byte, off int64) error {
	if off < 0 || off > s.size || int64(len(p)) > s.size-off {
		return malformed("it asks for %d bytes at offset %d and has %d", len(p), off, s.size)
	}
	if err := s.charge(len(p)); err != nil {
		return err
	}
	n, err := s.r.ReadAt(p, s.base+off)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("file ends before its size of %d bytes: %w", s.size, io.ErrUnexpectedEOF)
	}
	return err
}

// bytes reads n bytes at off, at most limit.
func (s *source) bytes(off, n, limit int64) ([]byte, error) {
	if n < 0 || n > limit {
		return nil, malformed("a table of %d bytes at offset %d exceeds the bound of %d", n, off, limit)
	}
	if off < 0 || off > s.size || n > s.size-off {
		return nil, malformed("it asks for %d bytes at offset %d and has %d", n, off, s.size)
	}
	p := make([]byte, n)
	return p, s.readAt(p, off)
}

// sub gives the n bytes at off as a source of their own.
func (s *source) sub(off, n int64) (*source, error) {
	if off < 0 || n < 0 || off > s.size || n > s.size-off {
		return nil, malformed("it asks for %d bytes at offset %d and has %d", n, off, s.size)
	}
	return &source{r: s.r, base: s.base + off, size: n, budget: s.budget}, nil
}

// records calls visit for each of count records of width bytes at off. The slice is valid during the call.
func (s *source) records(off, count int64, width int, buf *[]byte, visit func(rec []byte) error) error {
	if count < 0 || off < 0 || off > s.size || count > (s.size-off)/int64(width) {
		return malformed("it asks for %d records of %d bytes at offset %d and has %d bytes", count, width, off, s.size)
	}
	perChunk := int64(chunkSize / width)
	if need := int(min(count, perChunk)) * width; len(*buf) < need {
		*buf = make([]byte, max(need, min(2*len(*buf), chunkSize)))
	}
	for count > 0 {
		n := min(count, perChunk)
		chunk := (*buf)[:n*int64(width)]
		if err := s.readAt(chunk, off); err != nil {
			return err
		}
		off += int64(len(chunk))
		count -= n
		for len(chunk) > 0 {
			if err := visit(chunk[:width]); err != nil {
				return err
			}
			chunk = chunk[width:]
		}
	}
	return nil
}

// nameTable is a table of strings that end with a NUL.
type nameTable struct {
	s     *source
	whole []byte // the table, when load was called and it is small
	buf   []byte // of the last name, when it was not
}

// load reads a small table into buf, for many look-ups. A large one stays on disk.
func (t *nameTable) load(buf *[]byte) error {
	if t.s.size > loadSize {
		return nil
	}
	if int64(cap(*buf)) < t.s.size {
		*buf = make([]byte, t.s.size, max(t.s.size, min(2*int64(cap(*buf)), loadSize)))
	}
	t.whole = (*buf)[:t.s.size]
	return t.s.readAt(t.whole, 0)
}

// prefix gives the string at off, cut off after limit bytes. It is valid until the next call.
func (t *nameTable) prefix(off int64, limit int) ([]byte, error) {
	if off < 0 || off >= t.s.size {
		return nil, malformed("it has a name at offset %d of a table of %d bytes", off, t.s.size)
	}
	if t.whole == nil {
		return t.prefixOnDisk(off, limit)
	}
	rest := t.whole[off:min(t.s.size, off+int64(limit))]
	if end := bytes.IndexByte(rest, 0); end >= 0 {
		rest = rest[:end]
	}
	return rest, t.s.charge(len(rest))
}

// prefixOnDisk reads a name piece by piece: the names of a table of hundreds of MiB are not worth keeping.
func (t *nameTable) prefixOnDisk(off int64, limit int) ([]byte, error) {
	t.buf = t.buf[:0]
	for step := 128; len(t.buf) < limit; step *= 2 {
		at := off + int64(len(t.buf))
		n := int(min(int64(step), int64(limit-len(t.buf)), t.s.size-at))
		if n <= 0 {
			break
		}
		start := len(t.buf)
		t.buf = append(t.buf, make([]byte, n)...)
		if err := t.s.readAt(t.buf[start:], at); err != nil {
			return nil, err
		}
		if end := bytes.IndexByte(t.buf[start:], 0); end >= 0 {
			return t.buf[:start+end], nil
		}
	}
	return t.buf, nil
}

// name gives the whole string at off, at most limit bytes.
func (t *nameTable) name(off int64, limit int) (string, error) {
	b, err := t.prefix(off, limit+1)
	if err != nil {
		return "", err
	}
	if len(b) > limit {
		return "", malformed("a name at offset %d exceeds the bound of %d bytes", off, limit)
	}
	return string(b), nil
}
