package ocipkg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/resolve"
	"github.com/ocipkg/ocipkg/internal/scratch"
	"github.com/ocipkg/ocipkg/internal/system"
	"github.com/ocipkg/ocipkg/platform"
)

// AddOptions say how a dependency is added. The zero value names it after its
// repository.
type AddOptions struct {
	// Alias is what the project calls the package; empty is the last part of
	// the repository's name.
	Alias string
}

// Added is a dependency that a project has now.
type Added struct {
	Alias string `json:"alias"`
	Name  string `json:"name"`
	// File is the project file.
	File string `json:"file"`
	// Names are those that the package answers to in builds of the project: the
	// alias, then its modules, sorted.
	Names []string `json:"names"`
	// Changes are those of the lock.
	Changes []LockChange `json:"changes"`
}

// Add adds a package to [dependencies] of the project that the working
// directory is part of, and to its lock with all that it requires. A project
// file that is not there is made in the working directory. An alias that the
// project has stands for the new name from then on when that is of the same
// repository. When the package is not to be had, nothing is changed. A name that the
// system's pkg-config has, too, is a warning.
func (c *Client) Add(ctx context.Context, name string, options AddOptions) (Added, error) {
	added, err := c.add(ctx, name, options)
	if err != nil {
		return Added{}, fmt.Errorf("add %s: %w", name, err)
	}
	return added, nil
}

func (c *Client) add(ctx context.Context, name string, options AddOptions) (Added, error) {
	ref, err := reference.Parse(name)
	if err != nil {
		return Added{}, err
	}
	if ref.Tag == reference.DefaultTag && !strings.Contains(name, "@") && !strings.HasSuffix(name, ":"+reference.DefaultTag) {
		name += ":" + reference.DefaultTag // in the file it is to be seen
	}
	alias := options.Alias
	if alias == "" {
		alias = path.Base(ref.Repository)
	}
	of, err := project.Find(".")
	if err != nil {
		return Added{}, err
	}
	if of == nil {
		if of, err = newProjectHere(); err != nil {
			return Added{}, err
		}
	}
	file, changes, err := c.edit(ctx, of, func(text []byte) ([]byte, error) {
		if options.Alias == "" {
			if err := mayStandFor(of, text, alias, ref); err != nil {
				return nil, err
			}
		}
		return project.WithDependency(text, alias, name)
	})
	if err != nil {
		return Added{}, err
	}
	added := Added{Alias: alias, Name: ref.String(), File: file, Changes: changes}
	if added.Names, err = c.answers(ctx, of, alias); err != nil {
		c.warn(fmt.Sprintf("which modules %s has is not known: %v", ref, err))
	}
	c.warnSystem(added.Names, func(name string) string {
		if name == alias {
			return ref.String()
		}
		return ref.String() + "+" + name
	})
	return added, nil
}

// answers returns the names that the package of an alias answers to in builds of a
// project: the alias first.
func (c *Client) answers(ctx context.Context, of *project.Project, alias string) ([]string, error) {
	names := []string{alias}
	of, err := of.Again()
	if err != nil {
		return names, err
	}
	document, err := c.describedAs(ctx, of, alias)
	for _, module := range resolve.Modules(document) {
		if _, other := of.Dependency(module); !other {
			names = append(names, module)
		}
	}
	return names, err
}

// describedAs returns the link description of a dependency, as the store has it or as
// the package comes; nil for none. Of several builds it is that of this machine, or
// else the first.
func (c *Client) describedAs(ctx context.Context, of *project.Project, alias string) (*cps.Package, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	ref, err := of.Reference(alias)
	if err != nil {
		return nil, err
	}
	locked, err := of.Locked(ref)
	if err != nil || locked == nil {
		return nil, err
	}
	build, err := locked.Choose(func() (Platform, error) { return platform.Target("") })
	if err != nil {
		build = &locked.Builds[0]
	}
	if p, err := c.store.Package(build.Digest); err == nil {
		return p.CPS, nil
	}
	from, err := c.source(ref)
	if err != nil {
		return nil, err
	}
	top, raw, err := from.Manifest(ctx, build.Digest)
	if err != nil {
		return nil, err
	}
	pkg, err := artifact.OpenManifest(ctx, stored{from, c.store}, top, raw)
	if err != nil {
		return nil, err
	}
	return pkg.Config.CPS, nil
}

// warnSystem says which names the system's pkg-config has, too: a build that asks it,
// and not ocipkg, links another library, and ocipkg never hears of it. Reference says
// how else the package of a name is asked for.
func (c *Client) warnSystem(names []string, reference func(name string) string) {
	has := system.Has(names)
	if len(has) == 0 {
		return
	}
	const most = 10
	list := strings.Join(has[:min(len(has), most)], ", ")
	if len(has) > most {
		list += fmt.Sprintf(" and %d more", len(has)-most)
	}
	c.warn(fmt.Sprintf("the system's pkg-config has %s, too: a build that does not ask ocipkg, for want of eval $(ocipkg env), links the system's without a word; where that may happen, name packages by reference, as in #cgo pkg-config: %s", list, reference(has[0])))
}

