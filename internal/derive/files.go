package derive

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// fromFiles adds a component for each library that nothing has described yet, or, where there is none at all, one for
// the headers. They are the default components unless .pc files gave others.
func (d *derivation) fromFiles() error {
	if d.result == nil {
		d.start()
	}
	includes, err := d.includes()
	if err != nil {
		return err
	}
	described := d.described()
	var libraries []*library
	var again []string // with the directory that has the other one
	for _, l := range d.libraries.list {
		if described[l.archive] || described[l.link] || described[l.runtime] {
			continue
		}
		switch i := slices.IndexFunc(libraries, func(other *library) bool { return other.name == l.name }); {
		case i < 0:
			libraries = append(libraries, l)
		case d.real(l.runtime) != d.real(libraries[i].runtime) || l.archive != "" && d.real(l.archive) != d.real(libraries[i].archive):
			again = append(again, fmt.Sprintf("%s (%s)", cmp.Or(l.archive, l.link), libraries[i].dir))
		}
	}
	if len(again) > 0 {
		d.warn("%s: left out, since the directory behind it has a library of that name; make a package of each, or describe them in .pc files", Several(again))
	}
	alone := len(d.result.Components) == 0
	names := map[string]string{}
	for _, l := range libraries {
		names[l.name] = d.addFile(l, includes)
	}
	if len(d.result.Components) == 0 && len(includes) > 0 {
		name := d.opts.Name
		if name == "" {
			name = "headers"
		}
		d.result.Components[name] = &cps.Component{Type: cps.Interface}
		d.result.Components[name].Includes = cps.All(includes...)
		d.result.DefaultComponents = []string{name}
	}
	if alone {
		for _, l := range libraries {
			d.result.DefaultComponents = append(d.result.DefaultComponents, names[l.name])
		}
	}
	d.requireWithin(libraries, names)
	d.requireLoaded()
	d.require()
	return nil
}

// described is the set of files in the tree that a component has already. Where a component links beside itself a library
// that programs ask for by a name which no file has, only one of the library's own can say so.
func (d *derivation) described() map[string]bool {
	files := map[string]bool{}
	add := func(file string) {
		if name, ok := unmarked(file); ok {
			files[name] = true
		}
	}
	for _, c := range d.result.Components {
		add(c.Location)
		add(c.LinkLocation)
		for _, file := range c.LinkLibraries {
			if !slices.ContainsFunc(d.libraries.list, func(l *library) bool { return l.soname != "" && marked(l.link) == file }) {
				add(file)
			}
		}
	}
	return files
}

// addFile adds the component of one library. What its shared library needs, its archive needs when linked.
func (d *derivation) addFile(l *library, includes []string) string {
	archive, dylib := l.twins()
	needs := d.libraries.needs(l)
	if archive != nil {
		archive.Includes = cps.All(includes...)
		if needs.cxx {
			archive.LinkLanguages = []string{"cpp"}
		}
		archive.LinkLibraries = needs.system
		if d.opts.SystemLibs != nil {
			archive.LinkLibraries = slices.Clone(d.opts.SystemLibs)
		}
		for _, name := range rustLibraries(d.opts.NativeStaticLibs[l.name]) {
			if !slices.Contains(archive.LinkLibraries, name) {
				archive.LinkLibraries = append(archive.LinkLibraries, name)
			}
		}
	}
	if dylib != nil {
		dylib.Includes = cps.All(includes...)
	}
	return d.result.AddTwins(componentName(l.name), archive, dylib)
}

// requireWithin makes libraries of the tree require each other as their shared libraries do. A circle, which
// loaders allow and linkers do not, is left open.
func (d *derivation) requireWithin(libraries []*library, names map[string]string) {
	edges := map[string][]string{}
	for _, l := range libraries {
		for _, other := range d.libraries.needs(l).within {
			to := names[other]
			if to == "" || to == names[l.name] || reaches(edges, to, names[l.name]) {
				continue
			}
			edges[names[l.name]] = append(edges[names[l.name]], to)
			for _, c := range d.twinsOf(names[l.name]) {
				if c.Type == cps.Dylib {
					c.DyldRequires = append(c.DyldRequires, ":"+to)
				} else {
					c.LinkRequires = append(c.LinkRequires, ":"+to)
				}
			}
		}
	}
}

