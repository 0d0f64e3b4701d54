package link

import (
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// cmakeInterface is what the dependents of a target link beside it, as CMake's properties have it.
type cmakeInterface struct {
	libraries   []string // INTERFACE_LINK_LIBRARIES: libraries, targets, flags that have a place among them
	options     []string // INTERFACE_LINK_OPTIONS
	directories []string // INTERFACE_LINK_DIRECTORIES
	runtimes    []string // C++ runtimes that follow from the language, by library name
}

// linkInterface collects what a component brings beside its own file, then what it requires.
func (c *cmakeConfig) linkInterface(item cps.Item) (*cmakeInterface, error) {
	items, err := c.collector.items(item)
	if err != nil {
		return nil, err
	}
	if len(items) > 0 && items[0].own {
		items = items[1:]
	} else if item.Type == cps.Dylib {
		items = slices.DeleteFunc(items, func(l Item) bool { return l.own })
	}
	children, missing, err := c.children(item)
	if err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(l Item) bool { return l.Kind == System && answered(l.Name, missing) })
	in := new(cmakeInterface)
	for _, l := range items {
		if err := c.addItem(in, item, l); err != nil {
			return nil, err
		}
	}
	if item.Type != cps.Dylib {
		c.addRuntimes(in, item)
	}
	for _, child := range children {
		name, err := c.dependency(child)
		if err != nil {
			return nil, err
		}
		in.libraries = appendMissing(in.libraries, linkOnly(name))
	}
	for _, m := range missing {
		in.libraries = append(in.libraries, linkOnly(systemTarget(m.Package)))
	}
	return in, nil
}

// fallbackDirs adds, to what links a shared library for want of a static one, where the libraries are that it loads: no target
// stands for these beside the static ones.
func (c *cmakeConfig) fallbackDirs(in *cmakeInterface, item cps.Item) error {
	if !c.collector.opts.Fallback {
		return nil
	}
	loader := newCollector(c.packages, c.collector.opts)
	loader.of = c.of
	err := loader.load([]cps.Root{{Package: item.Package, Component: item.Component}})
	for _, dir := range loader.flags.RPathDirs {
		in.options = append(in.options, literal("-Wl,-rpath,"+dir))
	}
	return err
}

// answered reports whether a library is that of one of the packages, whose target then stands for it: by -l it could be
// another copy.
func answered(library string, packages []cps.Missing) bool {
	m, ok := moduleOf(library)
	return ok && slices.ContainsFunc(packages, func(p cps.Missing) bool {
		other, ok := moduleOf(p.Package)
		return ok && other.name == m.name
	})
}

// ownOrder reports whether items must stay in their order: CMake sorts the entries of a target by what it knows of their
// needs, which of archives without a target is nothing.
func ownOrder(items []Item) bool {
	return slices.ContainsFunc(items, func(l Item) bool { return l.Kind == Static || len(l.Items) > 0 })
}

// needsOrder reports whether what roots link has to be one entry, since a component of it says an order.
func (c *cmakeConfig) needsOrder(roots []cps.Root) (bool, error) {
	if c.collector.opts.Env == "msvc" { // whose linker knows none
		return false, nil
	}
	closure, err := c.closureItems(roots)
	if err != nil {
		return false, err
	}
	for _, item := range closure {
		items, err := c.collector.items(item)
		if err != nil {
			return false, err
		}
		if len(items) > 0 && items[0].own {
			items = items[1:]
		}
		if ownOrder(items) {
			return true, nil
		}
	}
	return false, nil
}

// inOrder writes a target that links all that roots need as one entry: among entries, CMake keeps no order of flags, nor of
// files without a target.
func (c *cmakeConfig) inOrder(name string, roots []cps.Root) error {
	flags, items, err := c.linked(roots)
	if err != nil {
		return err
	}
	entries := c.entries(flags, items)
	for _, s := range flags.System {
		if s.Link {
			entries = append(entries, linkOnly(systemTarget(s.Name)))
		}
	}
	c.open(name, "INTERFACE")
	c.body.properties(name, "INTERFACE_LINK_LIBRARIES", entries)
	err = c.usage(name, roots)
	c.body.line("endif()")
	return err
}

// entries writes all that is linked as one entry, with the whole archives before it, each in an entry of its own: CMake then
// links one that several targets have a single time. What they need comes behind them.
func (c *cmakeConfig) entries(flags *Flags, items []Item) []string {
	var list []string
	isWhole := func(l Item) bool { return l.Kind == Whole }
	for _, l := range items {
		if isWhole(l) {
			list = append(list, c.together(nil, []Item{l}))
		}
	}
	rest := *flags
	rest.Items, items = slices.DeleteFunc(slices.Clone(flags.Items), isWhole), slices.DeleteFunc(slices.Clone(items), isWhole)
	shared := c.collector.shared(cps.Load)
	if !shared {
		rest.LibDirs = flags.asked()
	}
	if len(items)+len(rest.LibDirs) == 0 && (!shared || len(rest.RPathDirs) == 0) {
		return list
	}
	return append(list, c.oneEntry(&rest, items))
}

