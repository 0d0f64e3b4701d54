package cps

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Validate checks what [Read] does not: that required attributes are there, that names can be referred to, that what the
// package says of itself holds together, and that no path leaves the package. It gives the first fault, in the order of
// names, as an *[Error].
func (p *Package) Validate() error {
	if p.Configuration != "" {
		return p.fault(p.line, "it describes only the configuration %q of a package: it is read together with %s.cps", p.Configuration, p.Name)
	}
	for _, check := range []func() error{p.validateHead, p.validateComponents, p.checkNames, p.validateDefaults} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Package) fault(line int, format string, args ...any) error {
	return &Error{File: p.file, Line: line, Reason: fmt.Sprintf(format, args...)}
}

func (p *Package) validateHead() error {
	if reason := badName(p.Name, "/@:"); reason != "" {
		return p.fault(p.line, "name: %s", reason)
	}
	if reason := unsupported(p.CPSVersion); reason != "" {
		return p.fault(p.line, "cps_version: %s", reason)
	}
	switch {
	case p.CPSPath == "" && p.Prefix == "":
		return p.fault(p.line, "one of cps_path and prefix is required: neither is there")
	case p.CPSPath != "" && p.Prefix != "":
		return p.fault(p.line, "one of cps_path and prefix is required: both are there")
	case p.CPSPath != "" && !underPrefix(p.CPSPath):
		return p.fault(p.line, "cps_path: %q does not begin with %s", p.CPSPath, PrefixMarker)
	}
	if p.Components == nil {
		return p.fault(p.line, "components is required")
	}
	for _, name := range sortedKeys(p.Requires) {
		if reason := badName(name, "/@:"); reason != "" {
			return p.fault(p.line, "requires: %s", reason)
		}
	}
	return p.checkPath(p.line, "cps_path", p.CPSPath)
}

// The most that a package describes, far above what any does: the work of a link grows with the square of these.
const (
	MaxComponents = 1000
	MaxEntries    = 20_000 // of all lists of the components together
)

func (p *Package) validateComponents() error {
	if n := len(p.Components); n > MaxComponents {
		return p.fault(p.line, "components: there are %d, and at most %d are read", n, MaxComponents)
	}
	if n := p.entries(); n > MaxEntries {
		return p.fault(p.line, "components: their lists have %d entries, and at most %d are read", n, MaxEntries)
	}
	for _, name := range sortedKeys(p.Components) {
		c := p.Components[name]
		if reason := badName(name, "/@"); reason != "" {
			return p.fault(c.line, "components: %s", reason)
		}
		at := "components." + name
		if c.Type == "" {
			return p.fault(c.line, "%s: type is required", at)
		}
		if err := p.validateAttributes(c, at, &c.Attributes); err != nil {
			return err
		}
		for _, configuration := range sortedKeys(c.Configurations) {
			where := at + ".configurations." + configuration
			if err := p.validateAttributes(c, where, c.Configurations[configuration]); err != nil {
				return err
			}
		}
		if err := p.validateLocation(c, at); err != nil {
			return err
		}
	}
	return nil
}

// entries counts what the lists of the components have.
func (p *Package) entries() int {
	n := 0
	for _, c := range p.Components {
		for _, a := range append(slices.Collect(maps.Values(c.Configurations)), &c.Attributes) {
			n += len(a.LinkFeatures) + len(a.LinkFlags) + len(a.LinkLibraries) + len(a.LinkLanguages) + len(a.LinkItems) + len(a.CompileFeatures)
			n += len(a.Requires) + len(a.CompileRequires) + len(a.LinkRequires) + len(a.DyldRequires)
			for _, list := range a.Includes {
				n += len(list)
			}
			for _, list := range a.CompileFlags {
				n += len(list)
			}
			for _, list := range a.Definitions {
				n += len(list)
			}
		}
	}
	return n
}

// validateLocation wants an archive's file. A dylib may have a file to link alone, or none: CMake writes such, and what is
// only required by others while they load may come from the system.
func (p *Package) validateLocation(c *Component, at string) error {
	if c.Type != Archive {
		return nil
	}
	for _, configuration := range sortedKeys(c.Configurations) {
		if c.effective(configuration).Location == "" {
			return p.fault(c.line, "%s: an %s needs a location, configuration %q has none", at, c.Type, configuration)
		}
	}
	if len(c.Configurations) == 0 && c.Location == "" {
		return p.fault(c.line, "%s: location is required for type %q", at, c.Type)
	}
	return nil
}

