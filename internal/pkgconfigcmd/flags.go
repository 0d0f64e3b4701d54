package pkgconfigcmd

import (
	"cmp"
	"os"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
	"github.com/ocipkg/ocipkg/internal/system"
)

// linkOptions says how packages are linked on the target. Meson looks for archives of all the names that --libs --static
// gives, the system's too: so libraries that are no archives have no names there. CMake, which takes no paths, asks for
// names alone.
func (c *command) linkOptions() (link.Options, error) {
	target, err := c.source.target()
	if err != nil {
		return link.Options{}, err
	}
	of, err := c.source.found()
	byPath := c.static && c.parts&link.LinkArgs == link.LinkArgs
	return link.Options{Shared: c.request.shared, ByPath: byPath, OS: target.OS, Env: cmp.Or(target.Env, target.Libc), AllowFlags: of.AllowFlags()}, err
}

// linkFlags gives the flags that are asked for, ours before the system's. With
// no flags asked for, it finds out whether there could be some.
func (c *command) linkFlags() (string, error) {
	flags, err := c.link()
	if err != nil {
		return "", err
	}
	// As pkgconf prints them: each with a blank behind it.
	var out strings.Builder
	if err := c.checkForGo(flags); err != nil {
		return "", err
	}
	for _, arg := range flags.Args(c.parts | repeated()) {
		out.WriteString(link.Quote(arg) + " ")
	}
	others, err := c.systemFlags(flags)
	if err != nil {
		return "", err
	}
	out.WriteString(others)
	if c.parts == 0 {
		return "", nil
	}
	return out.String() + "\n", nil
}

// repeated asks for groups without flags, where CMake's pkg_check_modules asks: it puts flags before all libraries. The
// module ocipkg.cmake says so.
func repeated() link.Part {
	if os.Getenv("OCIPKG_CALLER") == "cmake" {
		return link.Repeated
	}
	return 0
}

// checkForGo refuses, where cmd/go asks, what it would build a wrong program
// with: it hands linker flags on in a comment of the Go source that it makes, in
// which some characters mean something else.
func (c *command) checkForGo(flags *link.Flags) error {
	if os.Getenv("TOOLEXEC_IMPORTPATH") == "" { // which cmd/go sets for all that it runs for a package
		return nil
	}
	for _, arg := range flags.Args(link.LinkArgs & c.parts) {
		if strings.ContainsAny(arg, `"\`) {
			return errdef.Errorf(errdef.ErrUsage, `the go command takes no linker flag with " or \ in it, such as %s: set OCIPKG_HOME to a directory with another name`, arg)
		}
	}
	return nil
}

// link links the names that are ours.
func (c *command) link() (*link.Flags, error) {
	var requests []link.Request
	for _, n := range c.names {
		if n.ours {
			requests = append(requests, n.link)
		}
	}
	options, err := c.linkOptions()
	if err != nil {
		return nil, err
	}
	return link.Link(c.found.packages, requests, options)
}

// systemFlags asks the real pkg-config for the system's packages of the call
// and of the closure, all at once where it can be.
func (c *command) systemFlags(flags *link.Flags) (string, error) {
	compile, linked := arguments(c.systemNames()), arguments(c.systemNames())
	var needed []string
	for _, s := range flags.System {
		dependencies, err := system.Dependencies(s)
		if err != nil {
			return "", err
		}
		needed = append(needed, dependencies...)
		if s.Compile {
			compile = appendMissing(compile, dependencies)
		}
		if s.Link {
			linked = appendMissing(linked, dependencies)
		}
	}
	about := ""
	if len(needed) > 0 {
		about = strings.Join(needed, ", ") + ", which packages of this call require"
	}
	switch {
	case c.parts == 0:
		return c.askFlags(about, []string{"--exists"}, appendMissing(compile, linked))
	case slices.Equal(compile, linked):
		return c.askFlags(about, slices.Concat(c.compileModes, c.linkModes), compile)
	}
	forCompiler, err := c.askFlags(about, c.compileModes, compile)
	if err != nil {
		return "", err
	}
	forLinker, err := c.askFlags(about, c.linkModes, linked)
	return forCompiler + forLinker, err
}

// askFlags asks the real pkg-config for flags of those names; with no mode or
// no name it asks nothing.
func (c *command) askFlags(about string, modes, names []string) (string, error) {
	if len(modes) == 0 || len(names) == 0 {
		return "", nil
	}
	args := append([]string{"--print-errors"}, modes...)
	if c.static {
		args = append(args, "--static")
	}
	if c.shortErrors {
		args = append(args, "--short-errors")
	}
	out, err := c.ask(about, append(append(args, "--"), names...)...)
	if err != nil {
		return "", err
	}
	return c.pkgConfig.OwnDirs(strings.TrimRight(out, "\r\n")), nil
}

func appendMissing(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// arguments writes dependencies as arguments for a pkg-config.
func arguments(packages []pkgconf.Dependency) []string {
	var args []string
	for _, d := range packages {
		args = append(args, d.String())
	}
	return args
}
