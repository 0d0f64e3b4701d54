// Package link turns resolved packages into what compilers and linkers are told: it walks the components that were
// asked for and all that these need, and collects include directories, definitions, libraries and flags in the order in
// which a linker wants them. Renderers write the result for cargo, for pkg-config's callers, for a shell and as JSON.
//
// It reads no file: all that it knows is in the CPS documents of the packages and in the directories named beside them. Only for an
// error it looks for libraries that no document names.
package link

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/store"
)

// Package is a package that is there to link. All directories are absolute, with forward slashes.
type Package struct {
	Name string // the name that other packages require it by; that of the CPS document also works
	Root string // the directory that takes the place of [cps.PrefixMarker]
	// StaticView and SharedView are directories of links that hold one kind of library each, as [cps.Package.Views] lists them;
	// empty when they were not made. Of a package with shared libraries alone there is SharedView where one of them is not in its
	// directory under all the names that are looked for.
	StaticView, SharedView string
	CPS                    *cps.Package
	// Unlinkable is a file that must not come before a linker; nil: there is none.
	Unlinkable *store.Unlinkable
	CXX        string // the C++ runtime its archives were built for, "libstdc++" or "libc++"; empty: the target's usual one
	// Requires says which package answers to a requirement of this one, by requirement: the Name of another package. What it
	// does not list is a component of the package itself, else the name or a component of a package that it does list, else
	// the system's. Nil is of a package that cannot say what it requires: its requirements are looked up by the names of all
	// packages, then by those of their components.
	Requires map[string]string

	views map[string]string // the files in StaticView and SharedView, by kind and name; nil: not asked yet
}

// Request asks for components of a package.
type Request struct {
	Package    *Package
	Components []string // empty: the package's defaults
	// Shared says which libraries are linked; empty: those that [Options] say.
	Shared project.Sharing
}

// Version returns the version of what is asked for: that of the only component that is named, else the package's own, else
// that of the first default component which says one. It is empty when none does.
func (r Request) Version() string {
	names := r.Components
	if len(names) == 1 {
		if c := r.Package.CPS.Components[names[0]]; c != nil && c.PkgConfig != nil && c.PkgConfig.Version != "" {
			return c.PkgConfig.Version
		}
	}
	if r.Package.CPS.Version != "" {
		return r.Package.CPS.Version
	}
	if len(names) == 0 {
		names = append([]string{r.Package.CPS.Name}, r.Package.CPS.Defaults()...)
	}
	for _, name := range names {
		if c := r.Package.CPS.Components[name]; c != nil && c.PkgConfig != nil && c.PkgConfig.Version != "" {
			return c.PkgConfig.Version
		}
	}
	return ""
}

// Options is how to link. The zero value links statically for Linux.
type Options struct {
	Shared bool // shared libraries and the public closure, in place of static ones and the private closure
	// Fallback links the shared library, with what it needs when it runs, of a component that has no static one.
	Fallback bool
	// ByPath gives shared libraries by their paths where static ones are linked: for a caller who looks for an archive of each
	// name, and would find the system's.
	ByPath bool
	OS     string
	Env    string // "gnu", "musl", "msvc"; empty: the system's usual one
	// Language of the sources, "c" or "cpp"; empty: "c".
	Language string
	// AllowFlags are flags that packages may ask for beyond the list that is safe, each as [FlagError] has it.
	AllowFlags []string
	// FilesOnly is for a caller who uses [Flags.RuntimeFiles] and [Flags.RPathDirs] alone, as the paths that they are: no flag
	// has to be harmless, and no path one that linkers take.
	FilesOnly bool

	// configuration is the one that is wanted of components with several; empty: none for debugging.
	configuration string
	// unfit are characters that the reader of the result cannot have in a path.
	unfit string
}

// NothingError is a package without a component to link.
type NothingError struct {
	Package string
	Files   []string // the package's libraries all the same, where nothing looks for them
}

