// Package install brings packages into the local store: fetched once however
// many ask, verified, unpacked under tmp/, and renamed into place. A process
// that is killed leaves the store good, and the next one that takes the same
// lock removes what it left.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// Options say how a package is installed.
type Options struct {
	// Replace unpacks the package anew although the store has it.
	Replace bool
	// Platform is what the index that led here says of the package; it serves
	// packages whose config says nothing.
	Platform platform.Platform
	// Resume keeps what has come when a package does not come whole for lack of
	// its source, for the next call for it.
	Resume bool
	// Derive makes the link description of a package that brings none from
	// its unpacked tree. Nil derives nothing.
	Derive func(tree *os.Root) (*cps.Package, error)
	// Ahead gives a place to fetch the blobs of a manifest from that may ask for
	// them before they are wanted; they will be in the order of the layers. It
	// is closed when all is read. Nil asks for each when it is wanted.
	Ahead func(ctx context.Context, from artifact.Fetcher, manifest ocispec.Manifest) FetchCloser
}

// FetchCloser is a fetcher that has something to give back.
type FetchCloser interface {
	artifact.Fetcher
	Close()
}

const maxWorkers = 8 // layers unpacked at once

// installer is one call of [Package].
type installer struct {
	*store.Store
	lock *store.Lock // on the package
	from artifact.Fetcher
	Options
	owners owners
	resume resume
}

// Package makes sure that the package whose manifest desc names is in the
// store, and gives it, noted as used. What is missing comes from from, each blob once, however
// many processes ask at the same time, and every byte is verified. The raw
// bytes of the manifest are fetched where they are nil.
func Package(ctx context.Context, to *store.Store, from artifact.Fetcher, desc ocispec.Descriptor, raw []byte, options Options) (p *store.Package, err error) {
	defer func() { err = to.Explain(err) }()
	digest := desc.Digest.String()
	Sweep(to)
	if !options.Replace {
		if p, err := used(to, digest); !errors.Is(err, errdef.ErrNotFound) {
			return p, err
		}
	}
	lock, err := to.Lock(ctx, store.LockName(digest), false)
	if err != nil {
		return nil, fmt.Errorf("wait for package %s: %w", digest, err)
	}
	defer lock.Release()
	if !options.Replace { // while we waited, another process may have done it
		if p, err := used(to, digest); !errors.Is(err, errdef.ErrNotFound) {
			return p, err
		}
	}
	if raw == nil {
		if raw, err = artifact.ReadManifest(ctx, from, desc); err != nil {
			return nil, err
		}
	}
	in := &installer{Store: to, lock: lock, from: from, Options: options}
	for {
		err = in.bring(ctx, desc, raw)
		if err == nil || ctx.Err() != nil || !in.again(err) {
			break
		}
	}
	in.finish(ctx, err)
	if err != nil {
		return nil, err
	}
	return used(to, digest)
}

// bring fetches and unpacks the package of a manifest, as far as an earlier try
// has not done that.
func (in *installer) bring(ctx context.Context, desc ocispec.Descriptor, raw []byte) error {
	in.takeUp()
	manifest, err := artifact.ParseManifest(raw)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	var pkg *artifact.Package
	if in.resume.found() {
		if pkg, err = artifact.OpenManifest(ctx, in.from, desc, raw); err != nil {
			return err
		}
		if pkg.ListsFiles() {
			if err := in.check(ctx, len(manifest.Layers), pkg.Config.Files); err != nil {
				return err
			}
		}
	}
	from := in.from
	if in.Ahead != nil {
		ahead := in.Ahead(ctx, from, in.resume.missing(manifest))
		defer ahead.Close()
		from = ahead
	}
	if pkg == nil {
		if pkg, err = artifact.OpenManifest(ctx, from, desc, raw); err != nil {
			return err
		}
	}
	if err := in.unpack(ctx, from, pkg); err != nil {
		return fmt.Errorf("unpack %s: %w", desc.Digest, err)
	}
	return nil
}

