package cps

import (
	"fmt"
	"slices"
	"strings"
)

// Component returns the component that a consumer's name stands for: the one of that name, else the one whose producer lists
// the name, else the only one that has it among its [Package.Spellings], first as it is written, then without regard to
// case. of is what the consumer calls the package; empty: no more than the package's own name. Errors are *[MissingError], and
// a sentence on a name that fits several.
func (p *Package) Component(name, of string) (string, error) {
	if p.Components[name] != nil {
		return name, nil
	}
	for _, fits := range []func(component string) bool{
		func(component string) bool { return slices.Contains(p.Components[component].Names, name) },
		func(component string) bool { return slices.Contains(p.Spellings(component, of), name) },
		func(component string) bool {
			return slices.ContainsFunc(append(p.Spellings(component, of), component), func(s string) bool { return strings.EqualFold(s, name) })
		},
	} {
		found := slices.DeleteFunc(p.linkable(), func(component string) bool { return !fits(component) })
		if len(found) > 1 {
			return "", fmt.Errorf("package %s has several components that %q may mean: %s", p.Name, name, strings.Join(found, ", "))
		}
		if len(found) == 1 && !strings.Contains(name, "::") {
			return found[0], nil
		}
	}
	return "", &MissingError{Package: p.Name, Component: name, Have: p.Known()}
}

// Spellings lists what a component may be called beside its own name: the names without a double colon that its producer lists,
// and each name with or without "lib" in front, and without the name of the package and the sign behind that: icu-uc of ICU is
// uc. of is another name of the package.
func (p *Package) Spellings(component, of string) []string {
	names := []string{component}
	for _, name := range p.Components[component].Names {
		if !strings.Contains(name, "::") {
			names = union(names, []string{name})
		}
	}
	for _, name := range names {
		short := strings.TrimPrefix(name, "lib")
		names = union(names, []string{short, "lib" + short})
		for _, pkg := range []string{p.Name, of} {
			pkg = strings.TrimPrefix(strings.ToLower(pkg), "lib")
			if rest, ok := strings.CutPrefix(strings.ToLower(short), pkg); ok && pkg != "" && len(rest) > 1 && strings.ContainsRune("-_.:+", rune(rest[0])) {
				names = union(names, []string{short[len(short)-len(rest)+1:]})
			}
		}
	}
	return slices.DeleteFunc(names[1:], func(name string) bool { return name == "" || name == "lib" || name == component })
}

// Known lists the names that a consumer may use: those of the linkable components and those that their producer lists, but
// for the two kinds of a library that has a component for the choice between them.
func (p *Package) Known() []string {
	var names []string
	for _, name := range p.linkable() {
		if chooser := p.Components[stem(name)]; stem(name) == name || chooser == nil || !chooser.Linkable() {
			names = append(append(names, name), p.Components[name].Names...)
		}
	}
	return names
}

// checkNames checks the names that producers list: each is of one component, and is one that every build system can carry.
func (p *Package) checkNames() error {
	owners := map[string]string{}
	for _, component := range sortedKeys(p.Components) {
		c := p.Components[component]
		for _, name := range c.Names {
			if strings.Trim(name, "_.+-:") == "" || strings.ContainsFunc(strings.ReplaceAll(name, "::", ""), OddInName) {
				return p.fault(c.line, "components.%s: %q is not a name that it can be called by: use letters, digits and the signs _ . + -, and :: in the name of a CMake target", component, name)
			}
			if other, taken := owners[name]; taken && other != component || name != component && p.Components[name] != nil {
				return p.fault(c.line, "components.%s: it is called %q, which is the name of another component", component, name)
			}
			owners[name] = component
		}
	}
	return nil
}

// OddInName reports whether a rune is none of those that every build system takes in a name.
func OddInName(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("_.+-", r)
}