func (e *NothingError) Error() string {
	if len(e.Files) > 0 {
		return fmt.Sprintf("link %s: the package has libraries where nothing looks for them, and no description of them (%s): have its author move them to lib, or describe them in a .pc or .cps file", e.Package, strings.Join(e.Files[:min(len(e.Files), 3)], ", "))
	}
	return fmt.Sprintf("link %s: the package has no libraries and no headers", e.Package)
}

// librariesIn lists the files of a directory that are called as libraries are.
func librariesIn(root string) (files []string) {
	_ = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if rel, relErr := filepath.Rel(root, file); err == nil && relErr == nil && entry.Type().IsRegular() && entry.Name()[0] != '.' && cps.LibraryName(entry.Name()) != "" {
			files = append(files, filepath.ToSlash(rel))
		}
		return nil // what cannot be read is not counted
	})
	return files
}

// SharedOnlyError is a component that is only there as a shared library where a static one was asked for.
type SharedOnlyError struct{ Package, Component string }

func (e *SharedOnlyError) Error() string {
	return fmt.Sprintf("link %s statically: its component %q is only there as a shared library: link with --shared, or set shared = \"fallback\" in the table [link] of ocipkg.toml", e.Package, e.Component)
}

// Link collects what the requested components need of all packages. What the packages require and none of them answers
// to is in [Flags.System], for the system's pkg-config.
//
// Errors are [*NothingError], [*SharedOnlyError], [*FlagError], [*cps.MissingError], and sentences on
// paths that leave a package and on packages that contradict each other.
func Link(packages []*Package, requests []Request, opts Options) (*Flags, error) {
	c := newCollector(packages, opts)
	if err := c.checkRoots(); err != nil {
		return nil, err
	}
	// In one go those that are linked statically, which may need some of the others, then those that are not.
	ways := map[project.Sharing][]cps.Root{}
	for _, r := range requests {
		c.of[r.Package.CPS] = r.Package
		way := cmp.Or(r.Shared, opts.sharing())
		if len(r.Package.CPS.Defaults()) == 0 {
			return nil, &NothingError{r.Package.Name, librariesIn(r.Package.Root)}
		}
		if c.flags.Root == "" {
			c.flags.Root = r.Package.Root
		}
		for _, component := range r.Components {
			ways[way] = append(ways[way], cps.Root{Package: r.Package.CPS, Component: component})
		}
		if len(r.Components) == 0 {
			ways[way] = append(ways[way], cps.Root{Package: r.Package.CPS})
		}
	}
	for _, way := range []project.Sharing{project.Static, project.Fallback, project.Shared} {
		if len(ways[way]) == 0 {
			continue
		}
		c.opts.Shared, c.opts.Fallback = way == project.Shared, way == project.Fallback
		for _, stage := range []func([]cps.Root) error{c.compile, c.link, c.load} {
			if err := stage(ways[way]); err != nil {
				return nil, err
			}
		}
	}
	c.flags.Items = slices.CompactFunc(c.flags.Items, func(a, b Item) bool { return a.isLibrary() && b.same(&a) && a.Path == b.Path })
	// Where there is a choice, static libraries come first: what is linked with shared ones alone needs none.
	c.opts.Shared = len(ways[project.Static])+len(ways[project.Fallback]) == 0
	return c.flags, c.searchDirs()
}

// sharing returns which libraries are linked for a request that does not say it.
func (o Options) sharing() project.Sharing {
	switch {
	case o.Shared:
		return project.Shared
	case o.Fallback:
		return project.Fallback
	}
	return project.Static
}

// collector is one call of Link.
type collector struct {
	opts     Options
	packages []*Package
	of       map[*cps.Package]*Package
	flags    *Flags
	versions error // the first requirement that is answered by a package of another version
}

func newCollector(packages []*Package, opts Options) *collector {
	if opts.OS == "" {
		opts.OS = "linux"
	}
	if opts.Language == "" {
		opts.Language = "c"
	}
	c := &collector{opts: opts, packages: packages, of: map[*cps.Package]*Package{}, flags: newFlags()}
	for _, p := range packages {
		c.of[p.CPS] = p
	}
	return c
}

