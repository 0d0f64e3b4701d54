package cps

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
)

// ViewEntry is a link in a directory that holds one kind of library.
type ViewEntry struct {
	Name   string // the link's name in the directory
	Target string // the library, slash-separated from the package's root
}

// Views lists the links that make two directories, each with the libraries of one kind, sorted by name: for each
// library the name that -l looks for, for shared ones also the name that programs ask for at run time. Of two libraries of one
// name the first is in it, and that of a configuration for debugging the last. Libraries outside of the package are not in it. Names and targets are as the document has them: check them before making anything.
func (p *Package) Views() (static, shared []ViewEntry) {
	views := map[string]map[string]string{Archive: {}, Dylib: {}}
	for _, name := range slices.Sorted(maps.Keys(p.Components)) {
		c := p.Components[name]
		attributes := []*Attributes{&c.Attributes}
		for _, configuration := range p.byPreference(c) {
			attributes = append(attributes, c.effective(configuration))
		}
		for _, a := range attributes {
			addLibrary(views[c.Type], c.Type, a)
			for _, file := range a.LinkLibraries {
				kind := Archive
				if isSharedFile(file) {
					kind = Dylib
				}
				addLibrary(views[kind], kind, &Attributes{Location: file})
			}
		}
	}
	return entries(views[Archive]), entries(views[Dylib])
}

// byPreference lists the configurations of a component in the package's own order, then by name, those for debugging last.
func (p *Package) byPreference(c *Component) []string {
	rank := func(name string) int {
		i := slices.IndexFunc(p.Configurations, func(other string) bool { return strings.EqualFold(name, other) })
		switch {
		case strings.EqualFold(name, "debug"):
			return len(p.Configurations) + 1
		case i < 0:
			return len(p.Configurations)
		}
		return i
	}
	names := sortedKeys(c.Configurations)
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

func addLibrary(view map[string]string, kind string, a *Attributes) {
	file, inside := strings.CutPrefix(cmp.Or(a.Location, a.LinkLocation), PrefixMarker+"/")
	if view == nil || !inside || LibraryName(file) == "" {
		return
	}
	link := func(name, target string) {
		if view[name] == "" {
			view[name] = target
		}
	}
	if kind == Archive {
		link(path.Base(file), file)
		return
	}
	link(path.Base(file), file)
	if a.Soname != "" {
		link(a.Soname, file)
	}
	if dev, ok := strings.CutPrefix(a.LinkLocation, PrefixMarker+"/"); ok {
		link(path.Base(dev), dev)
		file = dev
	}
	if strings.Contains(path.Base(file), ".so.") {
		link("lib"+LibraryName(file)+".so", file)
	}
}

func entries(view map[string]string) []ViewEntry {
	var list []ViewEntry
	for _, name := range slices.Sorted(maps.Keys(view)) {
		list = append(list, ViewEntry{name, view[name]})
	}
	return list
}

func isSharedFile(file string) bool {
	base := path.Base(file)
	return strings.HasSuffix(base, ".so") || strings.Contains(base, ".so.") || strings.HasSuffix(base, ".dylib") ||
		strings.HasSuffix(base, ".tbd") || strings.HasSuffix(base, ".dll")
}
