package pkgconf

import (
	"fmt"
	"slices"
	"strings"
)

// Dependency is a module that another one requires, with the constraint on its version.
type Dependency struct {
	Name    string
	Op      string // "", "=", "!=", "<", "<=", ">" or ">="
	Version string // empty when Op is
}

// String is the dependency as pkgconf prints it: "zlib >= 1.2".
func (d Dependency) String() string {
	if d.Op == "" {
		return d.Name
	}
	return d.Name + " " + d.Op + " " + d.Version
}

// Supported is the version of pkgconf whose .pc files are read in full.
const Supported = "3.0.0"

// Ours reports whether the dependency is on pkg-config itself, in a version that is no later than [Supported]: a module
// which no package and no system has to have.
func (d Dependency) Ours() bool {
	return (d.Name == "pkgconf" || d.Name == "pkg-config") && d.Allows(Supported)
}

// Allows says whether a module of the version meets the constraint.
func (d Dependency) Allows(version string) bool {
	order := CompareVersions(version, d.Version)
	switch d.Op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	}
	return true
}

const (
	separators = blank + ","
	operators  = "<>=!"
)

// ParseDependencies reads a list such as "zlib >= 1.2, libpng": blanks and commas separate. An operator that pkgconf
// does not know constrains nothing; one without a version is an error.
func ParseDependencies(s string) ([]Dependency, error) {
	var list []Dependency
	for {
		s = strings.TrimLeft(s, separators)
		if s == "" {
			return list, nil
		}
		var d Dependency
		d.Name, s = cut(s, separators)
		afterBlanks := strings.TrimLeft(s, blank)
		if n := len(afterBlanks) - len(strings.TrimLeft(afterBlanks, operators)); n > 0 {
			d.Op = afterBlanks[:n]
			d.Version, s = cut(strings.TrimLeft(afterBlanks[n:], blank), separators)
			if d.Version == "" {
				return list, fmt.Errorf("there is no version after %s %s", d.Name, d.Op)
			}
			if !slices.Contains([]string{"=", "!=", "<", "<=", ">", ">="}, d.Op) {
				d.Op, d.Version = "", ""
			}
		}
		list = append(list, d)
	}
}

// cut splits s before the first byte that is in stop.
func cut(s, stop string) (before, rest string) {
	if i := strings.IndexAny(s, stop); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
