package ocipkg

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/resolve"
	"github.com/ocipkg/ocipkg/internal/system"
	"github.com/ocipkg/ocipkg/platform"
)

// The formats that [Client.Link] writes.
const (
	FormatShell = "shell" // arguments for a compiler, quoted for a shell
	FormatCargo = "cargo" // directives of a cargo build script
	FormatJSON  = "json"  // everything, with its structure
	FormatCPS   = "cps"   // the CPS document of one package, with the paths that its files have here
)

// LinkOptions say how packages are linked. The zero value gives a shell all
// arguments for linking statically on this machine.
type LinkOptions struct {
	// Format is one of the formats above; empty is [FormatShell].
	Format string
	// Platform is the target, as in [GetOptions].
	Platform string
	// Shared links shared libraries, Static static ones, whatever the project says. With neither, it decides, and static is
	// the default.
	Shared, Static bool
	// OnlyCompile and OnlyLink leave out, in the format for a shell, what is
	// not for the compiler, or not for the linker.
	OnlyCompile, OnlyLink bool
	// AllowFlags are flags that packages may ask for beyond those that can do
	// no more than compile and link, and beside those that the project allows:
	// each as the error has it that refuses it.
	AllowFlags []string
}

// Link says how a build links the packages of those names, in text without a
// newline at its end; without names those of the project's [dependencies], all in
// one. What the store does not have is fetched first; a tag that it has is not
// looked up again.
func (c *Client) Link(ctx context.Context, names []string, options LinkOptions) (string, error) {
	out, err := c.link(ctx, names, options)
	if err != nil {
		return "", inLink(joined(names), err)
	}
	return out, nil
}

// orDependencies returns names, or the aliases of the project where there are none.
func orDependencies(names []string, of *project.Project) ([]string, error) {
	switch {
	case len(names) > 0:
		return names, nil
	case of == nil:
		return nil, errdef.Errorf(errdef.ErrUsage, "there is no %s here that says what to link: give the name of a package", project.FileName)
	case len(of.Dependencies) == 0:
		return nil, errdef.Errorf(errdef.ErrUsage, "%s has no [dependencies]: give the name of a package, or run: ocipkg add NAME", filepath.Join(of.Root, project.FileName))
	}
	return slices.Sorted(maps.Keys(of.Dependencies)), nil
}

// joined names what is linked in an error.
func joined(names []string) string {
	return cmp.Or(strings.Join(names, " "), "[dependencies]")
}

// inLink says of an error what was linked, unless it does so itself: those of package link name the package.
func inLink(names string, err error) error {
	if action := "link " + names; !strings.HasPrefix(err.Error(), action+":") && !strings.HasPrefix(err.Error(), action+" ") {
		return fmt.Errorf("%s: %w", action, err)
	}
	return err
}

func (c *Client) link(ctx context.Context, names []string, options LinkOptions) (string, error) {
	if err := options.checkFormat(); err != nil {
		return "", err
	}
	if options.Format == FormatCPS && len(names) != 1 {
		return "", errdef.Errorf(errdef.ErrUsage, "the format %s is that of one package; give one name", FormatCPS)
	}
	if err := c.open(); err != nil {
		return "", err
	}
	resolver, err := c.resolver(options.Platform)
	if err != nil {
		return "", err
	}
	if names, err = orDependencies(names, resolver.Project); err != nil {
		return "", err
	}
	roots, all, err := resolver.Closure(ctx, names)
	if err != nil {
		return "", err
	}
	var changed []string
	for _, n := range all {
		changed = append(changed, filepath.ToSlash(filepath.Join(filepath.Dir(n.Package.Root), "files")))
	}
	if of := resolver.Project; of != nil {
		changed = append(changed, filepath.ToSlash(filepath.Join(of.Root, project.FileName)))
		// Of a file that is not there cargo says with each build that it changed.
		if lock, err := of.Lock(); err == nil && lock != nil {
			changed = append(changed, filepath.ToSlash(of.LockPath()))
		}
	}
	target, err := resolver.Target()
	if err != nil {
		return "", err
	}
	packages, requests := link.FromNodes(roots, all)
	opts := link.Options{OS: target.OS, Env: cmp.Or(target.Env, target.Libc), AllowFlags: slices.Concat(options.AllowFlags, resolver.Project.AllowFlags())}
	for i := range requests {
		requests[i].Shared = sharing(requests[i].Shared, options.Shared, options.Static)
	}
	opts.Shared = !slices.ContainsFunc(requests, func(r link.Request) bool { return r.Shared != project.Shared })
	flags, err := link.Link(packages, requests, opts)
	if err != nil {
		return "", err
	}
	if err := c.linkSystem(flags, packages, opts, target, options.Format); err != nil {
		return "", err
	}
	if options.Format == FormatCPS {
		raw, err := link.CPS(requests[0].Package, opts)
		return strings.TrimSpace(string(raw)), err
	}
	return render(flags, changed, options)
}

