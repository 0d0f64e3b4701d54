package ocipkg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/derive"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/mirror"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/resolve"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// GetOptions say what is got. The zero value gets what serves a build on this
// machine, as far as it is not in the store.
type GetOptions struct {
	// Platform is the target, as os/architecture or a target triple, after
	// which a C library may be named, as in "linux/amd64 musl" and
	// "linux/amd64 glibc 2.28". Empty is OCIPKG_TARGET, else GOOS and GOARCH,
	// else cargo's TARGET, else what CC says, else the host.
	Platform string
	// Force unpacks anew what the store has. With [Client.Load] it also lets a
	// name stand for another package than before.
	Force bool
	// Explain is told, before the package is fetched, what there was to choose
	// from; also when nothing fits. Nil is not.
	Explain func(Choice)
}

// Choice says which package under a name serves a target, and why.
type Choice struct {
	Target     Platform      `json:"target"`
	Candidates []Alternative `json:"candidates"`
}

// Alternative is a package that there was to choose.
type Alternative struct {
	Digest   digest.Digest `json:"digest"`
	Platform Platform      `json:"platform"`
	Taken    bool          `json:"taken"`
	// Reason says in a few words why it was not taken; empty when it was. The
	// only package that there is is taken whatever speaks against it.
	Reason string `json:"reason,omitempty"`
}

// Get brings a package from its registry into the store, verified, and gives
// it. A tag is looked up anew each time; what it stands for is fetched only
// when the store lacks it. Of an index, the package that fits the target best
// is taken.
func (c *Client) Get(ctx context.Context, name string, options GetOptions) (*Package, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	of, err := project.Find(".")
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	ref, err := namedIn(of, name)
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	target, err := platform.Target(options.Platform)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", ref, err)
	}
	explain, told := options.Explain, false
	if explain != nil {
		options.Explain = func(c Choice) { told = true; explain(c) }
	}
	if err := c.byLock(ctx, of, &ref, target); err != nil {
		return nil, fmt.Errorf("get %s: %w", ref, err)
	}
	p, err := c.get(ctx, ref, target, options)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", ref, err)
	}
	reason, ok := p.Platform.Fits(target)
	if explain != nil && !told { // it is no index, so that there was no choice
		explain(Choice{Target: target, Candidates: []Alternative{{Digest: digest.Digest(p.Digest), Platform: p.Platform, Taken: true, Reason: reason}}})
	}
	if !ok {
		c.warn(fmt.Sprintf("%s is for %s, and the target is %s: %s; it cannot be linked for that", ref, p.Platform, target, reason))
	}
	return toPackage(ref.String(), p), c.getRequired(ctx, of, ref, p, target)
}

// byLock gives a name the digest that the project's lock has for it, and brings
// what it has into the store.
func (c *Client) byLock(ctx context.Context, of *project.Project, ref *reference.Reference, target Platform) error {
	if c.Locked {
		var err error
		if ref.Digest, err = lockedDigest(of, *ref); err != nil {
			return err
		}
	}
	entry, err := of.Locked(*ref)
	if err != nil || entry == nil {
		return err
	}
	c.store.NoteRoot(entry.File())
	if ref.Digest == "" {
		asked := *ref
		var moved sync.WaitGroup
		moved.Go(func() { c.lockMoved(ctx, asked, entry) }) // beside what is fetched
		defer moved.Wait()
		ref.Digest = entry.Digest
	}
	builds, err := lockedClosure(of, *ref, target)
	if err == nil {
		_, err = c.fetchLocked(ctx, builds)
	}
	return err
}

// named reads a name in a registry, or an alias of the project in the working
// directory. With Locked it has a digest, its own or that of the lock.
func (c *Client) named(name string) (reference.Reference, error) {
	of, err := project.Find(".")
	if err != nil {
		return reference.Reference{}, err
	}
	ref, err := namedIn(of, name)
	if err != nil {
		return ref, err
	}
	if !c.Locked {
		// An alias is a name in the project, where the lock decides.
		if _, ok := of.Dependency(name); ok && ref.Digest == "" {
			entry, err := of.Locked(ref)
			if err != nil {
				return ref, err
			}
			if entry != nil {
				ref.Digest = entry.Digest
			}
		}
		return ref, nil
	}
	ref.Digest, err = lockedDigest(of, ref)
	return ref, err
}