// closure walks one stage, choosing between static and shared on the way.
func (c *collector) closure(stage cps.Stage, roots []cps.Root) ([]cps.Item, error) {
	items, missing, err := c.walker(stage).Closure(stage, roots...)
	if err == nil {
		err = c.versions
	}
	if err != nil {
		return nil, err
	}
	for _, m := range missing {
		if refused := c.checkSystem(m.Package); refused != nil {
			return nil, refused
		}
		c.system(m, stage)
	}
	return items, nil
}

// checkSystem refuses a requirement that the system's pkg-config would take for something else than a module: a path to a
// file of flags, an option.
func (c *collector) checkSystem(name string) error {
	constraints, of := []string{}, "a package"
	for _, p := range c.packages {
		if r := p.CPS.Requires[name]; r != nil {
			constraints = append(constraints, r.Constraints...)
		}
		if slices.Contains(requirements(p), name) {
			of = p.Name
		}
	}
	bad := func(constraint string) bool {
		fields := strings.Fields(constraint)
		return len(fields) != 2 || !slices.Contains([]string{"=", "!=", "<", ">", "<=", ">="}, fields[0]) || !IsModule(strings.TrimLeft(fields[1], "."))
	}
	if !IsModule(name) || slices.ContainsFunc(constraints, bad) {
		return errdef.Errorf(errdef.ErrVerification, "link %s: it requires %q, which cannot be a package of the system: have its author correct that", of, strings.Join(append([]string{name}, constraints...), " "))
	}
	return nil
}

// requirements lists the names of the packages that a package requires in any of its components.
func requirements(p *Package) []string {
	names := slices.Sorted(maps.Keys(p.CPS.Requires))
	p.CPS.MapRequirements(func(s cps.Spec) cps.Spec {
		if s.Package != "" {
			names = append(names, s.Package)
		}
		return s
	})
	return names
}

// shared reports whether shared libraries are wanted at a stage: what a shared library needs when it runs is one itself.
func (c *collector) shared(stage cps.Stage) bool {
	return c.opts.Shared || c.opts.Fallback && stage == cps.Load
}

func (c *collector) walker(stage cps.Stage) *cps.Walker {
	w := &cps.Walker{Find: c.find, Prefer: []string{cps.StaticConfiguration}}
	if c.shared(stage) {
		w.Prefer[0] = cps.SharedConfiguration
	}
	if c.opts.configuration != "" {
		w.Prefer = append(w.Prefer, c.opts.configuration)
	}
	w.Replace = func(p *cps.Package, component string) (string, error) {
		return c.twin(stage, p, component)
	}
	return w
}

// find returns the package that answers to a requirement, and notes when it is not of the version that is required.
func (c *collector) find(from *cps.Package, name string) (*cps.Package, string) {
	p, component := c.answer(from, name)
	if p == nil {
		return nil, ""
	}
	r := Request{Package: c.of[p]}
	if component != "" {
		r.Components = []string{component}
	}
	if err := checkVersion(c.of[from], name, r); err != nil && c.versions == nil {
		c.versions = err
	}
	return p, component
}

func (c *collector) answer(from *cps.Package, name string) (*cps.Package, string) {
	by := c.of[from]
	for _, p := range c.packages {
		if answer := by.Requires[name]; answer != "" && p.Name == answer {
			return p.CPS, ""
		}
	}
	has := func(p *cps.Package) bool { return p.Components[name] != nil && p.Components[name].Linkable() }
	if by.Requires != nil && has(from) {
		return from, name
	}
	for _, p := range c.asked(by) {
		if p.Name == name || p.CPS.Name == name {
			return p.CPS, ""
		}
	}
	for _, p := range c.asked(by) {
		if has(p.CPS) && p.CPS != from {
			return p.CPS, name
		}
	}
	if has(from) {
		return from, name
	}
	return nil, ""
}

// asked lists the packages that may answer to requirements which a package does not list.
func (c *collector) asked(by *Package) []*Package {
	if by.Requires == nil {
		return c.packages
	}
	listed := slices.Collect(maps.Values(by.Requires))
	return slices.DeleteFunc(slices.Clone(c.packages), func(p *Package) bool { return !slices.Contains(listed, p.Name) })
}

