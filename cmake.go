package ocipkg

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ocipkg/ocipkg/integrations/cmake"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/resolve"
	"github.com/ocipkg/ocipkg/platform"
)

// CMakeOptions say how a package is presented to CMake.
type CMakeOptions struct {
	// Name is the name that find_package is given, such as ZLIB. It must not be
	// empty.
	Name string
	// Directory is where the files are written: <Name>Config.cmake and
	// <Name>ConfigVersion.cmake. It is made where it is not there.
	Directory string
	// Platform is the target, as in [GetOptions].
	Platform string
	// Shared links shared libraries, Static static ones whatever the project's
	// [dependencies] say. With neither, they decide, and static is the default.
	Shared, Static bool
	// AllowFlags are as in [LinkOptions].
	AllowFlags []string
}

// CMake writes the files with which CMake's find_package finds the package of
// that name, a reference or an alias of the project's [dependencies]. What the
// store does not have is fetched first.
func (c *Client) CMake(ctx context.Context, name string, options CMakeOptions) error {
	if err := c.cmake(ctx, name, options); err != nil {
		return fmt.Errorf("prepare %s for CMake: %w", name, err)
	}
	return nil
}

func (c *Client) cmake(ctx context.Context, name string, options CMakeOptions) error {
	ctx, err := c.begin(ctx)
	if err != nil {
		return err
	}
	resolver, err := c.resolver(options.Platform)
	if err != nil {
		return err
	}
	roots, all, err := resolver.Closure(ctx, []string{name})
	if err != nil {
		return err
	}
	target, err := resolver.Target()
	if err != nil {
		return err
	}
	packages, requests := link.FromNodes(roots, all)
	requests[0] = asked(requests[0], name, options.Name, resolver.Project)
	o := link.CMakeOptions{Name: options.Name, Exists: isDirectory}
	o.OS, o.Env, o.AllowFlags = target.OS, target.Env, slices.Concat(options.AllowFlags, resolver.Project.AllowFlags())
	how := sharing(roots[0].Shared, options.Shared, options.Static)
	o.Shared, o.Fallback = how == project.Shared, how == project.Fallback
	o.Depends = c.watched(resolver.Project, all)
	config, version, err := link.CMake(packages, requests[0], o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(options.Directory, 0o777); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(options.Directory, options.Name+"Config.cmake"), []byte(config), 0o666),
		os.WriteFile(filepath.Join(options.Directory, options.Name+"ConfigVersion.cmake"), []byte(version), 0o666),
	)
}

// asked is the request for a dependency that find_package asks for by another
// name than its alias: that of one of its modules means that module.
func asked(request link.Request, alias, name string, of *project.Project) link.Request {
	dependency, isAlias := of.Dependency(alias)
	if isAlias && len(request.Components) == 0 && dependency.CMake == "" && !strings.EqualFold(alias, name) {
		if component, err := request.Package.CPS.Component(name, alias); err == nil {
			request.Components = []string{component}
		}
	}
	return request
}

// watched lists the files that decide what the packages are: the lock, the notes
// of what names stand for that it does not have, which get renews, and one of each package that is never
// written again, so that CMake asks anew when it is gone.
func (c *Client) watched(of *project.Project, all []*resolve.Node) []string {
	var files []string
	locked := false
	for _, n := range all {
		files = append(files, filepath.ToSlash(filepath.Join(filepath.Dir(n.Package.Root), "files")))
		locked = locked || n.Locked
		if n.Locked || n.Ref.Digest != "" || n.Ref.Repository == "" {
			continue // the lock decides, or it stands for the same forever
		}
		if _, err := os.Stat(c.store.RefPath(n.Ref)); err == nil {
			files = append(files, filepath.ToSlash(c.store.RefPath(n.Ref)))
		}
	}
	if locked {
		files = append(files, filepath.ToSlash(of.LockPath()))
	}
	return files
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// CMakeProject gives, as CMake code, what ocipkg.cmake wants to know of the
// project that the working directory is in. The target follows from the values
// of CMake's own variables, unless platform, as in [GetOptions], or the
// environment's OCIPKG_TARGET says it.
//
// The packages of [dependencies] are fetched for it, but for those without a
// build for the target.
func (c *Client) CMakeProject(ctx context.Context, target string, variables map[string]string) (string, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return "", err
	}
	p := link.CMakeProject{Answers: map[string]string{}, Doubtful: map[string]string{}, Target: target}
	if p.Target == "" {
		p.Target = os.Getenv("OCIPKG_TARGET")
	}
	if p.Target == "" {
		p.Target = cmakeTarget(variables)
	}
	if _, err := platform.Parse(p.Target); err != nil {
		return "", fmt.Errorf("find out what CMake builds for: %w, or set OCIPKG_TARGET", err)
	}
	if info, err := os.Stat(c.store.Path("refs")); err == nil {
		p.State = info.ModTime().UTC().Format(time.RFC3339Nano)
	}
	resolver, err := c.resolver(p.Target)
	if err != nil {
		return "", err
	}
	if resolver.Project != nil {
		if err := describeProject(&p, resolver.Project); err != nil {
			return "", err
		}
		if err := c.list(ctx, &p, resolver); err != nil {
			return "", err
		}
	}
	return p.Text()
}