// used gives a package that the store has, and notes that it is in use.
func used(in *store.Store, digest string) (*store.Package, error) {
	p, err := in.Package(digest)
	if err == nil && !in.Use(digest) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "package %s was removed from the store a moment ago", digest)
	}
	return p, err
}

// unpack makes the package under tmp/ and moves it into place.
func (in *installer) unpack(ctx context.Context, from artifact.Fetcher, pkg *artifact.Package) (err error) {
	staging := in.Path("tmp", in.lock.Name())
	if err := layer.Remove(staging); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			in.putAside(staging)
		}
		err = errors.Join(err, layer.Remove(staging))
	}()
	if err := in.Mkdir("tmp", in.lock.Name(), "root"); err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Join(staging, "root"))
	if err != nil {
		return err
	}
	defer root.Close()
	tree := layer.NewTree(root, limit.From(ctx))
	defer tree.Close()
	files, err := in.fill(ctx, from, tree, pkg)
	if err != nil {
		return err
	}
	if err := tree.Seal(); err != nil {
		return err
	}
	if err := in.describe(staging, root, pkg, files); err != nil {
		return err
	}
	for d, raw := range map[digest.Digest][]byte{pkg.Descriptor.Digest: pkg.RawManifest, pkg.Manifest.Config.Digest: pkg.RawConfig} {
		if err := putBlob(in.Store, in.lock, d, raw); err != nil {
			return err
		}
	}
	root.Close() // Windows moves no directory that is open
	if os.Getenv("OCIPKG_FSYNC") == "1" {
		if err := syncAll(staging); err != nil {
			return fmt.Errorf("sync %s: %w", staging, err)
		}
	}
	if err := in.place(staging, pkg.Descriptor.Digest.String()); err != nil {
		return err
	}
	in.noteLayers(pkg)
	return nil
}

// fill puts the package's files into the tree and lists them.
func (in *installer) fill(ctx context.Context, from artifact.Fetcher, tree *layer.Tree, pkg *artifact.Package) ([]layer.File, error) {
	layers, err := pkg.Layers()
	if err != nil {
		return nil, err
	}
	if pkg.ListsFiles() {
		return pkg.Config.Files, in.expand(ctx, from, tree, pkg, layers)
	}
	// Each layer may change what those before it brought.
	for i, l := range layers {
		// What is kept of it is kept until all are there: its files alone are not
		// known for it.
		if err := apply(ctx, tree, in.kept(from, i, l.Descriptor), l, i); err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Descriptor.Digest, err)
		}
	}
	files := tree.Files()
	of := pkg.ImagePlatform()
	if !in.Platform.IsZero() {
		of = in.Platform
	}
	return files, layer.CheckNames(files, of.OS)
}

// expand unpacks layers that are independent of each other, in parallel. Those
// that another package in the store has are taken from there.
func (in *installer) expand(ctx context.Context, from artifact.Fetcher, tree *layer.Tree, pkg *artifact.Package, layers []artifact.Layer) error {
	content, err := pkg.Content(layers, tree)
	if err != nil {
		return err
	}
	atOnce := min(runtime.GOMAXPROCS(0), maxWorkers)
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(atOnce)
	fetch := func(i int) {
		l := layers[i]
		workers.Go(func() error {
			err := artifact.ReadLayer(ctx, in.kept(from, i, l.Descriptor), l, func(r io.Reader) error {
				return tree.Expand(ctx, r, l.Compression, content[i])
			})
			if err != nil {
				return fmt.Errorf("layer %s: %w", l.Descriptor.Digest, err)
			}
			in.resume.arrived(i, l.Descriptor.Size)
			return nil
		})
	}
	var owned, fresh []int
	refused := make(chan int, len(layers))
	in.resume.adopt(tree, content)
	for i, l := range layers {
		if in.resume.has(i) {
			continue
		}
		if len(in.ownersOf(l.Descriptor.Digest)) > 0 {
			owned = append(owned, i)
		} else {
			fresh = append(fresh, i)
		}
	}
	go func() { // beside what is fetched, and soon done, so that its locks are short
		defer close(refused)
		var adopters errgroup.Group
		adopters.SetLimit(atOnce)
		for _, i := range owned {
			adopters.Go(func() error {
				if !in.adopt(tree, layers[i].Descriptor.Digest, content[i]) {
					refused <- i
				}
				return nil
			})
		}
		_ = adopters.Wait() // they give none
		in.owners.release()
	}()
	for _, i := range fresh {
		fetch(i)
	}
	for i := range refused {
		fetch(i)
	}
	return workers.Wait()
}

