package pkgconfigcmd

import (
	"context"
	"strings"

	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
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
		n.link, n.shared = c.found.requests[i], c.request.shared || c.found.shared[i] && !c.static
		n.version = versionOf(n.link.Package)
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
	for _, n := range c.names {
		if n.ours {
			if c.allows(n.version) {
				return nil
			}
			continue
		}
		if _, err := c.ask("", "--"+c.compare+"-version="+c.compareTo, "--", n.Dependency.String()); err == nil {
			return nil
		}
	}
	return errNo
}

// texts answers the questions that ask for anything but flags, in the order in
// which pkgconf does.
func (c *command) texts() (string, error) {
	var out strings.Builder
	add := func(wanted bool, flag string, text func(*link.Package, bool) string) error {
		if !wanted {
			return nil
		}
		for _, n := range c.names {
			if n.ours {
				out.WriteString(text(n.link.Package, n.shared))
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
	if err := add(c.modversion, "--modversion", func(p *link.Package, _ bool) string { return versionOf(p) + "\n" }); err != nil {
		return "", err
	}
	if err := add(c.printVariables, "--print-variables", variableNames); err != nil {
		return "", err
	}
	if c.variable != nil {
		values, err := c.variables(*c.variable)
		if err != nil {
			return "", err
		}
		out.WriteString(strings.Join(values, " ") + "\n")
	}
	if err := add(c.printRequires, "--print-requires", requires); err != nil {
		return "", err
	}
	err := add(c.printRequiresPrivate, "--print-requires-private", requiresPrivate)
	return out.String(), err
}

// variables gives the values of a variable in all packages.
func (c *command) variables(variable string) ([]string, error) {
	var values []string
	for _, n := range c.names {
		if n.ours {
			values = append(values, variablesOf(n.link.Package, n.shared)[variable])
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

// system lists the names of the call that are the system's.
func (c *command) system() []pkgconf.Dependency {
	var list []pkgconf.Dependency
	for _, n := range c.names {
		if !n.ours {
			list = append(list, n.Dependency)
		}
	}
	return list
}
