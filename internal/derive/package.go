// Package derive works out how a tree of files is linked, as a document of the Common Package Specification.
//
// The description comes, in this order, from a document that the project names, from a .cps file in the tree, from the
// tree's .pc files, or from the files themselves: the names of libraries and headers, and what package binfmt reads
// in the libraries. Every path in the result begins with [cps.PrefixMarker], which stands for the top of the tree.
package derive

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// Options is what the producer says of the package. The zero value leaves everything to the tree.
type Options struct {
	Name    string // the package's name; empty: that of the .cps file, of the only .pc file or library, else "package"
	Version string // empty: that of the .cps or .pc file
	// SystemLibs are the system libraries that the package's archives need, without "-l". They take the place of those
	// found from the shared libraries, and are added to those that a .pc file names; nil leaves both alone.
	SystemLibs []string
	// Names are what components are called beside their own names, by a name that [cps.Package.Component] knows.
	Names map[string][]string
	// Document is the description that the project has, with paths relative to the top of the tree; nil for none.
	Document *cps.Package
	// CPS is the slash-separated path of a .cps file in the tree to use and no other; empty: looked for.
	CPS string
	// Requires names the packages that this one depends on. Those that the description does not require anyway are
	// required by the default components. A Document or .cps file is left as it is.
	Requires []string
	// Require gives the name for a requirement that a .pc file has by reference (registry/repository:tag), after noting that
	// the package needs it; nil takes the last part of the repository.
	Require func(reference string) (name string, err error)
	// NativeStaticLibs holds, for a static library made by rustc (by the name after "lib"), the flags that
	// `rustc --print native-static-libs` printed.
	NativeStaticLibs map[string][]string
	// Warn is called with one sentence for what is left out of the description; nil drops them.
	Warn func(string)
}

// Package describes how the tree is linked. It returns nil when there is nothing to link or to include. Symbolic links
// in fsys are followed inside of it, if it implements [fs.ReadLinkFS]. Errors name the file that cannot be used: those of
// .cps files are [*cps.Error], of .pc files [*pkgconf.Error]; others are those of fsys.
func Package(fsys fs.FS, opts Options) (*cps.Package, error) {
	d := derivation{tree: newTree(fsys), opts: opts}
	d.searched = map[string]bool{}
	for _, step := range []func() error{
		d.tree.findPrefixes, d.indexLibraries, d.fromDocument, d.findElsewhere, d.fromModules, d.fromFiles, d.fromDebug, d.tellElsewhere,
	} {
		if err := step(); err != nil {
			return nil, err
		}
		if d.complete {
			break
		}
	}
	p := d.result
	if p == nil || !slices.ContainsFunc(slices.Collect(maps.Values(p.Components)), (*cps.Component).Linkable) {
		return nil, nil
	}
	if n := len(p.Components); n > cps.MaxComponents {
		d.warn("it has %d libraries and modules, which is more than %d, so that none is described: make several packages of it", n, cps.MaxComponents)
		return nil, nil
	}
	if err := d.completeSonames(); err != nil {
		return nil, err
	}
	d.finish()
	if err := d.names(); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("derive the link description of %s: %w", p.Name, err)
	}
	return p, nil
}

// derivation is one call of Package.
type derivation struct {
	tree      *tree
	opts      Options
	libraries *libraries
	searched  map[string]bool // directories in which libraries were looked for
	result    *cps.Package
	complete  bool // no further source is asked
}

func (d *derivation) warn(format string, args ...any) {
	if d.opts.Warn != nil {
		d.opts.Warn(fmt.Sprintf(format, args...))
	}
}

// start makes an empty description.
func (d *derivation) start() {
	d.result = &cps.Package{CPSPath: cps.PrefixMarker, Components: map[string]*cps.Component{}}
}

// finish sets what the producer says in place of what was found.
func (d *derivation) finish() {
	p := d.result
	if d.opts.Name != "" {
		renamed(p, d.opts.Name)
	}
	if d.opts.Version != "" {
		p.Version = d.opts.Version
	}
	if p.CPSVersion == "" {
		p.CPSVersion = p.MinVersion()
	}
	if p.Name == "" {
		p.Name = "package"
		if len(p.DefaultComponents) == 1 {
			p.Name = p.DefaultComponents[0]
		}
	}
}

// names gives the components the other names that the producer lists.
func (d *derivation) names() error {
	for _, name := range slices.Sorted(maps.Keys(d.opts.Names)) {
		component, err := d.result.Component(name, "")
		if err != nil {
			return fmt.Errorf("read [package.names]: %w", err)
		}
		c := d.result.Components[component]
		c.Names = appendMissing(c.Names, d.opts.Names[name])
	}
	return nil
}

// renamed gives the package another name, also where its own components use the old one.
func renamed(p *cps.Package, name string) {
	if p.Name != "" && p.Name != name {
		p.MapRequirements(func(s cps.Spec) cps.Spec {
			if s.Package == p.Name {
				s.Package = ""
				if s.Component == "" {
					s.Package = name
				}
			}
			return s
		})
	}
	p.Name = name
}

// require makes the default components require the producer's dependencies that nothing in the description does. They
// come before the requirements that are there: those may be components of the same packages, whose order counts.
func (d *derivation) require() {
	p := d.result
	for _, name := range slices.Backward(d.opts.Requires) {
		if p.Requires[name] != nil {
			continue
		}
		if p.Requires == nil {
			p.Requires = map[string]*cps.Requirement{}
		}
		p.Requires[name] = &cps.Requirement{}
		for _, component := range p.DefaultComponents {
			for _, c := range d.twinsOf(component) {
				c.CompileRequires = slices.Insert(c.CompileRequires, 0, name)
				if c.Type == cps.Dylib {
					c.DyldRequires = slices.Insert(c.DyldRequires, 0, name)
				} else {
					c.LinkRequires = slices.Insert(c.LinkRequires, 0, name)
				}
			}
		}
	}
}
