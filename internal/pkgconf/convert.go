package pkgconf

import (
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// Tree is what a conversion asks about the package that a module belongs to.
type Tree interface {
	// Library gives what the package has of a library that a flag of kind [Library] or [LibraryFile] names, searched in
	// dirs first: the locations, soname and languages of the archive and of the shared library, nil for one that is
	// not there.
	Library(f Flag, dirs []string) (archive, dylib *cps.Attributes)
	// Include gives the directories of the package that stand for an include directory; none when it has no such.
	Include(dir string) []string
	// Module says whether a module of the name is in the same package.
	Module(id string) bool
}

// Components converts a relocated module to a component for static and one for shared linking. static has the private
// closure: Libs.private, Requires.private as link_requires and compile_requires, Cflags.private. shared has the public one,
// with Requires.private as compile_requires and dyld_requires, as pkgconf takes their Cflags too. One of them is
// nil when the package has the library in the other kind only. A module without a library of the package gives interfaces.
func (m *Module) Components(tree Tree) (static, shared *cps.Component) {
	c := conversion{module: m, tree: tree, libs: Flags(m.Libs), private: Flags(m.LibsPrivate)}
	for _, f := range slices.Concat(c.libs, c.private) {
		if f.Kind == LibraryDir {
			c.dirs = append(c.dirs, f.Value)
		}
	}
	c.findMain()
	if c.archive != nil || c.dylib == nil {
		static = c.static()
	}
	if c.dylib != nil || c.archive == nil {
		shared = c.shared()
	}
	return static, shared
}

type conversion struct {
	module         *Module
	tree           Tree
	libs, private  []Flag
	dirs           []string
	main           int // the flag in libs that is the component's own library; -1 for none
	archive, dylib *cps.Attributes
}

// findMain takes the first library of the package as the component's own, unless flags that work on the ones between
// them stand in the list: then all of it keeps its order, in an interface.
func (c *conversion) findMain() {
	c.main = -1
	if slices.ContainsFunc(slices.Concat(c.libs, c.private), Flag.Positional) {
		return
	}
	for i, f := range c.libs {
		if f.Kind != Library && f.Kind != LibraryFile {
			continue
		}
		if archive, dylib := c.tree.Library(f, c.dirs); archive != nil || dylib != nil {
			c.main, c.archive, c.dylib = i, archive, dylib
			return
		}
	}
}

// Positional says whether the flag acts on those that follow it, so that its place among them matters.
func (f Flag) Positional() bool {
	if f.Kind != Other {
		return false
	}
	for option := range strings.SplitSeq(strings.TrimPrefix(f.Value, "-Wl,"), ",") {
		switch strings.TrimLeft(option, "-") {
		case "start-group", "end-group", "(", ")", "Bstatic", "Bdynamic", "static", "dn", "dy", "push-state", "pop-state",
			"as-needed", "no-as-needed", "whole-archive", "no-whole-archive":
			return true
		}
	}
	return false
}

func (c *conversion) static() *cps.Component {
	component := c.component(cps.Archive, c.archive)
	c.compile(component, slices.Concat(c.module.Cflags, c.module.CflagsPrivate))
	c.link(component, slices.Concat(c.libs, c.private), true)
	component.LinkRequires = c.specs(c.module.RequiresPrivate)
	component.CompileRequires = slices.Clone(component.LinkRequires)
	return component
}

func (c *conversion) shared() *cps.Component {
	component := c.component(cps.Dylib, c.dylib)
	c.compile(component, c.module.Cflags)
	c.link(component, c.libs, false)
	component.CompileRequires = c.specs(c.module.RequiresPrivate)
	component.DyldRequires = slices.Clone(component.CompileRequires)
	return component
}

func (c *conversion) component(kind string, library *cps.Attributes) *cps.Component {
	component := &cps.Component{Type: cps.Interface}
	if library != nil {
		component.Type, component.Attributes = kind, *library
	}
	component.Requires = c.specs(c.module.Requires)
	return component
}

func (c *conversion) compile(component *cps.Component, arguments []string) {
	var dirs, flags []string
	for _, f := range Flags(arguments) {
		switch f.Kind {
		case IncludeDir:
			for _, dir := range c.tree.Include(f.Value) {
				if !slices.Contains(dirs, dir) {
					dirs = append(dirs, dir)
				}
			}
		case Define:
			define(component, f.Value)
		default:
			flags = append(flags, f.Args...)
		}
	}
	component.Includes, component.CompileFlags = cps.All(dirs...), cps.All(flags...)
}

func define(component *cps.Component, definition string) {
	name, value, valued := strings.Cut(definition, "=")
	if component.Definitions == nil {
		component.Definitions = cps.Definitions{cps.AnyLanguage: {}}
	}
	component.Definitions[cps.AnyLanguage][name] = nil
	if valued {
		component.Definitions[cps.AnyLanguage][name] = &value
	}
}

// link keeps the order of libraries; flags go beside them unless their place matters. Directories are not needed any more,
// and an rpath of the machine that built the library is of no use on another.
func (c *conversion) link(component *cps.Component, flags []Flag, static bool) {
	ordered := slices.ContainsFunc(flags, Flag.Positional)
	for i, f := range flags {
		switch {
		case i == c.main, f.Kind == LibraryDir, f.Kind == RPath:
		case f.Kind == Library, f.Kind == LibraryFile:
			if library := c.library(component, f, static); library != "" {
				component.LinkLibraries = append(component.LinkLibraries, library)
			}
		case f.Kind == Framework:
			component.LinkLibraries = append(component.LinkLibraries, "-framework "+f.Value)
		case ordered:
			component.LinkLibraries = append(component.LinkLibraries, f.Args...)
		default:
			component.LinkFlags = append(component.LinkFlags, f.Args...)
		}
	}
}

// library is the entry in link_libraries for a library: a path in the package, or the name of a system library; empty for
// the component's own, which comes already.
func (c *conversion) library(component *cps.Component, f Flag, static bool) string {
	archive, dylib := c.tree.Library(f, c.dirs)
	library := dylib
	if static && archive != nil || dylib == nil {
		library = archive
	}
	if library == nil {
		return systemLibrary(f)
	}
	file := library.Location
	if library.LinkLocation != "" {
		file = library.LinkLocation
	}
	if library.Location == component.Location {
		return ""
	}
	for _, language := range library.LinkLanguages {
		if !slices.Contains(component.LinkLanguages, language) {
			component.LinkLanguages = append(component.LinkLanguages[:len(component.LinkLanguages):len(component.LinkLanguages)], language)
		}
	}
	return file
}

// systemLibrary names a library that is not in the package. A path of the machine that built it would not be found
// elsewhere: what counts is the name.
func systemLibrary(f Flag) string {
	if f.Kind == Library {
		return f.Value
	}
	base := path.Base(f.Value)
	name, isLib := strings.CutPrefix(base, "lib")
	for _, suffix := range []string{".so", ".a", ".dylib", ".tbd"} {
		if stem, ok := strings.CutSuffix(name, suffix); ok && isLib {
			return stem
		}
	}
	return strings.TrimSuffix(base, ".lib")
}

// specs are the component references for a module's dependencies: those of the same package by ":id".
func (c *conversion) specs(dependencies []Dependency) []string {
	var specs []string
	for _, d := range dependencies {
		spec := d.Name
		if c.tree.Module(d.Name) {
			spec = ":" + d.Name
		}
		if !slices.Contains(specs, spec) {
			specs = append(specs, spec)
		}
	}
	return specs
}
