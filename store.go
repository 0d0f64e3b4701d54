package ocipkg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/internal/upkeep"
)

// List lists the packages in the store by name, those without a name last. A
// package that has several names comes once for each.
func (c *Client) List() ([]Package, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	catalog, err := upkeep.List(c.store)
	if err != nil {
		return nil, fmt.Errorf("list the store %s: %w", c.store.Dir(), err)
	}
	packages := make([]Package, 0, max(len(catalog.Refs), len(catalog.Packages)))
	add := func(name string, p *upkeep.Package) {
		if !p.Damaged {
			packages = append(packages, Package{Name: name, Digest: digest.Digest(p.Digest), Directory: catalog.Root(p), Platform: *p.Platform, Size: p.Size, LastUsed: p.LastUsed})
		}
	}
	for _, r := range catalog.Refs {
		for _, p := range catalog.Of(r.Digest) {
			add(r.Name, p)
		}
	}
	for i := range catalog.Packages {
		if p := &catalog.Packages[i]; len(p.Names) == 0 {
			add("", p)
		}
	}
	return packages, nil
}

// Removed is what was removed from the store.
type Removed struct {
	Packages []RemovedPackage `json:"packages"`
	// Names are those that stand for nothing any more.
	Names []string `json:"names"`
	// Blobs is how many indexes, manifests and configs went, Notes how many
	// small files about packages that are gone, and Leftovers how much that
	// commands which were killed had left.
	Blobs     int `json:"blobs"`
	Notes     int `json:"notes"`
	Leftovers int `json:"leftovers"`
	// Freed is by how many bytes the store is smaller. What packages share
	// counts once the last of them is gone.
	Freed int64 `json:"freed"`
}

// RemovedPackage is a package that was removed.
type RemovedPackage struct {
	Digest digest.Digest `json:"digest"`
	// Names are those that led to it.
	Names []string `json:"names,omitempty"`
	// Size is that of its files, in bytes, those included that others share.
	Size int64 `json:"size"`
}

func toRemoved(r *upkeep.Removed) *Removed {
	if r == nil {
		return nil
	}
	removed := &Removed{Packages: []RemovedPackage{}, Names: append([]string{}, r.Names...), Blobs: r.Blobs, Notes: r.Notes, Leftovers: r.Leftovers, Freed: r.Freed}
	for _, p := range r.Packages {
		removed.Packages = append(removed.Packages, RemovedPackage{Digest: digest.Digest(p.Digest), Names: p.Names, Size: p.Size})
	}
	return removed
}

// RemoveOptions say what [Client.RemoveFromStore] removes.
type RemoveOptions struct {
	// Force removes also what a lock file of a project names.
	Force bool
}

// RemoveFromStore removes packages from the store. A name, as for [Client.Get],
// goes with the packages that it stands for and no other name does; the digest
// of a package or an index goes with the names that stand for nothing more. An
// error of kind [ErrNotFound] says that one of them is not in the store, and one
// of kind [ErrUsage] that a lock file needs it: nothing is removed then.
func (c *Client) RemoveFromStore(ctx context.Context, names []string, options RemoveOptions) (*Removed, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	removed, err := upkeep.Remove(ctx, c.store, names, upkeep.RemoveOptions{Force: options.Force, Digests: lockDigests, Resolve: c.nameInStore})
	if err != nil {
		err = fmt.Errorf("remove from the store: %w", err)
	}
	return toRemoved(removed), err
}

// PruneOptions say what [Client.Prune] removes.
type PruneOptions struct {
	// OlderThan is for how long nobody used what is removed; zero is 30 days,
	// and less than 24 hours is 24 hours.
	OlderThan time.Duration
	// DryRun removes nothing, and tells what would be.
	DryRun bool
}

const pruneAfter = 30 * 24 * time.Hour

// Prune removes from the store the packages that nobody used for a while, but
// for those that a lock file of a project names, and what there is besides for
// packages that are gone. Builds may run meanwhile. When it fails, what was
// removed before comes with the error.
func (c *Client) Prune(ctx context.Context, options PruneOptions) (*Removed, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	if options.OlderThan == 0 {
		options.OlderThan = pruneAfter
	}
	removed, err := upkeep.Prune(ctx, c.store, upkeep.PruneOptions{Unused: options.OlderThan, DryRun: options.DryRun, Digests: lockDigests})
	if err != nil {
		err = fmt.Errorf("prune the store %s: %w", c.store.Dir(), err)
	}
	return toRemoved(removed), err
}

// lockDigests gives the digests that a lock file names, without making sense of
// it: from one that is damaged, or of a later version, that keeps more, and not
// less.
func lockDigests(lockFile string) ([]string, error) {
	raw, err := os.ReadFile(lockFile)
	return upkeep.DigestsIn(string(raw)), err
}

// FsckOptions say what [Client.Fsck] does about what is damaged.
type FsckOptions struct {
	// Repair fetches again what is damaged, from where its name leads to.
	Repair bool
}

// Fsck is what a check of the store found.
type Fsck struct {
	// Packages is how many were checked, and Bytes the size of their files.
	Packages int   `json:"packages"`
	Bytes    int64 `json:"bytes"`
	// Damage are the differences that were found, repaired or not.
	Damage []Damage `json:"damage"`
	// Repaired are the parts of the store, by their paths in it, that are good
	// again.
	Repaired []string `json:"repaired"`
	// Unrepaired are those that are still damaged.
	Unrepaired []Unrepaired `json:"unrepaired"`
}