// lockedDigest gives the digest that stands for a name with Locked.
func lockedDigest(of *project.Project, ref reference.Reference) (string, error) {
	if of != nil {
		if err := of.CheckLock(); err != nil {
			return "", err
		}
	}
	entry, err := of.Locked(ref)
	switch {
	case err != nil || ref.Digest != "":
		return ref.Digest, err
	case entry == nil:
		return "", resolve.NotLocked(of, ref)
	}
	return entry.Digest, nil
}

// namedIn is [named] for a project; nil has no aliases.
func namedIn(of *project.Project, name string) (reference.Reference, error) {
	if _, ok := of.Dependency(name); ok {
		return of.Reference(name)
	}
	return reference.Parse(name) // in the user's own words, whatever the project has in its place
}

// getRequired brings what a package requires into the store, too.
func (c *Client) getRequired(ctx context.Context, in *project.Project, of reference.Reference, p *store.Package, target Platform) error {
	resolver := &resolve.Resolver{Store: c.store, Target: fixed(target), Fetcher: fetcher{c, in}, Project: in, Locked: c.Locked, Foreign: project.Foreign(".")}
	if err := resolver.Requirements(ctx, of, p); err != nil {
		return fmt.Errorf("get what %s requires: %w", of, err)
	}
	return nil
}

func (c *Client) get(ctx context.Context, ref reference.Reference, target Platform, options GetOptions) (*store.Package, error) {
	from, err := c.source(ref)
	if err != nil {
		return nil, err
	}
	for again := true; ; {
		p, err := c.getFrom(ctx, from, ref, target, options)
		switch {
		case errors.Is(err, errRemoved) && again:
			again = false
		case !errors.Is(err, ErrVerification) || !from.Distrust(err):
			return p, err
		}
	}
}

// errRemoved tells of a package that another process removed.
var errRemoved = errdef.Errorf(errdef.ErrNotFound, "it was removed from the store meanwhile; run it again")

// setRef notes that a name stands for a digest, which led to the package pkg. That
// is held meanwhile: a name never leads to what was removed, and who removes the
// package next finds the name.
func (c *Client) setRef(ctx context.Context, ref reference.Reference, digest, pkg string) error {
	lock, err := c.store.Lock(ctx, store.LockName(pkg), true)
	if err != nil {
		return err
	}
	defer lock.Release()
	if !c.store.Use(pkg) {
		return errRemoved
	}
	return c.store.SetRef(ctx, ref, digest)
}

func (c *Client) getFrom(ctx context.Context, from *mirror.Source, ref reference.Reference, target Platform, options GetOptions) (*store.Package, error) {
	install.Sweep(c.store)
	before, refErr := c.store.Ref(ref)
	if !options.Force && options.Explain == nil {
		if p := c.current(ctx, from, ref, before, refErr == nil, target); p != nil {
			return p, nil
		}
	}
	top, raw, err := from.Manifest(ctx, ref.Target())
	if err != nil {
		return nil, err
	}
	chosen, err := c.choose(ctx, from, top, raw, target, options.Explain)
	if err != nil {
		return nil, err
	}
	p, err := c.install(ctx, from, chosen.desc, chosen.manifest, chosen.of, options.Force)
	if err == nil {
		err = c.keep(ctx, top, raw, chosen.said)
	}
	if err != nil {
		return nil, err
	}
	if refErr == nil && before.Digest != top.Digest.String() {
		c.warn(fmt.Sprintf("%s has moved: it was %s, and is now %s", ref, before.Digest, top.Digest))
	}
	return p, c.setRef(ctx, ref, top.Digest.String(), p.Digest)
}

