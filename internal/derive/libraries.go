package derive

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// library is what a tree has of one library in one directory.
type library struct {
	name    string // as -l takes it
	dir     string
	archive string // the path of the static library; empty for none
	// runtime is what a program loads, link what it is linked with; both empty when there is no shared library, and the same
	// where one file serves for both.
	runtime, link string
	soname        string // what a program will ask for, where it is not the base name of runtime

	static, shared *binfmt.File // nil where there is no such library, or where it is a linker script
}

// libraries indexes the libraries of a tree.
type libraries struct {
	list    []*library
	aliases map[string]*library // by directory/name: names that are links to another library's files
	sonames map[string]*library // by what programs ask for, in lower case
}

// indexLibraries looks for libraries where packages have them: in those of [tree.libDirs], for DLLs in bin, and at the top,
// where earlier versions of ocipkg put them.
func (d *derivation) indexLibraries() error {
	dirs, err := d.libraryDirs()
	if err != nil {
		return err
	}
	_, err = d.index(dirs...)
	return err
}

// index looks for libraries in dirs, and makes the index the derivation's.
func (d *derivation) index(dirs ...string) (*libraries, error) {
	d.libraries = &libraries{aliases: map[string]*library{}, sonames: map[string]*library{}}
	for _, dir := range dirs {
		if err := d.indexDirectory(dir); err != nil {
			return nil, err
		}
	}
	d.pairDLLs()
	d.joinKinds()
	for _, l := range d.libraries.list {
		for _, soname := range []string{l.soname, path.Base(l.runtime)} {
			d.libraries.sonames[strings.ToLower(soname)] = l
		}
	}
	return d.libraries, nil
}

// libraryDirs gives the directories without those that are links to an earlier one.
func (d *derivation) libraryDirs() ([]string, error) {
	var dirs []string
	seen := map[string]bool{}
	add := func(names ...string) {
		for _, name := range names {
			if real, info, err := d.tree.resolve(name); err == nil && info.IsDir() && !seen[real] {
				seen[real] = true
				dirs = append(dirs, name)
			}
		}
	}
	libs, err := d.tree.libDirs()
	if err != nil {
		return nil, err
	}
	add(libs...)
	add(d.tree.inPrefixes("bin")...)
	add(d.tree.inPrefixes("bin/Release")...)
	add(".")
	return dirs, nil
}

