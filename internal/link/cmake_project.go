package link

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
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
}

// Text writes it as variables and properties that ocipkg.cmake reads. Lists of two have a sign in front of each second item,
// so that none is empty.
func (p CMakeProject) Text() (string, error) {
	var t cmakeText
	var answers, aliases, includes, dirs, places, libraries []string
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
		dirs = appendMissing(dirs, l.LibraryDirs...)
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
	t.set("_ocipkg_places", places...)
	t.set("_ocipkg_libraries", libraries...)
	return t.String(), t.err
}

// List describes a package, which all requires, to [CMakeProject]: with the libraries that the project wants before those of the
// other kind. exists reports whether a directory is there.
func (p *Package) List(alias string, all []*Package, shared bool, exists func(dir string) bool) CMakeListed {
	l := CMakeListed{Alias: alias, Roots: []string{p.Root}}
	for _, other := range all {
		l.Roots = appendMissing(l.Roots, other.Root)
	}
	includes, dirs := []string{p.Root + "/include"}, []string{p.StaticView, p.SharedView}
	if shared {
		slices.Reverse(dirs)
	}
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
	static, dynamic := p.CPS.Views()
	for _, entry := range slices.Concat(static, dynamic) {
		dirs = appendMissing(dirs, path.Dir(p.Root+"/"+entry.Target))
		if name := cps.LibraryName(entry.Name); cmakeName(name) {
			l.Libraries = appendMissing(l.Libraries, name)
		}
	}
	absent := func(dir string) bool {
		inside, ok := strings.CutPrefix(path.Clean(dir), path.Dir(p.Root)+"/")
		return !ok || strings.ContainsAny(inside, CMakeUnfit) || !exists(dir)
	}
	l.Includes, l.LibraryDirs = slices.DeleteFunc(includes, absent), slices.DeleteFunc(dirs, absent)
	return l
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
