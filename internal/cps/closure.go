package cps

import (
	"fmt"
	"slices"
	"strings"
)

// Stage is what a closure is wanted for.
type Stage int

const (
	Compile Stage = iota // headers, definitions and compiler flags: requires and compile_requires
	Link                 // libraries and linker flags: requires and link_requires
	Load                 // the shared libraries that a program needs to run: all but compile_requires
)

// Root is where a closure begins.
type Root struct {
	Package   *Package
	Component string // empty: the package's defaults
}

// Item is a component of a closure.
type Item struct {
	Package       *Package
	Component     string
	Type          string
	Configuration string // the one that was chosen; empty for a component without any
	Attributes    *Attributes
	// Circle numbers the components that require each other, from 1; 0 is a component in no circle. Those of one circle
	// stand beside each other in a closure.
	Circle int
}

// Missing is a requirement that none of the packages at hand answers to.
type Missing struct {
	Package string
	By      Item // the component that requires it, the first of several
}

// String is the component's absolute name.
func (i Item) String() string { return i.Package.Name + ":" + i.Component }

// Walker finds closures of components over several packages. Its zero value sees only the package it starts from.
type Walker struct {
	// Find gives the package that a requirement of from names, or nil when none of the packages at hand answers to
	// it. It may name a component of that package, for names that stand for a component and not for a package.
	Find func(from *Package, name string) (p *Package, component string)
	// Prefer lists the configurations that the consumer prefers, best first.
	Prefer []string
	// Replace may name another component of the package to take in a component's place; nil keeps all.
	Replace func(p *Package, component string) (string, error)
}

// Closure returns the components that the roots need at a stage: dependents before what they depend on, each once,
// and otherwise in the order of the requirements, a later mention taking the place of an earlier one. That is the order
// in which a linker that goes through its arguments once finds every symbol, but for components that require each other:
// those are told by [Item.Circle]. Names of packages that Find does not know come back as missing, each once, in the order
// of their last mention. Errors are *[MissingError], and those of Replace.
func (w *Walker) Closure(stage Stage, roots ...Root) (items []Item, missing []Missing, err error) {
	walk := walk{Walker: w, stage: stage, needs: map[key][]key{}, missing: map[string]bool{}}
	for _, root := range slices.Backward(roots) {
		spec := Spec{Component: root.Component}
		if _, err := walk.spec(root.Package, spec, ""); err != nil {
			return nil, nil, err
		}
	}
	slices.Reverse(walk.items)
	slices.Reverse(walk.missed)
	return walk.inCircles(), walk.missed, nil
}

// MissingError is a component that its package does not have.
type MissingError struct {
	Package   string
	Component string
	By        string   // the component that requires it; empty when the consumer asked for it
	Have      []string // the linkable components that are there
}

func (e *MissingError) Error() string {
	by := ""
	if e.By != "" {
		by = fmt.Sprintf(", which %s requires", e.By)
	}
	if len(e.Have) == 0 {
		return fmt.Sprintf("package %s has no component %q%s: it has none to link", e.Package, e.Component, by)
	}
	return fmt.Sprintf("package %s has no component %q%s: its components are %s", e.Package, e.Component, by, strings.Join(e.Have, ", "))
}

type key struct {
	pkg                      *Package
	component, configuration string
}

func (i Item) key() key { return key{i.Package, i.Component, i.Configuration} }

// walk is one depth-first search. It visits requirements last to first and collects components when they are left, so
// that the reversed result is in link order.
type walk struct {
	*Walker
	stage   Stage
	needs   map[key][]key // what a component requires, of those that were visited
	items   []Item
	missed  []Missing
	missing map[string]bool
}

// spec visits the components of pkg that a requirement stands for; by names the component that has the requirement.
func (w *walk) spec(pkg *Package, s Spec, by string) ([]key, error) {
	items, err := w.choose(pkg, s, by)
	if err != nil {
		return nil, err
	}
	var visited []key
	for _, item := range slices.Backward(items) {
		if err := w.component(item); err != nil {
			return nil, err
		}
		visited = append(visited, item.key())
	}
	return visited, nil
}

