package layer

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

const (
	whiteoutPrefix = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
)

// whiteout removes what at, if it is the path of a whiteout, stands for.
func (t *Tree) whiteout(at string, number int) (done bool, err error) {
	dir, base := path.Split(at)
	dir = path.Clean(dir)
	hidden, ok := strings.CutPrefix(base, whiteoutPrefix)
	switch {
	case !ok:
		return false, nil
	case base == opaqueWhiteout:
		if err := t.clearParents(at); err != nil {
			return true, err
		}
		if err := t.mkdirs(dir, number); err != nil { // it stays, whatever was in it
			return true, err
		}
		return true, t.hide(dir, number)
	case strings.HasPrefix(hidden, whiteoutPrefix):
		return true, nil // metadata of aufs
	case hidden == "" || hidden == "." || hidden == "..":
		return true, errdef.Errorf(errdef.ErrVerification, "the layer holds the whiteout %q, which names nothing", at)
	}
	return true, t.hide(path.Join(dir, hidden), number)
}

// hide removes what layers before that of the number left at p and below it.
func (t *Tree) hide(p string, number int) error {
	if f := t.files[p]; f != nil && f.Layer < number {
		return t.remove(p)
	}
	d := t.dirs[p]
	if d == nil {
		return nil
	}
	if d.layer < number {
		return t.remove(p)
	}
	if d.hidden == number { // once for a layer: what came since is of this one
		return nil
	}
	for name := range d.names {
		if err := t.hide(path.Join(p, name), number); err != nil {
			return err
		}
	}
	d.hidden = number
	return nil
}

// remove takes p, with all below it, out of the tree.
func (t *Tree) remove(p string) error {
	if t.root != nil {
		t.in.forget() // what comes in the place of a directory is another
		if err := t.root.RemoveAll(p); err != nil {
			return err
		}
	}
	delete(t.dirs[path.Dir(p)].names, path.Base(p))
	t.forget(p)
	return nil
}

func (t *Tree) forget(p string) {
	delete(t.files, p)
	if d := t.dirs[p]; d != nil {
		delete(t.dirs, p)
		for name := range d.names {
			t.forget(path.Join(p, name))
		}
	}
}

// clear makes room at the path p.
func (t *Tree) clear(p string) error {
	if err := t.clearParents(p); err != nil {
		return err
	}
	if t.files[p] == nil && t.dirs[p] == nil {
		return nil
	}
	return t.remove(p)
}

// clearParents removes a file that stands where p needs a directory.
func (t *Tree) clearParents(p string) error {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if t.files[dir] != nil {
			return t.remove(dir)
		}
	}
	return nil
}

// Remove deletes a directory tree that may be read-only.
func Remove(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	_ = fs.WalkDir(root.FS(), ".", func(p string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() {
			// WalkDir reads the directory after this; an error shows below.
			_ = root.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
