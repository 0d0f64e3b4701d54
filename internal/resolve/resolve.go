// Package resolve goes from the names of packages to the packages in the store
// that serve one target, with all that those require. What the store does not
// have it asks of a [Fetcher]: there is no network code here.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	// Project gives the aliases of [dependencies]; nil has none.
	Project *project.Project
}

// Node is a package of a closure.
type Node struct {
	// Name is what the package was asked for by: as the caller wrote it, or
	// the whole name of a requirement.
	Name string
	// Shared tells that the project wants the package's shared libraries.
	Shared  bool
	Package *store.Package
	// Requires are the packages that this one needs, by the name that its
	// link description calls them by.
	Requires map[string]*Node
}

// Package gives the package that name stands for: a reference, an alias of the
// project, or the digest of a package or an index.
func (r *Resolver) Package(ctx context.Context, name string) (*store.Package, error) {
	if isDigest(name) {
		return r.used(r.Store.LookupDigest(name, r.Target))
	}
	if dependency, ok := r.Project.Dependency(name); ok {
		name = dependency.Reference()
	}
	ref, err := reference.Parse(name)
	if err != nil {
		return nil, err
	}
	p, err := r.Store.Lookup(ref, r.Target)
	if !errors.Is(err, errdef.ErrNotFound) {
		return r.used(p, err)
	}
	if r.Fetcher == nil {
		return nil, errdef.Errorf(errdef.ErrNotFound, "%s is not in the store; run: ocipkg get %s", ref, name)
	}
	target, err := r.Target()
	if err != nil {
		return nil, err
	}
	return r.used(r.Fetcher.Fetch(ctx, ref, target))
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
	r.Store.Use(p.Digest)
	return p, nil
}

// isDigest tells a bare digest, which a name otherwise could also be: of the
// repository "sha256" with a tag of 64 digits.
func isDigest(name string) bool {
	_, _, ok := reference.SplitDigest(name)
	return ok
}

// Closure gives the packages that names stand for, and all that these require,
// each once, with those that need others before those that they need. A
// requirement that leads back to itself is an error that shows the way.
func (r *Resolver) Closure(ctx context.Context, names []string) (roots, all []*Node, err error) {
	c := &closure{resolver: r, nodes: map[string]*Node{}}
	for _, name := range names {
		node, err := c.visit(ctx, name, nil)
		if err != nil {
			return nil, nil, err
		}
		dependency, _ := r.Project.Dependency(name)
		node.Shared = node.Shared || dependency.Shared
		roots = append(roots, node)
	}
	for i := len(c.done) - 1; i >= 0; i-- {
		all = append(all, c.done[i])
	}
	return roots, all, nil
}

// closure is one walk.
type closure struct {
	resolver *Resolver
	nodes    map[string]*Node // by name; nil while a name is being visited
	done     []*Node          // those that are needed before those that need them
}

func (c *closure) visit(ctx context.Context, name string, path []string) (*Node, error) {
	node, seen := c.nodes[name]
	if seen && node == nil {
		return nil, errdef.Errorf(errdef.ErrVerification, "packages require each other in a circle: %s → %s", strings.Join(path, " → "), name)
	}
	if seen {
		return node, nil
	}
	c.nodes[name] = nil
	p, err := c.resolver.Package(ctx, name)
	if err != nil {
		if len(path) > 0 {
			err = fmt.Errorf("%s, required by %s: %w", name, strings.Join(path, " → "), err)
		}
		return nil, err
	}
	path = append(path[:len(path):len(path)], name)
	node = &Node{Name: name, Package: p, Requires: map[string]*Node{}}
	for _, requirement := range p.Requires {
		ref, err := requirement.Reference()
		if err != nil {
			return nil, fmt.Errorf("%s requires %q: %w", name, requirement.Package, err)
		}
		if node.Requires[requirement.Package], err = c.visit(ctx, ref.String(), path); err != nil {
			return nil, err
		}
	}
	c.nodes[name] = node
	c.done = append(c.done, node)
	return node, nil
}
