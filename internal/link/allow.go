package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// FlagError is a flag that a package asks for and that is not on the list of those that can do no more than compile and
// link.
type FlagError struct{ Package, Component, Flag string }

func (e *FlagError) Error() string {
	return fmt.Sprintf("link %s: its component %q asks for the flag %q, which is not on the list of harmless flags: if you trust the package, allow it with --allow-flag=%s", e.Package, e.Component, e.Flag, e.Flag)
}

// allowlist says which flags a package may ask for: those that name directories, definitions, libraries, threads, a language
// standard or a property of the code. What loads plugins, runs programs, reads further arguments from files or replaces
// tools is not among them. cmd/go's list for cgo was the measure.
type allowlist struct {
	exact    []string
	prefixes []string // followed by anything but nothing, a @, a - or a comma
	paired   []string // take the next argument
	// libraries tells that files of libraries may stand among the flags.
	libraries bool
}

var compileFlags = allowlist{
	exact: []string{
		"-pthread", "-ansi", "-pedantic", "-w", "-O", "-W", "-g", "-m32", "-m64", "-mthreads", "-mwindows", "-mms-bitfields",
		"-mno-ms-bitfields", "-marm", "-mthumb", "-fexceptions", "-fno-exceptions", "-frtti", "-fno-rtti", "-fPIC", "-fpic", "-fPIE",
		"-fpie", "-fno-pic", "-fno-pie", "-fopenmp", "-fno-openmp", "-fopenmp-simd", "-fcommon", "-fno-common",
		"-fstrict-aliasing", "-fno-strict-aliasing", "-fomit-frame-pointer", "-fno-omit-frame-pointer", "-flto", "-fno-lto",
		"-ffat-lto-objects", "-fno-fat-lto-objects", "-fsigned-char", "-funsigned-char", "-fblocks", "-fobjc-arc", "-fplt", "-fno-plt",
		"-ffast-math", "-fno-fast-math", "-fvisibility-inlines-hidden",
	},
	prefixes: []string{
		"-D", "-U", "-I", "-F", "-isystem", "-O", "-W", "-std=", "--std=", "-stdlib=", "--stdlib=", "-fvisibility=",
		"-ftls-model=", "-fsanitize=", "-march=", "-mcpu=", "-mtune=", "-mabi=", "-mfpu=", "-mfloat-abi=", "-msse",
		"-mssse", "-mavx", "-maes", "-mcmodel=", "-mmacosx-version-min=", "-miphoneos-version-min=",
	},
	paired: []string{"-D", "-U", "-I", "-F", "-isystem", "-arch", "-framework"},
}

var linkFlags = allowlist{
	libraries: true,
	exact: []string{
		"-pthread", "-rdynamic", "-static-libgcc", "-static-libstdc++", "-mthreads", "-mwindows", "-m32", "-m64", "-fopenmp", "-fPIC",
		"-fpic", "-fPIE", "-fpie", "-pie", "-no-pie", "-flto", "-fno-lto", "-ObjC",
		"-Wl,--as-needed", "-Wl,--no-as-needed", "-Wl,-Bstatic", "-Wl,-Bdynamic", "-Wl,--start-group", "-Wl,--end-group",
		"-Wl,--push-state", "-Wl,--pop-state", "-Wl,--export-dynamic", "-Wl,-export-dynamic", "-Wl,-E", "-Wl,--no-undefined",
		"-Wl,--allow-shlib-undefined", "-Wl,--no-allow-shlib-undefined", "-Wl,--enable-new-dtags", disableNewDtags,
		"-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack", "-Wl,-z,relro,-z,now", "-Wl,-search_paths_first",
		"-Wl,-headerpad_max_install_names", "-Wl,-Bsymbolic-functions", "-Wl,--warn-common",
	},
	prefixes: []string{
		"-l", "-L", "-F", "-O", "-stdlib=", "--stdlib=", "-fsanitize=", "-march=", "-mcpu=", "-mtune=", "-mabi=", "-mfpu=", "-mfloat-abi=",
		"-mmacosx-version-min=", "-miphoneos-version-min=", "-Wl,-O", "-Wl,--hash-style=", "-Wl,-rpath,", "-Wl,-rpath=",
		"-Wl,-rpath-link,", "-Wl,-rpath-link=", "-Wl,--rpath=", "-Wl,--rpath,", "-Wl,-framework,",
		"-Wl,--subsystem,", "-Wl,-subsystem,",
	},
	paired: []string{"-l", "-L", "-F", "-framework", "-arch"},
}

