package link

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// link lists the items of the whole closure.
func (c *collector) link(roots []cps.Root) error {
	closure, err := c.closure(cps.Link, roots)
	if err != nil {
		return err
	}
	runtimes := []string{}
	for i := 0; i < len(closure); {
		end := i + 1
		for end < len(closure) && closure[i].Circle != 0 && closure[end].Circle == closure[i].Circle {
			end++
		}
		if err := c.linkCircle(closure[i:end]); err != nil {
			return err
		}
		for _, item := range closure[i:end] {
			if item.Type != cps.Dylib {
				runtimes = appendMissing(runtimes, c.runtimes(item)...)
			}
		}
		i = end
	}
	for _, name := range runtimes {
		c.add([]Item{{Kind: System, Name: name}})
	}
	c.flags.CXXRuntimes = appendMissing(c.flags.CXXRuntimes, runtimes...)
	return nil
}

// linkCircle adds a component, or all that are in a circle with each other: their archives are one group then.
func (c *collector) linkCircle(components []cps.Item) error {
	var all []Item
	archives := 0
	for _, item := range components {
		items, err := c.items(item)
		if err != nil {
			return err
		}
		if err := c.addDirs(item, items); err != nil {
			return err
		}
		items = slices.DeleteFunc(items, func(l Item) bool { return l.searchDir() != "" })
		if len(components) == 1 {
			c.add(fix(items, c.opts.Shared))
			return nil
		}
		for _, l := range items {
			if l.Kind == Static {
				archives++
			}
			all = append(all, l)
		}
	}
	if archives < 2 || !c.groups() {
		c.add(fix(all, c.opts.Shared))
		return nil
	}
	group := Item{Kind: Group, Args: []string{"-Wl,--start-group"}, End: []string{"-Wl,--end-group"}, Package: all[0].Package}
	var others []Item
	for _, l := range all {
		if l.Kind != Static && l.Kind != Whole && l.Kind != Group {
			others = append(others, l)
		} else if !slices.ContainsFunc(group.Items, func(other Item) bool { return l.same(&other) }) {
			group.Items = append(group.Items, l)
		}
	}
	c.add(append([]Item{group}, fix(others, c.opts.Shared)...))
	return nil
}

// add adds items to the list.
func (c *collector) add(items []Item) {
	c.flags.add(items, func(from, to *Item) bool {
		if from.document == nil || to.document == nil {
			return false
		}
		closure, _, err := c.walker(cps.Link).Closure(cps.Link, cps.Root{Package: from.document, Component: from.Component})
		return err == nil && slices.ContainsFunc(closure, func(i cps.Item) bool { return i.Package == to.document && i.Component == to.Component })
	})
}

// groups reports whether the linkers of the target want to be told of archives that need each other. Those of Apple and of
// Microsoft search all archives again by themselves.
func (c *collector) groups() bool {
	return c.opts.OS != "darwin" && c.opts.OS != "ios" && c.opts.Env != "msvc"
}

// addDirs notes the directories that a component's items ask to be searched, now and when the program runs.
func (c *collector) addDirs(item cps.Item, items []Item) (err error) {
	leaves(items, func(l *Item) {
		if dir := l.searchDir(); dir != "" {
			c.flags.LibDirs = appendMissing(c.flags.LibDirs, dir)
		}
		if l.Kind == Shared && err == nil {
			err = c.rpath(c.of[item.Package], l.runtimeDir)
		}
	})
	return err
}

// searchDir returns the directory of a flag that is no more than -L; empty for any other item.
func (l Item) searchDir() string {
	if l.Kind != Flag {
		return ""
	}
	dir, _ := strings.CutPrefix(l.Args[0], "-L")
	switch {
	case dir == l.Args[0]:
		return ""
	case dir == "" && len(l.Args) == 2:
		return l.Args[1]
	}
	return dir
}

// items returns what a component gives to the linker, in the order in which it says it. None of it is what it may not be.
func (c *collector) items(item cps.Item) ([]Item, error) {
	a := item.Attributes
	var list []Item
	add := func(l Item, err error) error {
		l.Package, l.Component, l.document = c.of[item.Package].Name, item.Component, item.Package
		list = append(list, l)
		return err
	}
	if item.Type == cps.Archive || item.Type == cps.Dylib {
		own, err := c.ownLibrary(item)
		if err != nil {
			return nil, err
		}
		if a.LinkItems == nil {
			_ = add(own, nil)
		}
	}
	if a.LinkItems != nil {
		for _, args := range linkerFlags(a.LinkItems) {
			if err := add(c.linkItem(item, args)); err != nil {
				return nil, err
			}
		}
		return nest(list), nil
	}
	for _, args := range splitLibraries(a.LinkLibraries) {
		if err := add(c.linkLibrary(item, args)); err != nil {
			return nil, err
		}
	}
	for _, args := range linkerFlags(a.LinkFlags) {
		if err := add(c.linkFlag(item, args)); err != nil {
			return nil, err
		}
	}
	return nest(list), nil
}

// ownLibrary returns the item of the component's own library.
func (c *collector) ownLibrary(item cps.Item) (Item, error) {
	p, a := c.of[item.Package], item.Attributes
	file, kind := a.Location, Static
	if a.LinkLocation != "" {
		file = a.LinkLocation
	}
	if item.Type == cps.Dylib {
		kind = Shared
	}
	if file == "" {
		return Item{}, fmt.Errorf("link %s: its component %q is a library, and the package's CPS document names no file for it: it needs a location", p.Name, item.Component)
	}
	if err := c.checkPath(item, "", a.Location); err != nil {
		return Item{}, err
	}
	if err := c.checkLibrary(item, file); err != nil {
		return Item{}, err
	}
	l := c.library(p, kind, file)
	l.own = true
	if l.runtimeDir = p.runtimeDir(a); a.Location != "" {
		l.runtimeFile = p.place(a.Location)
	}
	return l, nil
}

