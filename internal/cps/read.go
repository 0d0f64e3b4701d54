package cps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"
)

// MaxSize is the size in bytes above which [Read] refuses a document.
const MaxSize = 16 << 20

// Read reads a document and checks that every attribute it knows has the type that the specification gives it; what
// it does not know it keeps. file names the document in errors, which are of type *[Error] unless r fails.
// The meaning is checked by [Package.Validate].
func Read(r io.Reader, file string) (*Package, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if len(text) > MaxSize {
		return nil, &Error{File: file, Reason: fmt.Sprintf("the document is larger than %d bytes", MaxSize)}
	}
	p := new(Package)
	return p, p.read(&document{file: file, text: text})
}

// UnmarshalJSON reads a document that is part of a larger one, as [Read] does.
func (p *Package) UnmarshalJSON(text []byte) error {
	*p = Package{}
	return p.read(&document{text: text})
}

func (p *Package) read(d *document) error {
	root, err := d.parse()
	if err != nil {
		return err
	}
	if root.kind != "object" {
		return d.errorAt(root.start, "a CPS document is an object, this is %s", an(root.kind))
	}
	p.file, p.line = d.file, d.line(root.start)
	return d.readObject(root, "", p)
}

// readObject fills the fields of o; path is where in the document n stands, for errors.
func (d *document) readObject(n node, path string, o object) error {
	if n.kind != "object" {
		return d.mismatch(n, path, "an object")
	}
	fields := o.fields()
	for _, m := range n.members {
		place := lookup(fields, m.name)
		if place == nil {
			if *o.extra() == nil {
				*o.extra() = map[string]json.RawMessage{}
			}
			// A copy: decoders write over the text that they gave to UnmarshalJSON.
			(*o.extra())[m.name] = bytes.Clone(d.text[m.value.start:m.value.end])
			continue
		}
		if m.value.kind == "null" {
			if a, ok := o.(*Attributes); ok {
				a.Unset = append(a.Unset, m.name)
			}
			continue
		}
		if err := d.readField(m.value, join(path, m.name), place); err != nil {
			return err
		}
	}
	return nil
}

func lookup(fields []field, name string) any {
	for _, f := range fields {
		if f.name == name {
			return f.place
		}
	}
	return nil
}

func (d *document) readField(n node, path string, place any) (err error) {
	switch place := place.(type) {
	case *string:
		if n.kind != "string" {
			return d.mismatch(n, path, "a string")
		}
		*place = n.text
	case *[]string:
		*place, err = d.readList(n, path)
	case *languages:
		list, err := d.readList(n, path)
		*place = languages{}
		for _, name := range list {
			*place = union(*place, []string{languageName(name)})
		}
		return err
	case *ByLanguage:
		*place, err = d.readByLanguage(n, path)
	case *Definitions:
		*place, err = d.readDefinitions(n, path)
	case *map[string]string:
		*place = map[string]string{}
		err = d.eachMember(n, path, func(m member, path string) error {
			if m.value.kind != "string" {
				return d.mismatch(m.value, path, "a string")
			}
			(*place)[m.name] = m.value.text
			return nil
		})
	case **Platform:
		*place = new(Platform)
		err = d.readObject(n, path, *place)
	case **PkgConfig:
		*place = new(PkgConfig)
		err = d.readObject(n, path, *place)
	case *map[string]*Requirement:
		*place, err = readMap(d, n, path, func(n node, path string) (*Requirement, error) {
			if n.kind == "null" {
				return new(Requirement), nil
			}
			r := new(Requirement)
			return r, d.readObject(n, path, r)
		})
	case *map[string]*Component:
		*place, err = readMap(d, n, path, func(n node, path string) (*Component, error) {
			c := &Component{line: d.line(n.start)}
			err := d.readObject(n, path, c)
			c.includeFileSets()
			return c, err
		})
	case *[]*FileSet:
		if n.kind != "array" {
			return d.mismatch(n, path, "a list of objects")
		}
		for i, item := range n.items {
			f := new(FileSet)
			if err := d.readObject(item, fmt.Sprintf("%s[%d]", path, i), f); err != nil {
				return err
			}
			*place = append(*place, f)
		}
	case *map[string]*Attributes:
		*place, err = readMap(d, n, path, func(n node, path string) (*Attributes, error) {
			a := new(Attributes)
			return a, d.readObject(n, path, a)
		})
	default:
		panic(fmt.Sprintf("cps: field %s has no reader for %T", path, place))
	}
	return err
}

