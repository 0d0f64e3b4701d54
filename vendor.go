package ocipkg

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layout"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/resolve"
	"github.com/ocipkg/ocipkg/platform"
)

// VendorOptions say what is vendored. The zero value takes all platforms that
// the lock has.
type VendorOptions struct {
	// Platforms are targets, as in [GetOptions]; nil takes all builds.
	Platforms []string
	// Tags are build tags of Go, with commas between.
	Tags string
}

// Vendored is a package in a layout that was made for a project.
type Vendored struct {
	Name   string        `json:"name"`
	Digest digest.Digest `json:"digest"`
	// Platforms are those of the builds that the layout has.
	Platforms []Platform `json:"platforms"`
	// Size is that of the builds, compressed, in bytes.
	Size int64 `json:"size"`
}

// Vendor writes into a layout directory all packages that a build in the working
// directory links, as [Client.Restore] finds them, with all that they require:
// those of the lock to the byte, others as they are looked up now. A build that
// has the layout as its mirror needs nothing else. What the layout has already is
// not fetched, and what it had from the last time and is not needed any more is
// removed; a layout that was not made by Vendor is only added to. It gives the
// packages, sorted by name.
func (c *Client) Vendor(ctx context.Context, dir string, patterns []string, options VendorOptions) ([]Vendored, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	vendored, err := c.vendor(ctx, dir, patterns, options)
	if err != nil {
		return nil, fmt.Errorf("vendor into %s: %w", dir, err)
	}
	return vendored, nil
}

func (c *Client) vendor(ctx context.Context, dir string, patterns []string, options VendorOptions) ([]Vendored, error) {
	targets, err := parsePlatforms(options.Platforms)
	if err != nil {
		return nil, err
	}
	packages, err := c.closureToVendor(ctx, patterns, options.Tags)
	if err != nil {
		return nil, err
	}
	w, err := layout.CreateDir(dir)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	p := &push{client: c, to: layoutDestination{w}}
	var all []Vendored
	var roots []Descriptor
	for i := range packages {
		vendored, root, err := p.planLocked(ctx, &packages[i], targets)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", packages[i].Name, err)
		}
		all, roots = append(all, vendored), append(roots, root)
	}
	if err := p.send(ctx, ""); err != nil {
		return nil, err
	}
	return all, w.FinishWhole(roots, slices.Concat(slices.Collect(maps.Keys(p.planned)), slices.Collect(maps.Keys(p.from))))
}

func parsePlatforms(names []string) ([]Platform, error) {
	var all []Platform
	for _, name := range names {
		target, err := platform.Parse(name)
		if err != nil {
			return nil, err
		}
		all = append(all, target)
	}
	return all, nil
}

// vendorer collects what is vendored.
type vendorer struct {
	*locker
	all  []project.LockedPackage
	seen map[string]bool // by repository and digest
	// depth is how many packages require one another on the way to what is visited.
	depth int
}

// closureToVendor gives the packages that a build here links, sorted by name.
func (c *Client) closureToVendor(ctx context.Context, patterns []string, tags string) ([]project.LockedPackage, error) {
	own, err := project.Find(".")
	if err != nil {
		return nil, err
	}
	if c.Locked && own != nil {
		if err := own.CheckLock(); err != nil {
			return nil, err
		}
	}
	c.warnStale(own)
	target, err := platform.Target("")
	if err != nil {
		return nil, err
	}
	asked, err := c.asked(ctx, own, patterns, target, tags)
	if err != nil {
		return nil, err
	}
	if len(asked) == 0 {
		return nil, errdef.Errorf(errdef.ErrNotFound, "neither %s nor a Go package here names a package of a registry", project.FileName)
	}
	v := &vendorer{locker: &locker{client: c}, seen: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		ref, err := asked[name].in.Reference(name)
		if err == nil {
			err = v.visit(ctx, asked[name], ref)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, which %s asks for: %w", name, asked[name].what, err)
		}
	}
	slices.SortFunc(v.all, func(a, b project.LockedPackage) int { return strings.Compare(a.Name, b.Name) })
	return v.all, nil
}

