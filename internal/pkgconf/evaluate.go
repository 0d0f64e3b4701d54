package pkgconf

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Module is an evaluated .pc file.
type Module struct {
	File string // names the file in errors
	ID   string // the name by which others require it: the file's name without .pc

	Name        string
	Description string
	URL         string
	Version     string

	Requires        []Dependency
	RequiresPrivate []Dependency // those of Requires.internal too
	RequiresShared  []Dependency // of pkgconf 3: when linking shared libraries
	Conflicts       []Dependency
	Provides        []Dependency

	Cflags        []string // arguments, unquoted
	CflagsPrivate []string
	CflagsShared  []string // of pkgconf 3, as are the other two: when linking shared libraries
	Libs          []string
	LibsPrivate   []string
	LibsShared    []string

	Variables map[string]string
	Fields    map[string]string // the other fields, by their names in lower case

	ownPrefix string // what ${prefix} is in the file, where marker stands for it in the rest
	marker    string
	from, to  string // the prefixes of [Module.Relocate]
}

// maxValue bounds the length in bytes of a value after substitution: pkgconf cuts values at 64 KiB.
const maxValue = 1 << 16

// Evaluate substitutes the variables. defined holds variables that override the file's own, as
// --define-variable does; nil is none. Errors are of type *[Error]: a quote or a ${ that does not close, a value longer than
// 64 KiB, a missing Name, Description or Version.
func (f *File) Evaluate(defined map[string]string) (*Module, error) {
	return f.evaluate(defined, "")
}

// EvaluateAt is Evaluate and then [Module.Relocate] to a prefix, which takes the place of the file's own before arguments are
// told apart: so a blank in that, which would end an argument, is none in the result.
func (f *File) EvaluateAt(prefix string, defined map[string]string) (*Module, error) {
	m, err := f.evaluate(defined, prefix)
	if err != nil {
		return nil, err
	}
	return m.Relocate(prefix), nil
}

// evaluate substitutes the variables, and marker for a ${prefix} that is no plain path; "" for none.
func (f *File) evaluate(defined map[string]string, marker string) (*Module, error) {
	e := evaluation{
		file: f,
		vars: map[string]string{
			"pcfiledir":       path.Dir(f.Path),
			"pc_sysrootdir":   "/",
			"pc_top_builddir": "$(top_builddir)",
		},
		defined: defined,
		module:  &Module{File: f.Path, ID: strings.TrimSuffix(path.Base(f.Path), ".pc"), Fields: map[string]string{}, marker: marker},
		have:    map[string]bool{},
	}
	maps.Copy(e.vars, defined)
	for _, s := range f.statements {
		if err := e.statement(s); err != nil {
			return nil, err
		}
	}
	for _, field := range []string{"Name", "Description", "Version"} {
		if !e.have[strings.ToLower(field)] {
			return nil, &Error{File: f.Path, Reason: fmt.Sprintf("it has no %s: field, which pkg-config requires", field)}
		}
	}
	delete(e.vars, "pc_sysrootdir")
	delete(e.vars, "pc_top_builddir")
	e.module.Variables = e.vars
	for _, conflict := range e.module.Conflicts {
		if !slices.ContainsFunc(e.module.Requires, func(d Dependency) bool { return d.Name == conflict.Name }) {
			continue // pkgconf asks whether a module conflicts with what it requires itself, and with nothing else
		}
		if conflict.Op == "" {
			return nil, &Error{File: f.Path, Reason: fmt.Sprintf("it requires %s and conflicts with every version of it", conflict.Name)}
		}
		conflict.Op = opposite[conflict.Op]
		e.module.Requires = append(e.module.Requires, conflict)
	}
	return e.module, nil
}

