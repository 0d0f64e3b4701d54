package upkeep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
)

// Removed is what was removed from a store.
type Removed struct {
	Packages []RemovedPackage
	// Names are those that stand for nothing any more.
	Names []string
	// Blobs is how many indexes, manifests and configs went, Notes how many
	// files that noted something about packages which are gone, and Leftovers
	// how much was in tmp/ that commands which were killed had left.
	Blobs, Notes, Leftovers int
	// Freed is how many bytes the store is smaller. What packages share counts
	// once the last of them goes.
	Freed int64
}

// RemovedPackage is a package that was removed.
type RemovedPackage struct {
	Digest string
	Names  []string // that led to it
	Size   int64    // bytes of its files, those included that another package shares
}

// request is what somebody asked to remove.
type request struct {
	word   string
	digest string // that the word is, or stands for
	name   string // whole; empty for a digest
}

// RemoveOptions say what is removed in spite of what.
type RemoveOptions struct {
	// Force removes also what a lock file names.
	Force bool
	// Digests gives the digests that a lock file names.
	Digests func(lockFile string) ([]string, error)
	// Resolve gives the whole name that a word stands for.
	Resolve func(word string) (reference.Reference, error)
}

// Remove removes packages from the store: those that names stand for and no
// other name does, and those of digests, with the names that stand for nothing
// more. Nothing is removed when one of the words is about nothing in the store,
// an error of kind [errdef.ErrNotFound], or when a lock file names what would
// go, an error of kind [errdef.ErrUsage] unless it is forced.
func Remove(ctx context.Context, from *store.Store, words []string, options RemoveOptions) (*Removed, error) {
	install.Sweep(from)
	c, err := Read(from)
	if err != nil {
		return nil, err
	}
	requests, err := c.requests(words, options.Resolve)
	if err != nil {
		return nil, err
	}
	victims, names := c.victims(requests)
	if !options.Force {
		if err := c.checkRoots(requests, victims, options.Digests); err != nil {
			return nil, err
		}
	}
	r := &remover{store: from, links: links{}}
	for _, p := range victims {
		lock, err := from.Lock(ctx, store.LockName(p.Digest), false)
		if err != nil {
			return r.result(), fmt.Errorf("wait for package %s: %w", p.Digest, err)
		}
		_, err = r.removePackage(p, lock, nil)
		lock.Release()
		if err != nil {
			return r.result(), err
		}
	}
	// After the packages: who is killed between can ask for the name again.
	for _, name := range names {
		if err := r.removeRef(ctx, store.RefFile(name), func(store.Ref) bool { return true }); err != nil {
			return r.result(), err
		}
	}
	// A name may have been noted for a package meanwhile.
	refs, err := from.Refs()
	if err != nil {
		return r.result(), err
	}
	for _, ref := range refs {
		leads := slices.ContainsFunc(victims, func(p *Package) bool { return p.Digest == ref.Digest }) || slices.ContainsFunc(requests, func(q request) bool { return q.digest == ref.Digest })
		if !leads {
			continue
		}
		err := r.removeRef(ctx, store.RefFile(ref.Name), func(now store.Ref) bool {
			return now.Digest == ref.Digest && len(from.PackagesOf(ref.Digest)) == 0
		})
		if err != nil {
			return r.result(), err
		}
	}
	return r.result(), r.removeUnneeded(ctx, c.without(victims, names), requests)
}

// requests finds out what the words are about.
func (c *Catalog) requests(words []string, resolve func(string) (reference.Reference, error)) ([]request, error) {
	named := map[string]store.Ref{}
	for _, r := range c.Refs {
		named[r.Name] = r
	}
	var all []request
	for _, word := range words {
		if _, _, ok := reference.SplitDigest(word); ok {
			if len(c.Of(word)) == 0 && !slices.ContainsFunc(c.Refs, func(r store.Ref) bool { return r.Digest == word }) {
				return nil, errdef.Errorf(errdef.ErrNotFound, "%s is not in the store; ocipkg list shows what is", word)
			}
			all = append(all, request{word: word, digest: word})
			continue
		}
		ref, err := resolve(word)
		if err != nil {
			return nil, err
		}
		r, ok := named[ref.String()]
		switch {
		case !ok && len(c.Of(ref.Digest)) > 0:
			return nil, errdef.Errorf(errdef.ErrNotFound, "%s is not in the store by that name; to remove it by whatever name it is there, give %s", ref, ref.Digest)
		case !ok:
			return nil, errdef.Errorf(errdef.ErrNotFound, "%s is not in the store; ocipkg list shows what is", ref)
		}
		all = append(all, request{word: word, digest: r.Digest, name: r.Name})
	}
	return all, nil
}

