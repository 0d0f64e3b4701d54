package pkgconfigcmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/system"
)

// answer answers a call with packages of ours in it, in pkgconf's order of
// precedence: comparisons, texts, flags.
func (c *command) answer(ctx context.Context) (string, error) {
	if err := c.resolve(ctx); err != nil {
		return "", err
	}
	switch {
	case len(c.unknown) > 0:
		return c.delegate()
	case c.compare != "":
		return "", c.compareVersions()
	case c.asksForText():
		return c.texts()
	}
	return c.linkFlags()
}

// resolve finds the packages of the names that are ours, and checks their
// versions.
func (c *command) resolve(ctx context.Context) error {
	var names []string
	for _, n := range c.names {
		if n.ours {
			names = append(names, n.Name)
		}
	}
	var err error
	if c.found, err = c.source.closure(ctx, names); err != nil {
		return err
	}
	i := 0
	for at := range c.names {
		n := &c.names[at]
		if !n.ours {
			continue
		}
		n.link = c.found.requests[i]
		switch {
		case c.request.shared:
			n.link.Shared = project.Shared
		case c.static && n.link.Shared == project.Shared:
			n.link.Shared = project.Static
		}
		n.shared = n.link.Shared == project.Shared
		n.version = system.Version(n.link)
		if err := checkConstraint(n.Dependency, n.version); err != nil {
			return err
		}
		i++
	}
	return nil
}

// compareVersions is --atleast-version and its like: as with pkgconf one
// package that meets it is enough.
func (c *command) compareVersions() error {
	var unsaid error
	for _, n := range c.names {
		if n.ours {
			if n.version == "" {
				unsaid = noVersion(n.Name, c.compare+" "+c.compareTo)
			} else if c.allows(n.version) {
				return nil
			}
			continue
		}
		if _, err := c.ask("", "--"+c.compare+"-version="+c.compareTo, "--", n.Dependency.String()); err == nil {
			return nil
		}
	}
	if unsaid != nil {
		return unsaid
	}
	return errNo
}

// texts answers the questions that ask for anything but flags, in the order in
// which pkgconf does.
func (c *command) texts() (string, error) {
	var out strings.Builder
	add := func(wanted bool, flag string, text func(link.Request, bool) string) error {
		if !wanted {
			return nil
		}
		for _, n := range c.names {
			if n.ours {
				out.WriteString(text(n.link, n.shared))
				continue
			}
			answer, err := c.ask("", "--print-errors", flag, "--", n.Dependency.String())
			if err != nil {
				return err
			}
			out.WriteString(answer)
		}
		return nil
	}
	if err := add(c.modversion, "--modversion", func(r link.Request, _ bool) string { return system.Version(r) + "\n" }); err != nil {
		return "", err
	}
	if err := add(c.printVariables, "--print-variables", system.VariableNames); err != nil {
		return "", err
	}
	if c.variable != nil {
		values, err := c.variables(*c.variable)
		if err != nil {
			return "", err
		}
		out.WriteString(strings.Join(values, " ") + "\n")
	}
	if err := add(c.printRequires, "--print-requires", system.Requires); err != nil {
		return "", err
	}
	if err := add(c.printRequiresPrivate, "--print-requires-private", system.RequiresPrivate); err != nil {
		return "", err
	}
	if c.linkABI {
		languages, err := c.languages()
		if err != nil {
			return "", err
		}
		out.WriteString(strings.Join(languages, "\n") + "\n")
	}
	return out.String(), nil
}

// languages names those whose compilers can link what is asked for, as pkgconf 3 does: "c", "c++" and what .pc files say.
func (c *command) languages() ([]string, error) {
	var list []string
	for _, n := range c.names {
		var more []string
		if n.ours {
			more = system.Languages(n.link)
		} else {
			answer, err := c.ask("", "--print-errors", "--link-abi", "--", n.Dependency.String())
			if err != nil {
				return nil, err
			}
			more = strings.Fields(answer)
		}
		list = appendMissing(list, more)
	}
	flags, err := c.link()
	if err != nil {
		return nil, err
	}
	if len(flags.CXXRuntimes) > 0 {
		list = appendMissing(list, []string{"c++"})
	}
	if len(list) == 0 {
		list = []string{"c"}
	}
	return list, nil
}