// list describes the packages that the project lists, and has them answer to
// their own names where no alias does. One that has no build for the target is
// passed over: what it would answer is the system's there.
func (c *Client) list(ctx context.Context, p *link.CMakeProject, resolver *resolve.Resolver) error {
	taken, roots := maps.Clone(p.Answers), map[string]string{}
	for _, alias := range slices.Sorted(maps.Keys(resolver.Project.Dependencies)) {
		found, all, err := resolver.Closure(ctx, []string{alias})
		if errors.Is(err, errdef.ErrPlatform) {
			continue
		}
		if err != nil {
			return fmt.Errorf("prepare %s for CMake: %w", alias, err)
		}
		packages, requests := link.FromNodes(found, all)
		for _, pkg := range packages { // before CMake is told of directories
			if err := pkg.MayBeLinked(resolver.Project.AllowFlags()); err != nil {
				return err
			}
		}
		if l := requests[0].Package.List(alias, packages, found[0].Shared, isDirectory); len(l.Includes)+len(l.LibraryDirs) > 0 {
			p.Listed = append(p.Listed, l) // else nobody can ask for what it has
		}
		roots[alias] = requests[0].Package.Root
		p.Depends = append(p.Depends, c.watched(resolver.Project, all)...)
		for _, name := range requests[0].Package.CMakeNames() {
			name = strings.ToLower(name)
			switch other, ok := p.Answers[name]; {
			case taken[name] != "" || ok && roots[other] == roots[alias]:
			case ok:
				p.Doubtful[name] = fmt.Sprintf("the packages %s and %s of [dependencies] both have %s: make it the alias of the one that is meant, or its cmake = …", other, alias, name)
			default:
				p.Answers[name] = alias
			}
		}
	}
	for name := range p.Doubtful {
		delete(p.Answers, name)
	}
	return nil
}

func describeProject(p *link.CMakeProject, of *project.Project) error {
	p.Root = filepath.ToSlash(of.Root)
	for _, name := range []string{project.FileName, "ocipkg.lock"} {
		if _, err := os.Stat(filepath.Join(of.Root, name)); err == nil {
			p.Files = append(p.Files, p.Root+"/"+name)
		}
	}
	for _, alias := range slices.Sorted(maps.Keys(of.Dependencies)) {
		for _, name := range link.CMakeNames(alias, of.Dependencies[alias].CMake) {
			name = strings.ToLower(name)
			if other, taken := p.Answers[name]; taken {
				return errdef.Errorf(errdef.ErrUsage, "read %s/%s: the dependencies %q and %q both answer to find_package(%s); give one of them another name with cmake = …", p.Root, project.FileName, other, alias, name)
			}
			p.Answers[name] = alias
		}
	}
	return nil
}

// CMakeDirectory gives the directory that has ocipkg.cmake, which it writes
// where it is not there. Its name follows from the file's content: a build keeps
// the file that it was configured with.
func (c *Client) CMakeDirectory() (string, error) {
	if err := c.open(); err != nil {
		return "", err
	}
	// CMake gets it in lists of directories, and quotes these for itself.
	where := c.store.Dir()
	if c.store.Others() { // what CMake runs is the user's own
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		where = filepath.Join(cache, "ocipkg")
	}
	if strings.ContainsAny(filepath.ToSlash(strings.TrimPrefix(where, filepath.VolumeName(where))), link.CMakeUnfit+`"`) {
		return "", errdef.Errorf(errdef.ErrUsage, "write %s: it goes to %s, and CMake takes no directory with one of %s\" in its name: set OCIPKG_HOME to another one", cmake.ModuleName, where, link.CMakeUnfit)
	}
	sum := sha256.Sum256(cmake.Module)
	dir := filepath.Join(where, "cmake", fmt.Sprintf("%x", sum[:8]))
	if err := c.writeModule(context.Background(), dir); err != nil {
		return "", fmt.Errorf("write %s: %w", cmake.ModuleName, c.store.Explain(err))
	}
	return dir, nil
}

func (c *Client) writeModule(ctx context.Context, dir string) error {
	name := filepath.Join(dir, cmake.ModuleName)
	if there, err := os.ReadFile(name); err == nil && string(there) == string(cmake.Module) {
		return nil
	}
	if c.store.Others() {
		return errors.Join(os.MkdirAll(dir, 0o700), rewriteFile(name, cmake.Module))
	}
	lock, err := c.store.Lock(ctx, "cmake-"+filepath.Base(dir), false)
	if err != nil {
		return err
	}
	defer lock.Release()
	return c.store.WriteFile(lock, name, cmake.Module)
}
