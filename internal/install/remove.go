package install

import (
	"errors"
	"io/fs"
	"os"

	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

// Remove takes a package out of the store, under the lock on it, and tells
// whether it did: it is there whole, or not at all. When nobody can find the
// package any more, keep is asked, unless it is nil, whether somebody needs it
// who found it before; it then comes back.
func Remove(from *store.Store, lock *store.Lock, digest string, keep func() bool) (removed bool, err error) {
	dir, doomed := from.PackageDir(digest), from.Path("tmp", lock.Name())
	aside := doomed + oldSuffix // under this name Sweep puts it back, should we be killed
	if err := errors.Join(from.Mkdir("tmp"), layer.Remove(aside), layer.Remove(doomed)); err != nil {
		return false, err
	}
	if err := os.Rename(dir, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	if keep != nil && keep() {
		return false, putBack(aside, dir)
	}
	if err := os.Rename(aside, doomed); err != nil {
		return false, errors.Join(err, putBack(aside, dir))
	}
	return true, layer.Remove(doomed)
}
