package upkeep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
)

// Damage is one difference between the store and what it should be.
type Damage struct {
	// Package is the digest of the package, and Names lead to it. Empty for
	// what is no package's.
	Package string
	Names   []string
	// Path is that of the file, in the package's directory or in the store's.
	Path string
	// Problem says in a few words what is wrong.
	Problem string
}

// FsckOptions say what is checked, and what becomes of what is damaged.
type FsckOptions struct {
	// Only are the digests of packages and indexes to check, with the packages
	// that they stand for; none is the whole store.
	Only []string
	// Progress is told, from any goroutine, how many bytes of all are checked;
	// nil is not.
	Progress func(done, total int64)
	// Repair brings the package or the index of a digest again, which the names
	// lead to, in place of what is there. Nil repairs nothing.
	Repair func(ctx context.Context, digest string, names []store.Ref) error
}

// Report is what a check found.
type Report struct {
	Packages int   // that were checked
	Bytes    int64 // of their files
	Damage   []Damage
	// Repaired are the digests of packages and blobs that are good again.
	Repaired []string
	// Unrepaired says of each other package and blob that is damaged why it
	// still is; of all when nothing was to be repaired.
	Unrepaired []Unrepaired
}

// Unrepaired is something that is still damaged.
type Unrepaired struct {
	Digest string // of a package or a blob; empty for another file
	Path   string // in the store
	Err    error  // nil when it was not to be repaired
}

