package survey

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/derive"
	"github.com/ocipkg/ocipkg/internal/layer"
)

// systemLibraries are those that every system with a compiler has, or that belong to its devices and its screen.
var systemLibraries = strings.Fields(`
	c m dl pthread rt util resolv nsl crypt anl mvec c_nonshared
	gcc gcc_s gcc_eh atomic gomp omp quadmath gfortran stdc++ stdc++fs supc++ c++ c++abi unwind objc itm asan lsan tsan ubsan
	GL GLX GLdispatch EGL OpenGL GLESv1_CM GLESv2 vulkan OpenCL cuda drm X11 Xext xcb wayland-client asound udev`)

// lintNeeds tells of the libraries and modules that the package's own need and
// that a build would take from the system. Of Windows it is not known which DLLs
// that has.
func (s *Survey) lintNeeds(options LintOptions, linked map[string]bool, found *kinds) {
	if options.CPS == nil {
		return
	}
	n := needs{survey: s, options: options, provided: map[string]bool{}, places: map[string]string{}, seen: map[string]bool{}}
	n.index(linked)
	if options.Platform.OS != "windows" {
		for _, c := range s.compiled {
			if linked[c.path] {
				n.loaded(c, found)
			}
		}
		if options.Platform.OS != "darwin" && options.Platform.OS != "ios" {
			n.named()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(options.CPS.Requires)) {
		n.need(strings.TrimPrefix(name, "lib"), "the module "+name)
	}
	if len(n.missing) > 0 && !options.RequiredUnknown {
		found.say(derive.Several(n.missing), "needed, and in neither the package nor [dependencies], so that builds take the system's; add what has them to [dependencies], or name them in system-libs")
	}
}

// needs collects what is not in the package.
type needs struct {
	survey   *Survey
	options  LintOptions
	provided map[string]bool   // what a program finds, by file name and, for -l, by the name of the library
	places   map[string]string // the directory of each file of the package
	seen     map[string]bool
	missing  []string
}

// index notes what the package and those that it requires have.
func (n *needs) index(linked map[string]bool) {
	dirs := map[string]bool{}
	for file := range linked {
		if cps.LibraryName(file) != "" {
			dirs[path.Dir(file)] = true
		}
	}
	for _, f := range n.survey.files {
		dir, base := path.Dir(f.Path), path.Base(f.Path)
		n.places[base] = dir
		if dirs[dir] {
			n.provide(base)
		}
	}
	for _, c := range n.survey.compiled {
		if linked[c.path] && c.info.Soname != "" {
			n.provide(path.Base(c.info.Soname))
		}
	}
	for alias, p := range n.options.Required {
		n.provided[strings.TrimPrefix(alias, "lib")], n.provided[strings.TrimPrefix(p.Name, "lib")] = true, true
		for name, c := range p.Components {
			n.provided[strings.TrimPrefix(name, "lib")] = true
			for _, file := range []string{c.Location, c.LinkLocation, c.Soname} {
				n.provide(path.Base(file))
			}
		}
	}
}

func (n *needs) provide(file string) {
	n.provided[file] = true
	if name := cps.LibraryName(file); name != "" {
		n.provided[name] = true
	}
}

// loaded goes through what a shared library asks for when it is loaded.
func (n *needs) loaded(c compiled, found *kinds) {
	for _, needed := range c.info.Needed {
		base := path.Base(needed)
		system := c.info.Format == binfmt.FormatMachO && (strings.HasPrefix(needed, "/usr/lib/") || strings.HasPrefix(needed, "/System/"))
		if system || n.provided[base] || n.beside(c, base) {
			continue
		}
		if dir, here := n.places[base]; here {
			found.say(c.path, "it needs %s, which is in %s, where no program looks for it; move that to the other libraries, or link with -Wl,-rpath,'$ORIGIN/…'", base, dir)
			continue
		}
		name := cps.LibraryName(base)
		if name == "" || strings.HasPrefix(base, "ld-") || strings.HasPrefix(base, "ld64") || strings.HasPrefix(base, "libc.") {
			continue
		}
		n.need(name, base)
	}
}

// beside reports whether a library finds another one by a run path of its own.
func (n *needs) beside(c compiled, base string) bool {
	return slices.ContainsFunc(slices.Concat(c.info.RPath, c.info.RunPath), func(dir string) bool {
		for _, origin := range []string{"$ORIGIN", "${ORIGIN}", "@loader_path"} {
			if rest, ok := strings.CutPrefix(dir, origin); ok {
				file := path.Join(path.Dir(c.path), rest, base)
				return slices.ContainsFunc(n.survey.files, func(f layer.File) bool { return f.Path == file })
			}
		}
		return false
	})
}

// named goes through the libraries that the link description has by name.
func (n *needs) named() {
	for _, name := range slices.Sorted(maps.Keys(n.options.CPS.Components)) {
		c := n.options.CPS.Components[name]
		for _, library := range c.LinkLibraries {
			if !strings.HasPrefix(library, cps.PrefixMarker) && !strings.HasPrefix(library, "-framework") {
				n.need(library, "-l"+library)
			}
		}
	}
}

// need notes a library that nothing provides, by its plain name and by the one that it is told of.
func (n *needs) need(name, as string) {
	if n.seen[name] || n.provided[name] || slices.Contains(systemLibraries, name) || slices.Contains(n.options.SystemLibs, name) {
		return
	}
	n.seen[name] = true
	n.missing = append(n.missing, as)
}
