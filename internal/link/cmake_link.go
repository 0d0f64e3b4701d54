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
	if err := c.addItems(in, item, items); err != nil {
		return nil, err
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

func (c *cmakeConfig) addItems(in *cmakeInterface, item cps.Item, items []Item) error {
	if ownOrder(items) && c.collector.opts.Env != "msvc" {
		items = slices.DeleteFunc(items, func(l Item) bool {
			if dir := l.searchDir(); dir != "" {
				in.directories = append(in.directories, literal(dir))
				return true
			}
			return false
		})
		in.libraries = append(in.libraries, c.together(items))
		return nil
	}
	for _, l := range items {
		if err := c.addItem(in, item, l); err != nil {
			return err
		}
	}
	return nil
}

// together writes items as one entry, which CMake neither sorts nor takes apart. CMake takes what begins with a dash for
// flags, and leaves it as it is.
func (c *cmakeConfig) together(items []Item) string {
	items = slices.Clone(items)
	var args []string
	for i := range items {
		args = append(args, c.byPath(items[i])...)
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
	for _, name := range c.runtimes(item) {
		if name == usual {
			in.runtimes = appendMissing(in.runtimes, name)
		} else {
			in.libraries = append(in.libraries, "-l"+name)
		}
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
		c.body.properties(name, "INTERFACE_LINK_LIBRARIES", []string{"-l" + in.runtimes[0]})
		c.body.line("endif()")
	case len(in.runtimes) > 0:
		c.body.properties(name, "INTERFACE_LINK_LIBRARIES", []string{"-l" + in.runtimes[0]})
	case kind == cps.Archive:
		c.body.property(name, "IMPORTED_LINK_INTERFACE_LANGUAGES", "C")
	}
}

// flat returns the libraries of roots and of all that they need, as one list: files, -lNAME, targets of the system's
// packages.
func (c *cmakeConfig) flat(roots []cps.Root) (own, all []string, err error) {
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
	items := slices.DeleteFunc(flags.Items, func(l Item) bool { return l.Kind == System && answered(l.Name, missing) })
	for i := 0; i < len(items); {
		l := items[i]
		if l.own {
			file := c.ownFile(l)
			all = append(all, file)
			if l.Package == c.request.Package.Name {
				own = append(own, file)
			}
			i++
			continue
		}
		end := i + 1
		for end < len(items) && items[end].Component == l.Component && items[end].Package == l.Package && !items[end].own {
			end++
		}
		all = append(all, c.flatRun(items[i:end])...)
		i = end
	}
	if c.collector.opts.Shared { // what only the loader needs, for CMake to let programs find it
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

// flatRun returns the entries for what one component brings beside its own library.
func (c *cmakeConfig) flatRun(items []Item) []string {
	if ownOrder(items) && c.collector.opts.Env != "msvc" {
		return []string{c.together(items)}
	}
	var list []string
	for _, l := range items {
		if l.Kind == Flag {
			if len(l.Args) == 1 {
				list = append(list, Quote(l.Args[0])) // CMake writes it as it is
			}
			continue
		}
		list = append(list, c.entry(l))
	}
	return list
}

// ownFile is the file of a component's own library: of a shared one, where programs find it by its soname.
func (c *cmakeConfig) ownFile(l Item) string {
	if l.Kind == Shared && c.collector.opts.OS != "windows" {
		return l.runtimeDir + "/" + path.Base(l.runtimeFile)
	}
	return l.Path
}
