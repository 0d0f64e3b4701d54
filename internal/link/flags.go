package link

import (
	"slices"
	"strings"
)

// Kind is what sort of library a [Library] is.
type Kind string

const (
	Static    Kind = "static"    // an archive of a package
	Shared    Kind = "shared"    // a shared library of a package
	System    Kind = "system"    // a library that the toolchain finds by itself
	Framework Kind = "framework" // of Apple's systems
	Flag      Kind = "flag"      // no library: arguments that stand among them
)

// Library is one entry of the list that a linker goes through.
type Library struct {
	Kind Kind     `json:"kind"`
	Name string   `json:"name,omitempty"` // as -l or -framework takes it; empty for a flag
	Path string   `json:"path,omitempty"` // the file, of a package's library
	Dir  string   `json:"dir,omitempty"`  // the directory to search for Name; empty: the library is given by Path
	Args []string `json:"args,omitempty"` // of a flag

	Package   string `json:"package,omitempty"`
	Component string `json:"component,omitempty"`

	// Of a shared library: where programs find it, and the file that they load.
	runtimeDir, runtimeFile string
}

// Define is a preprocessor definition. A nil value is none (-DNAME).
type Define struct {
	Name  string  `json:"name"`
	Value *string `json:"value"`
}

// Arg is the definition as an argument.
func (d Define) Arg() string {
	if d.Value == nil {
		return "-D" + d.Name
	}
	return "-D" + d.Name + "=" + *d.Value
}

func (d Define) equal(other Define) bool { return d.Arg() == other.Arg() }

// SystemPackage is a package that the system's pkg-config has to answer for.
type SystemPackage struct {
	Name        string   `json:"name"`
	Constraints []string `json:"constraints,omitempty"` // such as ">= 1.2"
	Compile     bool     `json:"compile"`               // its compiler flags are wanted
	Link        bool     `json:"link"`                  // its linker flags are wanted
}

// Flags is what [Link] collects. Directories and libraries are in the order in which they are to be given.
type Flags struct {
	Root string `json:"root"` // the directory of the first package that was asked for

	IncludeDirs []string   `json:"includeDirs"`
	Defines     []Define   `json:"defines"`
	CFlags      [][]string `json:"cFlags"` // other flags for the compiler, each with its argument

	LibDirs []string `json:"libDirs"`
	// Libraries lists each library where its last dependent needs it, C++ runtimes at the end.
	Libraries []Library `json:"libraries"`
	RPathDirs []string  `json:"rpathDirs"`
	// DisableNewDtags asks for RPATH in place of RUNPATH, which the loader does not use for the libraries of libraries.
	DisableNewDtags bool `json:"disableNewDtags"`
	// RuntimeFiles are the shared libraries of the whole closure, which a program needs when it runs; none when linking
	// statically.
	RuntimeFiles []string `json:"runtimeFiles"`

	CXXRuntimes []string        `json:"cxxRuntimes"` // the C++ runtimes among Libraries, by library name: "stdc++", "c++"
	System      []SystemPackage `json:"system"`
}

// newFlags makes flags whose lists are empty and not null in JSON.
func newFlags() *Flags {
	return &Flags{
		IncludeDirs: []string{}, Defines: []Define{}, CFlags: [][]string{},
		LibDirs: []string{}, Libraries: []Library{}, RPathDirs: []string{}, RuntimeFiles: []string{}, CXXRuntimes: []string{}, System: []SystemPackage{},
	}
}

// Part is a selection of the arguments that [Flags.Args] gives, as pkg-config tells them apart.
type Part int

const (
	IncludeArgs     Part = 1 << iota // -I
	OtherCompile                     // -D and what else the compiler is told
	SearchArgs                       // -L
	LibraryArgs                      // -l
	OtherLink                        // libraries by path, frameworks, rpaths, and what else the linker is told
	CompileArgs     = IncludeArgs | OtherCompile
	LinkArgs        = SearchArgs | LibraryArgs | OtherLink
	AllArgs         = CompileArgs | LinkArgs
	disableNewDtags = "-Wl,--disable-new-dtags"
)