// Fsck reads the store's packages, and compares every byte, mode and link with
// what came; it does so also with the indexes, manifests and configs, and with
// what names say. A package is not replaced while it is read. What a damaged
// package has is no more shared with others that are fetched.
func Fsck(ctx context.Context, of *store.Store, options FsckOptions) (*Report, error) {
	c, err := Read(of)
	if err != nil {
		return nil, err
	}
	f := &fscker{Catalog: c, options: options, hashes: map[inode]*hash{}, tokens: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if err := f.choose(ctx); err != nil {
		return nil, err
	}
	for _, p := range f.chosen {
		f.total += p.Size
	}
	if err := f.check(ctx); err != nil {
		return nil, err
	}
	f.forgetLayers()
	if err := f.settle(ctx); err != nil {
		return nil, err
	}
	return &f.report, nil
}

// fscker is one check.
type fscker struct {
	*Catalog
	options FsckOptions
	chosen  []*Package
	blobs   []string // digests of those to check
	total   int64    // bytes
	done    atomic.Int64
	tokens  chan struct{} // for reading files

	mu     sync.Mutex
	hashes map[inode]*hash // of files that have several names
	report Report
}

// choose finds out which packages and blobs are to be checked.
func (f *fscker) choose(ctx context.Context) error {
	if len(f.options.Only) == 0 {
		for i := range f.Packages {
			f.chosen = append(f.chosen, &f.Packages[i])
		}
		for _, algorithm := range []string{"sha256", "sha512"} {
			files, err := entries(f.Store.Path("blobs", algorithm))
			if err != nil {
				return err
			}
			for _, file := range files {
				if d := algorithm + ":" + file.Name(); isDigest(d) {
					f.blobs = append(f.blobs, d)
				}
			}
		}
		if err := f.findMissing(ctx); err != nil {
			return err
		}
		for _, file := range f.damaged {
			f.found(nil, "refs/"+file, errors.New("it does not say what a name stands for"))
		}
		slices.Sort(f.blobs)
		return nil
	}
	for _, d := range f.options.Only {
		of := f.Of(d)
		if len(of) == 0 {
			return errdef.Errorf(errdef.ErrNotFound, "%s is not in the store; ocipkg list shows what is", d)
		}
		blobs := []string{d}
		for _, p := range of {
			f.chosen = append(f.chosen, p)
			blobs = append(blobs, p.Digest, configOf(blobPath(f.Store, p.Digest)))
		}
		for _, blob := range blobs {
			if _, err := os.Lstat(blobPath(f.Store, blob)); blob != "" && err == nil {
				f.blobs = append(f.blobs, blob)
			}
		}
	}
	slices.SortFunc(f.chosen, func(a, b *Package) int { return strings.Compare(a.Digest, b.Digest) })
	f.chosen = slices.Compact(f.chosen)
	slices.Sort(f.blobs)
	f.blobs = slices.Compact(f.blobs)
	return nil
}

func isDigest(s string) bool {
	_, _, ok := reference.SplitDigest(s)
	return ok
}

// findMissing looks for names that lead to nothing: neither to a package nor to
// an index of some. Others may be about to remove a name after its package, and
// get the time to do it.
func (f *fscker) findMissing(ctx context.Context) error {
	seen := map[string]bool{}
	missing := slices.DeleteFunc(slices.Clone(f.Refs), func(r store.Ref) bool {
		again := seen[r.Digest]
		seen[r.Digest] = true
		return again || !isDigest(r.Digest) || len(f.Of(r.Digest)) > 0 || !f.isMissing(r)
	})
	for range 10 {
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		missing = slices.DeleteFunc(missing, func(r store.Ref) bool { return !f.isMissing(r) })
	}
	for _, r := range missing {
		algorithm, encoded, _ := reference.SplitDigest(r.Digest)
		f.found(nil, "blobs/"+algorithm+"/"+encoded, fmt.Errorf("it is missing, and %s stands for it", r.Name))
	}
	return nil
}

// isMissing reports whether a name still stands for what is not there.
func (f *fscker) isMissing(r store.Ref) bool {
	if _, err := os.Lstat(blobPath(f.Store, r.Digest)); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	now, err := readRef(f.Store, store.RefFile(r.Name))
	return err == nil && now.Digest == r.Digest && len(f.Store.PackagesOf(r.Digest)) == 0
}

// found notes a difference.
func (f *fscker) found(of *Package, path string, problem error) {
	d := Damage{Path: path, Problem: problem.Error()}
	if of != nil {
		d.Package, d.Names = of.Digest, of.Names
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.report.Damage = append(f.report.Damage, d)
}

// check reads all that was chosen.
func (f *fscker) check(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, p := range f.chosen {
		group.Go(func() error { return f.checkPackage(inner, p) })
	}
	for _, d := range f.blobs {
		group.Go(func() error { return f.checkBlob(inner, d) })
	}
	err := group.Wait()
	slices.SortFunc(f.report.Damage, func(a, b Damage) int {
		return strings.Compare(a.Package+" "+a.Path, b.Package+" "+b.Path)
	})
	return err
}

func (f *fscker) checkBlob(ctx context.Context, d string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := blobPath(f.Store, d)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file")
	}
	if err == nil {
		var sum digest.Digest
		if sum, err = f.hashFile(ctx, path, digest.Digest(d).Algorithm()); err == nil && sum != digest.Digest(d) {
			err = errors.New("its bytes are not what they were")
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		algorithm, encoded, _ := reference.SplitDigest(d)
		f.found(nil, "blobs/"+algorithm+"/"+encoded, err)
	}
	return nil
}

// forgetLayers makes the store forget that damaged packages have layers: what
// is fetched later is not to be made of them.
func (f *fscker) forgetLayers() {
	damaged := map[string]bool{}
	for _, d := range f.report.Damage {
		damaged[d.Package] = true
	}
	delete(damaged, "")
	if len(damaged) == 0 {
		return
	}
	files, err := entries(f.Store.Path("layers"))
	if err != nil {
		return
	}
	for _, file := range files {
		note := f.Store.Path("layers", file.Name())
		if left := dropOwners(note, func(owner string) bool { return damaged[owner] }, false); left == 0 {
			_ = os.Remove(note) // a store that is read-only gets nothing new either
		}
	}
}

// settle repairs what is damaged, where that is asked for, and tells what
// remains.
func (f *fscker) settle(ctx context.Context) error {
	for _, it := range f.broken() {
		if f.options.Repair == nil {
			f.report.Unrepaired = append(f.report.Unrepaired, it)
			continue
		}
		err := f.repair(ctx, it)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			it.Err = err
			f.report.Unrepaired = append(f.report.Unrepaired, it)
			continue
		}
		f.report.Repaired = append(f.report.Repaired, it.Path)
	}
	return nil
}

// broken lists what is damaged: packages first, since their manifests and
// configs come with them.
func (f *fscker) broken() []Unrepaired {
	var packages, others []Unrepaired
	for _, d := range f.report.Damage {
		switch algorithm, encoded, _ := reference.SplitDigest(d.Package); {
		case d.Package != "":
			packages = append(packages, Unrepaired{Digest: d.Package, Path: "packages/" + algorithm + "/" + encoded})
		case strings.HasPrefix(d.Path, "blobs/"):
			others = append(others, Unrepaired{Digest: strings.Replace(strings.TrimPrefix(d.Path, "blobs/"), "/", ":", 1), Path: d.Path})
		default:
			others = append(others, Unrepaired{Path: d.Path})
		}
	}
	return append(slices.CompactFunc(packages, func(a, b Unrepaired) bool { return a.Digest == b.Digest }), others...)
}

// repair mends one thing, and looks whether it is good then.
func (f *fscker) repair(ctx context.Context, it Unrepaired) error {
	p := f.byDigest[it.Digest]
	switch {
	case strings.HasPrefix(it.Path, "packages/"):
		if err := f.options.Repair(ctx, it.Digest, f.refsTo(p)); err != nil {
			return err
		}
		return f.again(ctx, func(ctx context.Context) error { return f.checkPackage(ctx, p) })
	case strings.HasPrefix(it.Path, "blobs/"):
		return f.repairBlob(ctx, it.Digest)
	}
	// What a name stands for is looked up again when it is asked for.
	r := &remover{store: f.Store, links: links{}}
	return r.removeRef(ctx, strings.TrimPrefix(it.Path, "refs/"), func(now store.Ref) bool { return now.Digest == "" })
}

// repairBlob brings an index, manifest or config again, or removes it when
// nothing needs it.
func (f *fscker) repairBlob(ctx context.Context, d string) error {
	good := func() error {
		return f.again(ctx, func(ctx context.Context) error { return f.checkBlob(ctx, d) })
	}
	_, missing := os.Lstat(blobPath(f.Store, d))
	if missing == nil && good() == nil {
		return nil // it came with a package
	}
	var refs []store.Ref
	owner := f.byDigest[d]
	for i := range f.Packages {
		if owner == nil && configOf(blobPath(f.Store, f.Packages[i].Digest)) == d {
			owner = &f.Packages[i]
		}
	}
	for _, r := range f.Refs {
		if r.Digest == d {
			refs = append(refs, r)
		}
	}
	switch {
	case owner != nil:
		if err := f.options.Repair(ctx, owner.Digest, f.refsTo(owner)); err != nil {
			return err
		}
	case len(refs) > 0:
		if err := f.options.Repair(ctx, d, refs); err != nil {
			return err
		}
	case missing == nil:
		r := &remover{store: f.Store, links: links{}}
		return r.removeBlob(ctx, d, nil)
	}
	return good()
}

// refsTo gives the names that lead to a package.
func (f *fscker) refsTo(p *Package) []store.Ref {
	var refs []store.Ref
	for _, r := range f.Refs {
		if slices.Contains(p.Names, r.Name) {
			refs = append(refs, r)
		}
	}
	return refs
}

// again checks something again, by itself.
func (f *fscker) again(ctx context.Context, check func(context.Context) error) error {
	before, progress := f.report, f.options.Progress
	f.report, f.options.Progress = Report{}, nil
	f.hashes = map[inode]*hash{} // what was damaged may be another file now
	err := check(ctx)
	found := f.report.Damage
	f.report, f.options.Progress = before, progress
	if err == nil && len(found) > 0 {
		err = errdef.Errorf(errdef.ErrVerification, "it is still damaged at %s: %s", found[0].Path, found[0].Problem)
	}
	return err
}

// checkPackage compares a package with what was noted when it came.
func (f *fscker) checkPackage(ctx context.Context, p *Package) error {
	release, err := f.hold(ctx, p)
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Lstat(f.Store.PackageDir(p.Digest)); errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	f.mu.Lock()
	f.report.Packages++
	f.report.Bytes += p.Size
	f.mu.Unlock()
	contents, err := install.ReadContents(f.Store, p.Digest)
	if err != nil {
		f.progress(p.Size)
		f.found(p, ".", err)
		return nil
	}
	return (&treeCheck{fscker: f, of: p, dir: f.Store.PackageDir(p.Digest)}).run(ctx, contents)
}

// hold takes the lock on a package, shared with others who read it. In a store
// that cannot be written to there is none to be had, nor need for it.
func (f *fscker) hold(ctx context.Context, p *Package) (release func(), err error) {
	lock, err := f.Store.Lock(ctx, store.LockName(p.Digest), true)
	switch {
	case err == nil:
		return lock.Release, nil
	case errors.Is(err, fs.ErrPermission) || isReadOnly(err):
		return func() {}, nil
	}
	return nil, fmt.Errorf("wait for package %s: %w", p.Digest, err)
}

// progress tells that so many more bytes are checked.
func (f *fscker) progress(bytes int64) {
	done := f.done.Add(bytes)
	if f.options.Progress != nil && bytes > 0 {
		f.options.Progress(done, f.total)
	}
}
