// Package gosource finds what Go source asks of pkg-config: the names in the
// lines
//
//	#cgo [CONDITION…] pkg-config: NAME…
//
// of the comment before import "C". It finds them where go build does
// (https://pkg.go.dev/cmd/cgo), tells where they stand, so that they can be
// rewritten with nothing else changed, and finds the files of packages.
package gosource

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Name is one word of a pkg-config directive: the name of a package, or a flag.
type Name struct {
	// Text is what pkg-config gets: without the quotes of the source.
	Text string
	Line int // from 1
	// begin and end are the bytes of the source that the word takes, with its
	// quotes.
	begin, end int
}

// Names gives the words of the pkg-config directives in a Go file, whatever
// their conditions, in the order of the source. A file whose imports do not
// parse is an error of kind [errdef.ErrUsage] that says where; path is for that
// alone.
func Names(path string, src []byte) ([]Name, error) {
	if !bytes.Contains(src, []byte("pkg-config")) {
		return nil, nil // as are nearly all files
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, src, parser.ImportsOnly|parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, errdef.Mark(errdef.ErrUsage, firstOf(err))
	}
	var names []Name
	position := files.File(file.FileStart)
	for _, comment := range preambles(file) {
		at := position.Offset(comment.Pos())
		for _, l := range commentLines(src, at) {
			for _, name := range l.names() {
				name.Line = position.PositionFor(position.Pos(name.begin), false).Line
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// firstOf gives the first of the errors of a parser.
func firstOf(err error) error {
	var list scanner.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		return list[0]
	}
	return err
}

// preambles gives the comments that belong to import "C".
func preambles(file *ast.File) []*ast.Comment {
	var all []*ast.Comment
	for _, decl := range file.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range d.Specs {
			i, ok := spec.(*ast.ImportSpec)
			if !ok || i.Path.Value != `"C"` && i.Path.Value != "`C`" {
				continue
			}
			doc := i.Doc
			if doc == nil && len(d.Specs) == 1 {
				doc = d.Doc
			}
			if doc != nil {
				all = append(all, doc.List...)
			}
		}
	}
	return all
}

// line is a line of a comment, as the Go scanner hands it on, which drops every
// carriage return.
type line struct {
	text []byte
	at   []int // where each byte stands in the source; one more, for the end
}

// commentLines gives the lines of the comment that begins at the offset at,
// without its marks.
func commentLines(src []byte, at int) []line {
	body := src[at+2:]
	if src[at+1] == '*' {
		if end := bytes.Index(body, []byte("*/")); end >= 0 {
			body = body[:end]
		}
	} else if end := bytes.IndexByte(body, '\n'); end >= 0 {
		body = body[:end]
	}
	at += 2
	var lines []line
	for raw := range bytes.Lines(body) {
		var l line
		for i, b := range raw {
			if b != '\r' && b != '\n' {
				l.text, l.at = append(l.text, b), append(l.at, at+i)
			}
		}
		at += len(raw)
		l.at = append(l.at, at)
		lines = append(lines, l)
	}
	return lines
}

// names gives the words after the colon if the line is a pkg-config directive.
func (l line) names() []Name {
	text := string(l.text)
	directive := strings.TrimLeftFunc(text, unicode.IsSpace)
	rest, ok := strings.CutPrefix(directive, "#cgo")
	if !ok || !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "\t") {
		return nil
	}
	before, arguments, ok := strings.Cut(rest, ":")
	fields := strings.Fields(before)
	if !ok || len(fields) == 0 || fields[len(fields)-1] != "pkg-config" {
		return nil
	}
	return l.words(len(text) - len(arguments))
}

// words splits the text from the offset i on as go build does: at blanks, with
// quotes and backslashes taken away.
func (l line) words(i int) []Name {
	var all []Name
	var word strings.Builder
	var quote rune
	begin, escaped := -1, false
	flush := func(end int) {
		if begin >= 0 {
			all = append(all, Name{Text: word.String(), begin: l.at[begin], end: l.at[end-1] + 1})
		}
		word.Reset()
		begin = -1
	}
	for i < len(l.text) {
		r, size := utf8.DecodeRune(l.text[i:])
		if begin < 0 && (escaped || quote != 0 || !unicode.IsSpace(r)) {
			begin = i
		}
		switch {
		case escaped:
			escaped = false
			word.WriteRune(r)
		case r == '\\':
			escaped = true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote = r
		case unicode.IsSpace(r):
			flush(i)
		default:
			word.WriteRune(r)
		}
		i += size
	}
	if quote != 0 || escaped {
		return nil // go build refuses the line
	}
	flush(i)
	return all
}

// Rewrite gives the source with each of its names, which are those that [Names]
// gave, replaced by what to gives for it. Everything else stays as it is. A new
// text must need no quotes.
func Rewrite(src []byte, names []Name, to func(Name) string) []byte {
	var out []byte
	done := 0
	for _, name := range names {
		text := to(name)
		if text == name.Text {
			continue
		}
		raw := string(src[name.begin:name.end])
		if strings.Contains(raw, name.Text) {
			text = strings.Replace(raw, name.Text, text, 1) // the quotes stay
		}
		out = append(append(out, src[done:name.begin]...), text...)
		done = name.end
	}
	return append(out, src[done:]...)
}