// sharing returns how a package is linked for which the project says what, and the command line perhaps something else.
func sharing(what project.Sharing, shared, static bool) project.Sharing {
	switch {
	case shared:
		return project.Shared
	case static:
		return project.Static
	}
	return what
}

// linkSystem adds what the system's pkg-config has of the modules that packages require; for a reader of CPS, which looks
// them up itself, it finds out whether they are there.
func (c *Client) linkSystem(flags *link.Flags, packages []*link.Package, opts link.Options, target Platform, format string) error {
	if len(flags.System) == 0 {
		return nil
	}
	real := system.PkgConfig{Packages: packages, Options: opts}
	if other := target.OS != runtime.GOOS || target.Architecture != runtime.GOARCH; other && os.Getenv("PKG_CONFIG_LIBDIR")+os.Getenv("PKG_CONFIG_SYSROOT_DIR")+os.Getenv("OCIPKG_REAL_PKG_CONFIG") == "" {
		return errdef.Errorf(errdef.ErrNotFound, "%s requires %s of the system, and this machine's pkg-config knows nothing of %s: set OCIPKG_REAL_PKG_CONFIG to a pkg-config for it, or PKG_CONFIG_LIBDIR to where its modules are", flags.System[0].By, flags.System[0].Name, target)
	}
	defer real.Close()
	if format == FormatCPS {
		return real.Check(flags.System)
	}
	return real.Complete(flags)
}

// resolver resolves names for a build in the working directory.
func (c *Client) resolver(target string) (*resolve.Resolver, error) {
	of, err := project.Find(".")
	if err != nil {
		return nil, err
	}
	c.warnStale(of)
	return &resolve.Resolver{
		Store:   c.store,
		Target:  sync.OnceValues(func() (Platform, error) { return platform.Target(target) }),
		Fetcher: fetcher{c, of},
		Project: of,
		Locked:  c.Locked,
		Foreign: project.Foreign("."),
	}, nil
}

// warnStale tells the user of a lock that does not go with the project file, which
// then is not what decides on all.
func (c *Client) warnStale(of *project.Project) {
	if lock, err := of.Lock(); c.Locked || err != nil || lock == nil {
		return
	}
	if err := of.CheckLock(); err != nil {
		c.warn(err.Error())
	}
}

func (o LinkOptions) checkFormat() error {
	if slices.Contains([]string{"", FormatShell, FormatCargo, FormatJSON, FormatCPS}, o.Format) {
		return nil
	}
	return errdef.Errorf(errdef.ErrUsage, "the format %q is not known; choose %s, %s, %s or %s", o.Format, FormatShell, FormatCargo, FormatJSON, FormatCPS)
}

func render(flags *link.Flags, changed []string, options LinkOptions) (string, error) {
	switch options.Format {
	case FormatCargo:
		text, err := flags.Cargo(link.CargoOptions{RerunIfChanged: changed})
		return strings.TrimSpace(text), err
	case FormatJSON:
		raw, err := flags.JSON()
		return strings.TrimSpace(string(raw)), err
	}
	parts := link.AllArgs
	switch {
	case options.OnlyCompile && !options.OnlyLink:
		parts = link.CompileArgs
	case options.OnlyLink && !options.OnlyCompile:
		parts = link.LinkArgs
	}
	return flags.Shell(parts), nil
}