// victims gives the packages and the names that are to go.
func (c *Catalog) victims(requests []request) (packages []*Package, names []string) {
	going := map[string]bool{} // names and digests
	for _, q := range requests {
		going[q.name] = true
		if q.name == "" {
			going[q.digest] = true
			for _, p := range c.Of(q.digest) {
				going[p.Digest] = true
			}
		}
	}
	for _, q := range requests {
		for _, p := range c.Of(q.digest) {
			if !slices.ContainsFunc(p.Names, func(name string) bool { return !going[name] }) {
				going[p.Digest] = true
			}
		}
	}
	for _, r := range c.Refs {
		of := c.Of(r.Digest)
		emptied := len(of) > 0 && !slices.ContainsFunc(of, func(p *Package) bool { return !going[p.Digest] })
		if going[r.Name] || going[r.Digest] || emptied {
			names = append(names, r.Name)
		}
	}
	for i := range c.Packages {
		if p := &c.Packages[i]; going[p.Digest] {
			packages = append(packages, p)
		}
	}
	return packages, names
}

// checkRoots refuses to remove what a lock file names that is there.
func (c *Catalog) checkRoots(requests []request, victims []*Package, digests func(string) ([]string, error)) error {
	kept, _, err := readRoots(c.Store, digests)
	if err != nil {
		return errdef.Errorf(errdef.ErrUsage, "%w; or add --force, to remove it whatever lock files name it", err)
	}
	for _, q := range requests {
		if by := kept[q.digest]; by != "" && len(c.Of(q.digest)) > 0 {
			return errdef.Errorf(errdef.ErrUsage, "%s is needed: %s names %s; to remove it all the same, add --force", q.word, by, q.digest)
		}
	}
	for _, p := range victims {
		if by := kept[p.Digest]; by != "" {
			return errdef.Errorf(errdef.ErrUsage, "%s is needed: %s names it; to remove it all the same, add --force", p.Digest, by)
		}
	}
	return nil
}

// without gives the catalog as it is when packages and names are gone.
func (c *Catalog) without(packages []*Package, names []string) *Catalog {
	gone := map[string]bool{}
	for _, p := range packages {
		gone[p.Digest] = true
	}
	for _, name := range names {
		gone[name] = true
	}
	rest := &Catalog{Store: c.Store, packages: c.packages, byDigest: map[string]*Package{}, indexes: c.indexes, damaged: c.damaged}
	for _, p := range c.Packages {
		if !gone[p.Digest] {
			rest.Packages = append(rest.Packages, p)
		}
	}
	for i := range rest.Packages {
		rest.byDigest[rest.Packages[i].Digest] = &rest.Packages[i]
	}
	for _, r := range c.Refs {
		if !gone[r.Name] {
			rest.Refs = append(rest.Refs, r)
		}
	}
	return rest
}

// removeUnneeded removes the blobs that were there for what was asked to go,
// and which nothing needs any more, and the notes about packages that are gone.
func (r *remover) removeUnneeded(ctx context.Context, rest *Catalog, requests []request) error {
	configs := rest.configs()
	for _, p := range r.removed.Packages {
		manifest := blobPath(r.store, p.Digest)
		config := configOf(manifest)
		if err := r.removeBlob(ctx, p.Digest, nil); err != nil {
			return err
		}
		if config != "" && !configs[config] {
			if err := r.removeBlob(ctx, config, nil); err != nil {
				return err
			}
		}
	}
	for _, q := range requests {
		named := slices.ContainsFunc(rest.Refs, func(of store.Ref) bool { return of.Digest == q.digest })
		if !named && len(rest.Of(q.digest)) == 0 {
			if err := r.removeBlob(ctx, q.digest, nil); err != nil {
				return err
			}
		}
	}
	return r.removeLayerNotes(rest)
}

