package ocipkg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// LockOptions say how a lock is written. The zero value keeps what it has and
// adds what it lacks.
type LockOptions struct {
	// Platforms are the targets that the lock is to serve, as in [GetOptions];
	// nil are those that it serves already, and for a new lock all that there
	// are. The word "all" stands for these, too.
	Platforms []string
}

// LockChange is a name in the lock that does not stand for what it did before.
type LockChange struct {
	Name string `json:"name"`
	// Before is the digest that the lock had; empty for a name that is new.
	Before digest.Digest `json:"before,omitempty"`
	// After is the digest that the lock has now; empty for a name that is gone.
	// Where it is as before, the lock has other builds of the package.
	After digest.Digest `json:"after,omitempty"`
}

// inWords says what changed, after which the sentence may go on.
func (c LockChange) inWords() string {
	switch {
	case c.Before == "":
		return c.Name + ", which the lock does not have"
	case c.After == "":
		return c.Name + ", which nothing asks for any more"
	case c.Before == c.After:
		return c.Name + ", of which the lock has other builds than there are"
	}
	return fmt.Sprintf("%s, which is %s now", c.Name, c.After)
}

// Lock writes the lock file of the project that the working directory is part
// of, [ocipkg.lock], beside its project file: what each package under
// [dependencies] stands for, and each that those require, for all platforms
// that the packages are there for. What the lock has already stays as it is;
// [Client.Update] moves it. It gives what changed, sorted by name.
//
// With Locked nothing is written, and a lock that is missing or stale is an
// error of kind [ErrLock].
func (c *Client) Lock(ctx context.Context, options LockOptions) ([]LockChange, error) {
	changes, err := c.relock(ctx, options, nil, true)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return changes, nil
}

// UpdateOptions say how a lock is moved.
type UpdateOptions struct {
	// Check writes nothing: a lock that is behind is an error of kind
	// [ErrLock].
	Check bool
}

// Update looks up anew what names stand for: aliases, packages of the lock
// with or without their tag, or, where there are no names, everything. It
// writes the lock file, and gives what changed, sorted by name. With Check it
// writes nothing.
func (c *Client) Update(ctx context.Context, names []string, options UpdateOptions) ([]LockChange, error) {
	if names == nil {
		names = []string{}
	}
	changes, err := c.relock(ctx, LockOptions{}, names, !options.Check)
	switch {
	case err != nil:
		return nil, fmt.Errorf("update: %w", err)
	case options.Check && len(changes) > 0:
		return changes, errdef.Errorf(errdef.ErrLock, "update: %d names stand for something else than the lock has, the first of them %s; run: ocipkg update", len(changes), changes[0].inWords())
	}
	return changes, nil
}

// here gives the project of the working directory, which must be there.
func here() (*project.Project, error) {
	of, err := project.Find(".")
	if err == nil && of == nil {
		err = errdef.Errorf(errdef.ErrNotFound, "there is no %s here or above, within this project; run: ocipkg add NAME", project.FileName)
	}
	return of, err
}

// relock writes the lock anew, with the names in move looked up again: nil for
// none, empty for all.
func (c *Client) relock(ctx context.Context, options LockOptions, move []string, write bool) ([]LockChange, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	of, err := here()
	if err != nil {
		return nil, err
	}
	if c.Locked && move == nil {
		if len(options.Platforms) > 0 {
			return nil, errdef.Errorf(errdef.ErrUsage, "which platforms the lock is for is not to change: --locked is given, or OCIPKG_LOCKED or OCIPKG_FROZEN is set")
		}
		return nil, of.CheckLock()
	}
	if write {
		if err := c.mayLock(); err != nil {
			return nil, err
		}
	}
	release, err := c.lockProject(ctx, of.Root)
	if err != nil {
		return nil, err
	}
	defer release()
	if of, err = of.Again(); err != nil { // it may have been edited meanwhile
		return nil, err
	}
	lock, changes, err := c.newLock(ctx, of, options, move)
	if err == nil && write {
		err = c.writeLock(of, lock)
	}
	return changes, err
}

// mayLock refuses to change a lock under Locked.
func (c *Client) mayLock() error {
	if c.Locked {
		return errdef.Errorf(errdef.ErrLock, "the lock is not to change: --locked is given, or OCIPKG_LOCKED or OCIPKG_FROZEN is set")
	}
	return nil
}

// newLock makes the lock for a project, and says what of it is not as it was.
func (c *Client) newLock(ctx context.Context, of *project.Project, options LockOptions, move []string) (*project.Lock, []LockChange, error) {
	before, err := of.Lock()
	if err != nil {
		return nil, nil, err
	}
	l, err := newLocker(c, of, before, options.Platforms)
	if err != nil {
		return nil, nil, err
	}
	if err := l.moveNames(move); err != nil {
		return nil, nil, err
	}
	wants, err := l.dependencies()
	if err != nil {
		return nil, nil, err
	}
	after, err := l.lock(ctx, wants)
	if err != nil {
		return nil, nil, err
	}
	if err := checkLinks(of, after); err != nil {
		return nil, nil, err
	}
	return after, lockChanges(before, after), nil
}

// writeLock writes a project's lock, unless it is there like that.
func (c *Client) writeLock(of *project.Project, lock *project.Lock) error {
	text := lock.Text()
	have, err := os.ReadFile(of.LockPath())
	if err != nil || !bytes.Equal(have, text) {
		if err := writeProjectFile(of.LockPath(), text); err != nil {
			return err
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		// Build systems watch the files that were there: for them the project
		// has changed, which now has a lock. Who does not own its file, cannot
		// say so.
		now := time.Now()
		_ = os.Chtimes(filepath.Join(of.Root, project.FileName), now, now)
	}
	c.store.NoteRoot(of.LockPath())
	return nil
}

// lockChanges compares two locks.
func lockChanges(before, after *project.Lock) []LockChange {
	all := map[string]*LockChange{}
	at := func(name string) *LockChange {
		if all[name] == nil {
			all[name] = &LockChange{Name: name}
		}
		return all[name]
	}
	text := map[string]string{} // of each package before
	if before != nil {
		for _, p := range before.Packages {
			at(p.Name).Before = digest.Digest(p.Digest)
			text[p.Name] = p.Text()
		}
	}
	same := map[string]bool{}
	for _, p := range after.Packages {
		change := at(p.Name)
		change.After = digest.Digest(p.Digest)
		// With other platforms it has other builds, as it should.
		same[p.Name] = change.Before == change.After && (text[p.Name] == p.Text() || !slices.Equal(before.Platforms, after.Platforms))
	}
	var changes []LockChange
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !same[name] {
			changes = append(changes, *all[name])
		}
	}
	return changes
}

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
	index, err := artifact.ParseIndex(raw)
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
		if raw, err = artifact.ReadBlob(ctx, from, desc, artifact.MaxManifest); err != nil {
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

// writeProjectFile writes a file that is a project's own, all at once.
func writeProjectFile(name string, text []byte) error {
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		return rewriteFile(name, text)
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".ocipkg-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(tmp.Name(), name)
}

// stored is a place to fetch from whose manifests and configs the store may
// have.
type stored struct {
	artifact.Fetcher
	store *store.Store
}

func (s stored) Fetch(ctx context.Context, desc Descriptor) (io.ReadCloser, error) {
	if raw, ok := install.Blob(s.store, desc.Digest); ok {
		return io.NopCloser(bytes.NewReader(raw)), nil
	}
	return s.Fetcher.Fetch(ctx, desc)
}
