package link

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// link lists the libraries: each component's own, then what it links beside, then what it requires.
func (c *collector) link(roots []cps.Root) error {
	items, err := c.closure(cps.Link, roots)
	if err != nil {
		return err
	}
	runtimes := []string{}
	for _, item := range items {
		if err := c.linkItem(item); err != nil {
			return err
		}
		if item.Type != cps.Dylib {
			runtimes = appendMissing(runtimes, c.runtimes(item)...)
		}
	}
	for _, name := range runtimes {
		c.flags.add([]Library{{Kind: System, Name: name}}, false)
	}
	c.flags.CXXRuntimes = runtimes
	c.flags.Libraries = slices.CompactFunc(c.flags.Libraries, func(a, b Library) bool {
		return a.Path == b.Path && slices.Equal(a.args(), b.args())
	})
	return c.searchDirs()
}

func (c *collector) linkItem(item cps.Item) error {
	libraries, err := c.libraries(item)
	if err != nil {
		return err
	}
	for _, l := range libraries {
		if l.Kind == Shared {
			if err := c.rpath(c.of[item.Package], l.runtimeDir); err != nil {
				return err
			}
		}
	}
	libraries = slices.DeleteFunc(libraries, func(l Library) bool {
		dir, ok := strings.CutPrefix(l.args()[0], "-L")
		if ok && dir != "" {
			c.flags.LibDirs = appendMissing(c.flags.LibDirs, dir)
		}
		return ok && dir != ""
	})
	c.flags.add(libraries, !c.opts.Shared)
	return nil
}