// remover removes, or only tells what would be.
type remover struct {
	store   *store.Store
	dry     bool
	links   links
	removed Removed
}

func (r *remover) result() *Removed {
	r.removed.Freed += r.links.freed()
	r.links = links{}
	return &r.removed
}

// removePackage removes a package under its lock, which nothing holds when it
// is only to be told; see [install.Remove] for keep.
func (r *remover) removePackage(p *Package, lock *store.Lock, keep func() bool) (bool, error) {
	dir := r.store.PackageDir(p.Digest)
	found, err := measure(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // another process was quicker
	}
	if err == nil && !r.dry {
		var removed bool
		if removed, err = install.Remove(r.store, lock, p.Digest, keep); err == nil && !removed {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("remove package %s: %w", p.Digest, err)
	}
	r.links.add(found)
	r.removed.Packages = append(r.removed.Packages, RemovedPackage{Digest: p.Digest, Names: p.Names, Size: p.Size})
	if !r.dry {
		_ = os.Remove(r.store.Path("used", store.LockName(p.Digest)))
	}
	return true, nil
}

// removeRef removes the note about a name, if that is what is wanted of what it
// says now; the zero value when it is damaged.
func (r *remover) removeRef(ctx context.Context, file string, wanted func(store.Ref) bool) error {
	path := r.store.Path("refs", file)
	if !r.dry {
		lock, err := r.store.Lock(ctx, store.RefLockName(path), false)
		if err != nil {
			return err
		}
		defer lock.Release()
	}
	ref, err := readRef(r.store, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		ref = store.Ref{}
	}
	if !wanted(ref) {
		return nil
	}
	if !r.dry {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if ref.Name == "" {
		r.removed.Notes++
	} else {
		r.removed.Names = append(r.removed.Names, ref.Name)
	}
	return nil
}

// removeBlob removes a blob, unless keep says of its state that it is not to go:
// it is asked before, and again when nobody can find the blob any more.
func (r *remover) removeBlob(ctx context.Context, digest string, keep func(fs.FileInfo) bool) error {
	path := blobPath(r.store, digest)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && keep != nil && keep(info) {
		return nil
	}
	if err != nil {
		return err
	}
	if !r.dry {
		lock, err := r.store.Lock(ctx, store.LockName(digest), false)
		if err != nil {
			return err
		}
		defer lock.Release()
		if err := r.store.Mkdir("tmp"); err != nil {
			return err
		}
		aside := r.store.Path("tmp", lock.Name()+store.FileSuffix)
		if err := os.Rename(path, aside); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if info, err = os.Lstat(aside); err == nil && keep != nil && keep(info) {
			return os.Rename(aside, path)
		}
		if err := os.Remove(aside); err != nil {
			return err
		}
		if err := os.Remove(path + store.PlatformsSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	r.removed.Blobs++
	r.removed.Freed += info.Size()
	return nil
}

// removeLayerNotes takes packages that are not there any more out of the notes
// that say which have a layer.
func (r *remover) removeLayerNotes(rest *Catalog) error {
	files, err := entries(r.store.Path("layers"))
	if err != nil {
		return err
	}
	gone := make([]bool, len(files)) // with all that had the layer
	each(len(files), func(i int) {
		note := r.store.Path("layers", files[i].Name())
		gone[i] = dropOwners(note, func(owner string) bool { return rest.byDigest[owner] == nil }, r.dry) == 0
	})
	for i, file := range files {
		if !gone[i] {
			continue
		}
		if err := r.removeNote("layers", file.Name()); err != nil {
			return err
		}
	}
	return nil
}

// dropOwners takes packages out of a note of who has a layer, unless dry is set,
// and tells how many are left. Where none are, the note is to be removed.
func dropOwners(note string, drop func(owner string) bool, dry bool) (left int) {
	noted := store.ReadOwners(note)
	kept := slices.DeleteFunc(slices.Clone(noted), drop)
	if len(kept) > 0 && len(kept) < len(noted) && !dry {
		store.WriteOwners(note, kept)
	}
	return len(kept)
}

// removeNote removes a small file, which need not be there any more.
func (r *remover) removeNote(dir, name string) error {
	if !r.dry {
		err := os.Remove(r.store.Path(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	r.removed.Notes++
	return nil
}