// oneEntry writes all that is linked as one entry. CMake sees nothing in it that programs have to find when they start.
func (c *cmakeConfig) oneEntry(flags *Flags, items []Item) string {
	if c.collector.shared(cps.Load) {
		return literal(flags.Shell(LinkArgs))
	}
	return c.together(flags.asked(), items)
}

// asked returns the directories that packages ask to be searched, without those of their own libraries.
func (f *Flags) asked() []string {
	dirs := slices.Clone(f.LibDirs)
	leaves(f.Items, func(l *Item) {
		dirs = slices.DeleteFunc(dirs, func(dir string) bool { return dir == l.Dir })
	})
	return dirs
}

// linked returns the flags for all that roots need, and the items among them without the libraries of the system that the
// target of a required package stands for.
func (c *cmakeConfig) linked(roots []cps.Root) (*Flags, []Item, error) {
	request := Request{Package: c.request.Package}
	for _, root := range roots {
		if root.Component != "" {
			request.Components = append(request.Components, root.Component)
		}
	}
	flags, err := Link(c.packages, []Request{request}, c.collector.opts)
	if err != nil {
		return nil, nil, err
	}
	var missing []cps.Missing
	for _, s := range flags.System {
		missing = append(missing, cps.Missing{Package: s.Name})
	}
	items := slices.DeleteFunc(slices.Clone(flags.Items), func(l Item) bool { return l.Kind == System && answered(l.Name, missing) })
	return flags, items, nil
}

// together writes directories and items as one entry, which CMake neither sorts nor takes apart. CMake takes what begins with a
// dash for flags, and leaves it as it is.
func (c *cmakeConfig) together(dirs []string, items []Item) string {
	args := appendPrefixed(nil, "-L", dirs)
	for _, l := range items {
		args = append(args, c.byPath(l)...)
	}
	if first := args[0]; first[0] != '-' {
		args = slices.Insert(args, 0, "-L"+dirname(first))
	}
	for i := range args {
		args[i] = Quote(args[i])
	}
	return literal(strings.Join(args, " "))
}

// byPath returns the arguments for an item in which every library of a package is given by its path, also one that is
// called by -l where it is that of a package.
func (c *cmakeConfig) byPath(l Item) []string {
	if ours, ok := c.files[l.Name]; ok && l.Kind == System {
		return []string{c.file(ours)}
	}
	switch {
	case l.Kind == Whole:
		return l.args()
	case len(l.Items) > 0:
		args := slices.Clone(l.Args)
		for _, member := range l.Items {
			args = append(args, c.byPath(member)...)
		}
		return append(args, l.End...)
	case l.Path != "":
		return []string{l.Path}
	}
	return l.args()
}

// indexFiles notes the libraries of the closure by name: one that a component calls by -l is ours, as it would be with our
// directories searched first, and not the system's.
func (c *cmakeConfig) indexFiles(roots []cps.Root) error {
	c.files = map[string]cps.Item{}
	items, err := c.closureItems(roots)
	for _, item := range items {
		name := cps.LibraryName(item.Attributes.Location)
		if _, taken := c.files[name]; !taken && name != "" {
			c.files[name] = item
		}
	}
	return err
}

// closureItems lists all that roots link, dependents first.
func (c *cmakeConfig) closureItems(roots []cps.Root) ([]cps.Item, error) {
	stage := cps.Link
	if c.collector.opts.Shared {
		stage = cps.Load
	}
	items, _, err := c.walker(stage).Closure(stage, roots...)
	return items, err
}

func (c *cmakeConfig) addItem(in *cmakeInterface, item cps.Item, l Item) error {
	ours, isOurs := c.files[l.Name]
	switch dir := l.searchDir(); {
	case dir != "":
		in.directories = append(in.directories, literal(dir))
	case l.Kind == Flag:
		in.options = append(in.options, literal(shellOption(l.Args)))
	case l.Kind == System && isOurs:
		if itemKey(ours) == itemKey(item) {
			return nil
		}
		name, err := c.dependency(ours)
		if err != nil {
			return err
		}
		in.libraries = appendMissing(in.libraries, linkOnly(name))
	default:
		if l.Kind == Shared && c.collector.opts.OS != "windows" {
			in.options = appendMissing(in.options, literal(c.dtags()), literal("-Wl,-rpath,"+l.runtimeDir))
		}
		in.libraries = append(in.libraries, literal(c.entry(l)))
	}
	return nil
}

