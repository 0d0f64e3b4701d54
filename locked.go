package ocipkg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/mirror"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/resolve"
)

// lockedBuild is a package for one target, as a lock has it.
type lockedBuild struct {
	ref   reference.Reference // with the digest that the lock has
	entry *project.LockedPackage
	build *project.LockedBuild
}

// lockedClosure gives what the lock has for a name on a target, and all that
// this requires, each once. What the lock does not have is left out: it is
// found when it is asked for.
func lockedClosure(of *project.Project, ref reference.Reference, target Platform) ([]lockedBuild, error) {
	var all []lockedBuild
	seen := map[string]bool{}
	var visit func(reference.Reference) error
	visit = func(ref reference.Reference) error {
		entry, err := of.Locked(ref)
		if err != nil || entry == nil || seen[entry.Name] || ref.Digest != "" && ref.Digest != entry.Digest {
			return err
		}
		seen[entry.Name] = true
		build, err := entry.Choose(fixed(target))
		if err != nil {
			return err
		}
		ref.Digest = entry.Digest
		all = append(all, lockedBuild{ref, entry, build})
		for _, required := range build.Requires {
			next, err := of.Reference(required)
			if err != nil {
				return err
			}
			if err := visit(next); err != nil {
				return err
			}
		}
		return nil
	}
	return all, visit(ref)
}

// fetchLocked brings packages of the lock into the store as far as they are not
// there, all at the same time, and tells of each digest of a manifest whether it
// was missing.
func (c *Client) fetchLocked(ctx context.Context, builds []lockedBuild) (fetched map[string]bool, err error) {
	fetched, started := map[string]bool{}, map[string]bool{}
	progress := progressSum{report: c.Progress}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(restoreAtOnce())
	for _, b := range builds {
		_, err := c.store.Package(b.build.Digest)
		_, known := install.Blob(c.store, digest.Digest(b.entry.Digest))
		if err == nil && (known || !b.entry.IsIndex()) || started[b.build.Digest] {
			continue
		}
		started[b.build.Digest], fetched[b.build.Digest] = true, err != nil
		group.Go(func() error { return c.reporting(progress.part()).installLocked(ctx, b) })
	}
	return fetched, group.Wait()
}

// installLocked brings one package into the store. What it consists of is known,
// so that all of it is asked for at once. A mirror that gave what is not right is
// left out, and all is asked for again.
func (c *Client) installLocked(ctx context.Context, b lockedBuild) error {
	from, err := c.source(b.ref)
	if err != nil {
		return err
	}
	for {
		err := c.installLockedFrom(ctx, from, b)
		if err == nil {
			return c.store.SetRef(ctx, b.ref, b.entry.Digest)
		}
		if !errors.Is(err, ErrVerification) || !from.Distrust(err) {
			return vanished(b, err)
		}
	}
}

func (c *Client) installLockedFrom(ctx context.Context, from manifestFetcher, b lockedBuild) error {
	group, ctx := errgroup.WithContext(ctx)
	if b.entry.IsIndex() {
		group.Go(func() error { return c.keepIndex(ctx, from, b) })
	}
	if _, err := c.store.Package(b.build.Digest); err == nil {
		return group.Wait()
	}
	group.Go(func() error {
		blobs := c.ask(ctx, from, b.build)
		defer blobs.Close()
		desc, raw, err := from.Manifest(ctx, b.build.Digest)
		if err != nil {
			return err
		}
		_, err = c.install(ctx, stored{blobs, c.store}, desc, raw, b.build.Platform, false)
		return err
	})
	return group.Wait()
}

// keepIndex brings the index of a locked package into the store, which answers
// from it for a digest in source, and makes sure that the lock is right about it.
func (c *Client) keepIndex(ctx context.Context, from manifests, b lockedBuild) error {
	d := digest.Digest(b.entry.Digest)
	raw, had := install.Blob(c.store, d)
	if !had {
		var err error
		if _, raw, err = from.Manifest(ctx, d.String()); err != nil {
			return err
		}
	}
	if err := checkLocked(raw, b.entry, b.build); err != nil || had {
		return err
	}
	return install.PutBlob(ctx, c.store, d, raw)
}

