package ocipkg

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/gosource"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/resolve"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// RestoreOptions say for which build packages are restored. The zero value
// restores them for a build on this machine.
type RestoreOptions struct {
	// Platform is the target, as in [GetOptions].
	Platform string
	// Tags are build tags of Go, with commas between.
	Tags string
}

// Restored is a package that a build needs.
type Restored struct {
	Package
	// Fetched tells that the store did not have it before.
	Fetched bool `json:"fetched"`
}

// Restore brings into the store what it lacks of the packages that a build in
// the working directory links: those under [dependencies] in ocipkg.toml, and
// those that the #cgo pkg-config directives of Go packages ask for, of the ones
// that patterns name (as for the go command; none is ./... in a Go module) and
// of all that these import, other modules' included; each with what it
// requires. A build needs that when Go's cache has come from elsewhere: a
// package that is cached does not ask pkg-config again. It gives all packages,
// sorted by name. What the store has is not looked up.
//
// What others' source asks for without a digest is not fetched, which is an
// error of kind [ErrVerification], unless OCIPKG_ALLOW_UNPINNED is 1.
func (c *Client) Restore(ctx context.Context, patterns []string, options RestoreOptions) ([]Restored, error) {
	restored, err := c.restore(ctx, patterns, options)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return restored, nil
}

func (c *Client) restore(ctx context.Context, patterns []string, options RestoreOptions) ([]Restored, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	target, err := platform.Target(options.Platform)
	if err != nil {
		return nil, err
	}
	own, err := project.Find(".")
	if err != nil {
		return nil, err
	}
	c.warnStale(own)
	c.warnSystemAliases(own)
	asked, err := c.asked(ctx, own, patterns, target, options.Tags)
	if err != nil {
		return nil, err
	}
	r := &restorer{client: c, target: target, progress: progressSum{report: c.Progress}, all: map[string]Restored{}}
	if r.fetched, err = c.restoreLocked(ctx, asked, target); err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(restoreAtOnce())
	for name, by := range asked {
		group.Go(func() error { return r.restore(ctx, name, by) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(r.all), func(a, b Restored) int {
		return strings.Compare(a.Name+" "+a.Digest.String(), b.Name+" "+b.Digest.String())
	}), nil
}

// restoreAtOnce is how many packages are fetched at once. Each is unpacked by
// as many workers as there are processors, and the memory that they take
// together is to stay that of eight.
func restoreAtOnce() int { return max(2, 8/runtime.GOMAXPROCS(0)) }

// asker is what asks for a package.
type asker struct {
	what    string           // for errors
	foreign bool             // it is somebody else's source
	in      *project.Project // whose lock counts; nil for none
}

// asked gives the names that a build asks for, aliases replaced by what they
// stand for.
func (c *Client) asked(ctx context.Context, own *project.Project, patterns []string, target Platform, tags string) (map[string]asker, error) {
	asked := map[string]asker{}
	if own != nil {
		for _, d := range own.Dependencies {
			asked[d.Reference()] = asker{what: project.FileName, in: own}
		}
	}
	if len(patterns) == 0 {
		if _, err := exec.LookPath("go"); err != nil || !gosource.InModule(".") {
			return asked, nil
		}
		patterns = []string{"./..."}
	}
	packages, err := gosource.List(ctx, patterns, gosource.ListOptions{Target: target, Tags: tags, Offline: c.Offline, Warn: c.warn})
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		in, err := own.For(p.Dir)
		if err != nil {
			return nil, err
		}
		by := asker{what: "the Go package " + p.ImportPath, foreign: p.IsForeign() || project.Foreign(p.Dir), in: in}
		for _, name := range p.CgoPkgConfig {
			if dependency, ok := by.in.Dependency(name); ok {
				name = dependency.Reference()
			} else if !reference.InPkgConfig(name) {
				continue
			}
			name, _ = reference.CutModule(name)
			// The user's own word for a name counts for others, too.
			if before, ok := asked[name]; !ok || before.foreign {
				asked[name] = by
			}
		}
	}
	return asked, nil
}

// restoreLocked brings into the store what it lacks of what locks have.
func (c *Client) restoreLocked(ctx context.Context, asked map[string]asker, target Platform) (fetched map[string]bool, err error) {
	var all []lockedBuild
	for name, by := range asked {
		ref, err := by.in.Reference(name)
		if err != nil {
			return nil, err
		}
		builds, err := lockedClosure(by.in, ref, target)
		if err != nil {
			return nil, fmt.Errorf("%s, which %s asks for: %w", name, by.what, err)
		}
		all = append(all, builds...)
	}
	return c.fetchLocked(ctx, all)
}

// restorer restores several packages at once.
type restorer struct {
	client   *Client
	target   Platform
	progress progressSum
	fetched  map[string]bool // by digest: what the lock had and the store had not

	mu  sync.Mutex
	all map[string]Restored // by digest and name
}

func (r *restorer) restore(ctx context.Context, name string, by asker) error {
	fetched := &restoreFetcher{restorer: r, digests: map[string]bool{}}
	resolver := &resolve.Resolver{Store: r.client.store, Target: fixed(r.target), Fetcher: fetched, Project: by.in, Locked: r.client.Locked, Foreign: by.foreign}
	_, all, err := resolver.Closure(ctx, []string{name})
	if err != nil {
		return fmt.Errorf("%s, which %s asks for: %w", name, by.what, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, node := range all {
		name := node.Name
		if node.Ref.Repository != "" {
			name = node.Ref.String() // with the project's overrides
		}
		key := node.Package.Digest + " " + name
		r.all[key] = Restored{Package: *toPackage(name, node.Package), Fetched: r.fetched[node.Package.Digest] || fetched.digests[node.Package.Digest] || r.all[key].Fetched}
	}
	return nil
}

// restoreFetcher is a [resolve.Fetcher] for what no lock has, and notes what it
// brought.
type restoreFetcher struct {
	*restorer
	digests map[string]bool
}

func (f *restoreFetcher) Fetch(ctx context.Context, ref reference.Reference, target platform.Platform) (*store.Package, error) {
	p, err := f.client.reporting(f.progress.part()).get(ctx, ref, target, GetOptions{})
	if err == nil {
		f.digests[p.Digest] = true
	}
	return p, err
}

// reporting gives a client like c, which is open, with the same connections and
// another Progress.
func (c *Client) reporting(progress func(done, total int64)) *Client {
	other := &Client{Warn: c.Warn, Progress: progress, Locked: c.Locked, Offline: c.Offline, Connections: c.Connections, registry: c.registry, mirrors: c.mirrors, store: c.store, limits: c.limits}
	other.once.Do(func() {})
	return other
}

// progressSum adds up transfers that are under way at the same time.
type progressSum struct {
	report func(done, total int64) // nil for nobody

	mu          sync.Mutex
	done, total int64 // bytes
}

// part gives a Progress for one of the transfers; nil when nobody is told.
func (s *progressSum) part() func(done, total int64) {
	if s.report == nil {
		return nil
	}
	var lastDone, lastTotal int64
	return func(done, total int64) {
		s.mu.Lock()
		s.done, s.total = s.done+done-lastDone, s.total+total-lastTotal
		lastDone, lastTotal = done, total
		done, total = s.done, s.total
		s.mu.Unlock()
		s.report(done, total)
	}
}
