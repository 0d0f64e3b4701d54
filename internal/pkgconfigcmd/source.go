package pkgconfigcmd

import (
	"context"
	"os"
	"sync"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/resolve"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// source is where the packages of a call come from: the project around the
// working directory, and the user's store. Neither is looked at before it is
// needed.
type source struct {
	target func() (platform.Platform, error)
	// triple is the target that the program's name says; empty for none.
	triple string
	found  func() (*project.Project, error)
	// resolver is of all that a call looks up.
	resolver func() (*resolve.Resolver, error)
}

func newSource(program string) source {
	s := source{triple: triple(program)}
	s.target = sync.OnceValues(s.buildTarget)
	s.found = sync.OnceValues(func() (*project.Project, error) { return project.Find(".") })
	s.resolver = sync.OnceValues(s.newResolver)
	return s
}

// buildTarget gives the platform of the build. The name that the program was
// called by stands between OCIPKG_TARGET and GOOS.
func (s source) buildTarget() (platform.Platform, error) {
	if os.Getenv("OCIPKG_TARGET") != "" {
		return platform.Target("")
	}
	return platform.Target(s.triple)
}

// answers reports whether a name is that of a package which the project lists, or of a module of one.
func (s source) answers(ctx context.Context, name string) (bool, error) {
	p, err := s.found()
	if err != nil || len(p.Aliases()) == 0 {
		return false, err
	}
	if _, ok := p.Dependency(name); ok {
		return true, nil
	}
	resolver, err := s.resolver()
	if err != nil {
		return false, err
	}
	alias, _, err := resolver.Answer(ctx, name)
	return alias != "", err
}

// closure is what the packages of a call come to.
type closure struct {
	packages []*link.Package
	requests []link.Request // one for each name that was asked for
}

func (s source) newResolver() (*resolve.Resolver, error) {
	p, err := s.found()
	if err != nil {
		return nil, err
	}
	policy, err := project.PolicyFromEnv()
	if err != nil {
		return nil, err
	}
	from, err := store.Open("")
	if err != nil {
		return nil, err
	}
	return &resolve.Resolver{
		Store: from, Target: s.target, Fetcher: fetcher{store: from, source: s},
		Project: p, Locked: policy.Locked, Foreign: project.Foreign("."),
	}, nil
}

// closure gives the packages of those names, and all that they require.
func (s source) closure(ctx context.Context, names []string) (*closure, error) {
	resolver, err := s.resolver()
	if err != nil {
		return nil, err
	}
	roots, all, err := resolver.Closure(ctx, names)
	if err != nil {
		return nil, err
	}
	c := &closure{}
	c.packages, c.requests = link.FromNodes(roots, all)
	for _, p := range c.packages {
		if p.CPS == nil {
			p.CPS = &cps.Package{Name: p.Name}
		}
	}
	return c, nil
}
