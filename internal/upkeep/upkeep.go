// Package upkeep looks after the local store: it lists what is there, removes
// what is no longer wanted, and finds and mends what is damaged. All of it may
// run beside builds, and beside itself.
package upkeep

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// Package is a package in the store.
type Package struct {
	Digest string
	// Names are those that lead to it, sorted.
	Names    []string
	Platform *platform.Platform
	// Size is that of all files together, in bytes.
	Size int64
	// LastUsed is when it was last used, to the hour; zero when that is not
	// known.
	LastUsed time.Time
	// Damaged tells that its link.json cannot be read: nothing can use it.
	Damaged bool

	stamp stamp     // of link.json
	moved time.Time // into its place, where that was asked for
}

// Catalog is what the store has at one time.
type Catalog struct {
	Store *store.Store
	// Packages are sorted by digest.
	Packages []Package
	// Refs are the names, sorted.
	Refs []store.Ref

	packages string // the directory of them
	byDigest map[string]*Package
	indexes  map[string][]string // of an index that a name stands for: all its packages
	damaged  []string            // files in refs/ that say nothing
}

// List reads the catalog of a store for somebody to look at. It is quick also
// where there are many packages: what a link.json and a name say is kept in one
// file, the summary. A note that somebody changed in its place is not seen.
func List(of *store.Store) (*Catalog, error) {
	before := loadSummary(of)
	c, next, err := read(of, before)
	if err == nil && len(c.Packages)+len(c.Refs) >= summaryFrom && !next.equal(before) {
		next.save(of)
	}
	return c, err
}

// Read reads the catalog of a store to decide by it.
func Read(of *store.Store) (*Catalog, error) {
	c, _, err := read(of, &summary{})
	return c, err
}

// read reads what is not in a summary of before, and gives the one of now.
func read(of *store.Store, before *summary) (*Catalog, *summary, error) {
	// Before anything is read: what changes meanwhile shows the next time.
	next := &summary{dirs: directoriesOf(of)}
	c := &Catalog{Store: of, packages: of.Path("packages")}
	if err := c.readPackages(before, next); err != nil {
		return nil, nil, err
	}
	if err := c.readRefs(before, next); err != nil {
		return nil, nil, err
	}
	c.readIndexes(before, next)
	c.readUses()
	for _, r := range c.Refs {
		for _, p := range c.Of(r.Digest) {
			p.Names = append(p.Names, r.Name)
		}
	}
	return c, next, nil
}

// readRefs reads the names, those that the summary has not.
func (c *Catalog) readRefs(before, next *summary) (err error) {
	if next.dirs.refs.same(before.dirs.refs) {
		next.refs = before.refs
	} else if next.refs, c.damaged, err = listRefs(c.Store, before.refs); err != nil {
		return err
	}
	if len(c.damaged) > 0 {
		next.dirs.refs = stamp{} // they are not in the summary, and are to be found again
	}
	c.Refs = make([]store.Ref, len(next.refs))
	for i, l := range next.refs {
		c.Refs[i] = store.Ref{Name: l.name, Digest: l.digest}
	}
	return nil
}

func listRefs(in *store.Store, before []refLine) (refs []refLine, damaged []string, err error) {
	files, err := entries(in.Path("refs"))
	if err != nil {
		return nil, nil, err
	}
	known := make(map[string]refLine, len(before))
	for _, l := range before {
		known[store.RefFile(l.name)] = l
	}
	lines := make([]refLine, len(files))
	gone := make([]bool, len(files))
	each(len(files), func(i int) {
		info, err := files[i].Info()
		if gone[i] = err != nil; gone[i] {
			return
		}
		stamp := stampOf(info)
		if l, ok := known[files[i].Name()]; ok && l.stamp.same(stamp) {
			lines[i] = l
			return
		}
		r, err := readRef(in, files[i].Name())
		gone[i] = errors.Is(err, fs.ErrNotExist)
		if err == nil {
			lines[i] = refLine{stamp: stamp.settled(), name: r.Name, digest: r.Digest}
		}
	})
	for i, l := range lines {
		switch {
		case gone[i]:
		case l.digest == "":
			damaged = append(damaged, files[i].Name())
		default:
			refs = append(refs, l)
		}
	}
	slices.SortFunc(refs, func(a, b refLine) int { return strings.Compare(a.name, b.name) })
	return refs, damaged, nil
}