func (p *Package) validateAttributes(c *Component, at string, a *Attributes) error {
	paths := map[string][]string{"location": {a.Location}, "link_location": {a.LinkLocation}}
	for _, language := range sortedKeys(a.Includes) {
		paths["includes"] = append(paths["includes"], a.Includes[language]...)
	}
	if a == &c.Attributes {
		for _, f := range c.FileSets {
			paths["file_sets"] = append(paths["file_sets"], f.Root)
		}
	}
	for _, name := range sortedKeys(paths) {
		for _, file := range paths[name] {
			if err := p.checkPath(c.line, at+"."+name, file); err != nil {
				return err
			}
		}
	}
	for _, language := range sortedKeys(a.Definitions) {
		for _, name := range sortedKeys(a.Definitions[language]) {
			if !identifier(name) {
				return p.fault(c.line, "%s.definitions: %q is not the name of a definition", at, name)
			}
		}
	}
	for _, list := range [][]string{a.Requires, a.CompileRequires, a.LinkRequires, a.DyldRequires} {
		if err := p.checkRequirements(c, at, list); err != nil {
			return err
		}
	}
	return nil
}

// checkRequirements looks up the components of the same package; those of others are known only when packages meet.
func (p *Package) checkRequirements(c *Component, at string, specs []string) error {
	for _, spec := range specs {
		s := ParseSpec(spec)
		if s.Package == "" && s.Component == "" {
			return p.fault(c.line, "%s: it requires %q, which names no component", at, spec)
		}
		if (s.Package == "" || s.Package == p.Name) && s.Component != "" && p.Components[s.Component] == nil {
			return p.fault(c.line, "%s: it requires %q, which is not there: the components are %s", at, spec, p.have())
		}
	}
	return nil
}

func (p *Package) validateDefaults() error {
	for _, name := range p.DefaultComponents {
		if p.Components[name] == nil {
			return p.fault(p.line, "default_components: there is no component %q: the components are %s", name, p.have())
		}
	}
	return nil
}

// have names the package's components for an error.
func (p *Package) have() string {
	if len(p.Components) == 0 {
		return "none"
	}
	return strings.Join(sortedKeys(p.Components), ", ")
}

// checkPath refuses a path that leaves the package, or that would break the line of text it is printed on.
func (p *Package) checkPath(line int, at, file string) error {
	if strings.ContainsFunc(file, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return p.fault(line, "%s: %q has a control character in it", at, file)
	}
	if rest, ok := strings.CutPrefix(file, PrefixMarker); ok {
		if rest != "" && rest[0] != '/' {
			return p.fault(line, "%s: %s must be followed by a / in %q", at, PrefixMarker, file)
		}
		if clean := path.Clean("." + rest); clean == ".." || strings.HasPrefix(clean, "../") {
			return p.fault(line, "%s: %q is outside of the package", at, file)
		}
	}
	return nil
}

func underPrefix(file string) bool {
	return file == PrefixMarker || strings.HasPrefix(file, PrefixMarker+"/")
}

// badName says why a name cannot be used, or nothing.
func badName(name, forbidden string) string {
	if name == "" {
		return "a name is required"
	}
	for _, r := range name {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(forbidden, r) {
			return fmt.Sprintf("%q cannot be a name: it has %q in it", name, r)
		}
	}
	return ""
}

func identifier(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// unsupported says why a version of the specification is not read, or nothing. The minor versions of 0 are taken to be
// compatible from 0.13 on, as the specification asks readers to.
func unsupported(version string) string {
	if version == "" {
		return "it is required"
	}
	major, minor, ok := parseVersion(version)
	switch {
	case !ok:
		return fmt.Sprintf("%q is not a version", version)
	case major != 0 || minor < 13:
		return fmt.Sprintf("version %s is not supported: 0.13 and later versions of 0 are", version)
	}
	return ""
}

// Newer reports whether a version of the specification may have attributes that this model does not know: it is later than
// the last one that was looked at, 0.15.
func Newer(version string) bool {
	_, minor, _ := parseVersion(version)
	return minor > 15
}

func parseVersion(version string) (major, minor int, ok bool) {
	x, rest, _ := strings.Cut(version, ".")
	y, _, _ := strings.Cut(rest, ".")
	major, errX := strconv.Atoi(x)
	minor, errY := strconv.Atoi(y)
	return major, minor, errX == nil && errY == nil
}