// takesArgument says whether the next argument belongs to the flag, also for flags that are not allowed: so that an error
// names them whole, and what they hide is not taken for a flag of its own.
func takesArgument(flag string) bool {
	return slices.Contains([]string{
		"-D", "-U", "-I", "-F", "-l", "-L", "-isystem", "-idirafter", "-iquote", "-include", "-imacros", "-isysroot", "--sysroot",
		"-arch", "-target", "-framework", "-weak_framework", "-u", "-z", "-T", "-e", "-x", "-Xlinker", "-Xclang", "-Xpreprocessor",
		"-Xassembler", "-B", "-wrapper", "-specs", "-plugin",
	}, flag)
}

// check refuses a flag that is neither on the list nor among those that the user allows.
func (c *collector) check(item cps.Item, list allowlist, args []string) error {
	flag := strings.Join(args, " ")
	if list.allows(args) || c.allowed(flag, args) {
		return nil
	}
	return &FlagError{Package: c.of[item.Package].Name, Component: item.Component, Flag: flag}
}

// allowed says whether the user allows a flag that is not on a list.
func (c *collector) allowed(flag string, args []string) bool {
	return slices.ContainsFunc(c.opts.AllowFlags, func(allowed string) bool {
		start, open := strings.CutSuffix(allowed, "*")
		return (flag == allowed || args[0] == allowed || open && strings.HasPrefix(flag, start)) && !slices.ContainsFunc(args, control)
	})
}

func (a allowlist) allows(args []string) bool {
	flag := args[0]
	if slices.ContainsFunc(args, control) || strings.HasPrefix(flag, "@") {
		return false
	}
	if strings.HasPrefix(flag, "-lto_library") {
		return false // Apple's linker loads and runs what follows
	}
	if len(args) == 2 {
		isName := flag == "-l" || flag == "-framework"
		return slices.Contains(a.paired, flag) && harmless(args[1]) && (!isName || nameable(args[1]))
	}
	if !strings.HasPrefix(flag, "-") {
		// CMake takes what follows SHELL: and LINKER: for flags.
		return a.libraries && cps.LibraryName(flag) != "" && !strings.HasPrefix(flag, "SHELL:") && !strings.HasPrefix(flag, "LINKER:")
	}
	if name, ok := strings.CutPrefix(flag, "-l"); ok {
		return slices.Contains(a.prefixes, "-l") && nameable(name)
	}
	if slices.Contains(a.exact, flag) {
		return true
	}
	for _, prefix := range a.prefixes {
		value, ok := strings.CutPrefix(flag, prefix)
		if ok && prefix == "-D" {
			return definable(value)
		}
		// -Wa, -Wl and -Wp hand what follows the commas to another program.
		if ok && harmless(value) && !(strings.HasPrefix(prefix, "-W") && strings.Contains(value, ",")) {
			return true
		}
	}
	return false
}

// harmless says whether a flag's value cannot be taken for another flag or a file of flags.
func harmless(value string) bool {
	return value != "" && value[0] != '@' && value[0] != '-'
}

// definable takes NAME and NAME=VALUE. A value is text to the compiler, whatever it looks like.
func definable(definition string) bool {
	name, _, _ := strings.Cut(definition, "=")
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// control says whether an argument would break the line that it is printed on.
func control(arg string) bool {
	return strings.ContainsFunc(arg, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// nameable says whether a library or a framework can be of that name. CMake writes such names as they are into files that
// a shell reads.
func nameable(name string) bool {
	return name != "" && name[0] != '-' && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 0x80
		return !letter && !strings.ContainsRune("_.+-:", r)
	})
}

// IsModule says whether a name can be that of a module, which pkg-config looks up in its own directories and nowhere else:
// no path, no option, no further constraint.
func IsModule(name string) bool {
	return name != "" && name[0] != '.' && name[0] != '-' && !strings.HasSuffix(name, ".pc") && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`/\:,<>=!"'$`, r)
	})
}
