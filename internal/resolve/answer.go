package resolve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
)

// listed is a package under [dependencies] of the project.
type listed struct {
	alias    string
	digest   string
	document *cps.Package // nil: there is nothing to link
}

// Answer returns the alias of the package under [dependencies] of the project which
// answers to a name, and the module of it that the name stands for: empty for the
// alias itself. An alias goes before a module of a listed package. The alias is empty
// where none answers, as for every reference: the name is the system's then. Packages
// that only listed ones require do not answer.
//
// For a name that is no alias all listed packages are looked at, and fetched where the
// store lacks them. One without a build for the target is passed over; one that cannot
// be had otherwise is an error, since it may have the module, and so are two that
// have it.
func (r *Resolver) Answer(ctx context.Context, name string) (alias, module string, err error) {
	if _, ok := r.Project.Dependency(name); ok {
		return name, "", nil
	}
	if name == "" || strings.ContainsAny(name, "/:@") {
		return "", "", nil
	}
	if err := r.list(ctx); err != nil {
		return "", "", fmt.Errorf("look up %s: %w", name, err)
	}
	digest := ""
	for _, l := range r.listed {
		found := modules(l.document)[name]
		if found == "" || l.digest == digest {
			continue
		}
		if alias != "" {
			return "", "", errdef.Errorf(errdef.ErrUsage, "look up %s: the dependencies %q and %q in %s both have a module of that name: give the alias %q to the one that is meant", name, alias, l.alias, project.FileName, name)
		}
		alias, module, digest = l.alias, found, l.digest
	}
	return alias, module, nil
}

// list looks up the packages that the project lists.
func (r *Resolver) list(ctx context.Context) error {
	if r.listed != nil {
		return nil
	}
	all := []listed{}
	own := r.Project.Aliases()
	for _, alias := range slices.Sorted(maps.Keys(own)) {
		by := *r
		by.Foreign = r.Foreign && !own[alias] // the user's own word for a package counts for others, too
		p, err := by.Package(ctx, alias)
		if errors.Is(err, errdef.ErrPlatform) {
			continue
		}
		if err != nil {
			return fmt.Errorf("the dependency %q may have a module of that name: %w", alias, err)
		}
		all = append(all, listed{alias, p.Digest, p.CPS})
	}
	r.listed = all
	return nil
}

// component returns the component of a package that the package's alias stands for; empty
// for none.
func component(of *cps.Package, alias string) string {
	if of == nil {
		return ""
	}
	found, err := of.Component(alias, alias)
	if err != nil || !of.Components[found].Linkable() {
		return ""
	}
	return found
}

// modules returns what a package answers to where a project lists it, beside its alias: the
// component by each name that does not have to say of which package it is. These are the
// names that pkg-config knows, and those that the producer lists.
func modules(of *cps.Package) map[string]string {
	if of == nil {
		return nil
	}
	all := map[string]string{}
	for name, c := range of.Components {
		if !c.Linkable() {
			continue
		}
		if c.PkgConfig != nil {
			all[name] = name
		}
		for _, other := range c.Names {
			if !strings.Contains(other, "::") {
				all[other] = name
			}
		}
	}
	return all
}

// Modules returns the names that a package answers to where a project lists it, beside
// its alias, sorted.
func Modules(of *cps.Package) []string { return slices.Sorted(maps.Keys(modules(of))) }
