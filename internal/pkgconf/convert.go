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
	// Has reports whether there is a file or directory of that path in the package.
	Has(file string) bool
	// Module returns the name of the module of the same package that meets a requirement; empty when none does.
	Module(d Dependency) string
}

// Components converts a relocated module to a component for static and one for shared linking. static has the private
// closure: Libs.private, Requires.private as link_requires and compile_requires, Cflags.private. shared has the public one,
// with Requires.private as compile_requires and dyld_requires, as pkgconf takes their Cflags too, and what pkgconf 3 has for
// it: Libs.shared, Requires.shared, Cflags.shared. One of them is nil when the package has the library in the other kind only.
// A module without a library of the package gives interfaces.
func (m *Module) Components(tree Tree) (static, shared *cps.Component) {
	c := conversion{module: m, tree: tree}
	c.libs = Flags(LinkerFlags(m.Libs))
	c.staticLibs = slices.Concat(c.libs, Flags(LinkerFlags(m.LibsPrivate)))
	c.sharedLibs = slices.Concat(c.libs, Flags(LinkerFlags(m.LibsShared)))
	for _, f := range slices.Concat(c.staticLibs, c.sharedLibs) {
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
	module                 *Module
	tree                   Tree
	libs                   []Flag // those of Libs, with which the other two begin
	staticLibs, sharedLibs []Flag
	dirs                   []string
	main                   int // the flag in libs that is the component's own library; -1 for none
	archive, dylib         *cps.Attributes
}

// findMain takes the first library of the package as the component's own, unless it is in a group or a whole archive.
func (c *conversion) findMain() {
	c.main = -1
	inside := false
	for i, f := range c.libs {
		switch ScopeOf(f.Args[0]) {
		case GroupBegin, WholeBegin:
			inside = true
		case GroupEnd, WholeEnd:
			inside = false
		}
		if inside || f.Kind != Library && f.Kind != LibraryFile {
			continue
		}
		if archive, dylib := c.tree.Library(f, c.dirs); archive != nil || dylib != nil {
			c.main, c.archive, c.dylib = i, archive, dylib
			return
		}
	}
}

func (c *conversion) static() *cps.Component {
	component := c.component(cps.Archive, c.archive)
	c.compile(component, slices.Concat(c.module.Cflags, c.module.CflagsPrivate))
	c.link(component, c.staticLibs, true)
	component.LinkRequires = c.specs(c.module.RequiresPrivate)
	component.CompileRequires = slices.Clone(component.LinkRequires)
	for language := range strings.FieldsSeq(strings.ToLower(c.module.Fields["link.abi"] + " " + c.module.Fields["link.abi.private"])) {
		if language == "c++" {
			component.LinkLanguages = with(component.LinkLanguages, "cpp")
		}
	}
	return component
}

func (c *conversion) shared() *cps.Component {
	component := c.component(cps.Dylib, c.dylib)
	c.compile(component, slices.Concat(c.module.Cflags, c.module.CflagsShared))
	c.link(component, c.sharedLibs, false)
	component.Requires = append(component.Requires, c.specs(c.module.RequiresShared)...)
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
				if strings.HasPrefix(f.Args[0], "-isystem") { // one of dirs for who knows no more
					flags = append(flags, "-isystem", dir)
				}
			}
		case Define:
			c.define(component, f.Value)
		case Empty:
		default:
			if !Harmless(f.Args) {
				flags = append(flags, f.Args...)
			}
		}
	}
	for i, flag := range flags {
		if flag == "-include" && i+1 < len(flags) {
			flags[i+1] = c.header(dirs, flags[i+1])
		}
	}
	component.Includes, component.CompileFlags = cps.All(dirs...), cps.All(flags...)
}

// header returns the path of a header that is included by its name: the package's own, whatever else the compiler would find.
// A path into the package, which does not have it, is where it was installed: that is refused, and pack tells of it.
func (c *conversion) header(dirs []string, name string) string {
	if to := c.module.to; to != "" && strings.HasPrefix(name, to) && !c.tree.Has(name) {
		return c.module.from + strings.TrimPrefix(name, to)
	}
	if path.IsAbs(name) || path.Clean(name) != name || strings.HasPrefix(name, "..") || strings.HasPrefix(name, cps.PrefixMarker) {
		return name
	}
	for _, dir := range dirs {
		if file := dir + "/" + name; c.tree.Has(file) {
			return file
		}
	}
	return name
}