// Damage is one difference between the store and what it should be.
type Damage struct {
	// Package is the digest of the package, and Names are those that lead to
	// it; empty for what is no part of a package.
	Package digest.Digest `json:"package,omitempty"`
	Names   []string      `json:"names,omitempty"`
	// Path is that in the package's directory, or else in the store.
	Path string `json:"path"`
	// Problem says in a few words what is wrong.
	Problem string `json:"problem"`
}

// Unrepaired is a part of the store that is damaged.
type Unrepaired struct {
	Digest digest.Digest `json:"digest,omitempty"` // of the package or blob
	Path   string        `json:"path"`             // in the store
	// Reason says why it could not be repaired; empty when that was not asked
	// for.
	Reason string `json:"reason,omitempty"`
}

// Fsck reads every file of the packages that names stand for, or of all in the
// store, and compares it with what came. A name is one as for [Client.Get] or
// the digest of a package or an index. It is no error when something is
// damaged.
func (c *Client) Fsck(ctx context.Context, names []string, options FsckOptions) (*Fsck, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	report, err := c.fsck(ctx, names, options)
	if err != nil {
		return nil, fmt.Errorf("check the store %s: %w", c.store.Dir(), err)
	}
	result := &Fsck{Packages: report.Packages, Bytes: report.Bytes, Damage: []Damage{}, Repaired: append([]string{}, report.Repaired...), Unrepaired: []Unrepaired{}}
	for _, d := range report.Damage {
		result.Damage = append(result.Damage, Damage{Package: digest.Digest(d.Package), Names: d.Names, Path: d.Path, Problem: d.Problem})
	}
	for _, u := range report.Unrepaired {
		left := Unrepaired{Digest: digest.Digest(u.Digest), Path: u.Path}
		if u.Err != nil {
			left.Reason = u.Err.Error()
		}
		result.Unrepaired = append(result.Unrepaired, left)
	}
	return result, nil
}

// nameInStore reads a name, or an alias of the project in the working directory:
// what the project's lock has is in the store under its digest.
func (c *Client) nameInStore(name string) (reference.Reference, error) {
	of, err := project.Find(".")
	if err != nil {
		return reference.Reference{}, err
	}
	ref, err := namedIn(of, name)
	if err != nil {
		return ref, err
	}
	if _, err := c.store.Ref(ref); err != nil {
		if entry, err := of.Locked(ref); err == nil && entry != nil {
			ref.Digest = entry.Digest
		}
	}
	return ref, nil
}

func (c *Client) fsck(ctx context.Context, names []string, options FsckOptions) (*upkeep.Report, error) {
	check := upkeep.FsckOptions{Progress: c.Progress}
	if options.Repair {
		check.Repair = c.repair
	}
	for _, name := range names {
		if _, _, ok := reference.SplitDigest(name); ok {
			check.Only = append(check.Only, name)
			continue
		}
		ref, err := c.nameInStore(name)
		if err != nil {
			return nil, err
		}
		r, err := c.store.Ref(ref)
		switch {
		case err != nil && ref.Digest != "":
			r.Digest = ref.Digest // it is there by another name, or not at all
		case err != nil:
			return nil, fmt.Errorf("%s: %w; ocipkg list shows what is", ref, err)
		}
		check.Only = append(check.Only, r.Digest)
	}
	return upkeep.Fsck(ctx, c.store, check)
}

// repair brings the package or index of a digest again, in place of what the
// store has, from a registry that one of names leads to. It asks by the digest:
// where the tag leads now does not matter.
func (c *Client) repair(ctx context.Context, digest string, names []store.Ref) error {
	if len(names) == 0 {
		return errdef.Errorf(errdef.ErrNotFound, "it has no name that leads to a registry")
	}
	var failed []error
	for _, name := range names {
		err := c.refetch(ctx, digest, name)
		if err == nil || ctx.Err() != nil {
			return err
		}
		failed = append(failed, fmt.Errorf("get %s as %s: %w", digest, name.Name, err))
	}
	return errors.Join(failed...)
}

func (c *Client) refetch(ctx context.Context, digest string, name store.Ref) error {
	ref, err := reference.Parse(name.Name)
	if err != nil {
		return err
	}
	ref.Tag, ref.Digest = "", digest
	repo, err := c.source(ref)
	if err != nil {
		return err
	}
	for {
		err := c.refetchFrom(ctx, repo, ref, name)
		if !errors.Is(err, ErrVerification) || !repo.Distrust(err) {
			return err
		}
	}
}

func (c *Client) refetchFrom(ctx context.Context, from manifestFetcher, ref reference.Reference, name store.Ref) error {
	desc, raw, err := from.Manifest(ctx, ref.Target())
	if err != nil {
		return err
	}
	if artifact.IsIndex(desc) {
		return install.PutBlob(ctx, c.store, desc.Digest, raw)
	}
	var of Platform // as the index has it that led to the package
	candidates, platforms := c.store.Index(name.Digest)
	if i := slices.Index(candidates, ref.Digest); i >= 0 {
		of = platforms[i]
	}
	_, err = c.install(ctx, from, desc, raw, of, true)
	return err
}