// checkVersion reports a requirement of a package that is answered by another version. Constraints are pkg-config's; a
// version alone is the specification's, which allows from compat_version on.
func checkVersion(by *Package, name string, answer Request) error {
	required := by.CPS.Requires[name]
	if required == nil {
		return nil
	}
	version := answer.Version()
	refuse := func(constraint string) error {
		if version == "" {
			return errdef.Errorf(errdef.ErrUsage, "link %s: it requires %s %s, and %s does not say which version it is: have its author set version under [package] in ocipkg.toml", by.Name, name, constraint, answer.Package.Name)
		}
		return errdef.Errorf(errdef.ErrUsage, "link %s: it requires %s %s, and the version of %s is %s: link another version of it, which [overrides] in ocipkg.toml can choose", by.Name, name, constraint, answer.Package.Name, version)
	}
	for _, constraint := range required.Constraints {
		list, err := pkgconf.ParseDependencies(name + " " + constraint)
		if err != nil || len(list) != 1 {
			continue // which is for checkSystem to say
		}
		if version == "" || !list[0].Allows(version) {
			return refuse(constraint)
		}
	}
	if required.Version == "" || len(required.Constraints) > 0 {
		return nil
	}
	oldest := answer.Package.CPS.CompatVersion
	if oldest == "" && !answer.Package.modules() {
		oldest = version
	}
	if pkgconf.CompareVersions(version, required.Version) < 0 || pkgconf.CompareVersions(required.Version, oldest) < 0 {
		return refuse(required.Version)
	}
	return nil
}

// modules reports whether the package's description is of .pc files, where a later version serves for an earlier one.
func (p *Package) modules() bool {
	for _, c := range p.CPS.Components {
		if c.PkgConfig != nil {
			return true
		}
	}
	return false
}

// twin takes the static or the shared library of a document that has both without a choice between them. A library that is
// only static serves a shared build, not the other way round; for headers alone either will do.
func (c *collector) twin(stage cps.Stage, p *cps.Package, component string) (string, error) {
	kind, wanted := p.Components[component].Type, cps.Archive
	if c.shared(stage) {
		wanted = cps.Dylib
	}
	if kind == cps.Interface || kind == wanted {
		return component, nil
	}
	if twin := p.Twin(component, wanted); twin != "" {
		return twin, nil
	}
	if kind == cps.Dylib && stage == cps.Link && !c.opts.Fallback {
		return "", &SharedOnlyError{Package: c.of[p].Name, Component: component}
	}
	return component, nil
}

// system records a requirement that is left to the system's pkg-config.
func (c *collector) system(m cps.Missing, stage cps.Stage) {
	name := m.Package
	if stage == cps.Load {
		return
	}
	i := slices.IndexFunc(c.flags.System, func(s SystemPackage) bool { return s.Name == name })
	if i < 0 {
		i = len(c.flags.System)
		s := SystemPackage{Name: name, By: cmp.Or(m.By.Package.Name, c.of[m.By.Package].Name)}
		for _, p := range c.packages {
			if r := p.CPS.Requires[name]; r != nil {
				s.Constraints = appendMissing(s.Constraints, r.Constraints...)
			}
		}
		c.flags.System = append(c.flags.System, s)
	}
	if stage == cps.Compile {
		c.flags.System[i].Compile = true
	} else {
		c.flags.System[i].Link = true
	}
}

