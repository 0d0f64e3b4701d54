// Package cps is the model of the Common Package Specification: the description of how a package is compiled
// against and linked, which ocipkg stores with every package and hands to every build system.
//
// A document is read with [Read] (or as a part of a larger JSON document: [Package] implements
// [json.Unmarshaler]), checked with [Package.Validate], and written with [Package.Write]. [Walker.Closure] lists the components that
// a set of components needs, in the order in which a linker wants them.
// What the specification does not define is kept and written back.
//
// The format is specified at https://cps-org.github.io/cps/schema.html.
package cps

import (
	"encoding/json"
	"slices"
)

// Version is the oldest version of the specification that is read and written.
const Version = "0.13.0"

// PrefixMarker stands for the directory that a package is installed in, at the start of a path.
const PrefixMarker = "@prefix@"

// Component types with a meaning to a linker. Other types ("executable", "module", "jar", "symbolic", and those of
// later versions) are kept and written back.
const (
	Archive   = "archive"   // a static library
	Dylib     = "dylib"     // a shared library
	Interface = "interface" // requirements and flags without a file
)

// AnyLanguage is the key of [ByLanguage] and [Definitions] whose values apply to every language.
const AnyLanguage = "*"

// Package is the root of a document. Empty strings, slices and maps stand for absent attributes.
type Package struct {
	Name           string
	Version        string
	CompatVersion  string // the oldest version that this one can replace; empty: none but itself
	VersionSchema  string // how versions are ordered; empty: "simple"
	CPSVersion     string // the version of the specification; empty: that of [Package.MinVersion] when written
	CPSPath        string // the directory of the document, from [PrefixMarker] on; exactly one of CPSPath and Prefix is set
	Prefix         string // the absolute directory of a package that cannot be moved
	Configuration  string // in a supplement: the configuration that its components' attributes belong to
	Description    string
	DisplayName    string
	License        string
	DefaultLicense string
	Website        string

	Platform          *Platform
	Requires          map[string]*Requirement // other packages, by name
	Components        map[string]*Component   // by name
	Configurations    []string                // preferred configurations, best first
	DefaultComponents []string                // what a consumer who names no component gets; see [Package.Defaults]

	Extra map[string]json.RawMessage // attributes that this model does not know

	file string
	line int
}

// Platform is where a package's components run. An empty field fits any.
type Platform struct {
	CRuntimeVendor    string
	CRuntimeVersion   string
	CppRuntimeVendor  string
	CppRuntimeVersion string
	ISA               string // as `uname -m` says it
	Kernel            string // as `uname -s` says it, in any case
	KernelVersion     string

	Extra map[string]json.RawMessage
}

// Requirement says what a package wants of another one.
type Requirement struct {
	Version    string   // empty: any
	Components []string // components that must be there
	Hints      []string // directories where the package may be found
	// Constraints are pkg-config's version constraints, such as ">= 1.2", all of which must hold. They are written as
	// the extension x_ocipkg_constraints, since Version cannot say "at most" or "not".
	Constraints []string

	Extra map[string]json.RawMessage
}

// Component is a part of a package that can be consumed.
type Component struct {
	Type        string // required
	Description string
	License     string
	Attributes
	Configurations map[string]*Attributes // what differs in a configuration, by its name
	FileSets       []*FileSet
	// PkgConfig is what the package's .pc file of the same name said beyond what CPS can express, written as the
	// extension x_ocipkg_pkgconfig; nil when there was none.
	PkgConfig *PkgConfig
	// Names are what the component is called beside its own name, by [Package.Component] and, where there is a double colon in it,
	// as a CMake target. They are written as the extension x_ocipkg_names.
	Names []string

	line int
}

// FileSet lists files that a component consists of. The directories of headers are read into the includes of the component
// and of its configurations, too.
type FileSet struct {
	Type  string // "includes" for headers
	Root  string // the directory that Files are in
	Files []string

	Extra map[string]json.RawMessage
}

// PkgConfig holds the parts of a .pc file that only pkg-config's own questions ask for.
type PkgConfig struct {
	Name        string
	Description string
	URL         string
	Version     string
	Variables   map[string]string // evaluated; paths begin with [PrefixMarker]
	// Fields holds the fields that have no other place, by their names in lower case, evaluated: "source", "license.file".
	Fields map[string]string

	Extra map[string]json.RawMessage
}