// readRef reads a file in refs/. One that is not about the name that it is the
// file of is damaged.
func readRef(in *store.Store, file string) (store.Ref, error) {
	path := in.Path("refs", file)
	r, err := store.ReadRef(path)
	if err != nil {
		if _, statErr := os.Lstat(path); errors.Is(statErr, fs.ErrNotExist) {
			err = statErr
		}
		return r, err
	}
	ref, err := reference.Parse(r.Name)
	if err == nil && in.RefPath(ref) != path {
		err = errdef.Errorf(errdef.ErrVerification, "it is the note of another name")
	}
	return r, err
}

// readPackages reads what the packages are, those that the summary has not.
func (c *Catalog) readPackages(before, next *summary) (err error) {
	if next.dirs.sha256.same(before.dirs.sha256) && next.dirs.sha512.same(before.dirs.sha512) {
		next.packages = before.packages
	} else if next.packages, err = listPackages(c.Store, before.packages); err != nil {
		return err
	}
	c.Packages = next.packages
	c.byDigest = make(map[string]*Package, len(c.Packages))
	for i := range c.Packages {
		c.byDigest[c.Packages[i].Digest] = &c.Packages[i]
	}
	return nil
}

func listPackages(in *store.Store, before []Package) ([]Package, error) {
	digests, err := in.Packages()
	if err != nil {
		return nil, err
	}
	slices.Sort(digests)
	known := make(map[string]*Package, len(before))
	for i := range before {
		known[before[i].Digest] = &before[i]
	}
	packages := make([]Package, len(digests))
	each(len(digests), func(i int) {
		info, err := os.Lstat(filepath.Join(in.PackageDir(digests[i]), "link.json"))
		if err != nil {
			packages[i] = Package{Digest: digests[i], Platform: &platform.Platform{}, Damaged: true}
			return
		}
		stamp := stampOf(info)
		if p := known[digests[i]]; p != nil && p.stamp.same(stamp) {
			packages[i] = *p
			return
		}
		packages[i] = readPackage(in, digests[i], stamp)
	})
	return packages, nil
}

// readUses finds out when the packages were last used.
func (c *Catalog) readUses() {
	dir, err := os.Open(c.Store.Path("used"))
	if err != nil {
		return
	}
	defer dir.Close()
	each(len(c.Packages), func(i int) {
		p := &c.Packages[i]
		p.LastUsed = modified(dir, store.LockName(p.Digest))
	})
}

// readIndexes finds out which packages the indexes have that names stand for.
func (c *Catalog) readIndexes(before, next *summary) {
	next.indexes = map[string][]string{}
	c.indexes = next.indexes
	settled := next.dirs.blobs256.same(before.dirs.blobs256) && next.dirs.blobs512.same(before.dirs.blobs512)
	for _, r := range c.Refs {
		if _, done := next.indexes[r.Digest]; done || c.byDigest[r.Digest] != nil {
			continue
		}
		candidates, known := before.indexes[r.Digest]
		if known && !settled {
			_, err := os.Lstat(blobPath(c.Store, r.Digest))
			known = err == nil && len(candidates) > 0
		}
		if !known {
			candidates, _ = c.Store.Index(r.Digest)
		}
		next.indexes[r.Digest] = candidates
	}
}

// Of gives the packages in the store that a digest stands for, sorted: the
// package itself, or those of an index.
func (c *Catalog) Of(digest string) []*Package {
	if p := c.byDigest[digest]; p != nil {
		return []*Package{p}
	}
	var have []*Package
	for _, d := range c.candidates(digest) {
		if p := c.byDigest[d]; p != nil && !slices.Contains(have, p) {
			have = append(have, p)
		}
	}
	slices.SortFunc(have, func(a, b *Package) int { return strings.Compare(a.Digest, b.Digest) })
	return have
}

// candidates gives the packages of an index, in the store or not.
func (c *Catalog) candidates(index string) []string {
	candidates, ok := c.indexes[index]
	if !ok {
		candidates, _ = c.Store.Index(index)
		c.indexes[index] = candidates
	}
	return candidates
}

// Root gives the tree of a package, as [store.Package] has it.
func (c *Catalog) Root(p *Package) string {
	algorithm, encoded, _ := strings.Cut(p.Digest, ":")
	const separator = string(filepath.Separator)
	return c.packages + separator + algorithm + separator + encoded + separator + "root"
}

func blobPath(in *store.Store, digest string) string {
	algorithm, encoded, _ := reference.SplitDigest(digest)
	return in.Path("blobs", algorithm, encoded)
}

// entries lists a directory, which need not be there, in no order.
func entries(dir string) ([]fs.DirEntry, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// each calls do for 0 … n-1, on all processors.
func each(n int, do func(i int)) {
	const least = 64 // calls that are worth a goroutine
	workers := max(1, min(runtime.GOMAXPROCS(0), n/least))
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				do(i)
			}
		})
	}
	group.Wait()
}