func (c *collector) compile(roots []cps.Root) error {
	items, err := c.closure(cps.Compile, roots)
	if err != nil {
		return err
	}
	for _, item := range items {
		if err := c.compileItem(item); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) compileItem(item cps.Item) error {
	p := c.of[item.Package]
	for _, dir := range item.Attributes.Includes.For(c.opts.Language) {
		if err := c.checkPath(item, "-I", dir); err != nil {
			return err
		}
		c.flags.IncludeDirs = appendMissing(c.flags.IncludeDirs, p.place(dir))
	}
	definitions := item.Attributes.Definitions.For(c.opts.Language)
	names := make([]string, 0, len(definitions))
	for name := range definitions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		d := Define{Name: name, Value: definitions[name]}
		if err := c.checkCompile(item, []string{d.Arg()}); err != nil {
			return err
		}
		if d.Value != nil {
			placed := strings.ReplaceAll(*d.Value, cps.PrefixMarker, p.Root)
			d.Value = &placed
		}
		if !slices.ContainsFunc(c.flags.Defines, d.equal) {
			c.flags.Defines = append(c.flags.Defines, d)
		}
	}
	for _, args := range slices.DeleteFunc(group(item.Attributes.CompileFlags.For(c.opts.Language)), pkgconf.Harmless) {
		if err := c.checkCompile(item, args); err != nil {
			return err
		}
		args = p.placeAll(args)
		switch {
		case args[0] != "-isystem" || len(args) != 2 || !slices.Contains(c.flags.IncludeDirs, args[1]):
			c.flags.addCFlag(args)
		case c.opts.Env != "msvc": // which has directories of one kind
			c.flags.SystemDirs = appendMissing(c.flags.SystemDirs, args[1])
		}
	}
	return nil
}

// load adds the shared libraries of the whole closure, and the directories where they are found at run time. Where static
// ones come first, the closure is that of the shared ones which are linked all the same.
func (c *collector) load(roots []cps.Root) error {
	if c.opts.Fallback {
		linked, err := c.closure(cps.Link, roots)
		if err != nil {
			return err
		}
		roots = nil
		for _, item := range linked {
			if item.Type == cps.Dylib {
				roots = append(roots, cps.Root{Package: item.Package, Component: item.Component})
			}
		}
	}
	if !c.shared(cps.Load) {
		return nil
	}
	items, err := c.closure(cps.Load, roots)
	if err != nil {
		return err
	}
	for _, item := range items {
		if item.Type != cps.Dylib || item.Attributes.Location == "" { // which the system has
			continue
		}
		p := c.of[item.Package]
		if err := c.checkPath(item, "", item.Attributes.Location); err != nil {
			return err
		}
		if err := c.checkInstallName(item); err != nil {
			return err
		}
		if err := c.rpath(p, p.runtimeDir(item.Attributes)); err != nil {
			return err
		}
		c.flags.RuntimeFiles = appendMissing(c.flags.RuntimeFiles, p.place(item.Attributes.Location))
	}
	leaves(c.flags.Items, func(l *Item) {
		if l.Kind == Shared && l.runtimeFile != "" {
			c.flags.RuntimeFiles = appendMissing(c.flags.RuntimeFiles, l.runtimeFile)
		}
	})
	return nil
}

// checkInstallName refuses a shared library that the linked program would not look for in the package: it would find none, or
// another one, such as that of Homebrew.
func (c *collector) checkInstallName(item cps.Item) error {
	name := item.Attributes.InstallName
	if name == "" || c.opts.FilesOnly || c.opts.OS != "darwin" && c.opts.OS != "ios" {
		return nil
	}
	return errdef.Errorf(errdef.ErrVerification, "link %s with its shared libraries: the install name of %s is %q, so that programs would look for it there and not in the package: link it statically, or have its author link it with -install_name @rpath/%s",
		c.of[item.Package].Name, basename(item.Attributes.Location), name, basename(name))
}

// rpath adds a directory to those where the program looks for shared libraries.
func (c *collector) rpath(p *Package, dir string) error {
	if c.opts.OS == "windows" {
		return nil
	}
	apple := c.opts.OS == "darwin" || c.opts.OS == "ios"
	if (strings.ContainsRune(dir, ',') || strings.ContainsRune(dir, ':') && !apple) && !c.opts.FilesOnly {
		return errdef.Errorf(errdef.ErrUsage, "link %s with its shared libraries: they are in %q, and no program can be told to look in a directory with a comma or a colon in its name: set OCIPKG_HOME to another one, link without --shared, or use ocipkg bundle", p.Name, dir)
	}
	c.flags.RPathDirs = appendMissing(c.flags.RPathDirs, dir)
	c.flags.DisableNewDtags = !apple
	return nil
}

// IRFlag is the flag that a project allows to have a package linked that has a compiler's intermediate representation.
const IRFlag = "-flto"