// current gives the package when the store has what the name stands for now: a
// digest never changes, and of a tag the registry is asked only for the digest.
// It gives nil when there is something to fetch, an error to run into included.
func (c *Client) current(ctx context.Context, from *mirror.Source, ref reference.Reference, before store.Ref, known bool, target Platform) *store.Package {
	p, err := c.store.Lookup(ref, fixed(target))
	if err != nil || !c.store.Use(p.Digest) {
		return nil
	}
	if ref.Digest != "" {
		if !known && errors.Is(c.setRef(ctx, ref, ref.Digest, p.Digest), errRemoved) {
			return nil // what else may go wrong is of no matter: it is for the list alone
		}
		return p
	}
	top, err := from.Resolve(ctx, ref.Tag)
	if err != nil || top.Digest.String() != before.Digest || c.setRef(ctx, ref, top.Digest.String(), p.Digest) != nil {
		return nil
	}
	return p
}

// fixed gives a target that is known.
func fixed(target Platform) func() (Platform, error) {
	return func() (Platform, error) { return target, nil }
}

// keep stores what a name stands for when it is an index, with what its packages
// are for that it does not say: the store answers later questions from it.
func (c *Client) keep(ctx context.Context, top Descriptor, raw []byte, said map[string]Platform) error {
	if !artifact.IsIndex(top) {
		return nil
	}
	if len(said) > 0 {
		if err := c.store.NotePlatforms(ctx, top.Digest.String(), said); err != nil {
			return err
		}
	}
	return install.PutBlob(ctx, c.store, top.Digest, raw)
}

// chosen is a package for a target.
type chosen struct {
	desc     Descriptor
	of       Platform
	manifest []byte              // where it is at hand
	said     map[string]Platform // of the index: see [artifact.Complete]
}

// choose returns the package for target that top is, or that top, an index in from,
// names. Explain, unless it is nil, is told what there was to choose from.
func (c *Client) choose(ctx context.Context, from artifact.Fetcher, top Descriptor, raw []byte, target Platform, explain func(Choice)) (chosen, error) {
	if !artifact.IsIndex(top) {
		return chosen{desc: top, manifest: raw}, nil
	}
	index, err := artifact.ParseIndex(ctx, raw)
	var said map[string]Platform
	if err == nil {
		said, err = artifact.Complete(ctx, stored{from, c.store}, &index)
	}
	if err != nil {
		return chosen{}, fmt.Errorf("index %s: %w", top.Digest, err)
	}
	if explain != nil {
		explain(choiceOf(artifact.Choose(index, target), target))
	}
	desc, err := artifact.Select(index, target)
	return chosen{desc: desc, of: artifact.PlatformOf(desc), said: said}, err
}

func choiceOf(chosen artifact.Choice, target Platform) Choice {
	c := Choice{Target: target}
	for i, candidate := range chosen.Candidates {
		c.Candidates = append(c.Candidates, Alternative{Digest: candidate.Descriptor.Digest, Platform: candidate.Platform, Taken: i == chosen.Best, Reason: chosen.Reasons[i]})
	}
	return c
}

// install brings a package into the store. What it consists of is asked for at
// once when that is known.
func (c *Client) install(ctx context.Context, from artifact.Fetcher, desc Descriptor, raw []byte, of Platform, force bool) (*store.Package, error) {
	return c.installFrom(ctx, from, desc, raw, of, force, true, func(ctx context.Context, from artifact.Fetcher, manifest ocispec.Manifest) install.FetchCloser {
		known := c.has("") // the config is fetched
		if force {
			known = func(Descriptor) bool { return false }
		}
		return c.lookAhead(ctx, from, append([]Descriptor{manifest.Config}, manifest.Layers...), known)
	})
}

