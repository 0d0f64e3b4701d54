package layer

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
)

var link = os.Link // replaced to see what comes of a file system without links

// Adopt takes files, which another tree at the directory from already holds,
// into t: as hard links where the file system allows it, as copies (which share
// their blocks where it can) elsewhere. The caller keeps from as it is
// meanwhile. When it fails, t is as it was, but for directories.
func (t *Tree) Adopt(files []File, from string) error {
	for i, f := range files {
		if err := t.adopt(f, filepath.Join(from, filepath.FromSlash(f.Path))); err != nil {
			t.disown(files[:i])
			return err
		}
	}
	return nil
}

// disown takes files out of the tree again.
func (t *Tree) disown(files []File) {
	for _, f := range files {
		t.discount(f)
		if !f.IsDir() {
			_ = t.root.Remove(f.Path)
		}
	}
}

func (t *Tree) adopt(f File, source string) error {
	if err := t.count(f); err != nil {
		return err
	}
	err := t.share(f, source)
	if err != nil {
		t.discount(f)
	}
	return err
}

func (t *Tree) share(f File, source string) error {
	if !f.IsRegular() {
		return t.place(f, nil, nil)
	}
	info, err := os.Lstat(source)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != f.Size {
		return fmt.Errorf("%s is not the file of %d bytes that it was", source, f.Size)
	}
	if err := t.mkdirs(path.Dir(f.Path), f.Layer); err != nil {
		return err
	}
	if link(source, filepath.Join(t.root.Name(), filepath.FromSlash(f.Path))) == nil {
		return nil
	}
	// Too many links, another file system, or one without links: whatever the
	// reason, a copy serves as well, and its own error is the one to report.
	content, err := os.Open(source)
	if err != nil {
		return err
	}
	defer content.Close()
	return t.place(f, content, nil)
}