// checkLocked tells whether the index of a locked package has a build of it:
// the lock is a text that anybody may have changed, and only the index is what
// its digest says.
func checkLocked(raw []byte, entry *project.LockedPackage, build *project.LockedBuild) error {
	index, err := artifact.ParseIndex(raw)
	if err != nil {
		return fmt.Errorf("index %s: %w", entry.Digest, err)
	}
	for _, desc := range index.Manifests {
		if desc.Digest.String() == build.Digest {
			return nil
		}
	}
	return resolve.NotInIndex(entry, build)
}

// manifests is where manifests are fetched.
type manifests interface {
	Manifest(ctx context.Context, tagOrDigest string) (Descriptor, []byte, error)
}

// manifestFetcher is where packages are fetched.
type manifestFetcher interface {
	artifact.Fetcher
	manifests
}

// vanished says of a digest that is not there any more how that is so.
func vanished(b lockedBuild, err error) error {
	if !errors.Is(err, errdef.ErrNotFound) {
		return err
	}
	if mirror.NotAsked(err) {
		return fmt.Errorf("%s, which the lock has for %s: %w", b.entry.Digest, b.entry.Name, err)
	}
	return errdef.Errorf(errdef.ErrNotFound, "%s, which the lock has for %s, is not in the registry any more: %w; run: ocipkg update %s, or name a mirror that has it", b.entry.Digest, b.entry.Name, err, b.entry.Name)
}

// What is asked for of one package before it is read: small blobs, of which each
// would take a round trip, and of big ones the first alone. What comes of the
// others meanwhile would be held in buffers of the connection, up to askedBuffer
// bytes for each.
const (
	askedBytes  = 4 << 20
	askedBuffer = 4 << 20
)

// asked is a place to fetch from of which some blobs have been asked for.
type asked struct {
	from    artifact.Fetcher
	answers map[digest.Digest]chan answer // each has one answer in it, and is closed then
	stop    context.CancelFunc
}

type answer struct {
	blob io.ReadCloser
	err  error
}

// ask asks for the config of a package, and for those of its layers that no
// other package in the store has.
func (c *Client) ask(ctx context.Context, from artifact.Fetcher, build *project.LockedBuild) *asked {
	ctx, stop := context.WithCancel(ctx)
	a := &asked{from, map[digest.Digest]chan answer{}, stop}
	bytes := int64(0)
	for i, blob := range append([]project.Blob{build.Config}, build.Layers...) {
		d := digest.Digest(blob.Digest)
		known := a.answers[d] != nil
		if i == 0 {
			_, known = install.Blob(c.store, d)
		} else if _, err := os.Stat(c.store.Path("layers", d.Encoded())); err == nil {
			known = true
		}
		if known {
			continue
		}
		if bytes += min(blob.Size, askedBuffer); bytes > askedBytes && len(a.answers) > 1 {
			break
		}
		answers := make(chan answer, 1)
		a.answers[d] = answers
		go func() {
			defer close(answers)
			blob, err := from.Fetch(ctx, ocispec.Descriptor{Digest: d, Size: blob.Size})
			answers <- answer{blob, err}
		}()
	}
	return a
}

// Fetch gives a blob: the answer for it where it has been asked for, to the
// first who wants it.
func (a *asked) Fetch(ctx context.Context, desc Descriptor) (io.ReadCloser, error) {
	if answers := a.answers[desc.Digest]; answers != nil {
		select {
		case got, first := <-answers:
			if first {
				return got.blob, got.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return a.from.Fetch(ctx, desc)
}

// Close drops the answers that nobody wanted.
func (a *asked) Close() {
	a.stop()
	for _, answers := range a.answers {
		for got := range answers {
			if got.blob != nil {
				got.blob.Close()
			}
		}
	}
}

// lockMoved tells the user that a name in the lock stands for something else by
// now.
func (c *Client) lockMoved(ctx context.Context, ref reference.Reference, entry *project.LockedPackage) {
	if c.Locked || c.Offline || ref.Tag == "" || ref.Digest != "" {
		return
	}
	from, err := c.source(ref)
	var top Descriptor
	if err == nil {
		top, err = from.Resolve(ctx, ref.Tag)
	}
	if err != nil {
		c.warn(fmt.Sprintf("whether %s has moved since it was locked is not known: %v", ref, err))
		return
	}
	if top.Digest.String() != entry.Digest {
		c.warn(fmt.Sprintf("%s has moved: %s has it as %s, which is what is used, and it is %s now; to follow it run: ocipkg update %s", ref, project.LockName, entry.Digest, top.Digest, ref))
	}
}