// checkUnlinkable refuses a package with what must not come before a linker, whatever of it is linked: a linker that is told of a
// directory may read more than that.
func (c *collector) checkUnlinkable(p *Package) error {
	if c.opts.FilesOnly {
		return nil
	}
	return p.MayBeLinked(c.opts.AllowFlags)
}

// MayBeLinked returns the error of a package with what must not come before a linker, with the flags that the project allows.
func (p *Package) MayBeLinked(allowFlags []string) error {
	bad := p.Unlinkable
	switch {
	case bad == nil:
		return nil
	case !bad.IR:
		return errdef.Errorf(errdef.ErrVerification, "link %s: its file %q %s; have its author leave it out, or put a library in its place", p.Name, bad.Path, bad.Reason)
	case slices.Contains(allowFlags, IRFlag):
		return nil
	}
	return errdef.Errorf(errdef.ErrVerification, "link %s: its file %q %s, with options of the package: have its author build it without, or strip it (objcopy --remove-section='.gnu.lto_*' --remove-section='.gnu.debuglto_*'); if you trust the package, allow it with --allow-flag=%[4]s, or in ocipkg.toml with allow-flags = [%[4]q] under [trust]", p.Name, bad.Path, bad.Reason, IRFlag)
}

// checkRoots refuses a store in a directory of which nothing can be written on a line.
func (c *collector) checkRoots() error {
	for _, p := range c.packages {
		if err := c.checkUnlinkable(p); err != nil {
			return err
		}
		for _, dir := range []string{p.Root, p.StaticView, p.SharedView} {
			if control(dir) && !c.opts.FilesOnly {
				return errdef.Errorf(errdef.ErrUsage, "link %s: it is in %q, and there is a control character in that name: set OCIPKG_HOME to another directory", p.Name, dir)
			}
			if i := strings.IndexAny(strings.TrimPrefix(dir, filepath.VolumeName(dir)), c.opts.unfit); i >= 0 {
				return errdef.Errorf(errdef.ErrUsage, "link %s: it is in %q, and CMake and its generators take no path with one of %s in it: set OCIPKG_HOME to another directory", p.Name, dir, c.opts.unfit)
			}
		}
	}
	return nil
}

// runtimeDir is where a shared library lies under the name that programs ask for: its own directory, or the view.
func (p *Package) runtimeDir(a *cps.Attributes) string {
	if a.Soname != "" {
		if dir := p.viewOf(Shared, a.Location); dir != "" {
			return dir
		}
	}
	return dirname(p.place(cmp.Or(a.Location, a.LinkLocation)))
}

// viewOf is the view that has a library; empty when there is none, or when it has another one of that name.
func (p *Package) viewOf(kind Kind, file string) string {
	dir := p.StaticView
	if kind == Shared {
		dir = p.SharedView
	}
	if dir != "" && p.views == nil {
		p.views = map[string]string{}
		static, shared := p.CPS.Views()
		for kind, entries := range map[Kind][]cps.ViewEntry{Static: static, Shared: shared} {
			for _, e := range entries {
				p.views[string(kind)+"/"+e.Name] = e.Target
			}
		}
	}
	if dir == "" || p.views[string(kind)+"/"+basename(file)] != strings.TrimPrefix(file, cps.PrefixMarker+"/") {
		return ""
	}
	return dir
}

// place gives the absolute path for one of the package's own.
func (p *Package) place(file string) string {
	file = cps.Substitute(file, p.Root)
	if strings.HasPrefix(file, "/") || len(file) > 1 && file[1] == ':' {
		return file
	}
	return p.Root + "/" + file
}

// placeAll puts the package's directory in flags.
func (p *Package) placeAll(args []string) []string {
	placed := make([]string, len(args))
	for i, arg := range args {
		placed[i] = strings.ReplaceAll(arg, cps.PrefixMarker, p.Root)
	}
	return placed
}

func appendMissing(list []string, more ...string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

func dirname(file string) string {
	return file[:max(strings.LastIndexByte(file, '/'), 0)]
}

func basename(file string) string {
	return file[strings.LastIndexByte(file, '/')+1:]
}
