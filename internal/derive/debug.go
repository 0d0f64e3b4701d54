package derive

import (
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// What a library is called that is built for debugging, and the configurations that tell it from the one for release.
const (
	releaseConfiguration = "release"
	debugConfiguration   = "debug"
)

// fromDebug adds to components the libraries that vcpkg puts into debug/lib and debug/bin beside lib and bin, and CMake into
// lib/Debug and bin/Debug beside Release, as another configuration. They are linked for debugging alone; those that no component is like are left out.
func (d *derivation) fromDebug() error {
	release := d.libraries
	var dirs []string
	for _, name := range []string{"debug/lib", "debug/bin", "lib/Debug", "bin/Debug"} {
		dirs = append(dirs, d.tree.inPrefixes(name)...)
	}
	if len(dirs) == 0 || len(release.list) == 0 {
		return nil
	}
	debug, err := d.index(dirs...)
	if d.libraries = release; err != nil {
		return err
	}
	of := map[string]*library{} // by the marked files of the library for release
	for _, l := range release.list {
		for _, suffix := range []string{"", "d", "_d", "-d"} {
			if twin := debug.find(l.name+suffix, nil); twin != nil {
				for _, file := range []string{l.archive, l.link, l.runtime} {
					of[marked(file)] = twin
				}
				break
			}
		}
	}
	used := map[*library]bool{}
	for _, c := range d.result.Components {
		configureDebug(c, of, used)
	}
	var left []string
	for _, l := range debug.list {
		if !used[l] {
			left = append(left, l.name)
		}
	}
	if len(left) > 0 {
		d.warn("%s has libraries that none outside of it is like (%s): they are left out", dirs[0], Several(left))
	}
	if len(used) > 0 {
		d.result.Configurations = appendMissing(d.result.Configurations, []string{releaseConfiguration, debugConfiguration})
	}
	return nil
}

// configureDebug adds to a component of a library, or of several, the configuration for debugging.
func configureDebug(c *cps.Component, of map[string]*library, used map[*library]bool) {
	file := func(l *library, name string) string {
		if l.archive != "" && cps.LibraryName(name) != "" && (strings.HasSuffix(name, ".a") || l.link == "") {
			return marked(l.archive)
		}
		return marked(l.link)
	}
	debug, found := &cps.Attributes{}, false
	if l := of[c.Location]; l != nil {
		archive, dylib := l.twins()
		switch {
		case c.Type == cps.Archive && archive != nil:
			*debug, found, used[l] = archive.Attributes, true, true
		case c.Type == cps.Dylib && dylib != nil:
			*debug, found, used[l] = dylib.Attributes, true, true
		}
	}
	debug.LinkLanguages = nil // those of the component
	libraries := slices.Clone(c.LinkLibraries)
	for i, name := range libraries {
		if l := of[name]; l != nil {
			libraries[i], found, used[l] = file(l, name), true, true
			debug.LinkLibraries = libraries
		}
	}
	if !found {
		return
	}
	debug.LinkItems = slices.Clone(c.LinkItems)
	for i, item := range c.LinkItems {
		if l := of[item]; l != nil {
			debug.LinkItems[i] = file(l, item)
		}
	}
	if debug.LinkLocation == "" && c.LinkLocation != "" {
		debug.Unset = append(debug.Unset, "link_location")
	}
	if debug.Soname == "" && c.Soname != "" {
		debug.Unset = append(debug.Unset, "x_ocipkg_soname")
	}
	c.Configurations = map[string]*cps.Attributes{
		releaseConfiguration: {Location: c.Location, LinkLocation: c.LinkLocation, Soname: c.Soname, LinkLibraries: c.LinkLibraries},
		debugConfiguration:   debug,
	}
}
