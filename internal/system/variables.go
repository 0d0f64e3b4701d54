package system

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/link"
)

// Version returns the version of what is asked for; empty where nothing says it.
func Version(r link.Request) string { return oneLine(r.Version()) }

// described lists the components that had a .pc file and that stand for what is asked for: those that are named, else the
// one that is named as the package is, and the default ones.
func described(r link.Request) []*cps.Component {
	names := r.Components
	if len(names) == 0 {
		names = append([]string{r.Package.CPS.Name}, r.Package.CPS.Defaults()...)
	}
	var list []*cps.Component
	for _, name := range names {
		if c := r.Package.CPS.Components[name]; c != nil && c.PkgConfig != nil && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// components lists what is asked for by name.
func components(r link.Request) []string {
	if len(r.Components) > 0 {
		return r.Components
	}
	return r.Package.CPS.Defaults()
}

// moduleName is what pkg-config would call what is asked for; empty when that is several.
func moduleName(r link.Request) string {
	document := r.Package.CPS
	if len(r.Components) == 0 && document.Components[document.Name] != nil {
		return document.Name
	}
	if names := components(r); len(names) == 1 {
		return names[0]
	}
	if len(r.Components) > 0 {
		return ""
	}
	return document.Name
}

// Variables returns the variables of what is asked for, with the package's paths in this store: those of its .pc files, and
// where there are none the usual ones. PKG_CONFIG_<MODULE>_<VARIABLE> of the environment takes the place of one, as with
// pkgconf 3.
func Variables(r link.Request, shared bool) map[string]string {
	p := r.Package
	variables := map[string]string{}
	list := described(r)
	for _, c := range slices.Backward(list) {
		for name, value := range c.PkgConfig.Variables {
			variables[name] = oneLine(cps.Substitute(value, p.Root))
		}
	}
	if len(list) == 0 {
		variables["prefix"], variables["exec_prefix"] = p.Root, p.Root
		variables["bindir"] = p.Root + "/bin"
		variables["includedir"], variables["libdir"] = p.Root+"/include", p.Root+"/lib"
		for _, name := range components(r) {
			a := attributes(p.CPS, name, shared)
			if a.Location != "" {
				variables["libdir"] = path.Dir(cps.Substitute(a.Location, p.Root))
			}
			if dirs := a.Includes.For("c"); len(dirs) > 0 {
				variables["includedir"] = cps.Substitute(dirs[0], p.Root)
			}
		}
	}
	for name := range variables {
		if value, ok := os.LookupEnv("PKG_CONFIG_" + inEnvironment(moduleName(r)) + "_" + inEnvironment(name)); ok {
			variables[name] = value
		}
	}
	return variables
}

// Languages returns what the .pc files of what is asked for have as Link.ABI, in lower case.
func Languages(r link.Request) []string {
	var languages []string
	for _, c := range described(r) {
		languages = append(languages, strings.Fields(strings.ToLower(c.PkgConfig.Fields["link.abi"]))...)
	}
	return languages
}

// inEnvironment writes a name as a part of a variable's in the environment.
func inEnvironment(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}

// VariableNames lists the names of the variables, a line each.
func VariableNames(r link.Request, shared bool) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(Variables(r, shared))) {
		out.WriteString(oneLine(name) + "\n")
	}
	return out.String()
}

// attributes returns what a component says, or, of one that stands for a static
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

// Requires lists what is needed in public, a line each.
func Requires(r link.Request, shared bool) string {
	return requirements(r, shared, func(a *cps.Attributes) []string { return a.Requires })
}

// RequiresPrivate lists what only the package itself needs.
func RequiresPrivate(r link.Request, shared bool) string {
	return requirements(r, shared, func(a *cps.Attributes) []string {
		private := slices.Clone(a.LinkRequires)
		for _, spec := range a.CompileRequires {
			if !slices.Contains(private, spec) {
				private = append(private, spec)
			}
		}
		return private
	})
}

func requirements(r link.Request, shared bool, of func(*cps.Attributes) []string) string {
	var lines []string
	p := r.Package
	for _, component := range components(r) {
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
