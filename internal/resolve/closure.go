package resolve

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
)

// Node is a package of a closure.
type Node struct {
	// Name is what the package was asked for by first: as the caller wrote it,
	// or the whole name of a requirement.
	Name string
	// Ref is the package's whole name, with the overrides of the project; zero
	// for one that was asked for by a bare digest.
	Ref reference.Reference
	// Locked tells that the project's lock says which package that is.
	Locked  bool
	Package *store.Package
	// Requires are the packages that this one needs, by the name that its
	// link description calls them by.
	Requires map[string]*Node
}

// Root is a package that was asked for.
type Root struct {
	*Node
	// Name is what it was asked for by, as the caller wrote it.
	Name string
	// Shared is how the project wants the package linked; empty: it does not say.
	Shared project.Sharing
	// Modules are the components that are wanted; empty: the package's defaults.
	Modules []string
}

// Closure returns the packages that names stand for, and all that these require,
// each once, with those that need others before those that they need, unless
// they need each other. Two packages of one repository, of which a program can
// have only one, are an error that shows both ways.
//
// A name may have that of a module behind a plus sign, as [reference.CutModule]
// has it; an alias stands for the modules that the project lists for it, else
// for the one that is called as it is. What is neither a reference nor an alias
// may be a module of a package that the project lists: see [Resolver.Answer].
func (r *Resolver) Closure(ctx context.Context, names []string) (roots []Root, all []*Node, err error) {
	all, err = r.walk(func(c *closure) error {
		roots, err = c.roots(ctx, names)
		return err
	})
	return roots, all, err
}

// Requirements finds what a package requires, as [Resolver.Closure] does; ref is
// the name that it was asked for by.
func (r *Resolver) Requirements(ctx context.Context, ref reference.Reference, p *store.Package) error {
	_, err := r.walk(func(c *closure) error {
		return c.enter(ctx, &Node{Name: ref.String(), Ref: ref, Package: p, Requires: map[string]*Node{}}, nil)
	})
	return err
}

func (r *Resolver) walk(roots func(*closure) error) (all []*Node, err error) {
	settled := map[string]reference.Reference{}
	for {
		c := &closure{resolver: r, settled: settled, nodes: map[string]*Node{}, names: map[string]*Node{}, chosen: map[string]choice{}}
		err := roots(c)
		if c.again == "" {
			slices.Reverse(c.done)
			return c.done, err
		}
	}
}

// closure is one walk.
type closure struct {
	resolver *Resolver
	nodes    map[string]*Node  // by digest
	names    map[string]*Node  // by what they were asked for by
	done     []*Node           // those that are needed before those that need them
	chosen   map[string]choice // by repository
	// settled is what stands, by repository, for all that is asked of it: what
	// the lock says where digests of one tag differ. Again is the repository
	// for which a walk found that, so that it has to begin anew.
	settled map[string]reference.Reference
	again   string
}

// choice is which package of a repository was asked for first, and by whom.
type choice struct {
	ref    reference.Reference
	digest string
	path   []string
}

func (c *closure) roots(ctx context.Context, names []string) ([]Root, error) {
	var roots []Root
	for _, name := range names {
		ref, module := reference.CutModule(name)
		alias, answer, err := c.resolver.Answer(ctx, name)
		if err != nil {
			return nil, err
		}
		if alias != "" {
			ref, module = alias, answer
		}
		node, err := c.visit(ctx, ref, nil)
		if err != nil {
			return nil, err
		}
		dependency, _ := c.resolver.Project.Dependency(alias)
		root := Root{Node: node, Name: name, Shared: c.resolver.Project.Sharing(alias), Modules: dependency.Modules}
		switch {
		case module != "":
			root.Modules = []string{module}
		case alias != "" && len(root.Modules) == 0:
			if found := component(node.Package.CPS, name); found != "" {
				root.Modules = []string{found}
			}
		}
		roots = append(roots, root)
	}
	return roots, nil
}

