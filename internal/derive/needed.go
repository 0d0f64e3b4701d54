package derive

import (
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/cps"
)

// needs is what a shared library asks for at run time, in terms of what links its static twin.
type needs struct {
	system []string // as link_libraries has them
	within []string // libraries of the same tree, by name
	cxx    bool
}

// needs sorts the needed libraries of l's shared library. Those that every compiler driver links by itself are left out.
func (ls *libraries) needs(l *library) needs {
	var n needs
	if l.shared == nil {
		return n
	}
	for _, file := range l.shared.Needed {
		base := strings.ToLower(path.Base(strings.ReplaceAll(file, `\`, "/")))
		if other := ls.sonames[base]; other != nil {
			if other != l && !slices.Contains(n.within, other.name) {
				n.within = append(n.within, other.name)
			}
			continue
		}
		name, cxx := systemLibrary(file, l.shared.Format)
		n.cxx = n.cxx || cxx
		if name != "" && !slices.Contains(n.system, name) {
			n.system = append(n.system, name)
		}
	}
	return n
}

// systemLibrary gives the name by which a needed library is linked, and whether it is a C++ runtime; the name is empty for
// that and for what is always there.
func systemLibrary(file string, format binfmt.Format) (name string, cxx bool) {
	switch format {
	case binfmt.FormatMachO:
		return appleLibrary(file)
	case binfmt.FormatPE:
		return windowsLibrary(strings.ToLower(path.Base(strings.ReplaceAll(file, `\`, "/"))))
	}
	base := path.Base(file)
	if strings.HasPrefix(base, "ld-") || strings.HasPrefix(base, "ld64") || strings.HasPrefix(base, "libc.") {
		return "", false
	}
	switch name = cps.LibraryName(base); name {
	case "stdc++", "c++", "c++abi":
		return "", true
	case "gcc_s":
		return "", false
	}
	return name, false
}

func appleLibrary(file string) (name string, cxx bool) {
	if dir, base := path.Split(file); strings.Contains(dir, ".framework/") {
		return "-framework " + base, false
	}
	base := strings.TrimSuffix(path.Base(file), ".dylib")
	name, ok := strings.CutPrefix(base, "lib")
	if !ok {
		return "", false
	}
	name, _, _ = strings.Cut(name, ".")
	switch name {
	case "System":
		return "", false
	case "c++", "c++abi":
		return "", true
	}
	return name, false
}

// windowsDefaults are the DLLs, in lower case and without .dll, that every program links, by the start of their names.
var windowsDefaults = []string{"api-ms-", "ext-ms-", "kernel32", "msvcrt", "ucrtbase", "vcruntime", "libgcc_s"}

func windowsLibrary(base string) (name string, cxx bool) {
	name = strings.TrimSuffix(base, ".dll")
	for _, start := range windowsDefaults {
		if strings.HasPrefix(name, start) {
			return "", false
		}
	}
	switch {
	case strings.HasPrefix(name, "libstdc++"), strings.HasPrefix(name, "libc++"), strings.HasPrefix(name, "msvcp"):
		return "", true
	case strings.HasPrefix(name, "libwinpthread"):
		return "pthread", false
	}
	return name, false
}

// rustLibraries turns what rustc printed as native-static-libs into link_libraries, without those that a C compiler links
// by itself.
func rustLibraries(flags []string) []string {
	var list []string
	for i := 0; i < len(flags); i++ {
		name := strings.TrimPrefix(flags[i], "-l")
		if flags[i] == "-framework" && i+1 < len(flags) {
			i++
			name = "-framework " + flags[i]
		} else if name = strings.TrimSuffix(name, ".lib"); name == "c" || name == "System" || strings.HasPrefix(name, "/") {
			continue
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}
