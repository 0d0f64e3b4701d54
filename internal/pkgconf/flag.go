package pkgconf

import "strings"

// FlagKind tells what an argument to a compiler or linker is about.
type FlagKind int

const (
	Other       FlagKind = iota // anything else; Value is the whole argument
	IncludeDir                  // -I, -isystem, -idirafter, -iquote
	Define                      // -D
	LibraryDir                  // -L
	Library                     // -l; Value is the name, or ":FILE"
	LibraryFile                 // a library by its path
	Framework                   // -framework, of Apple's linkers
	RPath                       // a directory for the dynamic loader
	Empty                       // one of these without its value, as what a variable that is not set leaves
)

// Flag is one argument, or an argument with the one that it takes.
type Flag struct {
	Kind  FlagKind
	Value string
	Args  []string // as they were written, one or two
}

// separate are flags that take the next argument, beside those that Flags knows the meaning of.
var separate = []string{
	"-include", "-imacros", "-isysroot", "--sysroot", "-arch", "-target", "-x", "-Xlinker", "-Xpreprocessor", "-Xclang",
	"-u", "-z", "-U", "-F", "-iframework", "-weak_framework", "-weak_library", "-T", "-e",
}

// known are flags whose value follows in the same argument or as the next one.
var known = []struct {
	flag string
	kind FlagKind
}{
	{"-isystem", IncludeDir},
	{"-idirafter", IncludeDir},
	{"-iquote", IncludeDir},
	{"-framework", Framework},
	{"-I", IncludeDir},
	{"-D", Define},
	{"-L", LibraryDir},
	{"-l", Library},
}

// Flags tells the arguments of a Cflags or Libs field apart.
func Flags(arguments []string) []Flag {
	var flags []Flag
	for len(arguments) > 0 {
		f := flag(arguments)
		flags = append(flags, f)
		arguments = arguments[len(f.Args):]
	}
	return flags
}

func flag(arguments []string) Flag {
	first := arguments[0]
	for _, k := range known {
		value, ok := strings.CutPrefix(first, k.flag)
		if !ok {
			continue
		}
		if value != "" && k.kind != Framework {
			return Flag{k.kind, value, arguments[:1]}
		}
		if value == "" && len(arguments) > 1 && !strings.HasPrefix(arguments[1], "-") {
			return Flag{k.kind, arguments[1], arguments[:2]}
		}
		if value == "" {
			return Flag{Empty, "", arguments[:1]}
		}
	}
	if dir, ok := rpath(first); ok {
		return Flag{RPath, dir, arguments[:1]}
	}
	if (first == "-Wl,-rpath" || first == "-Wl,-R") && len(arguments) > 1 {
		return Flag{RPath, strings.TrimPrefix(arguments[1], "-Wl,"), arguments[:2]}
	}
	for _, s := range separate {
		if first == s && len(arguments) > 1 {
			return Flag{Other, first, arguments[:2]}
		}
	}
	if first[0] != '-' && LibraryPath(first) {
		return Flag{LibraryFile, first, arguments[:1]}
	}
	return Flag{Other, first, arguments[:1]}
}

// rpath finds the directory in -Wl,-rpath,DIR and its other spellings.
func rpath(argument string) (dir string, ok bool) {
	for _, flag := range []string{"-Wl,-rpath,", "-Wl,-rpath=", "-Wl,--rpath,", "-Wl,--rpath=", "-Wl,-R,", "-Wl,-R", "-R"} {
		if dir, ok := strings.CutPrefix(argument, flag); ok && dir != "" && !strings.Contains(dir, ",") {
			return dir, true
		}
	}
	return "", false
}

// LibraryPath says whether a path names a library: an archive, a shared library of any version, an import library. Hidden
// files are none.
func LibraryPath(file string) bool {
	base := file[strings.LastIndexByte(file, '/')+1:]
	if base == "" || base[0] == '.' {
		return false
	}
	for _, suffix := range []string{".a", ".so", ".dylib", ".tbd", ".lib", ".dll"} {
		if strings.HasSuffix(base, suffix) {
			return true
		}
	}
	_, version, versioned := strings.Cut(base, ".so.")
	if !versioned {
		return false
	}
	for part := range strings.SplitSeq(version, ".") { // 1.0.2k, and not 6-gdb.py
		if part == "" || part[0] < '0' || part[0] > '9' {
			return false
		}
	}
	return true
}

// Scope is what a flag begins or ends for the libraries that follow it.
type Scope int

const (
	NoScope    Scope = iota // it acts on all libraries, or on none
	GroupBegin              // of libraries that are searched again and again
	GroupEnd
	WholeBegin // of archives of which all members are linked
	WholeEnd
	StateBegin // a setting, such as -Bstatic or --as-needed
	StateEnd   // back to the default
	StatePush  // settings that end with the next StatePop
	StatePop
)

var scopes = map[string]Scope{
	"--start-group": GroupBegin, "-(": GroupBegin, "--end-group": GroupEnd, "-)": GroupEnd,
	"--whole-archive": WholeBegin, "-whole-archive": WholeBegin, "--no-whole-archive": WholeEnd, "-no-whole-archive": WholeEnd,
	"-Bstatic": StateBegin, "-static": StateBegin, "-dn": StateBegin, "-non_shared": StateBegin,
	"-Bdynamic": StateEnd, "-dy": StateEnd, "-call_shared": StateEnd,
	"--as-needed": StateBegin, "--no-as-needed": StateEnd,
	"--push-state": StatePush, "--pop-state": StatePop,
}

// ScopeOf returns what a linker flag begins or ends. Its place among libraries matters unless that is [NoScope].
func ScopeOf(argument string) Scope {
	option, ok := strings.CutPrefix(argument, "-Wl,")
	if !ok {
		return NoScope
	}
	return scopes[option]
}
