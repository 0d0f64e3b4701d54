package layer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
)

// handles keeps directories of a tree open, so that each file in them is created
// by its name alone: from the root, every directory on the way would be opened
// for every file.
type handles struct {
	root *os.Root

	mu    sync.Mutex
	open  map[string]*dirHandle // by their paths
	spent bool                  // there are no more to be had
}

// maxHandles bounds the directories that are kept open. Those beyond it are
// reached from the root, and so are all when the system has no more to give.
const maxHandles = 2048

// newFile is a file that is made.
type newFile interface {
	io.WriteCloser
	Chmod(mode fs.FileMode) error
}

// at gives the directory dir; nil when it is to be reached from the root.
func (h *handles) at(dir string) *dirHandle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.find(dir)
}

func (h *handles) find(dir string) *dirHandle {
	if d := h.open[dir]; d != nil {
		return d
	}
	if h.spent || len(h.open) >= maxHandles {
		return nil
	}
	d, err := h.enter(dir)
	if err != nil {
		h.spent = true
		h.close()
		return nil // the way from the root will say what is wrong
	}
	if d == nil {
		return nil
	}
	if h.open == nil {
		h.open = map[string]*dirHandle{}
	}
	h.open[dir] = d
	return d
}

// enter opens a directory from the one that it is in.
func (h *handles) enter(dir string) (*dirHandle, error) {
	if dir == "." {
		return openHandle(h.root)
	}
	in := h.find(path.Dir(dir))
	if in == nil || len(h.open) >= maxHandles {
		return nil, nil
	}
	return in.open(path.Base(dir), dir)
}

// forget closes all directories: one of them is to be removed, or all are done.
func (h *handles) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.close()
}

func (h *handles) close() {
	for _, d := range h.open {
		d.close()
	}
	h.open = nil
}

// in does something to what is at p: by its name in the directory that it is in,
// or from the root.
func (h *handles) in(p string, do func(d *dirHandle, name string) error, fromRoot func() error) error {
	if d := h.at(path.Dir(p)); d != nil {
		// Another layer may have closed it.
		if err := do(d, path.Base(p)); !errors.Is(err, fs.ErrClosed) {
			return err
		}
	}
	return fromRoot()
}

func (h *handles) create(p string, mode fs.FileMode) (file newFile, err error) {
	err = h.in(p, func(d *dirHandle, name string) error {
		file, err = d.create(name, p, mode)
		return err
	}, func() error {
		file, err = h.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		return err
	})
	return file, err
}

func (h *handles) mkdir(p string) error {
	return h.in(p, func(d *dirHandle, name string) error { return d.mkdir(name, p) },
		func() error { return h.root.Mkdir(p, 0o755) })
}

func (h *handles) symlink(target, p string) error {
	return h.in(p, func(d *dirHandle, name string) error { return d.symlink(target, name, p) },
		func() error { return h.root.Symlink(target, p) })
}

// seal makes the directory p read-only.
func (h *handles) seal(p string) error {
	if d := h.at(p); d != nil {
		if err := d.seal(); !errors.Is(err, fs.ErrClosed) {
			return err
		}
	}
	return h.root.Chmod(p, 0o555)
}
