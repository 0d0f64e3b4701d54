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
}

func newSource(program string) source {
	s := source{triple: triple(program)}
	s.target = sync.OnceValues(s.buildTarget)
	s.found = sync.OnceValues(func() (*project.Project, error) { return project.Find(".") })
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

// alias gives the dependency of the project that goes by that name.
func (s source) alias(name string) (project.Dependency, bool, error) {
	p, err := s.found()
	if err != nil {
		return project.Dependency{}, false, err
	}
	d, ok := p.Dependency(name)
	return d, ok, nil
}

// closure is what the packages of a call come to.
type closure struct {
	packages []*link.Package
	requests []link.Request // one for each name that was asked for
}

// closure gives the packages of those names, and all that they require.
func (s source) closure(ctx context.Context, names []string) (*closure, error) {
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
	resolver := resolve.Resolver{
		Store: from, Target: s.target, Fetcher: fetcher{store: from, source: s},
		Project: p, Locked: policy.Locked, Foreign: project.Foreign("."),
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