// libraries lists what a component gives to the linker: its own file, its link_libraries, its link_flags. None of it is what
// it may not be.
func (c *collector) libraries(item cps.Item) ([]Library, error) {
	p, a := c.of[item.Package], item.Attributes
	var list []Library
	if item.Type == cps.Archive || item.Type == cps.Dylib {
		file, kind := a.Location, Static
		if a.LinkLocation != "" {
			file = a.LinkLocation
		}
		if item.Type == cps.Dylib {
			kind = Shared
		}
		if err := c.checkPath(item, "", a.Location); err != nil {
			return nil, err
		}
		if err := c.checkLibrary(item, file); err != nil {
			return nil, err
		}
		l := c.library(p, item.Component, kind, file)
		l.runtimeDir, l.runtimeFile = p.runtimeDir(a), p.place(a.Location)
		list = append(list, l)
	}
	for _, args := range splitLibraries(a.LinkLibraries) {
		l, err := c.linkLibrary(item, args)
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	for _, args := range group(a.LinkFlags) {
		l, err := c.linkFlag(item, args)
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// linkLibrary is an entry of link_libraries: a path, the name of a system library, or a flag.
func (c *collector) linkLibrary(item cps.Item, args []string) (Library, error) {
	p, entry := c.of[item.Package], args[0]
	if strings.HasPrefix(entry, "-") {
		return c.linkFlag(item, args)
	}
	if !strings.ContainsAny(entry, `/\`) {
		l := Library{Kind: System, Name: strings.TrimSuffix(entry, ".lib")}
		return l, c.checkLink(item, l.args())
	}
	if err := c.checkLibrary(item, entry); err != nil {
		return Library{}, err
	}
	kind := Static
	if isShared(entry) {
		kind = Shared
	}
	l := c.library(p, item.Component, kind, entry)
	l.runtimeDir, l.runtimeFile = dirname(l.Path), l.Path
	if dir := p.viewOf(kind, entry); kind == Shared && dir != "" {
		l.runtimeDir = dir
	}
	return l, nil
}

// splitLibraries tells the entries of link_libraries apart, in which a flag may have its argument in the same entry
// ("-framework Security") or in the next.
func splitLibraries(libraries []string) [][]string {
	var words []string
	for _, entry := range libraries {
		if flag, argument, ok := strings.Cut(entry, " "); ok && takesArgument(flag) {
			words = append(words, flag, strings.TrimSpace(argument))
		} else {
			words = append(words, entry)
		}
	}
	return group(words)
}

// linkFlag is the entry for a flag, which may be a library in another spelling.
func (c *collector) linkFlag(item cps.Item, args []string) (Library, error) {
	if err := c.checkLink(item, args); err != nil {
		return Library{}, err
	}
	name, isLibrary := strings.CutPrefix(args[0], "-l")
	switch {
	case isLibrary && len(args) == 2:
		return Library{Kind: System, Name: args[1]}, nil
	case isLibrary && name != "":
		return Library{Kind: System, Name: name}, nil
	case args[0] == "-framework" && len(args) == 2:
		return Library{Kind: Framework, Name: args[1]}, nil
	}
	p := c.of[item.Package]
	return Library{Kind: Flag, Args: p.placeAll(args), Package: p.Name, Component: item.Component}, nil
}

// library decides how a library of a package is given: by name and directory where the linker then finds that file
// and no other, else by its path.
func (c *collector) library(p *Package, component string, kind Kind, file string) Library {
	view := p.viewOf(kind, file)
	file = p.place(file)
	l := Library{Kind: kind, Name: cps.LibraryName(file), Path: file, Package: p.Name, Component: component}
	static, shared := kinds(p)
	plain := plainName(l, c.opts)
	switch {
	case kind == Shared && view != "" && nameable(l.Name) && (static || !plain):
		l.Dir = view
	case kind == Shared && plain:
		l.Dir = dirname(file)
	case kind == Static && plain && !shared:
		l.Dir = dirname(file)
	case kind == Static && plain:
		l.Dir = view // none: by path, since -l would take the shared one beside it
	}
	return l
}

// kinds says which kinds of library the package has. There are views where it has both.
func kinds(p *Package) (static, shared bool) {
	if p.StaticView != "" && p.SharedView != "" {
		return true, true
	}
	archives, dylibs := p.CPS.Views()
	return len(archives) > 0, len(dylibs) > 0
}

// plainName says whether -l finds a file of this name.
func plainName(l Library, opts Options) bool {
	base := path.Base(l.Path)
	if !nameable(l.Name) {
		return false
	}
	if opts.Env == "msvc" {
		return base == l.Name+".lib"
	}
	if l.Kind == Static {
		return base == "lib"+l.Name+".a"
	}
	return slices.Contains([]string{".so", ".dylib", ".tbd", ".dll.a"}, strings.TrimPrefix(base, "lib"+l.Name))
}

func isShared(file string) bool {
	base := path.Base(file)
	return strings.HasSuffix(base, ".so") || strings.Contains(base, ".so.") ||
		strings.HasSuffix(base, ".dylib") || strings.HasSuffix(base, ".tbd") || strings.HasSuffix(base, ".dll")
}

// runtimes names the libraries of the language runtimes that an archive asks for.
func (c *collector) runtimes(item cps.Item) []string {
	var names []string
	for _, language := range item.Attributes.LinkLanguages {
		if l := strings.ToLower(language); l != "cpp" && l != "c++" && l != "cxx" || c.opts.Env == "msvc" {
			continue
		}
		name := "stdc++"
		switch cxx := c.of[item.Package].CXX; {
		case cxx == "libc++", cxx == "" && !slices.Contains([]string{"linux", "windows"}, c.opts.OS):
			name = "c++"
		}
		names = append(names, name)
	}
	return names
}

// searchDirs collects the libraries' directories, and refuses two libraries that -l cannot tell apart. The directories with
// shared libraries come first when these are wanted: the other kind would win otherwise.
func (c *collector) searchDirs() error {
	first := map[string]Library{}
	for _, kind := range []Kind{Shared, Static} {
		for _, l := range c.flags.Libraries {
			if l.Kind != kind || l.Dir == "" {
				continue
			}
			c.flags.LibDirs = appendMissing(c.flags.LibDirs, l.Dir)
			if other, ok := first[l.Name]; ok && other.Dir != l.Dir {
				return ambiguous(other, l)
			}
			first[l.Name] = l
		}
	}
	return nil
}

func ambiguous(a, b Library) error {
	if a.Package == b.Package {
		return fmt.Errorf("link %s: its components %q and %q are different libraries of the name %q: ask for one of them", a.Package, a.Component, b.Component, a.Name)
	}
	return fmt.Errorf("link %s and %s together: both packages have a library of the name %q: make them require the same package for it", a.Package, b.Package, a.Name)
}
