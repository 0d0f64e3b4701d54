package upkeep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ocipkg/ocipkg/internal/store"
)

// readRoots gives the digests that lock files name, and by which; and the lock
// files that are gone for sure. A lock file that is there, or may be, and cannot
// be read is an error: what it keeps is not known.
func readRoots(of *store.Store, digests func(lockFile string) ([]string, error)) (kept map[string]string, gone []string, err error) {
	roots, err := of.Roots()
	if err != nil {
		return nil, nil, err
	}
	kept = map[string]string{}
	for _, root := range roots {
		isGone, err := isGone(root)
		if isGone {
			gone = append(gone, root)
			continue
		}
		var named []string
		if err == nil {
			named, err = digests(root)
		}
		if errors.Is(err, fs.ErrNotExist) {
			gone = append(gone, root) // just now
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("find out which packages %s keeps: %w; make it readable, or remove %s if it is no longer of use", root, err, of.RootPath(root))
		}
		for _, d := range named {
			kept[d] = root
		}
	}
	return kept, gone, nil
}

// isGone tells whether a file is not there: a directory that cannot be entered
// tells nothing.
func isGone(file string) (bool, error) {
	_, err := os.Stat(file)
	if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return false, err
	}
	// Of a link that leads nowhere for now, such as to a disk that is not
	// mounted, the same cannot be said.
	if info, err := os.Lstat(file); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return false, fmt.Errorf("%s is a link that leads nowhere", filepath.Base(file))
	}
	return true, nil
}