// entry is a library as an item of a list that is linked. A system's library has -l before it, so that it is not taken for
// a target of the consumer that has its name.
func (c *cmakeConfig) entry(l Item) string {
	switch {
	case l.Path != "":
		return l.Path
	case l.Kind == Framework:
		return "-framework " + l.Name
	case c.collector.opts.Env == "msvc":
		return l.Name + ".lib"
	}
	return "-l" + l.Name
}

// addRuntimes adds the C++ runtime. Where it is the one that the compiler links for C++ anyway, CMake is told the language;
// see [cmakeConfig.writeLinkInterface].
func (c *cmakeConfig) addRuntimes(in *cmakeInterface, item cps.Item) {
	usual := "stdc++"
	if c.collector.opts.OS != "linux" && c.collector.opts.OS != "windows" {
		usual = "c++"
	}
	names := c.runtimes(item)
	if len(names) > 0 && names[0] == usual {
		in.runtimes = appendMissing(in.runtimes, names...)
		return
	}
	for _, name := range names {
		in.libraries = append(in.libraries, "-l"+name)
	}
}

func (c *cmakeConfig) writeLinkInterface(name, kind string, in *cmakeInterface) {
	c.body.properties(name, "INTERFACE_LINK_LIBRARIES", in.libraries)
	c.body.properties(name, "INTERFACE_LINK_OPTIONS", in.options)
	c.body.properties(name, "INTERFACE_LINK_DIRECTORIES", in.directories)
	switch {
	case len(in.runtimes) > 0 && kind == cps.Archive:
		// A project without C++ has no compiler for it that would link the runtime.
		c.body.line("if(_ocipkg_cxx)")
		c.body.property(name, "IMPORTED_LINK_INTERFACE_LANGUAGES", "CXX")
		c.body.line("else()")
		c.body.properties(name, "INTERFACE_LINK_LIBRARIES", appendPrefixed(nil, "-l", in.runtimes))
		c.body.line("endif()")
	case len(in.runtimes) > 0:
		c.body.properties(name, "INTERFACE_LINK_LIBRARIES", appendPrefixed(nil, "-l", in.runtimes))
	case kind == cps.Archive:
		c.body.property(name, "IMPORTED_LINK_INTERFACE_LANGUAGES", "C")
	}
}

// flat returns the libraries of roots and of all that they need, as one list: files, -lNAME, targets of the system's
// packages.
func (c *cmakeConfig) flat(roots []cps.Root) (own, all []string, err error) {
	flags, items, err := c.linked(roots)
	if err != nil {
		return nil, nil, err
	}
	ordered, err := c.needsOrder(roots)
	if err != nil {
		return nil, nil, err
	}
	// A list has nothing that says, as targets do, which libraries need each other.
	ordered = ordered || slices.ContainsFunc(items, func(l Item) bool { return len(l.Items) > 0 })
	if ordered {
		all = append(all, c.entries(flags, items)...)
	}
	leaves(items, func(l *Item) {
		if l.own && l.Package == c.request.Package.Name {
			own = append(own, c.ownFile(*l))
		}
	})
	for _, l := range items {
		switch {
		case l.own && !ordered:
			all = append(all, c.ownFile(l))
		case ordered, l.Kind == Flag && len(l.Args) != 1:
		case l.Kind == Flag:
			all = append(all, Quote(l.Args[0])) // CMake writes it as it is
		default:
			all = append(all, c.entry(l))
		}
	}
	if c.collector.opts.Shared && !ordered { // what only the loader needs, for CMake to let programs find it
		loaded, err := c.closureItems(roots)
		if err != nil {
			return nil, nil, err
		}
		for _, item := range loaded {
			if item.Type == cps.Dylib {
				all = appendMissing(all, c.file(item))
			}
		}
	}
	if c.collector.opts.Fallback {
		all = appendPrefixed(all, "-Wl,-rpath,", flags.RPathDirs)
	}
	if len(flags.RPathDirs) > 0 && c.dtags() != "" && c.collector.opts.OS != "windows" {
		all = append(all, c.dtags())
	}
	for _, s := range flags.System {
		if s.Link {
			all = append(all, systemTarget(s.Name))
		}
	}
	return own, all, nil
}

// ownFile is the file of a component's own library: of a shared one, where programs find it by its soname.
func (c *cmakeConfig) ownFile(l Item) string {
	if l.Kind == Shared && c.collector.opts.OS != "windows" {
		return l.runtimeDir + "/" + path.Base(l.runtimeFile)
	}
	return l.Path
}
