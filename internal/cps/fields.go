package cps

import (
	"encoding/json"
	"maps"
	"slices"
)

// field ties an attribute's name to the place that holds it: reading and writing are both driven by these tables.
// The place is a *string, *[]string, *languages, *ByLanguage, *Definitions, *map[string]string, or a pointer to one of the
// model's objects or maps of objects.
type field struct {
	name  string
	place any
}

func (p *Package) fields() []field {
	return []field{
		{"name", &p.Name},
		{"version", &p.Version},
		{"compat_version", &p.CompatVersion},
		{"version_schema", &p.VersionSchema},
		{"cps_version", &p.CPSVersion},
		{"cps_path", &p.CPSPath},
		{"prefix", &p.Prefix},
		{"configuration", &p.Configuration},
		{"description", &p.Description},
		{"display_name", &p.DisplayName},
		{"license", &p.License},
		{"default_license", &p.DefaultLicense},
		{"website", &p.Website},
		{"platform", &p.Platform},
		{"requires", &p.Requires},
		{"components", &p.Components},
		{"configurations", &p.Configurations},
		{"default_components", &p.DefaultComponents},
	}
}

func (p *Platform) fields() []field {
	return []field{
		{"c_runtime_vendor", &p.CRuntimeVendor},
		{"c_runtime_version", &p.CRuntimeVersion},
		{"cpp_runtime_vendor", &p.CppRuntimeVendor},
		{"cpp_runtime_version", &p.CppRuntimeVersion},
		{"isa", &p.ISA},
		{"kernel", &p.Kernel},
		{"kernel_version", &p.KernelVersion},
	}
}

func (r *Requirement) fields() []field {
	return []field{
		{"version", &r.Version},
		{"components", &r.Components},
		{"hints", &r.Hints},
		{"x_ocipkg_constraints", &r.Constraints},
	}
}

func (c *Component) fields() []field {
	return append(c.Attributes.fields(),
		field{"type", &c.Type},
		field{"description", &c.Description},
		field{"license", &c.License},
		field{"configurations", &c.Configurations},
		field{"file_sets", &c.FileSets},
		field{"x_ocipkg_names", &c.Names},
		field{"x_ocipkg_pkgconfig", &c.PkgConfig},
	)
}

func (f *FileSet) fields() []field {
	return []field{
		{"type", &f.Type},
		{"root", &f.Root},
		{"files", &f.Files},
	}
}

func (p *PkgConfig) fields() []field {
	return []field{
		{"name", &p.Name},
		{"description", &p.Description},
		{"url", &p.URL},
		{"version", &p.Version},
		{"variables", &p.Variables},
		{"fields", &p.Fields},
	}
}

func (a *Attributes) fields() []field {
	return []field{
		{"location", &a.Location},
		{"link_location", &a.LinkLocation},
		{"includes", &a.Includes},
		{"definitions", &a.Definitions},
		{"compile_features", &a.CompileFeatures},
		{"compile_flags", &a.CompileFlags},
		{"link_features", &a.LinkFeatures},
		{"link_flags", &a.LinkFlags},
		{"link_libraries", &a.LinkLibraries},
		{"link_languages", (*languages)(&a.LinkLanguages)},
		{"requires", &a.Requires},
		{"compile_requires", &a.CompileRequires},
		{"link_requires", &a.LinkRequires},
		{"dyld_requires", &a.DyldRequires},
		{"cpp_module_metadata", &a.CppModuleMetadata},
		{"x_ocipkg_soname", &a.Soname},
		{"x_ocipkg_install_name", &a.InstallName},
		{"x_ocipkg_link", &a.LinkItems},
	}
}

// languages is a list of names of languages.
type languages []string

// object is one of the model's JSON objects.
type object interface {
	fields() []field
	extra() *map[string]json.RawMessage
}

func (p *Package) extra() *map[string]json.RawMessage     { return &p.Extra }
func (p *Platform) extra() *map[string]json.RawMessage    { return &p.Extra }
func (r *Requirement) extra() *map[string]json.RawMessage { return &r.Extra }
func (a *Attributes) extra() *map[string]json.RawMessage  { return &a.Extra }
func (f *FileSet) extra() *map[string]json.RawMessage     { return &f.Extra }
func (p *PkgConfig) extra() *map[string]json.RawMessage   { return &p.Extra }

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
