package ocipkg

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/resolve"
	"github.com/ocipkg/ocipkg/platform"
)

// locker makes one lock.
type locker struct {
	client  *Client
	project *project.Project
	before  *project.Lock // nil for none
	names   []string      // of the platforms that are asked for; nil for all
	targets []Platform
	moves   func(name string) bool // which names of the lock are looked up anew

	mu       sync.Mutex
	packages map[string]*project.LockedPackage
	paths    map[string][]string // by name: who asked for it, from the project on
}

// allPlatforms stands for every platform that there is.
const allPlatforms = "all"

func newLocker(c *Client, of *project.Project, before *project.Lock, platforms []string) (*locker, error) {
	l := &locker{client: c, project: of, before: before, packages: map[string]*project.LockedPackage{}, paths: map[string][]string{}}
	if platforms == nil && before != nil {
		platforms = before.Platforms
	}
	if len(platforms) == 1 && platforms[0] == allPlatforms {
		platforms = nil
	}
	for _, name := range platforms {
		target, err := platform.Parse(name)
		if err != nil {
			return nil, err
		}
		if name = target.String(); !slices.Contains(l.names, name) {
			l.names, l.targets = append(l.names, name), append(l.targets, target)
		}
	}
	slices.Sort(l.names)
	return l, nil
}

// moveNames says which names are looked up anew: nil for none, empty for all.
func (l *locker) moveNames(names []string) error {
	wanted := map[string]bool{}
	for _, name := range names {
		ref, err := l.project.Reference(name)
		if err != nil {
			return err
		}
		repository, err := reference.ParseRepository(name)
		whole := err == nil && repository.Tag == "" && repository.Digest == "" // all of it, whatever the tag
		found := false
		if l.before != nil {
			for _, p := range l.before.Packages {
				locked, err := reference.Parse(p.Name)
				if err == nil && (locked == ref || whole && locked.Name() == repository.Name()) {
					wanted[p.Name], found = true, true
				}
			}
		}
		if _, alias := l.project.Dependency(name); !found && !alias {
			return errdef.Errorf(errdef.ErrNotFound, "%s is neither an alias in %s nor in %s; ocipkg tree shows what there is", name, project.FileName, project.LockName)
		}
	}
	l.moves = func(name string) bool { return names != nil && len(names) == 0 || wanted[name] }
	return nil
}

// wanted is a package that something asks for.
type wanted struct {
	ref  reference.Reference
	path []string // who asks for it, from the project on
}

// dependencies gives what the project file asks for.
func (l *locker) dependencies() (all []wanted, err error) {
	for _, alias := range slices.Sorted(maps.Keys(l.project.Dependencies)) {
		ref, err := l.project.Reference(alias)
		if err != nil {
			return nil, err
		}
		all = append(all, wanted{ref, []string{alias}})
	}
	for _, of := range slices.Sorted(maps.Keys(l.project.Overrides)) {
		all = append(all, wanted{l.project.Overrides[of], []string{"the override of " + of}})
	}
	return all, nil
}