// apply unpacks a layer on top of those before it.
func apply(ctx context.Context, tree *layer.Tree, from artifact.Fetcher, l artifact.Layer, number int) error {
	return artifact.ReadLayer(ctx, from, l, func(r io.Reader) error {
		if l.Title != "" {
			return tree.AddFile(l.Title, l.Descriptor.Size, r, number)
		}
		return tree.Apply(ctx, r, l.Compression, number)
	})
}

// adopt takes a layer's files from a package in the store that has them, and
// tells whether it did.
func (in *installer) adopt(tree *layer.Tree, d digest.Digest, files []layer.File) bool {
	if in.Replace {
		return false // what is replaced may be damaged, and shared with the others
	}
	for _, owner := range in.ownersOf(d) {
		known := in.filesOf(owner)[d]
		// Unpacked, a layer with other files would be refused.
		same := len(known) == len(files) && !slices.ContainsFunc(files, func(f layer.File) bool {
			k, ok := known[f.Path]
			return !ok || k.Digest != f.Digest || k.Size != f.Size || k.Mode != f.Mode || k.Target != f.Target
		})
		if same && tree.Adopt(files, filepath.Join(in.PackageDir(owner), "root")) == nil {
			return true
		}
	}
	return false
}

// owners are the packages in the store that layers are taken from.
type owners struct {
	mu    sync.Mutex
	files map[string]map[digest.Digest]map[string]*layer.File
	locks []*store.Lock // shared, so that none of them goes meanwhile
	noted map[digest.Digest][]string
}

// ownersOf gives the packages that are noted to have a layer.
func (in *installer) ownersOf(d digest.Digest) []string {
	in.owners.mu.Lock()
	defer in.owners.mu.Unlock()
	owners, ok := in.owners.noted[d]
	if !ok {
		if in.owners.noted == nil {
			in.owners.noted = map[digest.Digest][]string{}
		}
		owners = in.LayerOwners(d.String())
		in.owners.noted[d] = owners
	}
	return owners
}

// release lets the packages go. Nothing is taken from them afterwards.
func (o *owners) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, lock := range o.locks {
		lock.Release()
	}
	o.locks = nil
}

// filesOf gives the files of a package in the store by layer and path, and keeps
// it there until it is released. It is read once: a new version of a package shares
// most of its layers with the one before. That a file is there as listed is
// looked at when it is taken. There are none of a package that is not there, or
// is being worked on.
func (in *installer) filesOf(owner string) map[digest.Digest]map[string]*layer.File {
	in.owners.mu.Lock()
	defer in.owners.mu.Unlock()
	if files, ok := in.owners.files[owner]; ok {
		return files
	}
	if in.owners.files == nil {
		in.owners.files = map[string]map[digest.Digest]map[string]*layer.File{}
	}
	in.owners.files[owner] = nil
	// Without waiting: whoever holds the owner's lock may be waiting for ours.
	lock, err := in.TryLock(store.LockName(owner), true)
	if err != nil {
		return nil
	}
	have, err := ReadContents(in.Store, owner)
	if _, there := in.Store.Package(owner); there != nil || err != nil {
		lock.Release()
		return nil
	}
	in.owners.locks = append(in.owners.locks, lock)
	files := map[digest.Digest]map[string]*layer.File{}
	for i := range have.Files {
		f := &have.Files[i]
		if f.Layer >= len(have.Layers) {
			continue
		}
		d := have.Layers[f.Layer]
		if files[d] == nil {
			files[d] = map[string]*layer.File{}
		}
		files[d][f.Path] = f
	}
	in.owners.files[owner] = files
	return files
}
