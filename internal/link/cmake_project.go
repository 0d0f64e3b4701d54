package link

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/project"
)

// CMakeProject is what ocipkg.cmake wants to know before it is asked for a package.
type CMakeProject struct {
	Root string // the directory of the project file; empty: there is none
	// Files are those whose change makes CMake configure anew, and forget what it found. Depends only make it configure anew.
	Files, Depends []string
	// Answers says which alias answers to a name of find_package, in lower case.
	Answers map[string]string
	// Doubtful says of a name that several listed packages have why none of them answers.
	Doubtful map[string]string
	Listed   []CMakeListed
	Target   string // the platform of the build, as --platform takes it
	// State is another text whenever a name may stand for another package than before.
	State string
}

// CMakeListed is a package that the project lists and that is there.
type CMakeListed struct {
	Alias string
	// Roots are the directories of the package and of all that it requires.
	Roots []string
	// Includes and LibraryDirs are where CMake looks for its headers and libraries; Libraries are the names of these, as -l
	// takes them.
	Includes, LibraryDirs, Libraries []string
	// NestedIncludes are those of Includes that are in another of them, such as include/x86_64-linux-gnu.
	NestedIncludes []string
	// LinkDirs are where linkers look for libraries, of the package and of all that it requires. CMake has programs look there, too,
	// so that they are those of the kind that the project wants.
	LinkDirs []string
}

// Text writes it as variables and properties that ocipkg.cmake reads. Lists of two have a sign in front of each second item,
// so that none is empty.
func (p CMakeProject) Text() (string, error) {
	var t cmakeText
	var answers, aliases, includes, nested, dirs, linked, places, libraries []string
	for _, name := range slices.Sorted(maps.Keys(p.Answers)) {
		answers = append(answers, name, "="+p.Answers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.Doubtful)) {
		answers = append(answers, name, "!"+p.Doubtful[name])
	}
	for _, l := range p.Listed {
		for _, name := range l.Libraries {
			libraries = append(libraries, name, "="+l.Alias)
		}
		t.line("set_property(GLOBAL PROPERTY %s %s)", t.quote("_OCIPKG_ROOTS_"+l.Alias), t.list(l.Roots...))
		aliases = append(aliases, l.Alias)
		includes = appendMissing(includes, l.Includes...)
		nested = appendMissing(nested, l.NestedIncludes...)
		dirs = appendMissing(dirs, l.LibraryDirs...)
		linked = appendMissing(linked, l.LinkDirs...)
		places = appendMissing(places, path.Dir(l.Roots[0]))
	}
	t.line("set(_ocipkg_root %s)", t.quote(p.Root))
	t.line("set(_ocipkg_target %s)", t.quote(p.Target))
	t.line("set(_ocipkg_state %s)", t.quote(p.State+" "+strings.Join(places, " ")))
	t.set("_ocipkg_files", p.Files...)
	t.set("_ocipkg_depends", p.Depends...)
	t.set("_ocipkg_answers", answers...)
	t.set("_ocipkg_listed", aliases...)
	t.set("_ocipkg_include_path", includes...)
	t.set("_ocipkg_library_path", dirs...)
	t.set("_ocipkg_nested_includes", nested...)
	t.set("_ocipkg_link_directories", linked...)
	t.set("_ocipkg_places", places...)
	t.set("_ocipkg_libraries", libraries...)
	return t.String(), t.err
}

// List describes a package, which all requires, to [CMakeProject]: with the libraries that the project wants before those of the
// other kind. exists reports whether a directory is there.
func (p *Package) List(alias string, all []*Package, how project.Sharing, exists func(dir string) bool) CMakeListed {
	l := CMakeListed{Alias: alias, Roots: []string{p.Root}, LibraryDirs: p.libraryDirs(how, exists)}
	for _, other := range append([]*Package{p}, all...) {
		dirs := other.libraryDirs(how, exists)
		isView := func(dir string) bool { return dir == other.StaticView || dir == other.SharedView }
		switch {
		case len(dirs) == 0 || !isView(dirs[0]) || how == project.Fallback:
		case how == project.Shared: // what is only static serves, too
			dirs = slices.DeleteFunc(dirs, func(dir string) bool { return !isView(dir) })
		default:
			dirs = dirs[:1]
		}
		l.Roots = appendMissing(l.Roots, other.Root)
		l.LinkDirs = appendMissing(l.LinkDirs, dirs...)
	}
	includes := []string{p.Root + "/include"}
	for _, name := range slices.Sorted(maps.Keys(p.CPS.Components)) {
		c := p.CPS.Components[name]
		for _, a := range append([]*cps.Attributes{&c.Attributes}, slices.Collect(maps.Values(c.Configurations))...) {
			for _, language := range slices.Sorted(maps.Keys(a.Includes)) {
				for _, dir := range a.Includes[language] {
					includes = appendMissing(includes, p.place(dir))
				}
			}
		}
	}
	l.Includes = slices.DeleteFunc(includes, func(dir string) bool { return p.absent(dir, exists) })
	for _, dir := range l.Includes {
		if slices.Contains(l.Includes, path.Dir(dir)) {
			l.NestedIncludes = append(l.NestedIncludes, dir)
		}
	}
	static, dynamic := p.CPS.Views()
	for _, entry := range slices.Concat(static, dynamic) {
		if name := cps.LibraryName(entry.Name); cmakeName(name) {
			l.Libraries = appendMissing(l.Libraries, name)
		}
	}
	return l
}

// libraryDirs lists the directories that have the package's libraries, views before others.
func (p *Package) libraryDirs(how project.Sharing, exists func(dir string) bool) []string {
	dirs := []string{p.StaticView, p.SharedView}
	if how == project.Shared {
		slices.Reverse(dirs)
	}
	static, dynamic := p.CPS.Views()
	for _, entry := range slices.Concat(static, dynamic) {
		dirs = appendMissing(dirs, path.Dir(p.Root+"/"+entry.Target))
	}
	return slices.DeleteFunc(dirs, func(dir string) bool { return p.absent(dir, exists) })
}

// absent reports whether a directory is none of the package's that CMake can be told of.
func (p *Package) absent(dir string, exists func(dir string) bool) bool {
	inside, ok := strings.CutPrefix(path.Clean(dir), path.Dir(p.Root)+"/")
	return !ok || strings.ContainsAny(inside, CMakeUnfit) || !exists(dir)
}

// CMakeNames lists the names of find_package that the package answers to beside its alias: its own, those of its modules and
// components, and those that its producer lists, where CMake takes them, each with the name of CMake's own module for a library that is called so.
func (p *Package) CMakeNames() []string {
	names := CMakeNames(p.CPS.Name, "")
	for _, component := range slices.Sorted(maps.Keys(p.CPS.Components)) {
		if c := p.CPS.Components[component]; c.Linkable() {
			for _, name := range append([]string{component}, c.Names...) {
				if !strings.Contains(name, "::") {
					names = appendMissing(names, CMakeNames(name, "")...)
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return !cmakeName(name) })
}
