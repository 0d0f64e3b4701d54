package derive

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/cps"
)

// maxLinks bounds how many symbolic links one name goes through.
const maxLinks = 40

// tree is a file system whose symbolic links are followed here, since not every [fs.FS] follows them itself.
type tree struct {
	fsys      fs.FS
	inspected map[string]*binfmt.File
	prefixes  []string // of which findPrefixes says more
}

func newTree(fsys fs.FS) *tree {
	return &tree{fsys: fsys, inspected: map[string]*binfmt.File{}}
}

// resolve follows the symbolic links of every element of name and gives the file or directory it ends at. A link that
// leads out of the tree gives fs.ErrNotExist, as does a missing file.
func (t *tree) resolve(name string) (string, fs.FileInfo, error) {
	done, rest := ".", strings.Split(path.Clean(name), "/")
	info, err := fs.Stat(t.fsys, ".")
	for hops := 0; len(rest) > 0 && err == nil; {
		element := rest[0]
		rest = rest[1:]
		if element == ".." || !info.IsDir() {
			return "", nil, &fs.PathError{Op: "resolve", Path: name, Err: fs.ErrNotExist}
		}
		next := path.Join(done, element)
		if info, err = fs.Lstat(t.fsys, next); err != nil {
			break
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		var target string
		if target, err = fs.ReadLink(t.fsys, next); err != nil {
			break
		}
		target = strings.ReplaceAll(target, `\`, "/")
		if hops++; hops > maxLinks || path.IsAbs(target) {
			return "", nil, &fs.PathError{Op: "resolve", Path: name, Err: fs.ErrNotExist}
		}
		target = path.Join(done, target)
		if target == ".." || strings.HasPrefix(target, "../") {
			return "", nil, &fs.PathError{Op: "resolve", Path: name, Err: fs.ErrNotExist}
		}
		rest = append(strings.Split(target, "/"), rest...)
		done = "."
		if info, err = fs.Stat(t.fsys, "."); err != nil {
			break
		}
	}
	return done, info, err
}

// isDir says whether name is a directory.
func (t *tree) isDir(name string) bool {
	_, info, err := t.resolve(name)
	return err == nil && info.IsDir()
}

// isFile says whether name is a regular file.
func (t *tree) isFile(name string) bool {
	_, info, err := t.resolve(name)
	return err == nil && info.Mode().IsRegular()
}

// same reports whether two names are of one directory.
func (t *tree) same(a, b string) bool {
	x, _, errX := t.resolve(a)
	y, _, errY := t.resolve(b)
	return errX == nil && errY == nil && x == y
}

// list returns the names in a directory, sorted; none when it is not there. Hidden files are nothing to link, such as the ._libz.a
// in which macOS keeps a file's attributes.
func (t *tree) list(dir string) ([]string, error) {
	entries, err := t.entries(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, err
}

// directories returns the names of the directories in a directory, sorted.
func (t *tree) directories(dir string) ([]string, error) {
	entries, err := t.entries(dir)
	var names []string
	for _, e := range entries {
		if e.IsDir() || e.Type()&fs.ModeSymlink != 0 && t.isDir(path.Join(dir, e.Name())) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

func (t *tree) entries(dir string) ([]fs.DirEntry, error) {
	resolved, info, err := t.resolve(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(t.fsys, resolved)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }), err
}

// read gives the bytes of a file of at most limit bytes.
func (t *tree) read(name string, limit int64) ([]byte, error) {
	resolved, _, err := t.resolve(name)
	if err != nil {
		return nil, err
	}
	f, err := t.fsys.Open(resolved)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("read %s: the file is larger than %d bytes", name, limit)
	}
	return text, err
}

// inspect says what compiled code a file holds; nil for a file that is none, such as a linker script.
func (t *tree) inspect(name string) (*binfmt.File, error) {
	resolved, info, err := t.resolve(name)
	if err != nil {
		return nil, err
	}
	if file, ok := t.inspected[resolved]; ok {
		return file, nil
	}
	f, err := t.fsys.Open(resolved)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, size := io.ReaderAt(nil), info.Size()
	if at, ok := f.(io.ReaderAt); ok {
		r = at
	} else {
		content, err := io.ReadAll(f)
		if err != nil {
			return nil, err
		}
		r, size = bytes.NewReader(content), int64(len(content))
	}
	file, err := binfmt.Inspect(r, size)
	if errors.Is(err, binfmt.ErrNotBinary) {
		file, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the library %s: %w", name, err)
	}
	t.inspected[resolved] = file
	return file, nil
}

// inspect is tree.inspect for a library that is linked as its name says even if its content cannot be understood.
func (d *derivation) inspect(name string) (*binfmt.File, error) {
	file, err := d.tree.inspect(name)
	if errors.Is(err, binfmt.ErrMalformed) {
		d.warn("%v: the system libraries that it needs are not known", err)
		return nil, nil
	}
	return file, err
}

// match is a directory that a pattern stands for, and what its first element with a * stands for.
type match struct{ dir, first string }

// match lists the directories that a pattern stands for, each of whose elements may have a *.
func (t *tree) match(pattern string) ([]match, error) {
	found := []match{{dir: "."}}
	for element := range strings.SplitSeq(pattern, "/") {
		var next []match
		for _, m := range found {
			if !strings.Contains(element, "*") {
				if dir := path.Join(m.dir, element); t.isDir(dir) {
					next = append(next, match{dir, m.first})
				}
				continue
			}
			names, err := t.directories(m.dir)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				if ok, err := path.Match(element, name); ok && err == nil {
					next = append(next, match{path.Join(m.dir, name), cmp.Or(m.first, name)})
				}
			}
		}
		found = next
	}
	return found, nil
}

// marked is the path of a file in the tree as descriptions write it.
func marked(name string) string {
	if name == "." {
		return cps.PrefixMarker
	}
	return cps.PrefixMarker + "/" + name
}

// unmarked is the path in the tree of a marked path; ok is false for one that does not begin with the marker.
func unmarked(file string) (name string, ok bool) {
	if file == cps.PrefixMarker {
		return ".", true
	}
	name, ok = strings.CutPrefix(file, cps.PrefixMarker+"/")
	return path.Clean(name), ok
}