// visit gives the package that a name in a build, or in the package that path
// ends with, stands for.
func (c *closure) visit(ctx context.Context, name string, path []string) (*Node, error) {
	if node := c.names[name]; node != nil {
		return node, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := Bound(len(c.nodes)+1, len(path)); err != nil { // where the way would be too long to be shown
		return nil, fmt.Errorf("%s: %w", append(path, name)[0], err)
	}
	node := &Node{Name: name, Requires: map[string]*Node{}}
	err := c.find(ctx, node, path)
	if err != nil {
		if len(path) > 0 {
			err = fmt.Errorf("%s, required by %s: %w", name, strings.Join(path, " → "), err)
		}
		return nil, err
	}
	if before := c.nodes[node.Package.Digest]; before != nil {
		c.names[name] = before
		return before, c.choose(node, append(path[:len(path):len(path)], name))
	}
	return node, c.enter(ctx, node, path)
}

// enter visits what a package requires that path led to.
func (c *closure) enter(ctx context.Context, node *Node, path []string) error {
	path = append(path[:len(path):len(path)], node.Name)
	if err := c.choose(node, path); err != nil {
		return err
	}
	c.nodes[node.Package.Digest], c.names[node.Name] = node, node
	for _, requirement := range node.Package.Requires {
		required, err := c.required(node, requirement)
		if err != nil {
			return fmt.Errorf("%s requires %q: %w", node.Name, requirement.Package, err)
		}
		if node.Requires[requirement.Package], err = c.visit(ctx, required, path); err != nil {
			return err
		}
	}
	c.done = append(c.done, node)
	return nil
}

// find looks the package of a node up.
func (c *closure) find(ctx context.Context, node *Node, path []string) (err error) {
	if isDigest(node.Name) {
		node.Package, err = c.resolver.Package(ctx, node.Name)
		return err
	}
	if node.Ref, err = c.resolver.Project.Reference(node.Name); err != nil {
		return err
	}
	if ref, ok := c.settled[node.Ref.Name()]; ok {
		node.Ref = ref
	}
	// Before it is fetched: what cannot be linked with the rest need not be.
	if before, ok := c.chosen[node.Ref.Name()]; ok && before.ref.Tag != node.Ref.Tag && before.ref.Tag != "" && node.Ref.Tag != "" {
		return c.conflict(before, node.Ref, append(path[:len(path):len(path)], node.Name))
	}
	node.Package, node.Locked, err = c.resolver.reference(ctx, node.Ref)
	return err
}

// required gives the name that stands for what a package requires. Where only
// what is pinned counts, and the lock does not have it, that is what the
// package was built with, which its own digest covers.
func (c *closure) required(by *Node, requirement reference.Requirement) (string, error) {
	ref, err := requirement.Reference()
	if err != nil {
		return "", err
	}
	r := c.resolver
	if (r.Locked || r.Foreign) && ref.Digest == "" && requirement.BuiltWith != "" && (by.Locked || by.Ref.Digest != "") {
		named, err := r.Project.Reference(ref.String())
		if err != nil {
			return "", err
		}
		if entry, err := r.Project.Locked(named); entry == nil || err != nil {
			ref.Digest = requirement.BuiltWith
			return ref.String(), err
		}
	}
	return ref.String(), nil
}

// choose notes which package of its repository a node is, of which there may be
// one.
func (c *closure) choose(node *Node, path []string) error {
	if node.Ref == (reference.Reference{}) {
		return nil
	}
	repository := node.Ref.Name()
	before, ok := c.chosen[repository]
	if !ok {
		c.chosen[repository] = choice{node.Ref, node.Package.Digest, path}
		return nil
	}
	if before.digest == node.Package.Digest {
		return nil
	}
	tag := node.Ref
	tag.Digest = ""
	if entry, err := c.resolver.Project.Locked(tag); err != nil {
		return err
	} else if _, settled := c.settled[repository]; entry != nil && !settled && before.ref.Tag == tag.Tag {
		c.settled[repository], c.again = tag, repository
		return fmt.Errorf("%s is looked up anew", tag) // which nobody sees
	}
	return c.conflict(before, node.Ref, path)
}

// conflict is the error for two packages of one repository.
func (c *closure) conflict(before choice, ref reference.Reference, path []string) error {
	return errdef.Errorf(errdef.ErrUsage, "two packages of %s cannot be linked together, %s by way of %s, and %s by way of %s; choose one under [overrides] in %s: %q = %q",
		ref.Name(), before.ref, strings.Join(before.path, " → "), ref, strings.Join(path, " → "), project.FileName, ref.Name(), ref)
}
