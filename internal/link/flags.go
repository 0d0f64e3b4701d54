package link

import (
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

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
	By          string   `json:"by"`                    // the package that requires it, the first of several
	Constraints []string `json:"constraints,omitempty"` // such as ">= 1.2"
	Compile     bool     `json:"compile"`               // its compiler flags are wanted
	Link        bool     `json:"link"`                  // its linker flags are wanted
}

// Flags is what [Link] collects. Directories and libraries are in the order in which they are to be given.
type Flags struct {
	Root string `json:"root"` // the directory of the first package that was asked for

	IncludeDirs []string   `json:"includeDirs"`
	SystemDirs  []string   `json:"systemDirs"` // those of IncludeDirs that are given by -isystem
	Defines     []Define   `json:"defines"`
	CFlags      [][]string `json:"cFlags"` // other flags for the compiler, each with its argument

	LibDirs []string `json:"libDirs"`
	// Items is what a linker goes through: each library where its last dependent needs it, C++ runtimes at the end.
	Items     []Item   `json:"items"`
	RPathDirs []string `json:"rpathDirs"`
	// DisableNewDtags asks for RPATH in place of RUNPATH, which the loader does not use for the libraries of libraries.
	DisableNewDtags bool `json:"disableNewDtags"`
	// RuntimeFiles are the shared libraries of the whole closure, which a program needs when it runs; none when linking
	// statically.
	RuntimeFiles []string `json:"runtimeFiles"`

	CXXRuntimes []string        `json:"cxxRuntimes"` // what a C++ compiler adds by itself, by library name: "stdc++" or "c++", "m"
	System      []SystemPackage `json:"system"`
}

// newFlags makes flags whose lists are empty and not null in JSON.
func newFlags() *Flags {
	return &Flags{
		IncludeDirs: []string{}, SystemDirs: []string{}, Defines: []Define{}, CFlags: [][]string{},
		LibDirs: []string{}, Items: []Item{}, RPathDirs: []string{}, RuntimeFiles: []string{}, CXXRuntimes: []string{}, System: []SystemPackage{},
	}
}

// Part is a selection of the arguments that [Flags.Args] gives, as pkg-config tells them apart.
type Part int

const (
	IncludeArgs  Part = 1 << iota // -I
	OtherCompile                  // -D and what else the compiler is told
	SearchArgs                    // -L
	LibraryArgs                   // -l
	OtherLink                     // libraries by path, frameworks, rpaths, and what else the linker is told
	CompileArgs       = IncludeArgs | OtherCompile
	LinkArgs          = SearchArgs | LibraryArgs | OtherLink
	AllArgs           = CompileArgs | LinkArgs
	// Repeated has each group as its libraries over and over, for who takes libraries and other flags apart.
	Repeated        Part = 1 << 5
	disableNewDtags      = "-Wl,--disable-new-dtags"
)

// Args gives the selected arguments, unquoted, in the order: include directories, definitions, compiler flags, library
// directories, rpaths, libraries with the linker flags that stand among them. Who takes include directories and other flags
// apart, as CMake does, which has no -isystem twice, gets all directories by -I.
func (f *Flags) Args(parts Part) []string {
	args := []string{}
	switch {
	case parts&CompileArgs == CompileArgs:
		args = appendPrefixed(args, "-I", slices.DeleteFunc(slices.Clone(f.IncludeDirs), func(dir string) bool { return slices.Contains(f.SystemDirs, dir) }))
		for _, dir := range f.SystemDirs {
			args = append(args, "-isystem", dir)
		}
	case parts&IncludeArgs != 0:
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
	for _, item := range f.Items {
		args = append(args, item.argsOf(parts)...)
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

// addCFlag adds a flag that is not there yet.
func (f *Flags) addCFlag(args []string) {
	if !slices.ContainsFunc(f.CFlags, func(other []string) bool { return slices.Equal(other, args) }) {
		f.CFlags = append(f.CFlags, args)
	}
}

// AddSystem adds what the system's pkg-config gives for the compiler and for the linker, behind what packages give.
func (f *Flags) AddSystem(compile, libs []string) {
	for _, flag := range pkgconf.Flags(compile) {
		name, value, valued := strings.Cut(flag.Value, "=")
		switch {
		case flag.Kind == pkgconf.IncludeDir && strings.HasPrefix(flag.Args[0], "-I"):
			f.IncludeDirs = appendMissing(f.IncludeDirs, flag.Value)
		case flag.Kind == pkgconf.Define && valued:
			f.Defines = append(f.Defines, Define{Name: name, Value: &value})
		case flag.Kind == pkgconf.Define:
			f.Defines = append(f.Defines, Define{Name: name})
		default:
			f.addCFlag(flag.Args)
		}
	}
	var items []Item
	for _, flag := range pkgconf.Flags(pkgconf.LinkerFlags(libs)) {
		switch flag.Kind {
		case pkgconf.LibraryDir:
			f.LibDirs = appendMissing(f.LibDirs, flag.Value)
		case pkgconf.Library:
			items = append(items, Item{Kind: System, Name: flag.Value})
		case pkgconf.Framework:
			items = append(items, Item{Kind: Framework, Name: flag.Value})
		case pkgconf.LibraryFile:
			l := Item{Kind: Static, Name: cps.LibraryName(flag.Value), Path: flag.Value}
			if isShared(flag.Value) {
				l.Kind = Shared
			}
			items = append(items, l)
		default:
			items = append(items, Item{Kind: Flag, Args: flag.Args})
		}
	}
	f.add(nest(items), func(_, _ *Item) bool { return true })
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