// choose lists the components of pkg that a requirement stands for, each in the configuration that the consumer gets.
func (w *Walker) choose(pkg *Package, s Spec, by string) ([]Item, error) {
	components := []string{s.Component}
	if s.Component == "" {
		components = pkg.Defaults()
	}
	items := make([]Item, 0, len(components))
	for _, component := range components {
		if by == "" {
			named, err := pkg.Component(component, "")
			if err != nil {
				return nil, err
			}
			component = named
		} else if pkg.Components[component] == nil {
			return nil, &MissingError{Package: pkg.Name, Component: component, By: by, Have: pkg.Known()}
		}
		if w.Replace != nil {
			replaced, err := w.Replace(pkg, component)
			if err != nil {
				return nil, err
			}
			component = replaced
		}
		prefer := w.Prefer
		if s.Configuration != "" {
			prefer = []string{s.Configuration}
		}
		c := pkg.Components[component]
		configuration := pkg.Choose(c, prefer...)
		items = append(items, Item{Package: pkg, Component: component, Type: c.Type, Configuration: configuration, Attributes: c.effective(configuration)})
	}
	return items, nil
}

func (p *Package) linkable() []string {
	var names []string
	for _, name := range sortedKeys(p.Components) {
		if p.Components[name].Linkable() {
			names = append(names, name)
		}
	}
	return names
}

func (w *walk) component(item Item) error {
	k := item.key()
	if _, visited := w.needs[k]; visited {
		return nil
	}
	w.needs[k] = nil
	for _, requirement := range slices.Backward(item.requirements(w.stage)) {
		pkg, s := w.target(item, requirement)
		if pkg == nil {
			w.miss(s.Package, item)
			continue
		}
		needed, err := w.spec(pkg, s, item.String())
		if err != nil {
			return err
		}
		w.needs[k] = append(w.needs[k], needed...)
	}
	w.items = append(w.items, item)
	return nil
}

func (w *walk) miss(name string, by Item) {
	if !w.missing[name] {
		w.missing[name] = true
		w.missed = append(w.missed, Missing{Package: name, By: by})
	}
}

// inCircles returns the collected components with those of each circle where its first one stands. What stands between
// them is required by the circle and requires none of it.
func (w *walk) inCircles() []Item {
	keys := make([]key, len(w.items))
	for i, item := range w.items {
		keys[i] = item.key()
	}
	circles := circles(keys, func(k key) []key { return w.needs[k] })
	if len(circles) == 0 {
		return w.items
	}
	members := map[int][]Item{}
	for i := range w.items {
		w.items[i].Circle = circles[keys[i]]
		members[w.items[i].Circle] = append(members[w.items[i].Circle], w.items[i])
	}
	var ordered []Item
	for _, item := range w.items {
		if item.Circle == 0 {
			ordered = append(ordered, item)
			continue
		}
		ordered = append(ordered, members[item.Circle]...)
		delete(members, item.Circle)
	}
	return ordered
}

// target reads a requirement of item and gives the package that it leads to, nil when that is not at hand.
func (w *Walker) target(item Item, requirement string) (*Package, Spec) {
	s := ParseSpec(requirement)
	if s.Configuration == "@" {
		s.Configuration = item.Configuration
	}
	pkg := item.Package
	if s.Package != "" && s.Package != pkg.Name {
		pkg = w.find(item.Package, &s)
	}
	return pkg, s
}

// find looks up the requirement's package, and takes the name of a component of the same package without its colon,
// which is a common slip, for what it means.
func (w *Walker) find(from *Package, s *Spec) *Package {
	if w.Find != nil {
		if pkg, component := w.Find(from, s.Package); pkg != nil {
			if s.Component == "" {
				s.Component = component
			}
			return pkg
		}
	}
	if s.Component == "" && from.Components[s.Package] != nil {
		s.Component = s.Package
		return from
	}
	return nil
}

// requirements lists what the component needs at a stage.
func (i Item) requirements(stage Stage) []string {
	a := i.Attributes
	switch stage {
	case Compile:
		return slices.Concat(a.Requires, a.CompileRequires)
	case Link:
		return slices.Concat(a.Requires, a.LinkRequires)
	}
	return slices.Concat(a.Requires, a.LinkRequires, a.DyldRequires)
}
