package pkgconfigcmd

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/link"
)

// unknownVersion is that of a package that does not say: lower than any that
// may be asked for, and a number, which build systems want.
const unknownVersion = "0"

// versionOf gives the version of a package: its own, else its component's.
func versionOf(p *link.Package) string {
	if p.CPS.Version != "" {
		return oneLine(p.CPS.Version)
	}
	for _, c := range described(p) {
		if c.PkgConfig.Version != "" {
			return oneLine(c.PkgConfig.Version)
		}
	}
	return unknownVersion
}

// described lists the components that had a .pc file and that stand for the
// package: the one that is named as it is, and the default ones.
func described(p *link.Package) []*cps.Component {
	var list []*cps.Component
	for _, name := range append([]string{p.CPS.Name}, p.CPS.Defaults()...) {
		if c := p.CPS.Components[name]; c != nil && c.PkgConfig != nil && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// moduleName is what pkg-config would call the package.
func moduleName(p *link.Package) string {
	if p.CPS.Components[p.CPS.Name] == nil {
		if defaults := p.CPS.Defaults(); len(defaults) == 1 {
			return defaults[0]
		}
	}
	return p.CPS.Name
}

// variablesOf gives the variables of a package, with its paths in this store:
// those of its .pc files, and where there are none the usual ones.
func variablesOf(p *link.Package, shared bool) map[string]string {
	variables := map[string]string{}
	components := described(p)
	for _, c := range slices.Backward(components) {
		for name, value := range c.PkgConfig.Variables {
			variables[name] = oneLine(cps.Substitute(value, p.Root))
		}
	}
	if len(components) > 0 {
		return variables
	}
	variables["prefix"], variables["exec_prefix"] = p.Root, p.Root
	variables["bindir"] = p.Root + "/bin"
	variables["includedir"], variables["libdir"] = p.Root+"/include", p.Root+"/lib"
	for _, name := range p.CPS.Defaults() {
		a := attributes(p.CPS, name, shared)
		if a.Location != "" {
			variables["libdir"] = path.Dir(cps.Substitute(a.Location, p.Root))
		}
		if dirs := a.Includes.For("c"); len(dirs) > 0 {
			variables["includedir"] = cps.Substitute(dirs[0], p.Root)
		}
	}
	return variables
}

func variableNames(p *link.Package, shared bool) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(variablesOf(p, shared))) {
		out.WriteString(oneLine(name) + "\n")
	}
	return out.String()
}

// attributes gives what a component says, or, of one that stands for a static
// and a shared library, what the one that is linked says.
func attributes(p *cps.Package, name string, shared bool) *cps.Attributes {
	c := p.Components[name]
	prefer := cps.StaticConfiguration
	if shared {
		prefer = cps.SharedConfiguration
	}
	chosen := c.Configurations[p.Choose(c, prefer)]
	if c.Type == cps.Interface && chosen != nil && len(chosen.Requires) == 1 {
		if twin := cps.ParseSpec(chosen.Requires[0]); twin.Package == "" && p.Components[twin.Component] != nil && twin.Component != name {
			return &p.Components[twin.Component].Attributes
		}
	}
	return &c.Attributes
}

// requires lists what the package needs in public, a line each.
func requires(p *link.Package, shared bool) string {
	return requirements(p, shared, func(a *cps.Attributes) []string { return a.Requires })
}

// requiresPrivate lists what only the package itself needs.
func requiresPrivate(p *link.Package, shared bool) string {
	return requirements(p, shared, func(a *cps.Attributes) []string {
		private := slices.Clone(a.LinkRequires)
		for _, spec := range a.CompileRequires {
			if !slices.Contains(private, spec) {
				private = append(private, spec)
			}
		}
		return private
	})
}

func requirements(p *link.Package, shared bool, of func(*cps.Attributes) []string) string {
	var lines []string
	for _, component := range p.CPS.Defaults() {
		for _, requirement := range of(attributes(p.CPS, component, shared)) {
			for _, line := range requirementLines(p.CPS, cps.ParseSpec(requirement)) {
				if line = oneLine(line); !slices.Contains(lines, line) {
					lines = append(lines, line)
				}
			}
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// requirementLines writes a requirement as pkg-config does, with its
// constraints.
func requirementLines(p *cps.Package, spec cps.Spec) []string {
	if spec.Package == "" {
		return []string{spec.Component}
	}
	r := p.Requires[spec.Package]
	if r == nil {
		return []string{spec.Package}
	}
	return withConstraints(spec.Package, r.Constraints)
}
