package layer

import (
	"errors"
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
	open  map[string]*os.Root
	spent bool // there are no more to be had
}

// maxHandles bounds the directories that are kept open. Those beyond it are
// reached from the root, and so are all when the system has no more to give.
const maxHandles = 2048

// at gives the directory that p is in, and the name of p there.
func (h *handles) at(p string) (dir *os.Root, name string) {
	parent := path.Dir(p)
	if parent == "." {
		return h.root, p
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if dir := h.open[parent]; dir != nil {
		return dir, path.Base(p)
	}
	if h.spent || len(h.open) >= maxHandles {
		return h.root, p
	}
	dir, err := h.root.OpenRoot(parent)
	if err != nil {
		h.spent = true
		h.close()
		return h.root, p // which then says what is wrong
	}
	if h.open == nil {
		h.open = map[string]*os.Root{}
	}
	h.open[parent] = dir
	return dir, path.Base(p)
}

// forget closes all directories: one of them is to be removed, or all are done.
func (h *handles) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.close()
}

func (h *handles) close() {
	for _, dir := range h.open {
		dir.Close()
	}
	h.open = nil
}

// in does something to what is at p, by way of the directory that p is in.
func (h *handles) in(p string, do func(dir *os.Root, name string) error) error {
	dir, name := h.at(p)
	err := do(dir, name)
	if errors.Is(err, os.ErrClosed) && dir != h.root { // another layer has closed it
		err = do(h.root, p)
	}
	return err
}

func (h *handles) create(p string, mode fs.FileMode) (file *os.File, err error) {
	err = h.in(p, func(dir *os.Root, name string) error {
		file, err = dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		return err
	})
	return file, err
}

func (h *handles) mkdir(p string) error {
	return h.in(p, func(dir *os.Root, name string) error { return dir.Mkdir(name, 0o755) })
}

func (h *handles) symlink(target, p string) error {
	return h.in(p, func(dir *os.Root, name string) error { return dir.Symlink(target, name) })
}

func (h *handles) chmod(p string, mode fs.FileMode) error {
	return h.in(p, func(dir *os.Root, name string) error { return dir.Chmod(name, mode) })
}
