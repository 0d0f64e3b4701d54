// Package pkgconf reads pkg-config's .pc files, evaluates them, moves them to another prefix whatever the machine they
// were made on wrote, and converts them to components of a [cps.Package].
//
// It behaves as pkgconf 1.8 does, with two exceptions: a field whose quotes or variables do not close is an error here and a
// warning there, and what a .pc file says is never changed by the environment.
// The format is described in pc(5): https://manpages.debian.org/bookworm/pkgconf/pc.5.en.html.
package pkgconf

import (
	"bytes"
	"fmt"
	"strings"
)

// MaxSize is the size in bytes above which [Parse] refuses a file.
const MaxSize = 1 << 20

// File is a parsed .pc file, before its variables are substituted.
type File struct {
	Path       string // names the file in errors
	statements []statement
}

// statement is one line that defines a variable (NAME=VALUE) or a field (NAME: VALUE).
type statement struct {
	line  int // of its beginning; 1 is the first
	name  string
	field bool
	value string
}

// Error is a .pc file that cannot be used.
type Error struct {
	File   string
	Line   int // 1 is the first; 0 when the fault is not on one line
	Reason string
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("read %s:%d: %s", e.File, e.Line, e.Reason)
	}
	return fmt.Sprintf("read %s: %s", e.File, e.Reason)
}

// Parse splits a .pc file into its statements: comments go, continued lines are joined. Lines that are neither a
// variable nor a field are ignored, as pkgconf ignores them. path names the file in errors, which are of type *[Error].
func Parse(text []byte, path string) (*File, error) {
	if len(text) > MaxSize {
		return nil, &Error{File: path, Reason: fmt.Sprintf("the file is larger than %d bytes", MaxSize)}
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return nil, &Error{File: path, Line: 1 + bytes.Count(text[:i], []byte{'\n'}), Reason: "there is a zero byte: this is no text file"}
	}
	f := &File{Path: path}
	lines := lines{text: text, number: 1}
	for {
		number := lines.number
		line, ok := lines.next()
		if !ok {
			return f, nil
		}
		if s, ok := parseStatement(line); ok {
			s.line = number
			f.statements = append(f.statements, s)
		}
	}
}

// lines reads logical lines.
type lines struct {
	text   []byte
	number int // of the physical line that comes next
}

// next joins lines that end in a backslash, whose successors lose their indentation, and cuts a line at a # that has no
// backslash before it. Other backslashes stay.
func (l *lines) next() (string, bool) {
	if len(l.text) == 0 {
		return "", false
	}
	var line strings.Builder
	for len(l.text) > 0 {
		c := l.take()
		switch {
		case c == '\n':
			return line.String(), true
		case c == '#':
			for len(l.text) > 0 && l.take() != '\n' {
				continue
			}
			return line.String(), true
		case c != '\\' || len(l.text) == 0:
			line.WriteByte(c)
			continue
		}
		switch escaped := l.take(); escaped {
		case '\n':
			for len(l.text) > 0 && (l.text[0] == ' ' || l.text[0] == '\t') {
				l.text = l.text[1:]
			}
		case '#':
			line.WriteByte('#')
		default:
			line.WriteByte('\\')
			line.WriteByte(escaped)
		}
	}
	return line.String(), true
}

// take gives the next byte, with every way to end a line as \n.
func (l *lines) take() byte {
	c := l.text[0]
	l.text = l.text[1:]
	if c == '\r' {
		if len(l.text) > 0 && l.text[0] == '\n' {
			l.text = l.text[1:]
		}
		c = '\n'
	}
	if c == '\n' {
		l.number++
	}
	return c
}

// blank is what C's isspace calls a space.
const blank = " \t\n\v\f\r"

func parseStatement(line string) (statement, bool) {
	line = strings.TrimLeft(line, blank)
	end := 0
	for end < len(line) && nameByte(line[end]) {
		end++
	}
	if end == 0 || !letter(line[0]) {
		return statement{}, false
	}
	name, rest := line[:end], strings.TrimLeft(line[end:], blank)
	if rest == "" || rest[0] != '=' && rest[0] != ':' {
		return statement{}, false
	}
	return statement{name: name, field: rest[0] == ':', value: strings.Trim(rest[1:], blank)}, true
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func nameByte(c byte) bool {
	return letter(c) || c >= '0' && c <= '9' || c == '_' || c == '.'
}