// variables gives the values of a variable in all packages.
func (c *command) variables(variable string) ([]string, error) {
	var values []string
	for _, n := range c.names {
		if n.ours {
			values = append(values, system.Variables(n.link, n.shared)[variable])
			continue
		}
		answer, err := c.ask("", "--print-errors", "--variable="+variable, "--", n.Dependency.String())
		if err != nil {
			return nil, err
		}
		values = append(values, strings.TrimRight(answer, "\r\n"))
	}
	return values, nil
}

// systemNames lists the names of the call that are the system's.
func (c *command) systemNames() []pkgconf.Dependency {
	var list []pkgconf.Dependency
	for _, n := range c.names {
		if !n.ours {
			list = append(list, n.Dependency)
		}
	}
	return list
}

// real is the real pkg-config, to which the packages of the call are described.
func (c *command) real() (*system.PkgConfig, error) {
	if c.pkgConfig != nil {
		return c.pkgConfig, nil
	}
	options, err := c.linkOptions()
	if err != nil {
		return nil, err
	}
	c.pkgConfig = &system.PkgConfig{Triple: triple(c.program), Args: c.passed, Packages: c.found.packages, Options: options, Shared: map[*link.Package]bool{}}
	for _, n := range c.names {
		if n.ours && n.shared {
			c.pkgConfig.Shared[n.link.Package] = true
		}
		if !n.ours {
			c.pkgConfig.System = append(c.pkgConfig.System, n.Name)
		}
	}
	if flags, err := c.link(); err == nil { // what cannot be linked, asks for nothing
		for _, s := range flags.System {
			c.pkgConfig.System = append(c.pkgConfig.System, s.Name)
		}
	}
	return c.pkgConfig, nil
}

// ask runs the real pkg-config; see [system.PkgConfig.Ask].
func (c *command) ask(about string, args ...string) (string, error) {
	real, err := c.real()
	if err != nil {
		return "", err
	}
	what := strings.Join(arguments(c.systemNames()), ", ")
	if what == "" {
		what = strings.Join(args, " ")
	}
	return real.Ask(about, what, args...)
}

// passThrough hands the whole call to the real pkg-config. On Unix it only
// comes back with an error.
func (c *command) passThrough(args []string) error {
	what := strings.Join(arguments(c.request.packages), ", ")
	if what == "" {
		what = strings.Join(args, " ")
	}
	real, err := (&system.PkgConfig{Triple: triple(c.program)}).Find(what)
	if err != nil {
		return err
	}
	return replaceProcess(real, args, system.Environment(real))
}

// delegate has the real pkg-config answer a call with flags that only it
// knows, from descriptions of our packages under names that it can take.
func (c *command) delegate() (string, error) {
	if _, err := c.link(); err != nil {
		return "", err
	}
	real, err := c.real()
	if err != nil {
		return "", err
	}
	// Without --shared, which older ones do not know, and what is passed anyway.
	args := slices.DeleteFunc(slices.Clone(c.flags), func(flag string) bool {
		return strings.TrimLeft(flag, "-") == "shared" || slices.Contains(c.passed, flag)
	})
	args = append(args, "--")
	for i, n := range c.names {
		if n.ours {
			name, err := real.Module(n.link, fmt.Sprintf("package-%d", i+1), n.shared)
			if err != nil {
				return "", err
			}
			n.Dependency = pkgconf.Dependency{Name: name} // the constraint was checked
		}
		args = append(args, n.Dependency.String())
	}
	answer, err := c.ask("", args...)
	if c.asksForText() || slices.Contains(c.unknown, "--msvc-syntax") { // which quotes otherwise
		return answer, err
	}
	return real.OwnDirs(answer), err
}
