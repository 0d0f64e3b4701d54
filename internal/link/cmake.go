package link

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
)

// CMakeOptions say how a CMake config is made.
type CMakeOptions struct {
	Options
	// Name is the name that find_package is given.
	Name string
	// Version is that of a package whose description has none; empty: none is known.
	Version string
	// Exists says whether a directory is there: CMake refuses targets with include directories that are not. Nil: all are.
	Exists func(dir string) bool
	// Depends are files whose change makes CMake configure anew.
	Depends []string
}

// CMake writes the two files with which CMake's find_package finds a package: <Name>Config.cmake and
// <Name>ConfigVersion.cmake.
// The config makes imported targets: Name::Name for the components that were asked for, Name::COMPONENT for each that the
// package has, and those of CMake's own Find module for a library that has one; and it sets the variables that such modules
// set. The targets carry all that they need, in the graph from which CMake makes the linker's order. What no package answers
// to is looked for with find_package, where CMake has a module for it, or else with pkg-config.
//
// Errors are those of [Link], and sentences on names that CMake cannot carry.
func CMake(packages []*Package, request Request, opts CMakeOptions) (config, version string, err error) {
	if !cmakeName(opts.Name) {
		return "", "", errdef.Errorf(errdef.ErrUsage, "%q is not a name for find_package: use letters, digits and the signs _ . + -", opts.Name)
	}
	opts.unfit = CMakeUnfit
	flags, err := Link(packages, []Request{request}, opts.Options)
	if err != nil {
		return "", "", err
	}
	c := &cmakeConfig{
		collector: newCollector(packages, opts.Options), opts: opts, module: moduleNamed(opts.Name), flags: flags, request: request,
		internal: map[string]string{}, publicNames: map[string]bool{}, components: map[string]string{},
	}
	c.collector.of[request.Package.CPS] = request.Package
	if err := c.write(); err != nil {
		return "", "", err
	}
	config, version = c.text(), c.versionFile()
	return config, version, c.body.err
}