func (c *Client) installFrom(ctx context.Context, from artifact.Fetcher, desc Descriptor, raw []byte, of Platform, force, resume bool, look func(context.Context, artifact.Fetcher, ocispec.Manifest) install.FetchCloser) (*store.Package, error) {
	if !force {
		if p, err := c.store.Package(desc.Digest.String()); err == nil && c.store.Use(p.Digest) {
			return p, nil
		}
	}
	if raw == nil && c.Progress != nil {
		var err error
		if raw, err = artifact.ReadManifest(ctx, from, desc); err != nil {
			return nil, err
		}
	}
	if c.Progress != nil {
		if manifest, err := artifact.ParseManifest(raw); err == nil {
			from = &meteredFetcher{from, newMeter(c.Progress, append([]Descriptor{manifest.Config}, manifest.Layers...))}
		}
	}
	return install.Package(ctx, c.store, from, desc, raw, install.Options{
		Replace:  force,
		Resume:   resume,
		Platform: of,
		Ahead:    look,
		Derive: func(tree *os.Root) (*cps.Package, error) {
			return derive.Package(tree.FS(), derive.Options{Warn: c.warn})
		},
	})
}

// Load brings the package in a layout into the store, as [Client.Get] does from
// a registry, under the name that it carries. A name that stands for another
// package in the store is not changed without Force.
func (c *Client) Load(ctx context.Context, source string, options GetOptions) (*Package, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	p, err := c.load(ctx, source, options)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", source, err)
	}
	return p, nil
}

func (c *Client) load(ctx context.Context, source string, options GetOptions) (*Package, error) {
	target, err := platform.Target(options.Platform)
	if err != nil {
		return nil, err
	}
	l, top, err := openLayout(ctx, source, c.warn)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	var ref reference.Reference
	name := artifact.PackageName(top)
	if name != "" {
		if ref, err = reference.Parse(name); err != nil {
			return nil, fmt.Errorf("by the name it carries: %w", err)
		}
		name = ref.String()
		if before, err := c.store.Ref(ref); err == nil && before.Digest != top.Digest.String() && !options.Force {
			return nil, errdef.Errorf(errdef.ErrUsage, "%s stands for %s in the store, and the archive holds %s; to change that, add --overwrite", ref, before.Digest, top.Digest)
		}
	}
	raw, err := artifact.ReadManifest(ctx, l, top)
	if err != nil {
		return nil, err
	}
	chosen, err := c.choose(ctx, l, top, raw, target, options.Explain)
	if err != nil {
		return nil, err
	}
	p, err := c.installFrom(ctx, l, chosen.desc, chosen.manifest, chosen.of, options.Force, false, nil)
	if err == nil {
		err = c.keep(ctx, top, raw, chosen.said)
	}
	if err != nil {
		return nil, err
	}
	if name != "" {
		err = c.setRef(ctx, ref, top.Digest.String(), p.Digest)
	}
	return toPackage(name, p), err
}

// Directory gives the package that name stands for on the target (as in
// [GetOptions]), from what the store has: it never fetches. A name may also be
// the digest of a package, or an alias of the project in the working directory.
func (c *Client) Directory(name, target string) (*Package, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	resolver, err := c.resolver(target)
	if err != nil {
		return nil, err
	}
	resolver.Fetcher = nil
	p, err := resolver.Package(context.Background(), name)
	if err != nil {
		return nil, err
	}
	return toPackage(name, p), nil
}

// fetcher brings what is missing for a build into the store.
type fetcher struct {
	client *Client
	in     *project.Project
}

func (f fetcher) Fetch(ctx context.Context, ref reference.Reference, target platform.Platform) (*store.Package, error) {
	builds, err := lockedClosure(f.in, ref, target)
	if err != nil {
		return nil, err
	}
	if _, err := f.client.fetchLocked(ctx, builds); err != nil {
		return nil, fmt.Errorf("get %s: %w", ref, err)
	}
	if len(builds) > 0 {
		return f.client.store.Package(builds[0].build.Digest)
	}
	p, err := f.client.get(ctx, ref, target, GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", ref, err)
	}
	return p, nil
}
