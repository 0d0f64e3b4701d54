package cps

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// LibraryName is the name that a linker's -l finds a library file by, whatever its kind and version: "z" for libz.a,
// libz.so, libz.so.1.2, libz.dylib, z.lib and z.dll. It is empty for a file that is no library.
func LibraryName(file string) string {
	base := path.Base(strings.ReplaceAll(file, `\`, "/"))
	name, isLib := strings.CutPrefix(base, "lib")
	if !isLib || name == "" || name[0] == '.' {
		name, isLib = base, false
	}
	for _, suffix := range []string{".dll.a", ".dll.lib", ".a", ".so", ".dylib", ".tbd", ".lib", ".dll"} {
		if stem, ok := strings.CutSuffix(name, suffix); ok {
			return stem
		}
	}
	if i := strings.Index(name, ".so."); i > 0 && isLib {
		return name[:i]
	}
	return ""
}

// FillLocations sets the location of each dylib that has a link_location alone, where that is a file which programs load.
func (p *Package) FillLocations() {
	for _, c := range p.Components {
		if c.Type != Dylib || c.Location != "" {
			continue
		}
		for _, a := range append(slices.Collect(maps.Values(c.Configurations)), &c.Attributes) {
			if a.Location == "" && isSharedFile(a.LinkLocation) && !strings.HasSuffix(a.LinkLocation, ".tbd") {
				a.Location = a.LinkLocation
			}
		}
	}
}

// stem is a component's name without what tells its kind.
func stem(name string) string {
	for _, kind := range []string{"static", "shared"} {
		for _, separator := range []string{"-", "_", ""} {
			if s, ok := strings.CutSuffix(name, separator+kind); ok && s != "" {
				return s
			}
		}
	}
	return name
}