// define adds a definition. A path in it leads into the package where that has it, and else to where it was installed.
func (c *conversion) define(component *cps.Component, definition string) {
	name, value, valued := strings.Cut(definition, "=")
	if to := c.module.to; to != "" && strings.Contains(value, to) {
		file := value[strings.Index(value, to):]
		if end := strings.IndexAny(file, `"' `); end >= 0 {
			file = file[:end]
		}
		if !c.tree.Has(file) {
			value = strings.ReplaceAll(value, to, c.module.from)
		}
	}
	if component.Definitions == nil {
		component.Definitions = cps.Definitions{cps.AnyLanguage: {}}
	}
	component.Definitions[cps.AnyLanguage][name] = nil
	if valued {
		component.Definitions[cps.AnyLanguage][name] = &value
	}
}

// entry is a flag of a component's link interface.
type entry struct {
	args    []string // as [cps.Attributes.LinkItems] has it
	library string   // as link_libraries has it; empty for a flag
	scope   Scope
}

// link describes what the linker is told. Directories are not needed any more, an rpath of the machine that built the
// library is of no use on another, and how the library itself was built is nobody's business.
func (c *conversion) link(component *cps.Component, flags []Flag, static bool) {
	var entries []entry
	own := -1
	for i, f := range flags {
		switch f.Kind {
		case LibraryDir, RPath, Empty:
			continue
		case Library, LibraryFile:
			entries = append(entries, c.library(component, f, static))
		case Framework:
			entries = append(entries, entry{args: []string{"-framework", f.Value}, library: "-framework " + f.Value})
		default:
			if Harmless(f.Args) {
				continue
			}
			entries = append(entries, entry{args: f.Args, scope: ScopeOf(f.Args[0])})
		}
		if i == c.main {
			own = len(entries) - 1
		}
	}
	entries, own = joined(entries, own)
	for i, e := range entries {
		switch {
		case e.library == "" && e.scope == NoScope:
			component.LinkFlags = append(component.LinkFlags, e.args...)
		case e.library != "" && i != own:
			component.LinkLibraries = append(component.LinkLibraries, e.library)
		}
	}
	if ordered(entries, own) {
		for _, e := range entries {
			component.LinkItems = append(component.LinkItems, e.args...)
		}
	}
}

// joined drops a library that stands again right behind itself, and all but the last mention of a system's library that no
// flag sets anything for. It returns the new index of the component's own.
func joined(entries []entry, own int) ([]entry, int) {
	scoped := slices.ContainsFunc(entries, func(e entry) bool { return e.scope != NoScope })
	var kept []entry
	place := own
	for i, e := range entries {
		system := e.library != "" && !strings.HasPrefix(e.library, cps.PrefixMarker)
		again := len(kept) > 0 && e.library != "" && kept[len(kept)-1].library == e.library
		if again || system && !scoped && slices.ContainsFunc(entries[i+1:], func(later entry) bool { return later.library == e.library }) {
			if i < own {
				place--
			}
			continue
		}
		kept = append(kept, e)
	}
	return kept, place
}

// ordered reports whether location, link_libraries and link_flags, in this order, would not be what the entries say.
func ordered(entries []entry, own int) bool {
	seen := map[string]bool{}
	flags := false
	for i, e := range entries {
		if e.scope != NoScope || e.library != "" && (flags || seen[e.library] || i < own) {
			return true
		}
		flags, seen[e.library] = flags || e.library == "", true
	}
	return false
}

// library returns the entry for a library: a path in the package, or the name of a system library.
func (c *conversion) library(component *cps.Component, f Flag, static bool) entry {
	archive, dylib := c.tree.Library(f, c.dirs)
	library := dylib
	if static && archive != nil || dylib == nil {
		library = archive
	}
	if library == nil {
		name := systemLibrary(f)
		return entry{args: []string{"-l" + name}, library: name}
	}
	file := library.Location
	if library.LinkLocation != "" {
		file = library.LinkLocation
	}
	for _, language := range library.LinkLanguages {
		component.LinkLanguages = with(component.LinkLanguages, language)
	}
	return entry{args: []string{file}, library: file}
}

// with returns list and s, unless it has it.
func with(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list[:len(list):len(list)], s)
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
		if d.Ours() {
			continue
		}
		spec := d.Name
		if id := c.tree.Module(d); id != "" {
			spec = ":" + id
		}
		if !slices.Contains(specs, spec) {
			specs = append(specs, spec)
		}
	}
	return specs
}
