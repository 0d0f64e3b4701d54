package project

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/ocipkg/ocipkg/internal/reference"
)

// WithDependency gives the text of a project file with a dependency added, or,
// where the alias is there, standing for another name. All else stays as it is,
// comments and order included.
func WithDependency(text []byte, alias, name string) ([]byte, error) {
	want, err := parse(text)
	if err != nil {
		return nil, err
	}
	if err := checkAlias(alias); err != nil {
		return nil, err
	}
	ref, err := reference.Parse(name)
	if err != nil {
		return nil, err
	}
	e, err := findEntry(text, alias)
	if err != nil {
		return nil, err
	}
	d := want.Dependencies[alias]
	d.Image, d.Tag = name, ""
	switch {
	case e.value.any(): // alias = "name"
		text = replace(text, e.value, quote(name))
	case e.image.any() && e.tag.any(): // a table
		if ref.Digest != "" {
			return nil, fmt.Errorf("the dependency %q is a table with a tag; write the digest into its image by hand, and take the tag out", alias)
		}
		d.Image, d.Tag = ref.Name(), ref.Tag
		first, second, a, b := e.image, e.tag, d.Image, d.Tag
		if first.start > second.start {
			first, second, a, b = second, first, b, a
		}
		text = replace(replace(text, second, quote(b)), first, quote(a))
	case e.image.any():
		text = replace(text, e.image, quote(name))
	case e.insert >= 0:
		text = replace(withNewline(text), span{e.insert, e.insert}, key(alias)+" = "+quote(name)+"\n")
	default:
		if len(text) > 0 {
			text = append(withNewline(text), '\n')
		}
		text = append(slices.Clone(text), "[dependencies]\n"+key(alias)+" = "+quote(name)+"\n"...)
	}
	want.Dependencies = maps.Clone(want.Dependencies)
	if want.Dependencies == nil {
		want.Dependencies = map[string]Dependency{}
	}
	want.Dependencies[alias] = d
	return text, checkEdit(text, want)
}

// WithoutDependency gives the text of a project file without a dependency, and
// otherwise as it is.
func WithoutDependency(text []byte, alias string) ([]byte, error) {
	want, err := parse(text)
	if err != nil {
		return nil, err
	}
	e, err := findEntry(text, alias)
	if err != nil {
		return nil, err
	}
	for _, s := range slices.Backward(e.whole) {
		s.start = bytes.LastIndexByte(text[:s.start], '\n') + 1
		s.end = lineEnd(text, s.end)
		text = replace(text, s, "")
	}
	want.Dependencies = maps.Clone(want.Dependencies)
	if delete(want.Dependencies, alias); len(want.Dependencies) == 0 {
		want.Dependencies = nil
	}
	return text, checkEdit(text, want)
}

// errByHand is for files that are written in a way which is not edited here.
var errByHand = errors.New("its [dependencies] are written in a way that is not edited here; change it by hand")

// checkEdit makes sure that an edit changed what it should, and nothing else.
func checkEdit(text []byte, want File) error {
	got, err := parse(text)
	if err != nil || !reflect.DeepEqual(got, want) {
		return errByHand
	}
	return nil
}

// span is a range of bytes.
type span struct{ start, end int }

func (s span) any() bool { return s.end > s.start }

// replace gives a text with a range of it replaced.
func replace(text []byte, s span, by string) []byte {
	return slices.Concat(text[:s.start], []byte(by), text[s.end:])
}

// lineEnd gives where the line ends that a place is on, after its newline.
func lineEnd(text []byte, at int) int {
	if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(text)
}

func withNewline(text []byte) []byte {
	if bytes.HasSuffix(text, []byte("\n")) {
		return text
	}
	return append(slices.Clone(text), '\n')
}

func quote(s string) string { return `"` + s + `"` } // names have nothing to escape

// key writes an alias as a key.
func key(alias string) string {
	if strings.Trim(alias, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" {
		return alias
	}
	return quote(alias)
}

// entry is where a project file speaks of a dependency.
type entry struct {
	value      span   // its name, where that is all
	image, tag span   // the values of a table
	whole      []span // all that speaks of it, in order
	// insert is where an entry can be added to [dependencies]; -1 without that
	// table.
	insert int
}

// findEntry looks for a dependency in the text of a project file, with a newline
// at its end.
func findEntry(text []byte, alias string) (entry, error) {
	e := entry{insert: -1}
	text = withNewline(text)
	p := &unstable.Parser{}
	p.Reset(text)
	at := func(r unstable.Range) span { return span{int(r.Offset), int(r.Offset + r.Length)} }
	var table []string
	for p.NextExpression() {
		node := p.Expression()
		var path []string
		var first span
		for keys := node.Key(); keys.Next(); {
			if path == nil {
				first = at(keys.Node().Raw)
			}
			path = append(path, string(keys.Node().Data))
		}
		if node.Kind != unstable.KeyValue {
			table = path
			if slices.Equal(path, []string{"dependencies"}) {
				e.insert = lineEnd(text, first.end)
			}
			if len(path) >= 2 && path[0] == "dependencies" && path[1] == alias {
				e.whole = append(e.whole, first)
			}
			continue
		}
		inTable := slices.Equal(table, []string{"dependencies"})
		path = append(slices.Clone(table), path...)
		if path[0] != "dependencies" {
			continue
		}
		if len(path) == 1 {
			return e, errByHand // dependencies = { … }
		}
		if inTable {
			e.insert = lineEnd(text, at(node.Raw).end)
		}
		if path[1] == alias {
			e.whole = append(e.whole, at(node.Raw))
			e.take(path[2:], node.Value(), at)
		}
	}
	return e, p.Error()
}

// take notes where the parts of a dependency are.
func (e *entry) take(path []string, value *unstable.Node, at func(unstable.Range) span) {
	switch {
	case value.Kind == unstable.InlineTable:
		for pairs := value.Children(); pairs.Next(); {
			inner := slices.Clone(path)
			for keys := pairs.Node().Key(); keys.Next(); {
				inner = append(inner, string(keys.Node().Data))
			}
			e.take(inner, pairs.Node().Value(), at)
		}
	case value.Kind != unstable.String:
	case len(path) == 0:
		e.value = at(value.Raw)
	case path[0] == "image":
		e.image = at(value.Raw)
	case path[0] == "tag":
		e.tag = at(value.Raw)
	}
}
