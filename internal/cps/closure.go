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

// Closure lists the components that the roots need at a stage: dependents before what they depend on, each once,
// and otherwise in the order of the requirements, a later mention taking the place of an earlier one. That is the order
// in which a linker that goes through its arguments once finds every symbol. Names of packages that Find does not know
// come back as missing, each once, in the order of their last mention.
// Errors are *[CycleError] and *[MissingError], and those of Replace.
func (w *Walker) Closure(stage Stage, roots ...Root) (items []Item, missing []string, err error) {
	walk := walk{Walker: w, stage: stage, state: map[key]int{}, missing: map[string]bool{}}
	for _, root := range slices.Backward(roots) {
		spec := Spec{Component: root.Component}
		if err := walk.spec(root.Package, spec, ""); err != nil {
			return nil, nil, err
		}
	}
	slices.Reverse(walk.items)
	slices.Reverse(walk.missed)
	return walk.items, walk.missed, nil
}

// CycleError is a component that requires itself.
type CycleError struct {
	Path []string // absolute names; the last is the first again
}

func (e *CycleError) Error() string {
	return fmt.Sprintf("components require each other in a circle: %s: one of these requirements has to go", strings.Join(e.Path, " -> "))
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

const (
	open = 1 // on the path from a root
	done = 2
)

// walk is one depth-first search. It visits requirements last to first and collects components when they are left, so
// that the reversed result is in link order.
type walk struct {
	*Walker
	stage   Stage
	state   map[key]int
	path    []key
	items   []Item
	missed  []string
	missing map[string]bool
}

// spec visits the components of pkg that a requirement stands for; by names the component that has the requirement.
func (w *walk) spec(pkg *Package, s Spec, by string) error {
	items, err := w.choose(pkg, s, by)
	if err != nil {
		return err
	}
	for _, item := range slices.Backward(items) {
		if err := w.component(item); err != nil {
			return err
		}
	}
	return nil
}

// choose lists the components of pkg that a requirement stands for, each in the configuration that the consumer gets.
func (w *Walker) choose(pkg *Package, s Spec, by string) ([]Item, error) {
	components := []string{s.Component}
	if s.Component == "" {
		components = pkg.Defaults()
	}
	items := make([]Item, 0, len(components))
	for _, component := range components {
		if pkg.Components[component] == nil {
			return nil, &MissingError{Package: pkg.Name, Component: component, By: by, Have: pkg.linkable()}
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
	k := key{item.Package, item.Component, item.Configuration}
	switch w.state[k] {
	case done:
		return nil
	case open:
		return w.cycle(k)
	}
	w.state[k] = open
	w.path = append(w.path, k)
	for _, requirement := range slices.Backward(item.requirements(w.stage)) {
		if err := w.requirement(item, requirement); err != nil {
			return err
		}
	}
	w.path = w.path[:len(w.path)-1]
	w.state[k] = done
	w.items = append(w.items, item)
	return nil
}

func (w *walk) requirement(item Item, requirement string) error {
	pkg, s := w.target(item, requirement)
	if pkg == nil {
		if !w.missing[s.Package] {
			w.missing[s.Package] = true
			w.missed = append(w.missed, s.Package)
		}
		return nil
	}
	return w.spec(pkg, s, item.String())
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

func (w *walk) cycle(k key) error {
	e := new(CycleError)
	for _, on := range w.path[slices.Index(w.path, k):] {
		e.Path = append(e.Path, on.pkg.Name+":"+on.component)
	}
	e.Path = append(e.Path, e.Path[0])
	return e
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
