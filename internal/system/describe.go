package system

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// Descriptions returns the directory with descriptions of the packages as modules, which the first call makes.
func (p *PkgConfig) Descriptions() (string, error) {
	if p.dir != "" {
		return p.dir, nil
	}
	var err error
	if p.dir, err = os.MkdirTemp("", "ocipkg-pkg-config-"); err != nil {
		return "", fmt.Errorf("describe packages for the real pkg-config: %w", err)
	}
	return p.dir, p.describer().all()
}

func (p *PkgConfig) describer() describer {
	return describer{dir: p.dir, packages: p.Packages, options: p.Options, shared: p.Shared, system: p.System}
}

// Module returns the name of the module that describes what a call asks for, which it writes where there is none. name is
// the one to write it under.
func (p *PkgConfig) Module(request link.Request, name string, shared bool) (string, error) {
	dir, err := p.Descriptions()
	if err != nil {
		return "", err
	}
	if module := moduleName(request); module != "" {
		if _, err := os.Stat(filepath.Join(dir, module+".pc")); err == nil {
			return module, nil
		}
	}
	d := p.describer()
	d.options.Shared = d.options.Shared || shared
	return name, d.write(name, request)
}

// describer writes a .pc file for each package and component, for the real
// pkg-config, whose packages may require ours. All that a component needs of
// other packages is written out in its file: the real pkg-config finds no
// other way from one of ours to the next.
type describer struct {
	dir      string
	packages []*link.Package
	options  link.Options
	shared   map[*link.Package]bool // those of which the shared libraries are linked
	system   []string               // what is asked of the system, and described by none
}

func (d describer) all() error {
	for _, p := range d.packages {
		for _, component := range slices.Sorted(maps.Keys(p.CPS.Components)) {
			if !p.CPS.Components[component].Linkable() {
				continue
			}
			if err := d.write(component, link.Request{Package: p, Components: []string{component}}); err != nil {
				return err
			}
		}
	}
	// The name of a package goes before that of a component of another.
	for _, p := range d.packages {
		for _, name := range []string{p.CPS.Name, p.Name} {
			if p.CPS.Components[name] != nil {
				continue
			}
			if err := d.write(name, link.Request{Package: p}); err != nil {
				return err
			}
		}
	}
	return nil
}

// write writes the file NAME.pc. What cannot be required by its name has none,
// and neither has what cannot be linked at all.
func (d describer) write(name string, request link.Request) error {
	if !link.IsModule(name) || slices.Contains(d.system, name) {
		return nil
	}
	options := d.options
	options.Shared = options.Shared || d.shared[request.Package]
	flags, err := link.Link(d.packages, []link.Request{request}, options)
	if only := new(link.SharedOnlyError); errors.As(err, &only) {
		options.Shared = true
		flags, err = link.Link(d.packages, []link.Request{request}, options)
	}
	if err != nil {
		return nil
	}
	text, err := module(name, request, flags, options.Shared)
	if err != nil {
		return nil
	}
	return os.WriteFile(filepath.Join(d.dir, name+".pc"), []byte(text), 0o600)
}

// module is the text of a .pc file.
func module(name string, request link.Request, flags *link.Flags, shared bool) (string, error) {
	var out strings.Builder
	p := request.Package
	variables := Variables(request, shared)
	for _, variable := range slices.Sorted(maps.Keys(variables)) {
		if link.IsModule(variable) && variable != "pcfiledir" { // which is pkg-config's own
			fmt.Fprintf(&out, "%s=%s\n", variable, variables[variable])
		}
	}
	description := &cps.PkgConfig{Name: name, Description: p.CPS.Description}
	if c := p.CPS.Components[name]; c != nil && c.PkgConfig != nil {
		description = c.PkgConfig
	}
	line := func(field, value string) {
		if value = oneLine(value); value != "" {
			fmt.Fprintf(&out, "%s: %s\n", field, value)
		}
	}
	line("Name", description.Name)
	fmt.Fprintf(&out, "Description: %s\n", oneLine(description.Description))
	line("URL", description.URL)
	fmt.Fprintf(&out, "Version: %s\n", Version(request)) // which pkg-config asks for, if it is empty
	var needs, needsPrivate []string
	for _, s := range flags.System {
		dependencies, err := Dependencies(s)
		if err != nil {
			return "", err
		}
		if s.Link {
			needs = append(needs, dependencies...)
		} else {
			needsPrivate = append(needsPrivate, dependencies...)
		}
	}
	line("Requires", strings.Join(needs, ", "))
	line("Requires.private", strings.Join(needsPrivate, ", "))
	line("Cflags", flags.Shell(link.CompileArgs))
	line("Libs", flags.Shell(link.LinkArgs))
	return out.String(), nil
}

// Dependencies writes a system package with its constraints as
// pkg-config takes them: one dependency for each. Both are the word of a
// package, which must not make pkg-config read a file of its own.
func Dependencies(s link.SystemPackage) ([]string, error) {
	list := withConstraints(s.Name, s.Constraints)
	for _, text := range list {
		read, err := pkgconf.ParseDependencies(text)
		if err != nil || len(read) != 1 || read[0].Name != s.Name || !link.IsModule(s.Name) {
			return nil, errdef.Errorf(errdef.ErrVerification, "a package of this call requires %q, which cannot be a package of the system: have its author correct that", text)
		}
	}
	return list, nil
}

// withConstraints writes a dependency for each constraint, or one without.
func withConstraints(name string, constraints []string) []string {
	if len(constraints) == 0 {
		return []string{name}
	}
	var list []string
	for _, constraint := range constraints {
		list = append(list, name+" "+constraint)
	}
	return list
}

// oneLine joins the lines of a text, which has nothing in it then that a terminal acts on.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }), "; ")
}