// linkItem is an entry of the ordered link interface: a path of the package's, or arguments.
func (c *collector) linkItem(item cps.Item, args []string) (Item, error) {
	if file := args[0]; !strings.HasPrefix(file, "-") {
		if a := item.Attributes; file == a.Location || file == a.LinkLocation {
			return c.ownLibrary(item)
		}
		return c.linkLibrary(item, args)
	}
	return c.linkFlag(item, args)
}

// linkLibrary is an entry of link_libraries: a path, the name of a system library, or a flag.
func (c *collector) linkLibrary(item cps.Item, args []string) (Item, error) {
	p, entry := c.of[item.Package], args[0]
	if strings.HasPrefix(entry, "-") {
		return c.linkFlag(item, args)
	}
	if !strings.ContainsAny(entry, `/\`) {
		l := Item{Kind: System, Name: strings.TrimSuffix(entry, ".lib")}
		return l, c.checkLink(item, l.args())
	}
	if err := c.checkLibrary(item, entry); err != nil {
		return Item{}, err
	}
	kind := Static
	if isShared(entry) {
		kind = Shared
	}
	l := c.library(p, kind, entry)
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
	return linkerFlags(words)
}

// linkerFlags splits arguments into flags for the linker, without those that are of the producer's own build.
func linkerFlags(args []string) [][]string {
	return slices.DeleteFunc(group(pkgconf.LinkerFlags(args)), pkgconf.Harmless)
}

// linkFlag is the entry for a flag, which may be a library in another spelling.
func (c *collector) linkFlag(item cps.Item, args []string) (Item, error) {
	if err := c.checkLink(item, args); err != nil {
		return Item{}, err
	}
	p := c.of[item.Package]
	name, isLibrary := strings.CutPrefix(args[0], "-l")
	switch {
	case isLibrary && len(args) == 2:
		return Item{Kind: System, Name: args[1]}, nil
	case isLibrary && name != "":
		return Item{Kind: System, Name: name}, nil
	case args[0] == "-framework" && len(args) == 2:
		return Item{Kind: Framework, Name: args[1]}, nil
	}
	return Item{Kind: Flag, Args: p.placeAll(args)}, nil
}

// library decides how a library of a package is given: by name and directory where the linker then finds that file
// and no other, else by its path.
func (c *collector) library(p *Package, kind Kind, file string) Item {
	view := p.viewOf(kind, file)
	file = p.place(file)
	l := Item{Kind: kind, Name: cps.LibraryName(file), Path: file}
	static, shared := kinds(p)
	plain := plainName(l, c.opts)
	switch {
	case kind == Shared && c.opts.ByPath && !c.opts.Shared:
		if link := "lib" + l.Name + ".so"; view != "" && p.views["shared/"+link] != "" { // the name that linkers look for
			l.Path = view + "/" + link
		}
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
func plainName(l Item, opts Options) bool {
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

// runtimes names the libraries that a compiler adds for the languages of an archive: those of C++, which need mathematics
// where they are a library of their own.
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
		if !slices.Contains([]string{"windows", "darwin", "ios"}, c.opts.OS) && c.opts.Env != "musl" {
			names = append(names, "m")
		}
	}
	return names
}

// searchDirs collects the libraries' directories, and refuses two libraries that -l cannot tell apart. The directories of the
// wanted kind come first, so that -l finds it where a package has both. A library of the other kind is given by path if one of
// these directories has its name.
func (c *collector) searchDirs() error {
	first := map[string]Item{}
	kinds := []Kind{Static, Shared}
	if c.opts.Shared {
		kinds = []Kind{Shared, Static}
	}
	var err error
	for i, kind := range kinds {
		leaves(c.flags.Items, func(l *Item) {
			if l.Kind != kind || l.Dir == "" {
				return
			}
			if i == 1 && c.of[l.document].hides(kinds[0], l.Name, c.flags.LibDirs) {
				l.Dir = ""
				return
			}
			c.flags.LibDirs = appendMissing(c.flags.LibDirs, l.Dir)
			if other, ok := first[l.Name]; ok && other.Dir != l.Dir && err == nil {
				err = ambiguous(other, *l)
			}
			first[l.Name] = *l
		})
	}
	return err
}

// hides reports whether the view of one kind is among dirs and has a library of that name.
func (p *Package) hides(kind Kind, name string, dirs []string) bool {
	static, shared := p.CPS.Views()
	view, entries := p.StaticView, static
	if kind == Shared {
		view, entries = p.SharedView, shared
	}
	return slices.Contains(dirs, view) && slices.ContainsFunc(entries, func(e cps.ViewEntry) bool { return cps.LibraryName(e.Name) == name })
}

func ambiguous(a, b Item) error {
	if a.Package == b.Package {
		return fmt.Errorf("link %s: its components %q and %q are different libraries of the name %q: ask for one of them", a.Package, a.Component, b.Component, a.Name)
	}
	return fmt.Errorf("link %s and %s together: both packages have a library of the name %q: make them require the same package for it", a.Package, b.Package, a.Name)
}
