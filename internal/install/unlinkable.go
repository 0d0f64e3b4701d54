package install

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

// findUnlinkable looks into the files that linkers may read, by their names, also
// those of links, and returns the first that must not come before one: one that
// may be allowed only where there is no other. A link then reads none of them.
func findUnlinkable(root *os.Root, files []layer.File) (*store.Unlinkable, error) {
	var mu sync.Mutex
	var found []store.Unlinkable
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for _, f := range files {
		if f.IsDir() || !binfmt.MayBeLinked(f.Path) {
			continue
		}
		workers.Go(func() error {
			err := checkLinkable(root, f.Path)
			var bad *binfmt.UnlinkableError
			if !errors.As(err, &bad) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, store.Unlinkable{Path: f.Path, Reason: bad.Error(), IR: bad.IR})
			return nil
		})
	}
	if err := workers.Wait(); err != nil || len(found) == 0 {
		return nil, err
	}
	first := slices.MinFunc(found, func(a, b store.Unlinkable) int {
		if a.IR != b.IR {
			return map[bool]int{false: -1, true: 1}[a.IR]
		}
		return cmp.Compare(a.Path, b.Path)
	})
	return &first, nil
}

func checkLinkable(root *os.Root, path string) error {
	info, err := root.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil // a link that leads nowhere, or to a directory: there is nothing to be read
	}
	file, err := root.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return binfmt.CheckLinkable(file, info.Size())
}
