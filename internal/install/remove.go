package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

// MayRemove gives the error of a package that this user can neither remove nor
// replace, in a store that several share: its directories are read-only, for all
// but who made them.
func MayRemove(from *store.Store, digest string) error {
	if uid, other := owner(from.PackageDir(digest)); other {
		return fmt.Errorf("package %s belongs to user %d, and nobody else can remove or replace it; ask them, or choose another store by OCIPKG_HOME", digest, uid)
	}
	return nil
}

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
