// Package resolve goes from the names of packages to the packages in the store
// that serve one target, with all that those require. What the store does not
// have it asks of a [Fetcher]: there is no network code here.
package resolve

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// Fetcher brings a package into the store.
type Fetcher interface {
	Fetch(ctx context.Context, ref reference.Reference, target platform.Platform) (*store.Package, error)
}

// Resolver resolves names for one build.
type Resolver struct {
	Store *store.Store
	// Target gives the platform of the build. It is asked for only where there
	// is a choice.
	Target func() (platform.Platform, error)
	// Fetcher brings what the store lacks; with nil that is an error of kind
	// [errdef.ErrNotFound].
	Fetcher Fetcher
	// Project gives the aliases, the overrides and the lock; nil has none.
	Project *project.Project
	// Locked takes what the lock has and what has a digest, and nothing else,
	// from a lock that goes with the project file.
	Locked bool
	// Foreign tells that the names are from source which is not the user's:
	// what neither a digest nor the lock pins is not fetched.
	Foreign bool

	checked bool     // the lock goes with the project file
	listed  []listed // what Answer looks through; nil: not looked up yet
}

// Package gives the package that name stands for: a reference, an alias of the
// project, or the digest of a package or an index.
func (r *Resolver) Package(ctx context.Context, name string) (*store.Package, error) {
	if isDigest(name) {
		return r.used(r.Store.LookupDigest(name, r.Target))
	}
	ref, err := r.Project.Reference(name)
	if err != nil {
		return nil, err
	}
	p, _, err := r.reference(ctx, ref)
	return p, err
}

// reference gives the package that ref stands for, and tells whether the lock
// says which one that is.
func (r *Resolver) reference(ctx context.Context, ref reference.Reference) (p *store.Package, locked bool, err error) {
	if r.Locked && r.Project != nil && !r.checked {
		if err := r.Project.CheckLock(); err != nil {
			return nil, false, err
		}
		r.checked = true
	}
	if ref.Digest == "" {
		entry, err := r.Project.Locked(ref)
		if err != nil {
			return nil, false, err
		}
		if entry != nil {
			p, err := r.locked(ctx, ref, entry)
			return p, true, err
		}
		if r.Locked {
			return nil, false, NotLocked(r.Project, ref)
		}
	}
	p, err = r.used(r.Store.Lookup(ref, r.Target))
	if errors.Is(err, errdef.ErrNotFound) {
		p, err = r.used(r.fetch(ctx, ref))
	}
	return p, false, err
}

// locked gives the package that the lock has under a name.
func (r *Resolver) locked(ctx context.Context, ref reference.Reference, entry *project.LockedPackage) (*store.Package, error) {
	r.Store.NoteRoot(entry.File())
	build, err := entry.Choose(r.Target)
	if err != nil {
		return nil, err
	}
	p, err := r.used(r.Store.Package(build.Digest))
	if entry.IsIndex() && err == nil {
		candidates, _ := r.Store.Index(entry.Digest)
		if len(candidates) == 0 {
			err = errdef.ErrNotFound // the store has the build and not the index, which is fetched with it
		} else if !slices.Contains(candidates, build.Digest) {
			return nil, NotInIndex(entry, build)
		}
	}
	if errors.Is(err, errdef.ErrNotFound) {
		ref.Digest = entry.Digest
		p, err = r.used(r.fetch(ctx, ref))
	}
	return p, err
}

// NotInIndex is the error for a lock that has a build of a package which is not
// in the package's index.
func NotInIndex(entry *project.LockedPackage, build *project.LockedBuild) error {
	return errdef.Errorf(errdef.ErrLock, "%s has a build %s for %s which is not in its index %s: somebody changed the lock by hand; take it from version control again, or run: ocipkg update %s", project.LockName, build.Digest, entry.Name, entry.Digest, entry.Name)
}

// NotLocked is the error for a name that has no digest and is not in the lock of
// a project, which may be nil.
func NotLocked(of *project.Project, ref reference.Reference) error {
	if of == nil {
		return errdef.Errorf(errdef.ErrLock, "%s has no digest, and there is no %s here whose lock could say which it is; add the digest, or run: ocipkg add %s", ref, project.FileName, ref)
	}
	return errdef.Errorf(errdef.ErrLock, "%s has no digest, and %s does not have it; add the digest, or run: ocipkg add %s", ref, of.LockPath(), ref)
}

// fetch brings what the store lacks.
func (r *Resolver) fetch(ctx context.Context, ref reference.Reference) (*store.Package, error) {
	if r.Fetcher == nil {
		return nil, errdef.Errorf(errdef.ErrNotFound, "%s is not in the store; run: ocipkg get %s", ref, ref)
	}
	if r.Foreign {
		if err := CheckPinned(ref); err != nil {
			return nil, err
		}
	}
	target, err := r.Target()
	if err != nil {
		return nil, err
	}
	return r.Fetcher.Fetch(ctx, ref, target)
}

// CheckPinned refuses to fetch what source of others asks for without a digest,
// unless the environment's OCIPKG_ALLOW_UNPINNED is 1.
func CheckPinned(ref reference.Reference) error {
	if ref.Digest == "" && os.Getenv("OCIPKG_ALLOW_UNPINNED") != "1" {
		return errdef.Errorf(errdef.ErrVerification, "get %s for source that is not yours: the name has no digest, so it may stand for anything by now; add it to your project with: ocipkg add %s, have its author run: ocipkg pin ./..., or trust it with OCIPKG_ALLOW_UNPINNED=1", ref, ref)
	}
	return nil
}

// used notes that a package is used, after a look at whether it can be: a name
// may stand for one package alone, which nobody has chosen for the target.
func (r *Resolver) used(p *store.Package, err error) (*store.Package, error) {
	if err != nil {
		return nil, err
	}
	if !p.Platform.IsZero() {
		target, err := r.Target()
		if err != nil {
			return nil, err
		}
		if reason, ok := p.Platform.Fits(target); !ok {
			return nil, errdef.Errorf(errdef.ErrPlatform, "the package is for %s, and the target is %s: %s", p.Platform, target, reason)
		}
	}
	if !r.Store.Use(p.Digest) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "package %s was removed from the store a moment ago", p.Digest)
	}
	return p, nil
}

// isDigest tells a bare digest, which a name otherwise could also be: of the
// repository "sha256" with a tag of 64 digits.
func isDigest(name string) bool {
	_, _, ok := reference.SplitDigest(name)
	return ok
}