// indexDirectory groups the library files of a directory by name and kind.
func (d *derivation) indexDirectory(dir string) error {
	names, err := d.tree.list(dir)
	if err != nil {
		return err
	}
	d.searched[d.real(dir)] = true
	archives, shared := map[string]string{}, map[string][]string{}
	for _, base := range names {
		file := path.Join(dir, base)
		name := cps.LibraryName(base)
		if name == "" || !d.tree.isFile(file) {
			continue
		}
		kind, err := d.kind(file)
		switch {
		case err != nil:
			return err
		case kind == cps.Archive:
			if archives[name] == "" || strings.HasSuffix(base, ".a") {
				archives[name] = file
			}
		case kind == cps.Dylib:
			shared[name] = append(shared[name], file)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(union(archives, shared))) {
		if err := d.addLibrary(dir, name, archives[name], shared[name]); err != nil {
			return err
		}
	}
	d.dropAliases(dir)
	return nil
}

func union[A, B any](a map[string]A, b map[string]B) map[string]bool {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

// kind tells archives from shared libraries and their import libraries by name, and where the name does not say, by
// the content: .lib is both. A shared object that is not named lib… is a plugin, which nobody links.
func (d *derivation) kind(file string) (string, error) {
	base := path.Base(file)
	suffix := func(s string) bool { return strings.HasSuffix(base, s) }
	switch {
	case suffix(".dll.a"), suffix(".dll.lib"), suffix(".dll"), suffix(".tbd"):
		return cps.Dylib, nil
	case suffix(".a"):
		return cps.Archive, nil
	case suffix(".lib"):
		f, err := d.inspect(file)
		if f != nil && f.Kind == binfmt.KindImportLibrary {
			return cps.Dylib, err
		}
		return cps.Archive, err
	case strings.HasPrefix(base, "lib"):
		return cps.Dylib, nil
	}
	return "", nil
}

func (d *derivation) addLibrary(dir, name, archive string, shared []string) (err error) {
	l := &library{name: name, dir: dir, archive: archive}
	if archive != "" {
		if l.static, err = d.inspect(archive); err != nil {
			return err
		}
	}
	if len(shared) > 0 {
		if err := d.addShared(l, shared); err != nil {
			return err
		}
	}
	d.libraries.list = append(d.libraries.list, l)
	return nil
}

// addShared chooses among the names of a shared library: the plain one to link with, the one that programs ask for to run.
func (d *derivation) addShared(l *library, files []string) (err error) {
	l.link = linkName(files)
	l.runtime = l.link
	if l.shared, err = d.inspect(l.link); err != nil {
		return err
	}
	outside := false
	if script := strings.HasSuffix(l.link, ".so") || strings.HasSuffix(l.link, ".tbd"); l.shared == nil && script {
		l.runtime = scriptTarget(l.link, files)
		outside = l.runtime != l.link && d.leadsOutside(l.link)
		if l.shared, err = d.inspect(l.runtime); err != nil {
			return err
		}
	}
	if outside { // by the script, a linker would take the file that the system has there
		defer func() { l.link = l.runtime }()
	}
	if l.shared == nil || l.shared.Soname == "" {
		return nil
	}
	soname := sonameOf(l.shared)
	imported := l.shared.Kind == binfmt.KindImportLibrary
	switch inTree, where := path.Join(l.dir, soname), path.Join(path.Dir(d.real(l.link)), soname); {
	case d.tree.isFile(inTree):
		l.runtime = inTree
	case d.tree.isFile(where): // where the link leads, as from /usr/lib to /lib
		l.runtime = where
	case soname != path.Base(l.runtime) && !imported:
		l.soname = soname
	}
	if imported && l.runtime != l.link {
		l.shared, err = d.inspect(l.runtime)
	}
	return err
}

// sonameOf is the name of the file that programs ask for, by whatever path.
func sonameOf(f *binfmt.File) string {
	return path.Base(strings.ReplaceAll(f.Soname, `\`, "/"))
}

// completeSonames notes what programs ask for where a description does not say it: a soname that no file beside the library
// has, so that a directory of links can have it, and an install name that leads out of the package.
func (d *derivation) completeSonames() error {
	for _, c := range d.result.Components {
		if c.Type != cps.Dylib {
			continue
		}
		all := []*cps.Attributes{&c.Attributes}
		for _, a := range c.Configurations {
			all = append(all, a)
		}
		for _, a := range all {
			file, ok := unmarked(a.Location)
			if !ok || !d.tree.isFile(file) {
				continue
			}
			f, err := d.inspect(file)
			if err != nil {
				return err
			}
			if f == nil || f.Soname == "" || f.Kind == binfmt.KindImportLibrary {
				continue
			}
			if a.InstallName = f.FixedInstallName(); a.InstallName == "" && c.InstallName != "" {
				a.Unset = append(a.Unset, "x_ocipkg_install_name")
			}
			if soname := sonameOf(f); a.Soname == "" && soname != path.Base(file) && !d.tree.isFile(path.Join(path.Dir(file), soname)) {
				a.Soname = soname
			}
		}
	}
	return nil
}

// linkName is the name among a shared library's that a linker looks for: the one without a version, the import library
// before the DLL; where there is none, the newest.
func linkName(files []string) string {
	for _, suffix := range []string{".so", ".dylib", ".tbd", ".dll.a", ".dll.lib", ".lib", ".dll"} {
		for _, file := range files {
			if strings.HasSuffix(file, suffix) {
				return file
			}
		}
	}
	return newest(files)
}

// leadsOutside reports whether a linker script names a file by an absolute path. See
// https://sourceware.org/binutils/docs/ld/Implicit-Linker-Scripts.html.
func (d *derivation) leadsOutside(script string) bool {
	text, err := d.tree.read(script, 1<<16)
	if err != nil {
		return false
	}
	var code strings.Builder
	for rest := string(text); rest != ""; {
		before, comment, _ := strings.Cut(rest, "/*")
		code.WriteString(before + " ")
		_, rest, _ = strings.Cut(comment, "*/")
	}
	words := strings.FieldsFunc(code.String(), func(r rune) bool { return strings.ContainsRune(" \t\r\n(),;\"", r) })
	return slices.ContainsFunc(words, path.IsAbs)
}

// scriptTarget is the library that a linker script in its place stands for: the newest of the same name.
func scriptTarget(script string, files []string) string {
	others := slices.DeleteFunc(slices.Clone(files), func(file string) bool { return file == script })
	if len(others) == 0 {
		return script
	}
	return newest(others)
}

func newest(files []string) string {
	return slices.MaxFunc(files, func(a, b string) int {
		return pkgconf.CompareVersions(path.Base(a), path.Base(b))
	})
}

// dropAliases leaves out libraries of the directory whose files are all links to those of another one, such as
// libpng.a -> libpng16.a: one library is one component, under the name that programs ask for or else the file's own.
func (d *derivation) dropAliases(dir string) {
	owner := map[string]*library{}
	for _, l := range d.libraries.list {
		for _, file := range []string{l.archive, l.link, l.runtime} {
			if file != "" && l.dir == dir {
				if real := d.real(file); owner[real] == nil || d.ownName(real, l, owner[real]) {
					owner[real] = l
				}
			}
		}
	}
	d.libraries.list = slices.DeleteFunc(d.libraries.list, func(l *library) bool {
		if l.dir != dir {
			return false
		}
		var other *library
		for _, file := range []string{l.archive, l.link} {
			if file == "" {
				continue
			}
			if other = owner[d.real(file)]; other == l {
				return false
			}
		}
		d.libraries.aliases[path.Join(dir, l.name)] = other
		return true
	})
}

func (d *derivation) real(file string) string {
	real, _, err := d.tree.resolve(file)
	if err != nil {
		return file
	}
	return real
}

// ownName says whether the file is more a's than b's, by its soname or its name. Of the names of a versioned dylib the
// shortest is the one that is linked with.
func (d *derivation) ownName(real string, a, b *library) bool {
	if strings.HasSuffix(real, ".dylib") {
		return len(a.name) < len(b.name)
	}
	if a.shared != nil && a.shared.Soname != "" {
		return cps.LibraryName(a.shared.Soname) == a.name && cps.LibraryName(a.shared.Soname) != b.name
	}
	return cps.LibraryName(real) == a.name
}

// find returns the library of a name, in the first of dirs that has it, else the first of the tree.
func (ls *libraries) find(name string, dirs []string) *library {
	var found *library
	rank := len(dirs) + 1
	consider := func(l *library, dir string) {
		at := slices.Index(dirs, dir)
		if at < 0 {
			at = len(dirs)
		}
		if at < rank {
			found, rank = l, at
		}
	}
	for _, l := range ls.list {
		if l.name == name {
			consider(l, l.dir)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(ls.aliases)) {
		if path.Base(key) == name {
			consider(ls.aliases[key], path.Dir(key))
		}
	}
	return found
}

// pairDLLs joins an import library with its DLL, which is in another directory as a rule.
func (d *derivation) pairDLLs() {
	dlls := map[string]*library{}
	for _, l := range d.libraries.list {
		if strings.HasSuffix(l.runtime, ".dll") {
			dlls[strings.ToLower(path.Base(l.runtime))] = l
		}
	}
	paired := map[*library]bool{}
	for _, l := range d.libraries.list {
		if l.shared == nil || l.shared.Kind != binfmt.KindImportLibrary {
			continue
		}
		dll := dlls[strings.ToLower(l.shared.Soname)]
		if dll == nil {
			dll = dlls[strings.ToLower(l.name)+".dll"]
		}
		if dll != nil && dll != l {
			l.runtime, l.soname, l.shared = dll.runtime, "", dll.shared
			paired[dll] = true
		}
	}
	d.libraries.list = slices.DeleteFunc(d.libraries.list, func(l *library) bool { return paired[l] })
}

// joinKinds makes one library of an archive and a shared library of one name that are in different directories.
func (d *derivation) joinKinds() {
	first := map[string]*library{}
	d.libraries.list = slices.DeleteFunc(d.libraries.list, func(l *library) bool {
		other := first[l.name]
		switch {
		case other == nil:
			first[l.name] = l
		case other.archive == "" && l.runtime == "":
			other.archive, other.static = l.archive, l.static
			return true
		case other.shared == nil && l.shared != nil && l.archive == "" && other.link != "":
			// A linker script whose library is elsewhere.
			other.runtime, other.soname, other.shared = l.runtime, l.soname, l.shared
			return true
		case other.runtime == "" && l.archive == "":
			other.runtime, other.link, other.soname, other.shared = l.runtime, l.link, l.soname, l.shared
			return true
		}
		return false
	})
}

// twins makes the library's components, nil for a kind that is not there. They hold what the files tell: the
// locations, the soname, the languages.
func (l *library) twins() (archive, dylib *cps.Component) {
	if l.archive != "" {
		archive = &cps.Component{Type: cps.Archive}
		archive.Location = marked(l.archive)
		if l.static != nil && l.static.CXX {
			archive.LinkLanguages = []string{"cpp"}
		}
	}
	if l.runtime != "" {
		dylib = &cps.Component{Type: cps.Dylib}
		dylib.Location, dylib.Soname = marked(l.runtime), l.soname
		if l.link != l.runtime {
			dylib.LinkLocation = marked(l.link)
		}
	}
	return archive, dylib
}