// requireLoaded makes the shared libraries that .pc files describe require those of the tree that they load: .pc files need not
// say it, and a program has to find these where the package has them. A circle is left open, as by requireWithin.
func (d *derivation) requireLoaded() {
	owners := map[string][]string{} // the components of a shared library, by its file
	edges := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(d.result.Components)) {
		c := d.result.Components[name]
		for _, file := range []string{c.LinkLocation, c.Location} {
			if file, ok := unmarked(file); ok && c.Type == cps.Dylib {
				owners[d.real(file)] = appendMissing(owners[d.real(file)], []string{name})
			}
		}
		required := c.DyldRequires
		if shared := c.Configurations[cps.SharedConfiguration]; shared != nil {
			required = slices.Concat(required, shared.Requires)
		}
		for _, spec := range required {
			if s := cps.ParseSpec(spec); s.Package == "" {
				edges[name] = append(edges[name], s.Component)
			}
		}
	}
	for _, l := range d.libraries.list {
		if l.shared == nil {
			continue
		}
		for _, file := range l.shared.Needed {
			other := d.libraries.sonames[strings.ToLower(path.Base(file))]
			if other == nil || len(owners[d.real(other.runtime)]) == 0 {
				continue
			}
			to := owners[d.real(other.runtime)][0]
			lacking := slices.DeleteFunc(slices.Clone(owners[d.real(l.runtime)]), func(from string) bool {
				return reaches(edges, from, to) || reaches(edges, to, from)
			})
			for _, from := range lacking {
				edges[from] = append(edges[from], to)
				d.result.Components[from].DyldRequires = append(d.result.Components[from].DyldRequires, ":"+to)
			}
		}
	}
}

// reaches reports whether edges lead from one component to another. They may have circles.
func reaches(edges map[string][]string, from, to string) bool {
	seen := map[string]bool{}
	var visit func(at string) bool
	visit = func(at string) bool {
		if at == to || seen[at] {
			return at == to
		}
		seen[at] = true
		return slices.ContainsFunc(edges[at], visit)
	}
	return visit(from)
}

// twinsOf gives the component, or the two that it chooses between.
func (d *derivation) twinsOf(name string) []*cps.Component {
	c := d.result.Components[name]
	if c.Configurations == nil {
		return []*cps.Component{c}
	}
	var list []*cps.Component
	for _, configuration := range []string{cps.StaticConfiguration, cps.SharedConfiguration} {
		for _, spec := range c.Configurations[configuration].Requires {
			list = append(list, d.result.Components[cps.ParseSpec(spec).Component])
		}
	}
	return list
}

// includes are the directories with headers: include of each prefix, and Debian's directory for the platform below it. Without
// any, the top, if there are headers, as in packages that are composed of single files.
func (d *derivation) includes() ([]string, error) {
	var dirs []string
	for _, include := range d.tree.inPrefixes("include") {
		sub, err := d.tree.multiarch(include)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, marked(include))
		for _, dir := range sub {
			dirs = append(dirs, marked(dir))
		}
	}
	if dirs != nil {
		return dirs, nil
	}
	names, err := d.tree.list(".")
	if err != nil || !slices.ContainsFunc(names, isHeader) {
		return nil, err
	}
	return []string{marked(".")}, nil
}

// componentName replaces what may not be in a component's name.
func componentName(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("/@:", r) {
			return '_'
		}
		return r
	}, path.Base(name))
}

// isHeader says whether a file's name is that of a header.
func isHeader(name string) bool {
	return slices.Contains([]string{".h", ".hh", ".hpp", ".hxx"}, path.Ext(name))
}
