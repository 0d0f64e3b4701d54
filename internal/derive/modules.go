package derive

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// module is a .pc file of the tree.
type module struct {
	*pkgconf.Module
	component string // the component made of it
	aliasOf   string // the module that this one is a link to
}

// fromModules adds a component for each .pc file. Those that no other .pc file of the tree requires are the default
// components, unless one is named as the package.
func (d *derivation) fromModules() error {
	modules, err := d.readModules()
	if err != nil || len(modules) == 0 {
		return err
	}
	d.start()
	for _, m := range modules {
		if err := d.indexSearchPath(m); err != nil {
			return err
		}
	}
	includes, err := d.includes()
	if err != nil {
		return err
	}
	tree := moduleTree{d, modules, includes}
	for _, m := range modules {
		if m.aliasOf == "" {
			d.addModule(m, tree)
		}
	}
	for _, m := range modules {
		if m.aliasOf != "" {
			alias := &cps.Component{Type: cps.Interface, PkgConfig: m.description()}
			alias.Requires = []string{":" + m.aliasOf}
			d.result.AddTwins(m.ID, alias, nil)
		}
	}
	d.requireModules(modules)
	d.chooseDefaults(modules)
	return nil
}

// readModules finds and relocates the .pc files; the first of a name counts, as on pkg-config's search path.
func (d *derivation) readModules() ([]*module, error) {
	dirs, err := d.tree.libDirs()
	if err != nil {
		return nil, err
	}
	for i, lib := range dirs {
		dirs[i] = path.Join(lib, "pkgconfig")
	}
	dirs = append(dirs, d.tree.inPrefixes("share/pkgconfig")...)
	var modules []*module
	ids, files := map[string]bool{}, map[string]string{}
	for _, dir := range dirs {
		names, err := d.tree.list(dir)
		if err != nil {
			return nil, err
		}
		for _, base := range names {
			id, isModule := strings.CutSuffix(base, ".pc")
			file := path.Join(dir, base)
			if !isModule || ids[id] || strings.HasSuffix(id, "-uninstalled") || !d.tree.isFile(file) {
				continue
			}
			ids[id] = true
			m, err := d.readModule(file)
			if err != nil {
				return nil, err
			}
			if real := d.real(file); real != path.Clean(file) && files[real] == "" && d.isModuleName(real, dirs) {
				m.aliasOf = strings.TrimSuffix(path.Base(real), ".pc")
			}
			modules = append(modules, m)
		}
	}
	return modules, nil
}

// isModuleName says whether a link's target is a .pc file that is found by its own name.
func (d *derivation) isModuleName(real string, dirs []string) bool {
	return strings.HasSuffix(real, ".pc") && slices.ContainsFunc(dirs, func(dir string) bool {
		return d.real(dir) == path.Dir(real)
	})
}

func (d *derivation) readModule(file string) (*module, error) {
	text, err := d.tree.read(file, pkgconf.MaxSize)
	if err != nil {
		return nil, err
	}
	parsed, err := pkgconf.Parse(text, file)
	if err != nil {
		return nil, err
	}
	evaluated, err := parsed.EvaluateAt(marked(d.tree.prefixOf(file)), map[string]string{"pcfiledir": marked(path.Dir(file))})
	if err != nil {
		return nil, err
	}
	for _, dependencies := range [][]pkgconf.Dependency{evaluated.Requires, evaluated.RequiresPrivate, evaluated.RequiresShared} {
		if err := d.nameReferences(dependencies); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
	}
	return &module{Module: evaluated}, nil
}

// indexSearchPath indexes the directories of the tree that a module searches beside the usual ones.
func (d *derivation) indexSearchPath(m *module) error {
	for _, f := range pkgconf.Flags(slices.Concat(m.Libs, m.LibsPrivate, m.LibsShared)) {
		dir := ""
		switch f.Kind {
		case pkgconf.LibraryDir:
			dir = f.Value
		case pkgconf.LibraryFile:
			dir = path.Dir(f.Value)
		}
		name, ok := unmarked(dir)
		if !ok || !d.tree.isDir(name) {
			continue
		}
		real := d.real(name)
		if slices.ContainsFunc(d.libraries.list, func(l *library) bool { return d.real(l.dir) == real }) {
			continue
		}
		if err := d.indexDirectory(name); err != nil {
			return err
		}
	}
	return nil
}

