package binfmt

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// arHeaderSize is the size of the text that stands before each member: name 16, time 12, owner 6, group 6, mode 8, size 10 bytes and "`\n".
// See https://man.freebsd.org/cgi/man.cgi?query=ar&sektion=5.
const arHeaderSize = 60

// member is one file of an archive.
type member struct {
	name    string
	s       *source // nil in a thin archive
	special bool    // it is the archive's own, such as its index
}

// content tells what a member holds.
func (m *member) content() (content, error) {
	if m.s.size == 0 {
		return contentOther, nil
	}
	head, err := m.s.head()
	if err != nil {
		return contentOther, fmt.Errorf("read archive member %q: %w", m.name, err)
	}
	c := identify(head)
	switch c {
	case contentArchive, contentThin, contentFat: // linkers take none of these as members
		c = contentOther
	}
	return c, nil
}

// eachMember calls visit for the members of an archive in order, without its own indexes and tables.
func eachMember(s *source, visit func(m *member) error) error {
	head, err := s.bytes(0, int64(len(arMagic)), int64(len(arMagic)))
	if err != nil {
		return err
	}
	a := &arReader{s: s, thin: string(head) == thinMagic}
	for off := int64(len(arMagic)); off < s.size; {
		m, next, err := a.member(off)
		if err != nil {
			return fmt.Errorf("read archive member at offset %d: %w", off, err)
		}
		if m != nil && !m.special {
			if err := visit(m); err != nil {
				return err
			}
		}
		off = next
	}
	return nil
}

// arReader reads the headers of an archive.
type arReader struct {
	s         *source
	thin      bool
	longNames *nameTable // of GNU and COFF archives
	names     []byte     // theirs
	header    [arHeaderSize]byte
}

// member reads the header at off. The member is nil where there is only padding.
func (a *arReader) member(off int64) (m *member, next int64, err error) {
	if a.s.size-off == 1 { // padding after the last member
		return nil, a.s.size, nil
	}
	if err := a.s.readAt(a.header[:], off); err != nil {
		return nil, 0, err
	}
	if string(a.header[58:]) != "`\n" {
		return nil, 0, malformed("an archive header does not end as it must")
	}
	off += arHeaderSize
	size, err := arNumber(a.header[48:58])
	if err != nil {
		return nil, 0, err
	}
	field := strings.TrimRight(string(a.header[:16]), " ")
	special := isArSpecial(field)
	if a.thin && !special {
		name, err := a.name(field)
		return &member{name: name}, off, err
	}
	data, err := a.s.sub(off, size)
	if err != nil {
		return nil, 0, err
	}
	next = off + size + size&1
	if field == "//" {
		a.longNames = &nameTable{s: data}
		if err := a.longNames.load(&a.names); err != nil {
			return nil, 0, err
		}
	}
	m = &member{s: data}
	if special {
		m.name, m.special = field, true
		return m, next, nil
	}
	if length, ok := strings.CutPrefix(field, "#1/"); ok {
		m, err = bsdMember(data, length)
	} else {
		m.name, err = a.name(field)
	}
	if err != nil {
		return nil, next, err
	}
	m.special = strings.HasPrefix(m.name, "__.SYMDEF")
	return m, next, nil
}

// isArSpecial says whether a name field, trimmed, marks a member that belongs to the archive: an index ("/", "/SYM64/", BSD's), the
// table of long names, or Microsoft's for other purposes ("/<ECSYMBOLS>/").
func isArSpecial(field string) bool {
	switch field {
	case "/", "//", "/SYM64/", "__.SYMDEF", "__.SYMDEF SORTED":
		return true
	}
	return strings.HasPrefix(field, "/<") && strings.HasSuffix(field, ">/")
}

// arNumber reads a decimal field that blanks fill up.
func arNumber(field []byte) (int64, error) {
	text := string(bytes.TrimRight(field, " "))
	n, err := strconv.ParseUint(text, 10, 62)
	if err != nil {
		return 0, malformed("%q is no size of an archive member", text)
	}
	return int64(n), nil
}

// name gives a member's name from its field: "name/" (GNU, COFF), "name" (BSD), or "/123", an offset among the long names.
func (a *arReader) name(field string) (string, error) {
	offset, ok := strings.CutPrefix(field, "/")
	if !ok {
		return strings.TrimSuffix(field, "/"), nil
	}
	// A thin archive of thin archives adds ":" and the position in the inner one.
	offset, _, _ = strings.Cut(offset, ":")
	off, err := arNumber([]byte(offset))
	if err != nil {
		return "", err
	}
	if a.longNames == nil {
		return "", malformed("a member has a long name and the archive no table of these")
	}
	// COFF ends a name with NUL, GNU with "/\n" and pads the table with a bare newline.
	line, err := a.longNames.prefix(off, maxName)
	if err != nil {
		return "", err
	}
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	return strings.TrimSuffix(string(line), "/"), nil
}

// bsdMember takes the name off the front of a member's data.
func bsdMember(data *source, length string) (*member, error) {
	n, err := arNumber([]byte(length))
	if err != nil {
		return nil, err
	}
	name, err := data.bytes(0, n, maxName)
	if err != nil {
		return nil, err
	}
	rest, err := data.sub(n, data.size-n)
	if err != nil {
		return nil, err
	}
	return &member{name: string(bytes.TrimRight(name, "\x00")), s: rest}, nil
}
