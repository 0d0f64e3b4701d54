//go:build linux || darwin

package layer

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ocipkg/ocipkg/internal/rawfile"
)

// dirHandle is a directory that is open. What is done in it is done by a name without a
// slash, and follows no link, so that it stays in there.
type dirHandle struct{ file *os.File }

// openHandle opens the root of a tree.
func openHandle(root *os.Root) (*dirHandle, error) {
	file, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	return &dirHandle{file}, nil
}

// open opens the directory of that name; shown is what errors call it.
func (d *dirHandle) open(name, shown string) (*dirHandle, error) {
	var fd int
	err := rawfile.At(d.file, "open", shown, func(at int) (err error) {
		fd, err = unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &dirHandle{os.NewFile(uintptr(fd), shown)}, nil
}

func (d *dirHandle) create(name, shown string, mode fs.FileMode) (newFile, error) {
	return rawfile.Create(d.file, name, mode, shown)
}

func (d *dirHandle) mkdir(name, shown string) error {
	return rawfile.At(d.file, "mkdir", shown, func(at int) error { return unix.Mkdirat(at, name, 0o755) })
}

func (d *dirHandle) symlink(target, name, shown string) error {
	return rawfile.At(d.file, "symlink", shown, func(at int) error { return unix.Symlinkat(target, at, name) })
}

// seal makes the directory itself read-only.
func (d *dirHandle) seal() error { return d.file.Chmod(0o555) }

func (d *dirHandle) close() { d.file.Close() }
