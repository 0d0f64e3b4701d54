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
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/store"
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
	ctx, err := c.begin(ctx)
	if err != nil {
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
	staged, err := stageLock(of, lock)
	if err != nil {
		return err
	}
	return c.placeLock(of, staged)
}

// stageLock is the first half of [Client.writeLock]; nil when the lock is there
// like that.
func stageLock(of *project.Project, lock *project.Lock) (*stagedFile, error) {
	text := lock.Text()
	if have, err := os.ReadFile(of.LockPath()); err == nil && bytes.Equal(have, text) {
		return nil, nil
	}
	return stageFile(of.LockPath(), text)
}

// placeLock is the second half of [Client.writeLock].
func (c *Client) placeLock(of *project.Project, staged *stagedFile) error {
	_, statErr := os.Stat(of.LockPath())
	if staged != nil {
		if err := staged.place(); err != nil {
			return err
		}
	}
	if errors.Is(statErr, os.ErrNotExist) {
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

func (s stored) FetchFrom(ctx context.Context, desc Descriptor, offset int64) (io.ReadCloser, error) {
	return artifact.FetchFrom(ctx, s.Fetcher, desc, offset)
}

func (s stored) InOneStream() bool { return artifact.InOneStream(s.Fetcher) }
