package cps

import "strings"

// Spec is a reference to a component: ":component" in the same package, "package:component", or "package" for the
// package's default components; each may end in "@configuration".
// See https://cps-org.github.io/cps/components.html.
type Spec struct {
	Package       string // empty: the package in which the reference stands
	Component     string // empty: the package's default components
	Configuration string // empty: the consumer chooses; "@": that of the component in which the reference stands
}

// ParseSpec reads a reference. It takes any string; a package of the name must still be found.
func ParseSpec(s string) Spec {
	name, configuration, _ := strings.Cut(s, "@")
	pkg, component, _ := strings.Cut(name, ":")
	return Spec{Package: pkg, Component: component, Configuration: configuration}
}

// String is the reference in the specification's notation.
func (s Spec) String() string {
	text := s.Package
	if s.Component != "" {
		text += ":" + s.Component
	}
	if s.Configuration != "" {
		text += "@" + s.Configuration
	}
	return text
}

// MapRequirements replaces every reference to a component in the requirements of the package's components.
func (p *Package) MapRequirements(replace func(Spec) Spec) {
	mapAll := func(a *Attributes) {
		for _, list := range [][]string{a.Requires, a.CompileRequires, a.LinkRequires, a.DyldRequires} {
			for i := range list {
				list[i] = replace(ParseSpec(list[i])).String()
			}
		}
	}
	for _, c := range p.Components {
		mapAll(&c.Attributes)
		for _, a := range c.Configurations {
			mapAll(a)
		}
	}
}
