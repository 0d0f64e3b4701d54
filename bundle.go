package ocipkg

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ocipkg/ocipkg/internal/bundle"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
)

// BundleOptions say how shared libraries are copied. The zero value copies
// those for this machine, and overwrites nothing.
type BundleOptions struct {
	// Platform is the target, as in [GetOptions].
	Platform string
	// Force replaces files in the directory that are different.
	Force bool
}

// Bundle copies into the directory dir, which is made when it is not there, the
// shared libraries that a program linked with the packages of those names needs
// when it runs: those of the whole closure, each under its own name, with a link
// of the name that programs ask for (on Windows, a single file of that name).
// Without names they are the project's [dependencies]. Of what the project links
// statically where it can, or always, there are no more than are linked then.
// It gives the paths of all of them, sorted; what is there already and the same
// is left alone. Packages that are missing are fetched, as by [Client.Link].
//
// A file that is there and different is an error of kind [ErrUsage] without
// Force; nothing is copied then. Packages without any shared library are one of
// kind [ErrNotFound].
func (c *Client) Bundle(ctx context.Context, dir string, names []string, options BundleOptions) ([]string, error) {
	done, err := c.bundle(ctx, dir, names, options)
	if err != nil {
		return nil, fmt.Errorf("bundle %s into %s: %w", joined(names), dir, err)
	}
	return done, nil
}

func (c *Client) bundle(ctx context.Context, dir string, names []string, options BundleOptions) ([]string, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	resolver, err := c.resolver(options.Platform)
	if err != nil {
		return nil, err
	}
	if _, isAlias := resolver.Project.Dependency(dir); len(names) == 0 && (isAlias || strings.ContainsAny(strings.TrimPrefix(dir, filepath.VolumeName(dir)), ":@")) {
		return nil, errdef.Errorf(errdef.ErrUsage, "%s is the name of a package: give a directory before it", dir)
	}
	if names, err = orDependencies(names, resolver.Project); err != nil {
		return nil, err
	}
	roots, all, err := resolver.Closure(ctx, names)
	if err != nil {
		return nil, err
	}
	target, err := resolver.Target()
	if err != nil {
		return nil, err
	}
	packages, requests := link.FromNodes(roots, all)
	flags, err := link.Link(packages, requests, link.Options{Shared: true, OS: target.OS, Env: cmp.Or(target.Env, target.Libc), FilesOnly: true})
	if err != nil {
		return nil, err
	}
	return bundle.Copy(dir, flags.RuntimeFiles, bundle.Options{
		Search: flags.RPathDirs,
		Links:  target.OS != "windows",
		Force:  options.Force,
	})
}
