package system

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// Complete adds to flags what the real pkg-config says of the modules that the packages require and none of them is. A
// module that it does not have, or not in the version that is required, is an error of kind [errdef.ErrNotFound].
func (p *PkgConfig) Complete(flags *link.Flags) error {
	var compile, linked []string
	p.leave(flags.System)
	for _, s := range flags.System {
		names, err := p.check(s)
		if err != nil {
			return err
		}
		if s.Compile {
			compile = append(compile, names...)
		}
		if s.Link {
			linked = append(linked, names...)
		}
	}
	cflags, err := p.flags("--cflags", compile)
	if err != nil {
		return err
	}
	libs, err := p.flags("--libs", linked)
	if err != nil {
		return err
	}
	flags.AddSystem(cflags, libs)
	return nil
}

// Check reports the first of the modules which the system does not have, as Complete does.
func (p *PkgConfig) Check(modules []link.SystemPackage) error {
	p.leave(modules)
	for _, s := range modules {
		if _, err := p.check(s); err != nil {
			return err
		}
	}
	return nil
}

// leave leaves modules to the system, which a package may have, too.
func (p *PkgConfig) leave(modules []link.SystemPackage) {
	for _, s := range modules {
		p.System = append(p.System, s.Name)
	}
}

// check returns the dependencies to ask for, after it has asked whether they are there.
func (p *PkgConfig) check(s link.SystemPackage) ([]string, error) {
	names, err := Dependencies(s)
	if err != nil {
		return nil, err
	}
	what := strings.Join(names, ", ")
	_, err = p.Ask(what, "", slices.Concat([]string{"--exists", "--print-errors", "--"}, names)...)
	var failed *Error
	if errors.As(err, &failed) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "%s requires %s, and neither a package nor the system's pkg-config has it: %s; install it, or have the author of %s list a package for it under [dependencies]", s.By, what, failed.reason(), s.By)
	}
	if err != nil {
		return nil, fmt.Errorf("%s requires %s: %w", s.By, what, err)
	}
	return names, nil
}

// reason is what the program said first.
func (e *Error) reason() string {
	line, _, _ := strings.Cut(strings.TrimSpace(e.Stderr), "\n")
	return strings.TrimSuffix(line, ".")
}

// flags asks for the flags of modules; of none there are none.
func (p *PkgConfig) flags(mode string, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	what := strings.Join(names, ", ")
	out, err := p.Ask(what, "", slices.Concat([]string{mode, "--print-errors", "--"}, names)...)
	if err != nil {
		return nil, err
	}
	args, err := pkgconf.Split(p.OwnDirs(strings.TrimSpace(out)))
	if err != nil {
		return nil, fmt.Errorf("read what the system's pkg-config says of %s: %w", what, err)
	}
	return args, nil
}