// Args gives the selected arguments, unquoted, in the order: include directories, definitions, compiler flags, library
// directories, rpaths, libraries with the linker flags that stand among them.
func (f *Flags) Args(parts Part) []string {
	args := []string{}
	if parts&IncludeArgs != 0 {
		args = appendPrefixed(args, "-I", f.IncludeDirs)
	}
	if parts&OtherCompile != 0 {
		for _, d := range f.Defines {
			args = append(args, d.Arg())
		}
		for _, flag := range f.CFlags {
			args = append(args, flag...)
		}
	}
	if parts&SearchArgs != 0 {
		args = appendPrefixed(args, "-L", f.LibDirs)
	}
	if parts&OtherLink != 0 && len(f.RPathDirs) > 0 {
		args = append(args, f.rpathArgs()...)
	}
	for _, l := range f.Libraries {
		if parts&l.part() != 0 {
			args = append(args, l.args()...)
		}
	}
	return args
}

func appendPrefixed(args []string, prefix string, values []string) []string {
	for _, v := range values {
		args = append(args, prefix+v)
	}
	return args
}

func (f *Flags) rpathArgs() []string {
	var args []string
	if f.DisableNewDtags {
		args = append(args, disableNewDtags)
	}
	return appendPrefixed(args, "-Wl,-rpath,", f.RPathDirs)
}

func (l Library) part() Part {
	if l.byName() {
		return LibraryArgs
	}
	return OtherLink
}

// byName says whether the library is given by -l.
func (l Library) byName() bool {
	return l.Kind == System || (l.Kind == Static || l.Kind == Shared) && l.Dir != ""
}

func (l Library) args() []string {
	switch {
	case l.byName():
		return []string{"-l" + l.Name}
	case l.Kind == Framework:
		return []string{"-framework", l.Name}
	case l.Kind == Flag:
		return l.Args
	}
	return []string{l.Path}
}

// addCFlag adds a flag that is not there yet.
func (f *Flags) addCFlag(args []string) {
	if !slices.ContainsFunc(f.CFlags, func(other []string) bool { return slices.Equal(other, args) }) {
		f.CFlags = append(f.CFlags, args)
	}
}

// add puts the libraries of one component at the end. Earlier mentions of them go, since what needs them has come before
// now: a linker that goes through its arguments once would not look back. A component that repeats a library after others
// means it, for archives that need each other; repeated is whether that is kept.
func (f *Flags) add(libraries []Library, repeated bool) {
	before := len(f.Libraries)
	for _, l := range libraries {
		if !(l.Kind == Flag && positional(l.Args)) {
			f.Libraries, before = drop(f.Libraries, &l, before, repeated)
		}
		f.Libraries = append(f.Libraries, l)
	}
}

// drop takes mentions of l out of the list: all of them, or if repeats are kept those before an index and the last one.
// It returns the index of the same place in the new list.
func drop(list []Library, l *Library, before int, repeated bool) ([]Library, int) {
	kept, place := list[:0], before
	for i, other := range list {
		if same := l.same(&other); same && (i < before || !repeated || i == len(list)-1) {
			if i < before {
				place--
			}
			continue
		}
		kept = append(kept, other)
	}
	return kept, place
}

// same says whether two entries give the linker the same argument. A system library of the name of one of ours is ours, as
// our directories are searched first; l takes its place in the list.
func (l *Library) same(other *Library) bool {
	if l.byName() && other.byName() && l.Name == other.Name {
		if l.Kind == System && other.Kind != System {
			*l = *other
		}
		return other.Kind == System || l.Path == other.Path
	}
	return slices.Equal(l.args(), other.args())
}

// group joins flags with the argument that they take.
func group(flags []string) [][]string {
	var groups [][]string
	for i := 0; i < len(flags); i++ {
		if i+1 < len(flags) && takesArgument(flags[i]) {
			groups = append(groups, flags[i:i+2])
			i++
			continue
		}
		groups = append(groups, flags[i:i+1])
	}
	return groups
}

// positional says whether a flag acts on the libraries that follow it.
func positional(args []string) bool {
	for option := range strings.SplitSeq(strings.TrimPrefix(args[0], "-Wl,"), ",") {
		switch strings.TrimLeft(option, "-") {
		case "start-group", "end-group", "(", ")", "Bstatic", "Bdynamic", "static", "dn", "dy", "push-state", "pop-state",
			"as-needed", "no-as-needed", "whole-archive", "no-whole-archive":
			return true
		}
	}
	return false
}