func readMap[V any](d *document, n node, path string, read func(node, string) (V, error)) (map[string]V, error) {
	values := map[string]V{}
	err := d.eachMember(n, path, func(m member, path string) error {
		v, err := read(m.value, path)
		values[m.name] = v
		return err
	})
	return values, err
}

func (d *document) eachMember(n node, path string, do func(m member, path string) error) error {
	if n.kind != "object" {
		return d.mismatch(n, path, "an object")
	}
	for _, m := range n.members {
		if err := do(m, join(path, m.name)); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) readList(n node, path string) ([]string, error) {
	if n.kind != "array" {
		return nil, d.mismatch(n, path, "a list of strings")
	}
	list := make([]string, 0, len(n.items))
	for i, item := range n.items {
		if item.kind != "string" {
			return nil, d.mismatch(item, fmt.Sprintf("%s[%d]", path, i), "a string")
		}
		list = append(list, item.text)
	}
	return list, nil
}

func (d *document) readByLanguage(n node, path string) (ByLanguage, error) {
	if n.kind == "array" {
		list, err := d.readList(n, path)
		return ByLanguage{AnyLanguage: list}, err
	}
	if n.kind != "object" {
		return nil, d.mismatch(n, path, "a list of strings or an object of such lists")
	}
	return readLanguages(d, n, path, d.readList, union)
}

// readLanguages reads a value for each language. Values under several names of one language are merged.
func readLanguages[V any](d *document, n node, path string, read func(node, string) (V, error), merge func(first, more V) V) (map[string]V, error) {
	values := map[string]V{}
	err := d.eachMember(n, path, func(m member, path string) error {
		v, err := read(m.value, path)
		language := languageName(m.name)
		if first, there := values[language]; there {
			v = merge(first, v)
		}
		values[language] = v
		return err
	})
	return values, err
}

// languageName is the specification's name for a language. CMake reads and writes others, in any case.
func languageName(name string) string {
	switch name = strings.ToLower(name); name {
	case "cxx", "c++":
		return "cpp"
	}
	return name
}

// readDefinitions takes the map by language of current versions and the list of NAME or NAME=VALUE of earlier ones.
func (d *document) readDefinitions(n node, path string) (Definitions, error) {
	if n.kind == "array" {
		list, err := d.readList(n, path)
		names := map[string]*string{}
		for _, definition := range list {
			name, value, valued := strings.Cut(definition, "=")
			names[name] = nil
			if valued {
				names[name] = &value
			}
		}
		return Definitions{AnyLanguage: names}, err
	}
	if n.kind != "object" {
		return nil, d.mismatch(n, path, "a list of strings or an object by language")
	}
	first := func(first, more map[string]*string) map[string]*string {
		maps.Copy(more, first)
		return more
	}
	return readLanguages(d, n, path, func(n node, path string) (map[string]*string, error) {
		return readMap(d, n, path, func(n node, path string) (*string, error) {
			switch n.kind {
			case "null":
				return nil, nil
			case "string":
				return &n.text, nil
			case "number", "boolean":
				// CMake defines 42 as 42 and true as true, as if they were strings.
				text := string(d.text[n.start:n.end])
				return &text, nil
			}
			return nil, d.mismatch(n, path, "a string, a number, true, false or null")
		})
	}, first)
}

func (d *document) mismatch(n node, path, want string) error {
	return d.errorAt(n.start, "%s must be %s, it is %s", path, want, an(n.kind))
}

func an(kind string) string {
	switch kind {
	case "null":
		return kind
	case "object", "array":
		return "an " + kind
	}
	return "a " + kind
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