// Attributes are what a component says to compilers, linkers and loaders, and what a configuration of it overrides.
type Attributes struct {
	Location     string // the component's file: what runs
	LinkLocation string // the file to link, where it is another one than Location

	Includes        ByLanguage
	Definitions     Definitions
	CompileFeatures []string
	CompileFlags    ByLanguage
	LinkFeatures    []string
	LinkFlags       []string
	LinkLibraries   []string // paths, or names of system libraries without "-l"
	LinkLanguages   []string // runtimes that an archive needs, such as "cpp"; empty: "c"

	Requires        []string // components needed to compile and to link, as [Spec] reads them
	CompileRequires []string // needed to compile only
	LinkRequires    []string // needed to link only
	DyldRequires    []string // needed by the dynamic loader only

	CppModuleMetadata string
	// Soname is the name under which the dynamic loader looks for a shared library, written as the extension
	// x_ocipkg_soname; empty when it is the base name of Location.
	Soname string
	// InstallName is the path at which programs linked with a shared library look for it, whatever they are told of
	// directories to search: an install name of Mach-O that is neither relative to the program or its directories (@rpath)
	// nor the system's. It is written as the extension x_ocipkg_install_name; empty when there is none of that kind.
	InstallName string

	// LinkItems is the whole of what a linker is told of the component, as arguments in their order: libraries of the package
	// by path, others by -l, flags, groups and whole archives by the flags that open and close them. It takes the place of
	// Location, LinkLocation, LinkLibraries and LinkFlags for who knows it, where these cannot express the order. It is written
	// as the extension x_ocipkg_link; nil: they can.
	LinkItems []string

	// Unset names the attributes that a configuration sets to null, so that the component's own value does not apply.
	Unset []string
	Extra map[string]json.RawMessage
}

// ByLanguage holds values for each language ("c", "cpp", "fortran", …); those for all are under [AnyLanguage].
type ByLanguage map[string][]string

// All makes a ByLanguage whose values apply to every language; none gives nil.
func All(values ...string) ByLanguage {
	if len(values) == 0 {
		return nil
	}
	return ByLanguage{AnyLanguage: slices.Clone(values)}
}

// Definitions holds preprocessor definitions for each language. A nil value defines the name without a value (-DNAME);
// a pointer to "" defines it as empty (-DNAME=).
type Definitions map[string]map[string]*string

// For returns the values for a language: those of [AnyLanguage], then those of the language itself.
func (b ByLanguage) For(language string) []string {
	values := b[AnyLanguage]
	if language == AnyLanguage || len(b[language]) == 0 {
		return values
	}
	return append(values[:len(values):len(values)], b[language]...)
}

// For returns the definitions for a language; one that both [AnyLanguage] and the language define is the language's.
func (d Definitions) For(language string) map[string]*string {
	if language == AnyLanguage || len(d[language]) == 0 {
		return d[AnyLanguage]
	}
	merged := make(map[string]*string, len(d[AnyLanguage])+len(d[language]))
	for name, value := range d[AnyLanguage] {
		merged[name] = value
	}
	for name, value := range d[language] {
		merged[name] = value
	}
	return merged
}

// Defaults returns the components that a consumer gets who names none: DefaultComponents, else the component that is named
// as the package, else every library and interface that no other component of the package requires. Components that
// require each other do not keep each other from being defaults.
func (p *Package) Defaults() []string {
	if len(p.DefaultComponents) > 0 {
		return p.DefaultComponents
	}
	if c := p.Components[p.Name]; c != nil && c.Linkable() {
		return []string{p.Name}
	}
	return slices.DeleteFunc(Unrequired(sortedKeys(p.Components), p.requiredWithin), func(name string) bool {
		return !p.Components[name].Linkable()
	})
}

// Linkable says whether a consumer can link the component: an archive, a dylib or an interface.
func (c *Component) Linkable() bool {
	return c.Type == Archive || c.Type == Dylib || c.Type == Interface
}

// requiredWithin returns the components of the same package that a component requires.
func (p *Package) requiredWithin(name string) []string {
	var required []string
	if c := p.Components[name]; c != nil {
		for _, spec := range c.allRequirements() {
			if s := ParseSpec(spec); (s.Package == "" || s.Package == p.Name) && s.Component != name {
				required = append(required, s.Component)
			}
		}
	}
	return required
}

// allRequirements lists the component's requirements of every stage and configuration.
func (c *Component) allRequirements() []string {
	var specs []string
	add := func(a *Attributes) {
		for _, list := range [][]string{a.Requires, a.CompileRequires, a.LinkRequires, a.DyldRequires} {
			specs = append(specs, list...)
		}
	}
	add(&c.Attributes)
	for _, name := range sortedKeys(c.Configurations) {
		add(c.Configurations[name])
	}
	return specs
}