// opposite has the operator of the versions that are left when a module conflicts with others.
var opposite = map[string]string{"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}

type evaluation struct {
	file          *File
	vars, defined map[string]string
	module        *Module
	have          map[string]bool // the fields that came, in lower case
}

func (e *evaluation) statement(s statement) error {
	if !s.field {
		value, err := e.substitute(dequote(s.value))
		if err != nil {
			return &Error{File: e.file.Path, Line: s.line, Reason: fmt.Sprintf("variable %s: %v", s.name, err)}
		}
		if s.name == "prefix" && e.module.marker != "" && !plainPath(value) && !strings.HasPrefix(value, e.module.marker) {
			e.module.ownPrefix, value = value, e.module.marker
		}
		if _, overridden := e.defined[s.name]; !overridden {
			e.vars[s.name] = value
		}
		return nil
	}
	value, err := e.substitute(s.value)
	if err == nil {
		err = e.field(strings.ToLower(s.name), value)
	}
	if err != nil {
		return &Error{File: e.file.Path, Line: s.line, Reason: fmt.Sprintf("field %s: %v", s.name, err)}
	}
	return nil
}

// field stores a field under its name in lower case: pkgconf ignores case. A list that comes again is appended to.
func (e *evaluation) field(name, value string) error {
	m := e.module
	e.have[name] = true
	if slices.Contains([]string{"name", "description", "url", "version"}, name) {
		value = m.unmark(value)
	}
	switch name {
	case "name":
		m.Name = value
	case "description":
		m.Description = value
	case "url":
		m.URL = value
	case "version":
		m.Version, _, _ = strings.Cut(strings.ReplaceAll(value, "\t", " "), " ")
	case "requires":
		return appendDependencies(&m.Requires, value)
	case "requires.private", "requires.internal":
		return appendDependencies(&m.RequiresPrivate, value)
	case "requires.shared":
		return appendDependencies(&m.RequiresShared, value)
	case "conflicts":
		return appendDependencies(&m.Conflicts, value)
	case "provides":
		return appendDependencies(&m.Provides, value)
	case "cflags":
		return appendArguments(&m.Cflags, value)
	case "cflags.private":
		return appendArguments(&m.CflagsPrivate, value)
	case "libs":
		return appendArguments(&m.Libs, value)
	case "libs.private":
		return appendArguments(&m.LibsPrivate, value)
	case "cflags.shared":
		return appendArguments(&m.CflagsShared, value)
	case "libs.shared":
		return appendArguments(&m.LibsShared, value)
	default:
		m.Fields[name] = value
	}
	return nil
}

// unmark puts the file's own prefix in the place of the marker, for what is no path.
func (m *Module) unmark(text string) string {
	if m.ownPrefix == "" {
		return text
	}
	own := m.ownPrefix
	if words, err := Split(own); err == nil {
		own = strings.Join(words, " ")
	}
	return strings.ReplaceAll(text, m.marker, own)
}

func appendArguments(list *[]string, value string) error {
	arguments, err := Split(value)
	*list = slices.Concat(*list, arguments)
	return err
}

func appendDependencies(list *[]Dependency, value string) error {
	dependencies, err := ParseDependencies(value)
	*list = slices.Concat(*list, dependencies)
	return err
}

// substitute replaces each ${NAME} by the variable's value, which is final: a variable is evaluated where it is defined.
// An unknown variable is empty.
func (e *evaluation) substitute(value string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(value, "${")
		out.WriteString(before)
		if out.Len() > maxValue {
			return "", fmt.Errorf("the value is longer than %d bytes", maxValue)
		}
		if !found {
			return e.mark(out.String()), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("${%s has no closing brace", name)
		}
		out.WriteString(e.vars[name])
		value = after
	}
}

// plainPath reports whether a prefix can be told by its text from all else in an argument.
func plainPath(prefix string) bool {
	return prefix == "" || prefix[0] == '/' && !strings.ContainsFunc(prefix, func(r rune) bool { return r < 0x80 && !plain(byte(r)) })
}

// mark replaces the file's own prefix where it is written in full.
func (e *evaluation) mark(value string) string {
	own := e.module.ownPrefix
	if drive := len(own) > 2 && own[1] == ':'; !drive && strings.IndexAny(own, `/\`) != 0 {
		return value
	}
	for _, written := range []string{own, strings.ReplaceAll(own, " ", `\ `), strings.ReplaceAll(own, `\ `, " ")} {
		for _, end := range []string{"/", `\`, " ", `"`, "'"} {
			value = strings.ReplaceAll(value, written+end, e.module.marker+end)
		}
		if rest, ok := strings.CutSuffix(value, written); ok {
			value = rest + e.module.marker
		}
	}
	return value
}

// dequote takes away the quotes of a variable's value that begins with one.
func dequote(value string) string {
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return value
	}
	quote := value[0]
	var out strings.Builder
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '\\' && i+1 < len(value) && value[i+1] == quote:
			i++
			out.WriteByte(quote)
		case value[i] != quote:
			out.WriteByte(value[i])
		}
	}
	return out.String()
}
