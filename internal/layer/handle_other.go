//go:build !linux && !darwin

package layer

import (
	"io/fs"
	"os"
)

// dirHandle is a directory that is open. What is done in it is done by a name without a
// slash.
type dirHandle struct{ root *os.Root }

// openHandle opens the root of a tree.
func openHandle(root *os.Root) (*dirHandle, error) {
	own, err := root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	return &dirHandle{own}, nil
}

// open opens the directory of that name; shown is what errors call it.
func (d *dirHandle) open(name, _ string) (*dirHandle, error) {
	in, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &dirHandle{in}, nil
}

func (d *dirHandle) create(name, _ string, mode fs.FileMode) (newFile, error) {
	return d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

func (d *dirHandle) mkdir(name, _ string) error { return d.root.Mkdir(name, 0o755) }

func (d *dirHandle) symlink(target, name, _ string) error { return d.root.Symlink(target, name) }

// seal makes the directory itself read-only.
func (d *dirHandle) seal() error { return d.root.Chmod(".", 0o555) }

func (d *dirHandle) close() { d.root.Close() }
