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

// linkOptions says how packages are linked on the target.
func (c *command) linkOptions(shared bool) (link.Options, error) {
	target, err := c.source.target()
	if err != nil {
		return link.Options{}, err
	}
	of, err := c.source.found()
	return link.Options{Shared: shared, OS: target.OS, Env: cmp.Or(target.Env, target.Libc), AllowFlags: of.AllowFlags()}, err
}

// linkFlags gives the flags that are asked for, ours before the system's. With
// no flags asked for, it finds out whether there could be some.
func (c *command) linkFlags() (string, error) {
	all, err := c.link()
	if err != nil {
		return "", err
	}
	// As pkgconf prints them: each with a blank behind it.
	var out strings.Builder
	if err := c.checkForGo(all); err != nil {
		return "", err
	}
	for _, part := range []link.Part{link.IncludeArgs, link.OtherCompile, link.SearchArgs, link.LibraryArgs | link.OtherLink} {
		for _, flags := range all {
			for _, arg := range flags.Args(part&c.parts | repeated()) {
				out.WriteString(link.Quote(arg) + " ")
			}
		}
	}
	others, err := c.systemFlags(all)
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
func (c *command) checkForGo(all []*link.Flags) error {
	if os.Getenv("TOOLEXEC_IMPORTPATH") == "" { // which cmd/go sets for all that it runs for a package
		return nil
	}
	for _, flags := range all {
		for _, arg := range flags.Args(link.LinkArgs & c.parts) {
			if strings.ContainsAny(arg, `"\`) {
				return errdef.Errorf(errdef.ErrUsage, `the go command takes no linker flag with " or \ in it, such as %s: set OCIPKG_HOME to a directory with another name`, arg)
			}
		}
	}
	return nil
}

// link links the names that are ours: in one go those that are linked
// statically, which may need some of the others, then those that are not.
func (c *command) link() ([]*link.Flags, error) {
	var all []*link.Flags
	for _, shared := range []bool{false, true} {
		var requests []link.Request
		for _, n := range c.names {
			if n.ours && n.shared == shared {
				requests = append(requests, n.link)
			}
		}
		if len(requests) == 0 {
			continue
		}
		options, err := c.linkOptions(shared)
		if err != nil {
			return nil, err
		}
		flags, err := link.Link(c.found.packages, requests, options)
		if err != nil {
			return nil, err
		}
		all = append(all, flags)
	}
	return all, nil
}

// systemFlags asks the real pkg-config for the system's packages of the call
// and of the closure, all at once where it can be.
func (c *command) systemFlags(all []*link.Flags) (string, error) {
	compile, linked := arguments(c.systemNames()), arguments(c.systemNames())
	var needed []string
	for _, flags := range all {
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
