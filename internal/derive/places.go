package derive

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/platform"
)

// maxDepth bounds how many directories below the top an installation is looked for; Spack has some ten.
const maxDepth = 16

// findPrefixes finds the directories that an installation is in: the top, usr, usr/local and those in opt, and where none
// of these has libraries or headers, the directories below, of which the first on the way down are taken, as Homebrew's
// NAME/VERSION. Those with headers come first: of a library in both /lib and /usr/lib, the latter has what is linked.
func (t *tree) findPrefixes() error {
	options, err := t.directories("opt")
	if err != nil {
		return err
	}
	candidates := []string{".", "usr", "usr/local"}
	for _, name := range options {
		candidates = append(candidates, "opt/"+name)
	}
	t.prefixes = slices.DeleteFunc(candidates, func(dir string) bool { return !t.isPrefix(dir) })
	names, err := t.list(".")
	if err != nil {
		return err
	}
	atTop := slices.ContainsFunc(names, func(name string) bool {
		return cps.LibraryName(name) != "" || isHeader(name) || path.Ext(name) == ".cps" || name == "cps"
	})
	for level, depth := []string{"."}, 0; len(t.prefixes) == 0 && !atTop && depth < maxDepth; depth++ {
		var below []string
		for _, dir := range level {
			names, err := t.directories(dir)
			if err != nil {
				return err
			}
			for _, name := range names {
				below = append(below, path.Join(dir, name))
			}
		}
		level = below
		t.prefixes = slices.DeleteFunc(slices.Clone(level), func(dir string) bool { return !t.isPrefix(dir) })
	}
	if !slices.Contains(t.prefixes, ".") {
		t.prefixes = append(t.prefixes, ".")
	}
	headers := func(dir string) int {
		if t.isDir(path.Join(dir, "include")) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(t.prefixes, func(a, b string) int { return headers(a) - headers(b) })
	return nil
}

// isPrefix reports whether a directory has libraries or headers as an installation has them.
func (t *tree) isPrefix(dir string) bool {
	return slices.ContainsFunc([]string{"lib", "lib64", "lib32", "include"}, func(name string) bool {
		return t.isDir(path.Join(dir, name))
	})
}

// prefixOf returns the prefix that a file is in.
func (t *tree) prefixOf(file string) string {
	longest := "."
	for _, dir := range t.prefixes {
		if strings.HasPrefix(file, dir+"/") && len(dir) >= len(longest) {
			longest = dir
		}
	}
	return longest
}

// libDirs lists the directories that libraries are looked for in, whether they are there or not: lib, lib64 and lib32 of each
// prefix, and of their directories those named for a platform, those that have a pkgconfig of their own, as OpenBLAS's, and
// the one that CMake makes for Release.
func (t *tree) libDirs() ([]string, error) {
	var dirs []string
	for _, prefix := range t.prefixes {
		for _, lib := range []string{"lib", "lib64", "lib32"} {
			lib = path.Join(prefix, lib)
			platforms, err := t.multiarch(lib)
			if err != nil {
				return nil, err
			}
			for _, dir := range append([]string{lib}, platforms...) {
				dirs = append(dirs, dir)
				below, err := t.directories(dir)
				if err != nil {
					return nil, err
				}
				for _, name := range below {
					if name == "Release" || t.isDir(path.Join(dir, name, "pkgconfig")) {
						dirs = append(dirs, path.Join(dir, name))
					}
				}
			}
		}
	}
	return dirs, nil
}

// inPrefixes lists the directories of that name in each prefix.
func (t *tree) inPrefixes(name string) []string {
	var dirs []string
	for _, prefix := range t.prefixes {
		if dir := path.Join(prefix, name); t.isDir(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// multiarch lists the sub-directories of dir that are named for a platform, as Debian has them: lib/x86_64-linux-gnu.
func (t *tree) multiarch(dir string) ([]string, error) {
	names, err := t.directories(dir)
	var found []string
	for _, name := range names {
		if isTriplet(name) {
			found = append(found, path.Join(dir, name))
		}
	}
	return found, err
}

// isTriplet says whether a directory is named as architecture-kernel-abi, or as another triple that compilers know.
func isTriplet(name string) bool {
	parts := strings.Split(name, "-")
	if len(parts) == 3 && (parts[1] == "linux" || parts[1] == "kfreebsd") || name == "i386-gnu" || name == "x86_64-gnu" {
		return true
	}
	_, err := platform.FromTriple(name)
	return err == nil
}

// place is a directory with libraries in which none are looked for.
type place struct {
	dir    string
	static bool     // there are such as no plugin is
	files  []string // their names
}

// elsewhere lists the directories that have libraries and are not among those where libraries were looked for.
func (d *derivation) elsewhere() ([]place, error) {
	var places []place
	err := fs.WalkDir(d.tree.fsys, ".", func(file string, entry fs.DirEntry, err error) error {
		dir, base := path.Dir(file), path.Base(file)
		switch {
		case err != nil:
			return err
		case base[0] == '.' && file != "." && entry.IsDir():
			return fs.SkipDir
		case base[0] == '.' || d.searched[dir] || cps.LibraryName(base) == "" || !entry.Type().IsRegular():
			return nil
		}
		kind, err := d.kind(file)
		if err != nil || kind == "" {
			return err
		}
		static := kind == cps.Archive || strings.HasSuffix(base, ".lib") || strings.HasSuffix(base, ".dll.a")
		if !static {
			if f, err := d.inspect(file); err != nil || f == nil || f.Soname == "" {
				return err
			}
		}
		i := slices.IndexFunc(places, func(at place) bool { return at.dir == dir })
		if i < 0 {
			i = len(places)
			places = append(places, place{dir: dir})
		}
		places[i].static = places[i].static || static
		places[i].files = append(places[i].files, base)
		return nil
	})
	return places, err
}

// findElsewhere looks for libraries where they are, when none are where they are looked for: in the only directory that has
// some which are linked and not loaded. Plugins are in directories of their own, too.
func (d *derivation) findElsewhere() error {
	if len(d.libraries.list) > 0 {
		return nil
	}
	places, err := d.elsewhere()
	if err != nil || len(places) != 1 || !places[0].static {
		return err
	}
	_, err = d.index(places[0].dir)
	return err
}

// tellElsewhere warns of libraries that nobody finds: static ones, and shared ones where these are all that there is.
func (d *derivation) tellElsewhere() error {
	places, err := d.elsewhere()
	if err != nil {
		return err
	}
	var files []string
	for _, at := range places {
		if at.static || len(d.libraries.list) == 0 {
			for _, name := range at.files {
				files = append(files, path.Join(at.dir, name))
			}
		}
	}
	if len(files) > 0 {
		d.warn("%s: nothing looks for libraries there; move them to lib, or describe them in a .pc or .cps file", Several(files))
	}
	return nil
}

// Several lists names for a message: the first few, and how many there are beside.
func Several(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
