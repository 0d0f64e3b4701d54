package link

import (
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
	libraries, err := c.libraries(item)
	if err != nil {
		return nil, err
	}
	if item.Type == cps.Archive || item.Type == cps.Dylib {
		libraries = libraries[1:] // its own
	}
	children, missing, err := c.children(item)
	if err != nil {
		return nil, err
	}
	libraries = slices.DeleteFunc(libraries, func(l Library) bool { return l.Kind == System && answered(l.Name, missing) })
	in := new(cmakeInterface)
	if err := c.addLibraries(in, item, libraries); err != nil {
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
	for _, name := range missing {
		in.libraries = append(in.libraries, linkOnly(systemTarget(name)))
	}
	return in, nil
}

// answered says whether a library is that of one of the packages, whose target then stands for it: by -l it could be another
// copy.
func answered(library string, packages []string) bool {
	m, ok := moduleOf(library)
	return ok && slices.ContainsFunc(packages, func(name string) bool {
		other, ok := moduleOf(name)
		return ok && other.name == m.name
	})
}

func (c *cmakeConfig) addLibraries(in *cmakeInterface, item cps.Item, libraries []Library) error {
	first := slices.IndexFunc(libraries, hasPlace)
	for i := 0; i < len(libraries); i++ {
		if i != first {
			if err := c.addLibrary(in, item, libraries[i]); err != nil {
				return err
			}
			continue
		}
		last := len(libraries) - 1
		for !hasPlace(libraries[last]) {
			last--
		}
		in.libraries = append(in.libraries, together(libraries[i:last+1]))
		i = last
	}
	return nil
}

// hasPlace says whether an entry is a flag that acts on the libraries after it.
func hasPlace(l Library) bool { return l.Kind == Flag && positional(l.Args) }

// together writes libraries and the flags among them as one entry, which CMake neither sorts nor takes apart.
func together(libraries []Library) string {
	var args []string
	for _, l := range libraries {
		if l.Path != "" {
			args = append(args, Quote(l.Path))
			continue
		}
		for _, arg := range l.args() {
			args = append(args, Quote(arg))
		}
	}
	return literal(strings.Join(args, " "))
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

func (c *cmakeConfig) addLibrary(in *cmakeInterface, item cps.Item, l Library) error {
	dir, isDir := strings.CutPrefix(l.args()[0], "-L")
	ours, isOurs := c.files[l.Name]
	switch {
	case l.Kind == Flag && isDir && dir != "":
		in.directories = append(in.directories, literal(dir))
	case l.Kind == Flag && isDir:
		in.directories = append(in.directories, literals(l.Args[1:])...)
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
		in.libraries = append(in.libraries, literal(c.entry(l)))
	}
	return nil
}

// entry is a library as an item of a list that is linked. A system's library has -l before it, so that it is not taken for
// a target of the consumer that has its name.
func (c *cmakeConfig) entry(l Library) string {
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

// flat lists the libraries of roots and of all that they need: files, -lNAME, targets of the system's packages.
func (c *cmakeConfig) flat(roots []cps.Root) (own, all []string, err error) {
	items, err := c.closureItems(roots)
	if err != nil {
		return nil, nil, err
	}
	var runtimes []string
	for _, item := range items {
		in, err := c.linkInterface(item)
		if err != nil {
			return nil, nil, err
		}
		if item.Type == cps.Archive || item.Type == cps.Dylib {
			all = append(all, c.file(item))
			if item.Package == c.request.Package.CPS {
				own = append(own, c.file(item))
			}
		}
		if item.Type == cps.Dylib && c.dtags() != "" && c.collector.opts.OS != "windows" {
			all = append(all, c.dtags())
		}
		for _, l := range in.libraries {
			if !strings.HasPrefix(l, "$<LINK_ONLY:ocipkg::") {
				all = append(all, strings.TrimSuffix(strings.TrimPrefix(l, "$<LINK_ONLY:"), ">"))
			}
		}
		for _, option := range in.options {
			if !strings.HasPrefix(option, "SHELL:") {
				all = append(all, Quote(option)) // CMake writes it as it is
			}
		}
		for _, name := range in.runtimes {
			runtimes = appendMissing(runtimes, "-l"+name)
		}
	}
	return own, keepLast(append(all, runtimes...)), nil
}

// keepLast drops entries that come again.
func keepLast(list []string) []string {
	var kept []string
	for i, entry := range list {
		if !slices.Contains(list[i+1:], entry) {
			kept = append(kept, entry)
		}
	}
	return kept
}
