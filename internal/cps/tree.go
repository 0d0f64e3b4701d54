package cps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maxDepth bounds how deep a document nests; the specification needs eight levels.
const maxDepth = 100

// node is a JSON value that knows where in the document it stands, which [json.Unmarshal] does not tell.
type node struct {
	kind       string // "object", "array", "string", "number", "boolean" or "null"
	text       string // of a string
	members    []member
	items      []node
	start, end int // byte offsets in the document
}

type member struct {
	name  string
	value node
}

// document is the text that nodes point into, with the name that errors give it.
type document struct {
	file string // empty in a part of a larger document, of which no name is known
	text []byte
}

// Error is a document that cannot be used.
type Error struct {
	File   string // empty when the document has no name
	Line   int    // 1 is the first; 0 when unknown
	Reason string
}

func (e *Error) Error() string {
	where := e.File
	if where == "" {
		where = "CPS document"
	}
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, e.Line)
	}
	return fmt.Sprintf("read %s: %s", where, e.Reason)
}

func (d *document) errorAt(offset int, format string, args ...any) error {
	return &Error{File: d.file, Line: d.line(offset), Reason: fmt.Sprintf(format, args...)}
}

func (d *document) line(offset int) int {
	return 1 + bytes.Count(d.text[:min(offset, len(d.text))], []byte{'\n'})
}

// parse reads the whole text as one JSON value. It is checked first, so that the scanner can be simple.
func (d *document) parse() (node, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(d.text, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at := int(syntax.Offset)
			if at < len(d.text) {
				at-- // the offset is that of the next byte
			}
			return node{}, d.errorAt(at, "not JSON: %s", syntax.Error())
		}
		return node{}, d.errorAt(0, "not JSON: %v", err)
	}
	s := scanner{document: d}
	return s.value(0)
}

// scanner walks through text that is known to be JSON.
type scanner struct {
	*document
	pos int
}

// next moves to the next byte that is neither blank nor a separator, and gives it.
func (s *scanner) next() byte {
	for {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\r', '\n', ':', ',':
			s.pos++
		default:
			return c
		}
	}
}

func (s *scanner) value(depth int) (node, error) {
	c := s.next()
	n := node{start: s.pos}
	if depth > maxDepth {
		return n, s.errorAt(n.start, "values nest more than %d deep", maxDepth)
	}
	var err error
	switch c {
	case '{':
		n.kind = "object"
		n.members, err = s.object(depth)
	case '[':
		n.kind = "array"
		n.items, err = s.array(depth)
	case '"':
		n.kind = "string"
		n.text, err = s.str()
	case 't', 'f':
		n.kind = "boolean"
		s.word()
	case 'n':
		n.kind = "null"
		s.word()
	default:
		n.kind = "number"
		s.word()
	}
	n.end = s.pos
	return n, err
}

// word moves to the end of a number or a name.
func (s *scanner) word() {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n,]}", s.text[s.pos]) < 0 {
		s.pos++
	}
}

func (s *scanner) str() (string, error) {
	start := s.pos
	plain := true
	for s.pos++; s.text[s.pos] != '"'; s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '\\':
			plain = false
			s.pos++
		case c >= 0x80:
			plain = false // it may be no UTF-8
		}
	}
	s.pos++
	if plain {
		return string(s.text[start+1 : s.pos-1]), nil
	}
	var text string
	err := json.Unmarshal(s.text[start:s.pos], &text)
	return text, err
}

func (s *scanner) object(depth int) ([]member, error) {
	var members []member
	seen := map[string]bool{}
	for s.pos++; s.next() != '}'; {
		start := s.pos
		name, err := s.str()
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, s.errorAt(start, "%q stands twice in one object", name)
		}
		seen[name] = true
		value, err := s.value(depth + 1)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
	}
	s.pos++
	return members, nil
}

func (s *scanner) array(depth int) ([]node, error) {
	var items []node
	for s.pos++; s.next() != ']'; {
		value, err := s.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, value)
	}
	s.pos++
	return items, nil
}
