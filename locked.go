package ocipkg

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
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
	for again := true; ; {
		err := c.installLockedFrom(ctx, from, b)
		if err == nil {
			err = c.setRef(ctx, b.ref, b.entry.Digest, b.build.Digest)
			if !errors.Is(err, errRemoved) || !again {
				return err
			}
			again = false
			continue
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
		blobs := c.lookAhead(ctx, from, blobsOf(b.build), c.has(digest.Digest(b.build.Config.Digest)))
		defer blobs.Close()
		desc, raw, err := from.Manifest(ctx, b.build.Digest)
		if err != nil {
			return err
		}
		_, err = c.installFrom(ctx, stored{blobs, c.store}, desc, raw, b.build.Platform, false, true, nil)
		return err
	})
	return group.Wait()
}

// blobsOf gives what a package consists of, the config first.
func blobsOf(build *project.LockedBuild) []Descriptor {
	var blobs []Descriptor
	for _, blob := range append([]project.Blob{build.Config}, build.Layers...) {
		blobs = append(blobs, Descriptor{Digest: digest.Digest(blob.Digest), Size: blob.Size})
	}
	return blobs
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
	if err := checkLocked(ctx, raw, b.entry, b.build); err != nil || had {
		return err
	}
	return install.PutBlob(ctx, c.store, d, raw)
}

// checkLocked tells whether the index of a locked package has a build of it:
// the lock is a text that anybody may have changed, and only the index is what
// its digest says.
func checkLocked(ctx context.Context, raw []byte, entry *project.LockedPackage, build *project.LockedBuild) error {
	index, err := artifact.ParseIndex(ctx, raw)
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