// warnSystemAliases does that for the aliases of a project, which may be nil.
func (c *Client) warnSystemAliases(of *project.Project) {
	c.warnSystem(slices.Sorted(maps.Keys(of.Aliases())), func(alias string) string {
		ref, _ := of.Reference(alias)
		return ref.String()
	})
}

// mayStandFor refuses an alias that the text of a project file has for another
// repository.
func mayStandFor(of *project.Project, text []byte, alias string, ref reference.Reference) error {
	now, err := of.WithText(text)
	if err != nil {
		return err
	}
	d, ok := now.Dependencies[alias]
	if !ok {
		return nil
	}
	if before, err := reference.Parse(d.Reference()); err == nil && before.Name() != ref.Name() {
		return errdef.Errorf(errdef.ErrUsage, "it has %s as %s already; choose another name with --as, or the same to replace it", alias, before)
	}
	return nil
}

// newProjectHere gives the project that the working directory would be the root
// of.
func newProjectHere() (*project.Project, error) {
	root, err := filepath.Abs(".")
	return &project.Project{Root: root}, err
}

// Remove takes the dependency of that alias from the project that the working
// directory is part of, and from its lock what nothing else requires. It gives
// what changed in the lock.
func (c *Client) Remove(ctx context.Context, alias string) ([]LockChange, error) {
	changes, err := c.remove(ctx, alias)
	if err != nil {
		return nil, fmt.Errorf("remove %s: %w", alias, err)
	}
	return changes, nil
}

func (c *Client) remove(ctx context.Context, alias string) ([]LockChange, error) {
	of, err := here()
	if err != nil {
		return nil, err
	}
	if _, ok := of.Dependencies[alias]; !ok {
		has := "it has none"
		if len(of.Dependencies) > 0 {
			has = "it has " + strings.Join(slices.Sorted(maps.Keys(of.Dependencies)), ", ")
		}
		return nil, errdef.Errorf(errdef.ErrNotFound, "%s has no such dependency; %s", filepath.Join(of.Root, project.FileName), has)
	}
	_, changes, err := c.edit(ctx, of, func(text []byte) ([]byte, error) { return project.WithoutDependency(text, alias) })
	return changes, err
}

// edit changes the text of a project file, and the lock with it. When the lock
// cannot be written for the new text, the old one stays.
func (c *Client) edit(ctx context.Context, of *project.Project, change func([]byte) ([]byte, error)) (file string, changes []LockChange, err error) {
	ctx, err = c.begin(ctx)
	if err != nil {
		return "", nil, err
	}
	if err := c.mayLock(); err != nil {
		return "", nil, err
	}
	release, err := c.lockProject(ctx, of.Root)
	if err != nil {
		return "", nil, err
	}
	defer release()
	file = filepath.Join(of.Root, project.FileName)
	for range maxEdits {
		changes, err = c.editOnce(ctx, of, file, change)
		if !errors.Is(err, errEdited) {
			return file, changes, err
		}
	}
	return file, nil, fmt.Errorf("%s is changed by another program all the time; try again when nothing writes to it", file)
}

const maxEdits = 10

var errEdited = errors.New("the file was changed meanwhile")

// editOnce is one try at an edit. Looking up what the lock is to have takes
// time, in which somebody else may have changed the file: that is errEdited.
func (c *Client) editOnce(ctx context.Context, of *project.Project, file string, change func([]byte) ([]byte, error)) ([]LockChange, error) {
	before, err := readOrNil(file)
	if err != nil {
		return nil, err
	}
	after, err := change(before)
	if err != nil {
		return nil, errdef.Errorf(errdef.ErrUsage, "%s: %w", file, err)
	}
	next, err := of.WithText(after)
	if err != nil {
		return nil, err
	}
	lock, changes, err := c.newLock(ctx, next, LockOptions{}, nil)
	if err != nil {
		return nil, err
	}
	if now, err := readOrNil(file); err != nil || !bytes.Equal(now, before) {
		return nil, errors.Join(err, errEdited)
	}
	// All that may be needed is written before anything is in place: where a disk
	// is full, what was there could not be written again.
	edited, err := stageFile(file, after)
	if err != nil {
		return nil, err
	}
	defer edited.drop()
	undo := func() error { return os.Remove(file) }
	if before != nil {
		old, err := stageFile(file, before)
		if err != nil {
			return nil, err
		}
		defer old.drop()
		undo = old.place
	}
	locked, err := stageLock(next, lock)
	if err != nil {
		return nil, err
	}
	defer locked.drop()
	if err := edited.place(); err != nil {
		return nil, err
	}
	if err := c.placeLock(next, locked); err != nil {
		return nil, errors.Join(err, undo())
	}
	return changes, nil
}

// readOrNil reads a file; nil when it is not there.
func readOrNil(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// lockProject keeps other processes from changing a project's files, so that
// none writes over what another added.
func (c *Client) lockProject(ctx context.Context, root string) (release func(), err error) {
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real // by whichever way others came to it
	}
	lock, err := c.store.Lock(ctx, "project-"+digest.FromString(root).Encoded(), false)
	if err != nil {
		return nil, err
	}
	scratch.Sweep(root)
	return lock.Release, nil
}