// visit takes a package and all that it requires, by the rules by which builds
// find them: see [resolve.Resolver].
func (v *vendorer) visit(ctx context.Context, by asker, ref reference.Reference) error {
	entry, err := by.in.Locked(ref)
	if err != nil {
		return err
	}
	pinned := entry != nil || ref.Digest != ""
	if entry == nil || ref.Digest != "" && ref.Digest != entry.Digest {
		switch {
		case !pinned && v.client.Locked:
			return resolve.NotLocked(by.in, ref)
		case !pinned && by.foreign:
			if err := resolve.CheckPinned(ref); err != nil {
				return err
			}
		}
		if entry, err = v.read(ctx, ref, ref.Target()); err != nil {
			return err
		}
	}
	key := ref.Name() + "@" + entry.Digest
	if v.seen[key] {
		return nil
	}
	v.seen[key] = true
	if err := resolve.Bound(len(v.seen), v.depth); err != nil {
		return err
	}
	v.depth++
	defer func() { v.depth-- }()
	v.all = append(v.all, *entry)
	for _, build := range entry.Builds {
		for _, required := range build.Requires {
			if err := v.require(ctx, by, required, pinned, build.BuiltWith(required)); err != nil {
				return fmt.Errorf("%s, required by %s: %w", required, entry.Name, err)
			}
		}
	}
	return nil
}

// require takes what a package requires. What it was built with is taken, too,
// where a build that may use nothing else would find it by that.
func (v *vendorer) require(ctx context.Context, by asker, required string, pinned bool, builtWith string) error {
	ref, err := by.in.Reference(required)
	if err != nil {
		return err
	}
	locked, err := by.in.Locked(ref)
	if err != nil {
		return err
	}
	if locked == nil && ref.Digest == "" && pinned && builtWith != "" {
		exact := ref
		exact.Digest = builtWith
		if err := v.visit(ctx, by, exact); err != nil {
			return err
		}
		if v.client.Locked || by.foreign {
			return nil
		}
	}
	return v.visit(ctx, by, ref)
}

// planLocked plans to write a package of a lock for targets, nil for all, and
// gives the descriptor that goes by its name.
func (p *push) planLocked(ctx context.Context, entry *project.LockedPackage, targets []Platform) (Vendored, Descriptor, error) {
	v := Vendored{Name: entry.Name, Digest: digest.Digest(entry.Digest)}
	ref, err := reference.Parse(entry.Name)
	if err != nil {
		return v, Descriptor{}, err
	}
	from, err := p.client.source(ref)
	if err != nil {
		return v, Descriptor{}, err
	}
	wanted := map[string]bool{}
	for _, target := range targets {
		build, err := entry.Choose(fixed(target))
		if err != nil {
			return v, Descriptor{}, err
		}
		wanted[build.Digest] = true
	}
	ref.Digest = entry.Digest
	for i := range entry.Builds {
		build := &entry.Builds[i]
		if len(targets) > 0 && !wanted[build.Digest] {
			continue
		}
		v.Platforms = append(v.Platforms, build.Platform)
		for _, layer := range build.Layers {
			v.Size += layer.Size
		}
		if err := p.planManifest(ctx, from, build.Digest); err != nil {
			return v, Descriptor{}, vanished(lockedBuild{ref, entry, build}, err)
		}
	}
	top := document{desc: Descriptor{Digest: v.Digest}}
	if entry.IsIndex() {
		if top.desc, top.raw, err = from.Manifest(ctx, entry.Digest); err != nil {
			return v, Descriptor{}, vanished(lockedBuild{ref, entry, nil}, err)
		}
		for i := range entry.Builds {
			if err := checkLocked(ctx, top.raw, entry, &entry.Builds[i]); err != nil {
				return v, Descriptor{}, err
			}
		}
		if !p.planned[top.desc.Digest] {
			p.add(top.desc, top.raw) // and not all that it names: the lock says what of it is wanted
		}
	} else {
		for _, planned := range p.manifests {
			if planned.desc.Digest == v.Digest {
				top = planned
			}
		}
	}
	root := bare(top.desc)
	root.Annotations = map[string]string{ocispec.AnnotationRefName: entry.Name}
	return v, root, nil
}

// planManifest plans to write the manifest of that digest and what it names.
func (p *push) planManifest(ctx context.Context, from manifestFetcher, d string) error {
	if p.planned[digest.Digest(d)] {
		return nil
	}
	desc, raw, err := from.Manifest(ctx, d)
	if err != nil {
		return err
	}
	return p.planDocument(ctx, from, document{desc, raw})
}