func (d *derivation) addModule(m *module, tree moduleTree) {
	static, shared := m.Components(tree)
	description := m.description()
	for _, c := range []*cps.Component{static, shared} {
		if c == nil {
			continue
		}
		c.PkgConfig = description
		if len(c.Includes) == 0 && (c.Type != cps.Interface || len(c.Requires) == 0) {
			c.Includes = cps.All(tree.includes...)
		}
		if c.Type != cps.Dylib {
			c.LinkLibraries = appendMissing(c.LinkLibraries, d.opts.SystemLibs)
			if c.LinkItems != nil {
				for _, name := range d.opts.SystemLibs {
					c.LinkItems = append(c.LinkItems, "-l"+name)
				}
			}
		}
	}
	if static != nil && shared != nil && equalComponents(static, shared) {
		shared = nil
	}
	m.component = d.result.AddTwins(componentName(m.ID), static, shared)
}

// description is what the module's file says beside how to link.
func (m *module) description() *cps.PkgConfig {
	return &cps.PkgConfig{Name: m.Name, Description: m.Description, URL: m.URL, Version: m.Version, Variables: m.Variables, Fields: m.Fields}
}

func appendMissing(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// equalComponents compares two interfaces made of one module.
func equalComponents(a, b *cps.Component) bool {
	x, errX := (&cps.Package{Components: map[string]*cps.Component{"c": a}}).MarshalJSON()
	y, errY := (&cps.Package{Components: map[string]*cps.Component{"c": b}}).MarshalJSON()
	return errX == nil && errY == nil && string(x) == string(y)
}

// requireModules lists the modules of other packages in the package's requirements.
func (d *derivation) requireModules(modules []*module) {
	for _, m := range modules {
		for _, dependency := range m.requirements() {
			if dependency.Ours() || answering(modules, dependency) != "" {
				continue
			}
			if d.result.Requires == nil {
				d.result.Requires = map[string]*cps.Requirement{}
			}
			r := d.result.Requires[dependency.Name]
			if r == nil {
				r = &cps.Requirement{}
				d.result.Requires[dependency.Name] = r
			}
			if constraint := strings.TrimSpace(dependency.Op + " " + dependency.Version); constraint != "" {
				r.Constraints = appendMissing(r.Constraints, []string{constraint})
			}
			if dependency.Op == ">=" || dependency.Op == "=" {
				r.Version = dependency.Version
			}
		}
	}
}

// chooseDefaults makes the modules defaults that no other one requires in public, unless one is named as the package.
func (d *derivation) chooseDefaults(modules []*module) {
	byID := map[string]*module{}
	var ids []string
	for _, m := range modules {
		byID[m.ID] = m
		if m.aliasOf == "" {
			ids = append(ids, m.ID)
		}
	}
	unrequired := cps.Unrequired(ids, func(id string) []string {
		var required []string
		// What is required in private does not come along when shared libraries are linked.
		for _, dependency := range byID[id].Requires {
			other := answering(modules, dependency)
			if m := byID[other]; m != nil && m.aliasOf != "" {
				other = m.aliasOf
			}
			if other != "" {
				required = append(required, other)
			}
		}
		return required
	})
	if m := byID[d.opts.Name]; m != nil && m.aliasOf == "" {
		unrequired = []string{d.opts.Name}
	}
	var roots []*module
	for _, id := range unrequired {
		roots = append(roots, byID[id])
	}
	for _, m := range roots {
		d.result.DefaultComponents = append(d.result.DefaultComponents, m.component)
	}
	slices.Sort(d.result.DefaultComponents)
	if len(roots) > 0 {
		d.result.Version = roots[0].Version
	}
}

// moduleTree answers what the conversion of a module asks about the tree.
type moduleTree struct {
	*derivation
	modules  []*module
	includes []string
}

// Has reports whether the tree has a file or directory of a marked path.
func (t moduleTree) Has(file string) bool {
	name, inside := unmarked(file)
	_, _, err := t.tree.resolve(name)
	return inside && err == nil
}

func (t moduleTree) Module(d pkgconf.Dependency) string { return answering(t.modules, d) }

// answering returns the name of the module that meets a requirement, by its own name or by one that it provides; empty when
// none does.
func answering(modules []*module, d pkgconf.Dependency) string {
	for _, m := range modules {
		if m.ID == d.Name {
			if d.Allows(m.Version) {
				return m.ID
			}
			return ""
		}
	}
	for _, m := range modules {
		for _, provided := range m.Provides {
			if provided.Name == d.Name && (provided.Op != "=" || d.Allows(provided.Version)) {
				return m.ID
			}
		}
	}
	return ""
}

// requirements lists all that a module requires.
func (m *module) requirements() []pkgconf.Dependency {
	return slices.Concat(m.Requires, m.RequiresPrivate, m.RequiresShared)
}

// Library looks in the directories that the module searches, then anywhere in the tree: a directory of the machine that
// built the library gives way to the one in the package that has it.
func (t moduleTree) Library(f pkgconf.Flag, dirs []string) (archive, dylib *cps.Attributes) {
	var search []string
	for _, dir := range dirs {
		if name, ok := unmarked(dir); ok {
			search = append(search, name)
		}
	}
	name, exact := f.Value, ""
	if f.Kind == pkgconf.LibraryFile {
		search = append([]string{path.Dir(strings.TrimPrefix(f.Value, cps.PrefixMarker+"/"))}, search...)
		name, exact = cps.LibraryName(f.Value), path.Base(f.Value)
	} else if file, ok := strings.CutPrefix(f.Value, ":"); ok {
		name, exact = cps.LibraryName(file), file
	}
	l := t.libraries.find(name, search)
	if l == nil {
		return nil, nil
	}
	a, s := l.twins()
	if a != nil && (exact == "" || strings.HasSuffix(exact, ".a") || strings.HasSuffix(exact, ".lib")) {
		archive = &a.Attributes
		if t.libraries.needs(l).cxx {
			archive.LinkLanguages = []string{"cpp"}
		}
	}
	if s != nil && (exact == "" || !strings.HasSuffix(exact, ".a")) {
		dylib = &s.Attributes
	}
	return archive, dylib
}

// Include keeps a directory of the tree, adds Debian's directory for the platform to the one above it, and looks for the
// longest end of another path in the tree: what was /build/x/out/include/foo is include/foo here.
func (t moduleTree) Include(dir string) []string {
	name, inside := unmarked(dir)
	if inside && t.tree.isDir(name) {
		if path.Base(name) == "include" && slices.Contains(t.includes, marked(name)) {
			return slices.DeleteFunc(slices.Clone(t.includes), func(dir string) bool {
				return dir != marked(name) && !strings.HasPrefix(dir, marked(name)+"/")
			})
		}
		return []string{marked(name)}
	}
	elements := strings.Split(strings.Trim(path.Clean("/"+strings.TrimPrefix(dir, cps.PrefixMarker)), "/"), "/")
	for i := range elements {
		end := strings.TrimPrefix(path.Join(elements[i:]...), "include/")
		for _, candidate := range t.tree.inPrefixes(path.Join("include", end)) {
			return []string{marked(candidate)}
		}
	}
	if len(t.includes) > 0 && !systemInclude(dir) {
		return t.includes
	}
	t.warn("%s", fmt.Sprintf("the include directory %s is not in the package: it is left out", dir))
	return nil
}

// systemInclude says whether compilers search a directory anyway, so that its absence from the package means nothing.
func systemInclude(dir string) bool {
	return dir == "/usr/include" || dir == "/usr/local/include"
}