// CMakeUnfit are the characters that no path may have for CMake: a semicolon separates those of a list, a backslash becomes a
// slash, make takes a colon for the end of a rule's targets, and ninja takes a bar for the end of its inputs.
const CMakeUnfit = `;|:\`

// cmakeName takes what can stand in a variable's, a target's and a file's name as it is.
func cmakeName(name string) bool {
	return name != "" && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "-") && !strings.ContainsFunc(name, cps.OddInName)
}

// cmakeConfig is one call of CMake.
type cmakeConfig struct {
	*collector
	opts    CMakeOptions
	module  cmakeModule
	flags   *Flags // of the whole closure
	request Request

	body        cmakeText
	variant     string              // what [cmakeConfig.choices] has for the build types that targets are written for
	internal    map[string]string   // the target of a component of the closure, by its key and the variant
	publicNames map[string]bool     // targets that were written
	components  map[string]string   // what COMPONENTS of find_package may name, in lower case, and the target of each; empty: none
	named       []string            // those of them that the package or CMake's own module has by name
	unavailable []string            // "component: reason" of those that cannot be linked in this way
	files       map[string]cps.Item // the components of the closure that are libraries, by what -l calls these
}

func (c *cmakeConfig) roots() []cps.Root {
	if len(c.request.Components) == 0 {
		return []cps.Root{{Package: c.request.Package.CPS}}
	}
	var roots []cps.Root
	for _, component := range c.request.Components {
		roots = append(roots, cps.Root{Package: c.request.Package.CPS, Component: component})
	}
	return roots
}

func (c *cmakeConfig) write() error {
	for _, s := range c.flags.System {
		c.findSystem(s)
	}
	roots := c.roots()
	if err := c.indexFiles(roots); err != nil {
		return err
	}
	if err := c.public(c.opts.Name+"::"+c.opts.Name, roots); err != nil {
		return err
	}
	for _, component := range slices.Sorted(maps.Keys(c.request.Package.CPS.Components)) {
		if err := c.component(component); err != nil {
			return err
		}
	}
	for _, alias := range c.module.targets {
		if err := c.stockTarget(alias, roots); err != nil {
			return err
		}
	}
	for _, variable := range c.module.componentVariables {
		for _, component := range c.request.Package.CPS.Components {
			if component.PkgConfig != nil {
				for word := range strings.FieldsSeq(component.PkgConfig.Variables[variable]) {
					c.answers(word, "")
					c.named = append(c.named, word)
				}
			}
		}
	}
	return c.variables(roots)
}

// component writes the target of one of the package's components. One that cannot be linked in this way is none of the
// consumer's business until it is asked for.
func (c *cmakeConfig) component(component string) error {
	pkg := c.request.Package
	if !pkg.CPS.Components[component].Linkable() {
		return nil
	}
	items, err := c.walker(cps.Compile).Roots(cps.Root{Package: pkg.CPS, Component: component})
	if err != nil || items[0].Component != component {
		return err // the static twin of a shared library, or the other way round, stands for itself
	}
	name := strings.Map(plainRune, component)
	root := cps.Root{Package: pkg.CPS, Component: component}
	if _, err := Link(c.packages, []Request{{Package: pkg, Components: []string{component}}}, c.collector.opts); err != nil {
		c.unavailable = append(c.unavailable, component+": "+err.Error())
		return nil
	}
	target := c.opts.Name + "::" + name
	if err := c.public(target, []cps.Root{root}); err != nil {
		return err
	}
	c.answers(name, target)
	if slices.Contains(pkg.CPS.Known(), component) {
		c.named = append(append(c.named, name), pkg.CPS.Components[component].Names...)
	}
	for _, short := range pkg.CPS.Spellings(component, c.opts.Name) {
		if only, err := pkg.CPS.Component(short, c.opts.Name); err == nil && only == component {
			c.answers(short, target)
			c.alias(c.opts.Name+"::"+strings.Map(plainRune, short), target)
		}
	}
	for _, name := range pkg.CPS.Components[component].Names {
		c.alias(name, target)
	}
	return nil
}

// answers notes what COMPONENTS may name, the first target of a name.
func (c *cmakeConfig) answers(name, target string) {
	if name = strings.Map(plainRune, strings.ToLower(name)); c.components[name] == "" {
		c.components[name] = target
	}
}

// alias writes another name of a target.
func (c *cmakeConfig) alias(name, target string) {
	if !c.publicNames[name] {
		c.publicNames[name] = true
		c.body.line("if(NOT TARGET %s)\nadd_library(%s ALIAS %s)\nendif()", c.body.quote(name), c.body.quote(name), c.body.quote(target))
	}
}

// stockTarget writes a target under the name that CMake's own module gives it.
func (c *cmakeConfig) stockTarget(alias cmakeAlias, roots []cps.Root) error {
	if alias.kind == Shared && !c.collector.opts.Shared || alias.kind == Static && c.collector.opts.Shared {
		return nil
	}
	if alias.library != "" {
		component, err := c.componentOf(alias.library)
		if component == "" || err != nil {
			return err
		}
		roots = []cps.Root{{Package: c.request.Package.CPS, Component: component}}
	}
	_, short, _ := strings.Cut(alias.target, "::")
	c.answers(short, alias.target)
	c.named = append(c.named, short)
	return c.public(alias.target, roots)
}

// componentOf names the component whose library has the name; empty when the package has none.
func (c *cmakeConfig) componentOf(library string) (string, error) {
	document := c.request.Package.CPS
	for _, name := range slices.Sorted(maps.Keys(document.Components)) {
		if !document.Components[name].Linkable() {
			continue
		}
		items, err := c.rootItems([]cps.Root{{Package: document, Component: name}})
		var sharedOnly *SharedOnlyError
		if errors.As(err, &sharedOnly) {
			continue
		}
		if err != nil {
			return "", err
		}
		if len(items) == 1 && items[0].Attributes.Location != "" && cps.LibraryName(items[0].Attributes.Location) == library {
			return name, nil
		}
	}
	return "", nil
}

// rootItems returns the components that roots stand for.
func (c *cmakeConfig) rootItems(roots []cps.Root) ([]cps.Item, error) {
	items, err := c.walker(cps.Link).Roots(roots...)
	if err != nil {
		return nil, err
	}
	for i := range items {
		if items[i], err = c.chosen(items[i]); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// chosen gives, for a component that only chooses another one of its package, that other one: what has a file is of more use
// to CMake.
func (c *cmakeConfig) chosen(item cps.Item) (cps.Item, error) {
	path := []string{item.Component}
	for item.Type == cps.Interface && len(item.Attributes.LinkLibraries)+len(item.Attributes.LinkFlags) == 0 {
		children, missing, err := c.children(item)
		if err != nil {
			return item, err
		}
		if len(children) != 1 || len(missing) > 0 || children[0].Package != item.Package {
			break
		}
		item = children[0]
		if slices.Contains(path, item.Component) {
			break // in a circle, all of which are one
		}
		path = append(path, item.Component)
	}
	return item, nil
}

// children lists what a component links. A shared library's own needs count too: CMake then lets programs find them
// when they start, which a RUNPATH would not.
func (c *cmakeConfig) children(item cps.Item) (children []cps.Item, missing []cps.Missing, err error) {
	children, missing, err = c.walker(cps.Link).Direct(cps.Link, item)
	if err != nil || !c.collector.opts.Shared {
		return children, missing, err
	}
	more, _, err := c.walker(cps.Load).Direct(cps.Load, item)
	for _, child := range more {
		if !slices.ContainsFunc(children, func(other cps.Item) bool { return itemKey(other) == itemKey(child) }) {
			children = append(children, child)
		}
	}
	return children, missing, err
}

func itemKey(item cps.Item) string {
	return fmt.Sprintf("%p %s@%s", item.Package, item.Component, item.Configuration)
}

// dependency gives the target of a component that others link, which it writes at the first call.
func (c *cmakeConfig) dependency(item cps.Item) (string, error) {
	item, err := c.chosen(item)
	if err != nil {
		return "", err
	}
	key := itemKey(item) + c.variant
	if name := c.internal[key]; name != "" {
		return name, nil
	}
	p := c.of[item.Package]
	// The directory has the package's digest in it: equal names are equal libraries, whoever brings them.
	sum := sha256.Sum256([]byte(p.Root + "\x00" + item.Component + "@" + item.Configuration + "\x00" + c.variant))
	name := fmt.Sprintf("ocipkg::%s-%x", strings.Map(plainRune, p.Name+"-"+item.Component), sum[:6])
	c.internal[key] = name
	return name, c.target(name, item, nil)
}

func plainRune(r rune) rune {
	if cps.OddInName(r) {
		return '_'
	}
	return r
}

// public writes a target that users name.
func (c *cmakeConfig) public(name string, roots []cps.Root) error {
	if c.publicNames[name] {
		return nil
	}
	c.publicNames[name] = true
	return c.byBuildType(name, roots)
}

// publicTarget writes a target that users name, for one build type.
func (c *cmakeConfig) publicTarget(name string, roots []cps.Root) error {
	if ordered, err := c.needsOrder(roots); err != nil || ordered {
		if err != nil {
			return err
		}
		return c.inOrder(name, roots)
	}
	items, err := c.rootItems(roots)
	if err != nil {
		return err
	}
	if len(items) == 1 {
		return c.target(name, items[0], roots)
	}
	var libraries []string
	for _, item := range items {
		dependency, err := c.dependency(item)
		if err != nil {
			return err
		}
		libraries = append(libraries, linkOnly(dependency))
	}
	c.open(name, "INTERFACE")
	c.body.properties(name, "INTERFACE_LINK_LIBRARIES", libraries)
	err = c.usage(name, roots)
	c.body.line("endif()")
	return err
}

// target writes the target of a component; roots, when there are any, are what its dependents compile against.
func (c *cmakeConfig) target(name string, item cps.Item, roots []cps.Root) error {
	l, err := c.linkInterface(item)
	if err != nil {
		return err
	}
	p, a := c.of[item.Package], item.Attributes
	switch item.Type {
	case cps.Archive:
		c.open(name, "STATIC")
		c.body.property(name, "IMPORTED_LOCATION", p.place(a.Location))
	case cps.Dylib:
		if err := c.collector.checkInstallName(item); err != nil {
			return err
		}
		c.open(name, "SHARED")
		c.body.property(name, "IMPORTED_LOCATION", c.file(item))
		soname := a.Soname
		if soname == "" {
			soname = path.Base(a.Location)
		}
		if c.collector.opts.OS == "windows" {
			c.body.property(name, "IMPORTED_IMPLIB", p.place(a.LinkLocation))
		} else {
			c.body.property(name, "IMPORTED_SONAME", soname)
			if err := c.fallbackDirs(l, item); err != nil {
				return err
			}
			c.body.property(name, "INTERFACE_LINK_OPTIONS", c.dtags())
		}
	default:
		c.open(name, "INTERFACE")
	}
	c.writeLinkInterface(name, item.Type, l)
	if roots != nil {
		err = c.usage(name, roots)
	}
	c.body.line("endif()")
	return err
}

// dtags asks for RPATH in place of RUNPATH, as [Flags.DisableNewDtags] says.
func (c *cmakeConfig) dtags() string {
	if c.collector.opts.OS == "darwin" || c.collector.opts.OS == "ios" {
		return ""
	}
	return disableNewDtags
}

// file is the component's own library: of a shared one, where programs find it by its soname.
func (c *cmakeConfig) file(item cps.Item) string {
	p := c.of[item.Package]
	if item.Type == cps.Dylib && c.collector.opts.OS != "windows" {
		return p.runtimeDir(item.Attributes) + "/" + path.Base(item.Attributes.Location)
	}
	if item.Attributes.LinkLocation != "" {
		return p.place(item.Attributes.LinkLocation)
	}
	return p.place(item.Attributes.Location)
}

// open begins a target, unless the directory has it from another config.
func (c *cmakeConfig) open(name, kind string) {
	c.body.line("if(NOT TARGET %s)", c.body.quote(name))
	c.body.line("add_library(%s %s IMPORTED)", c.body.quote(name), kind)
}