// lock looks up what is wanted, and all that it requires, a generation of
// requirements at a time.
func (l *locker) lock(ctx context.Context, next []wanted) (*project.Lock, error) {
	for len(next) > 0 {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(maxLookUps)
		var fresh []wanted
		for _, w := range next {
			if l.paths[w.ref.String()] != nil {
				continue
			}
			l.paths[w.ref.String()] = w.path
			if err := resolve.Bound(len(l.paths), len(w.path)); err != nil {
				return nil, fmt.Errorf("%s: %w", w.path[0], err)
			}
			fresh = append(fresh, w)
			group.Go(func() error { return l.lookUp(ctx, w) })
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		var err error
		if next, err = l.required(fresh); err != nil {
			return nil, err
		}
	}
	lock := &project.Lock{Platforms: l.names}
	for _, name := range slices.Sorted(maps.Keys(l.packages)) {
		lock.Packages = append(lock.Packages, *l.packages[name])
	}
	return lock, nil
}

// required gives what packages require, as the project has it.
func (l *locker) required(of []wanted) ([]wanted, error) {
	var all []wanted
	for _, w := range of {
		name := w.ref.String()
		for _, build := range l.packages[name].Builds {
			for _, required := range build.Requires {
				ref, err := l.project.Reference(required)
				if err != nil {
					return nil, err
				}
				all = append(all, wanted{ref, append(w.path[:len(w.path):len(w.path)], name)})
			}
		}
	}
	return all, nil
}

// lookUp finds what a name stands for: what the lock had, else what the
// registry says.
func (l *locker) lookUp(ctx context.Context, w wanted) error {
	name := w.ref.String()
	ask := l.target(w.ref)
	before := l.before.Find(w.ref)
	if before != nil && before.Name == name && !l.moves(name) {
		if slices.Equal(l.before.Platforms, l.names) {
			l.put(before)
			return nil
		}
		ask = before.Digest
	}
	locked, err := l.read(ctx, w.ref, ask)
	if err != nil {
		if len(w.path) > 1 {
			return fmt.Errorf("%s, required by %s: %w", name, strings.Join(w.path, " → "), err)
		}
		return fmt.Errorf("%s: %w", w.path[0], err)
	}
	l.put(locked)
	return nil
}

// target gives what a registry is asked for. A tag that the project file has
// with a digest stands for that.
func (l *locker) target(ref reference.Reference) string {
	if ref.Digest != "" {
		return ref.Digest
	}
	for alias := range l.project.Dependencies {
		pinned, err := l.project.Reference(alias)
		if err == nil && pinned.Digest != "" && pinned.Name() == ref.Name() && pinned.Tag == ref.Tag {
			return pinned.Digest
		}
	}
	return ref.Target()
}

func (l *locker) put(p *project.LockedPackage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.packages[p.Name] = p
}

// read reads from its registry what a tag or digest of a package stands for.
func (l *locker) read(ctx context.Context, ref reference.Reference, tagOrDigest string) (*project.LockedPackage, error) {
	repo, err := l.client.source(ref)
	if err != nil {
		return nil, err
	}
	top, raw, err := repo.Manifest(ctx, tagOrDigest)
	if err != nil {
		return nil, err
	}
	locked := &project.LockedPackage{Name: ref.String(), Blob: blobOf(top)}
	if !artifact.IsIndex(top) {
		build, err := l.build(ctx, repo, top, raw)
		if err != nil {
			return nil, err
		}
		for _, target := range l.targets {
			if reason, ok := build.Platform.Fits(target); !ok {
				return nil, errdef.Errorf(errdef.ErrPlatform, "the package is for %s, and not for %s: %s", build.Platform, target, reason)
			}
		}
		locked.Builds = []project.LockedBuild{build}
		return locked, nil
	}
	index, err := artifact.ParseIndex(ctx, raw)
	if err == nil {
		_, err = artifact.Complete(ctx, stored{repo, l.client.store}, &index)
	}
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", top.Digest, err)
	}
	chosen, err := l.chosen(index)
	if err != nil {
		return nil, err
	}
	locked.Builds = make([]project.LockedBuild, len(chosen))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxLookUps)
	for i, desc := range chosen {
		group.Go(func() (err error) {
			locked.Builds[i], err = l.build(ctx, repo, desc, nil)
			locked.Builds[i].Platform = artifact.PlatformOf(desc)
			return err
		})
	}
	return locked, group.Wait()
}

// chosen gives the packages of an index that the lock is to have, in its order.
func (l *locker) chosen(index ocispec.Index) ([]Descriptor, error) {
	serves := map[digest.Digest]bool{}
	for _, target := range l.targets {
		desc, err := artifact.Select(index, target)
		if err != nil {
			return nil, err
		}
		serves[desc.Digest] = true
	}
	var chosen []Descriptor
	for _, candidate := range artifact.Candidates(index) {
		if len(l.targets) == 0 || serves[candidate.Descriptor.Digest] {
			chosen = append(chosen, candidate.Descriptor)
		}
	}
	if len(chosen) == 0 {
		return nil, errdef.Errorf(errdef.ErrPlatform, "the index has no packages in it")
	}
	return chosen, nil
}

// build reads one package.
func (l *locker) build(ctx context.Context, repo artifact.Fetcher, desc Descriptor, raw []byte) (project.LockedBuild, error) {
	from := stored{repo, l.client.store}
	if raw == nil {
		var err error
		if raw, err = artifact.ReadManifest(ctx, from, desc); err != nil {
			return project.LockedBuild{}, err
		}
	}
	pkg, err := artifact.OpenManifest(ctx, from, desc, raw)
	if err != nil {
		return project.LockedBuild{}, err
	}
	build := project.LockedBuild{Platform: pkg.Config.Platform, Blob: blobOf(desc), Config: blobOf(pkg.Manifest.Config)}
	for _, layer := range pkg.Manifest.Layers {
		build.Layers = append(build.Layers, blobOf(layer))
	}
	for _, requirement := range pkg.Config.Requires {
		ref, err := requirement.Reference()
		if err != nil {
			return build, fmt.Errorf("it requires %q: %w", requirement.Package, err)
		}
		build.Require(ref.String(), requirement.BuiltWith)
	}
	return build, nil
}

func blobOf(desc Descriptor) project.Blob {
	return project.Blob{Digest: desc.Digest.String(), Size: desc.Size}
}
