package link

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// FlagError is what a package asks of a compiler or a linker, and what is not on the list of what can do no more than compile
// and link with the package.
type FlagError struct {
	Package, Component string
	Flag               string // as the package has it, with [cps.PrefixMarker]; with its argument behind a blank
}

func (e *FlagError) Error() string {
	if strings.IndexAny(e.Flag, "-/") != 0 && !pkgconf.LibraryPath(e.Flag) {
		return fmt.Sprintf("link %s: its component %q has %q among its flags, which is neither a flag nor a library; a path with a blank in it that is not quoted comes apart: have its author correct that", e.Package, e.Component, e.Flag)
	}
	text := fmt.Sprintf("link %s: its component %q asks for %q, which is not on the list of harmless flags with paths in the package", e.Package, e.Component, e.Flag)
	if strings.ContainsFunc(e.Flag, func(r rune) bool { return !unicode.IsPrint(r) && r != '\t' }) { // no terminal would show it as it is
		return text + ": have its author correct that"
	}
	return text + fmt.Sprintf(": if you trust the package, allow it with --allow-flag='%s', or in ocipkg.toml with allow-flags = [%q] under [trust]", strings.ReplaceAll(e.Flag, "'", `'\''`), e.Flag)
}

// value is what may follow a flag.
type value int

const (
	nothing    value = iota
	level            // of optimization: lower-case letters and digits, or nothing
	word             // letters, digits and signs that no program reads as anything else
	words            // of these, with commas between
	name             // of a library or a framework
	macro            // a name that the preprocessor knows
	definition       // NAME or NAME=TEXT
	directory        // one of the package
	searched         // such a directory, in a list with colons between
	header           // a header of the package, by its path
)

func (v value) fits(text string) bool {
	switch v {
	case nothing:
		return text == ""
	case level:
		return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
	case word:
		return text != "" && text[0] != '-' && !strings.ContainsFunc(text, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("_.+-=:", r) })
	case words:
		return !slices.ContainsFunc(strings.Split(text, ","), func(one string) bool { return !word.fits(one) })
	case name:
		return nameable(text)
	case macro:
		return identifier(text)
	case definition:
		name, text, _ := strings.Cut(text, "=")
		return identifier(name) && !active(text)
	case directory:
		return strings.HasPrefix(text, cps.PrefixMarker) && inside(text)
	case searched: // what stands behind a colon would be a directory of its own, and nothing the working directory
		return directory.fits(text) && !strings.Contains(text, ":")
	case header:
		return directory.fits(text) && slices.Contains([]string{".h", ".hh", ".hpp", ".hxx"}, path.Ext(text))
	}
	return false
}

// allowlist says which flags a package may ask for: those that name its directories, definitions, libraries, threads, a language
// standard or a property of the code. What loads plugins, runs programs, reads further arguments from files, writes files
// or replaces tools is not among them. cmd/go's list for cgo was the measure.
type allowlist map[value][]string

var compileFlags = allowlist{
	nothing: {
		"-pthread", "-ansi", "-pedantic", "-w", "-W", "-g", "-m32", "-m64", "-mthreads", "-mwindows", "-mms-bitfields",
		"-mno-ms-bitfields", "-marm", "-mthumb", "-mavx", "-maes", "-msse", "-mssse", "-fexceptions", "-fno-exceptions", "-frtti",
		"-fno-rtti", "-fPIC", "-fpic", "-fPIE", "-fpie", "-fno-pic", "-fno-pie", "-fopenmp", "-fno-openmp", "-fopenmp-simd",
		"-fcommon", "-fno-common", "-fstrict-aliasing", "-fno-strict-aliasing", "-fomit-frame-pointer", "-fno-omit-frame-pointer",
		"-fsigned-char", "-funsigned-char", "-fblocks",
		"-fobjc-arc", "-fplt", "-fno-plt", "-ffast-math", "-fno-fast-math", "-fvisibility-inlines-hidden",
	},
	level: {"-O"},
	word: {
		"-W", "-std=", "--std=", "-stdlib=", "--stdlib=", "-fvisibility=", "-ftls-model=", "-march=", "-mcpu=", "-mtune=",
		"-mabi=", "-mfpu=", "-mfloat-abi=", "-mfpmath=", "-msse", "-mssse", "-mavx", "-maes", "-mcmodel=", "-mmacosx-version-min=",
		"-miphoneos-version-min=", "-arch",
	},
	words:      {"-fsanitize="},
	name:       {"-framework"},
	macro:      {"-U"},
	definition: {"-D"},
	directory:  {"-I", "-F", "-isystem"},
	header:     {"-include"},
}

// linkFlags has the linker's options one by one: those that stand in one argument are each looked up.
var linkFlags = allowlist{
	nothing: {
		"-pthread", "-rdynamic", "-static-libgcc", "-static-libstdc++", "-mthreads", "-mwindows", "-m32", "-m64", "-fopenmp", "-fPIC",
		"-fpic", "-fPIE", "-fpie", "-ObjC",
		"-Wl,--as-needed", "-Wl,--no-as-needed", "-Wl,-Bstatic", "-Wl,-Bdynamic", "-Wl,--start-group", "-Wl,--end-group",
		"-Wl,--whole-archive", "-Wl,--no-whole-archive", "-Wl,--push-state", "-Wl,--pop-state",
		"-Wl,--export-dynamic", "-Wl,-export-dynamic", "-Wl,-export_dynamic", "-Wl,-E",
		"-Wl,--allow-shlib-undefined", "-Wl,--no-allow-shlib-undefined", disableNewDtags,
		"-Wl,-z,relro", "-Wl,-z,norelro", "-Wl,-z,now", "-Wl,-z,lazy", "-Wl,-z,noexecstack", "-Wl,-z,nodelete",
		"-Wl,-search_paths_first", "-Wl,-undefined,dynamic_lookup",
	},
	word: {
		"-stdlib=", "--stdlib=", "-march=", "-mcpu=", "-mtune=", "-mabi=", "-mfpu=", "-mfloat-abi=", "-mmacosx-version-min=",
		"-miphoneos-version-min=", "-Wl,--subsystem,", "-Wl,-subsystem,", "-arch",
	},
	words:     {"-fsanitize="},
	name:      {"-l", "-framework", "-Wl,-framework,"},
	directory: {"-L", "-F"},
	searched: {
		"-Wl,-rpath,", "-Wl,-rpath=", "-Wl,--rpath,", "-Wl,--rpath=", "-Wl,-rpath-link,", "-Wl,-rpath-link=", "-Wl,--rpath-link,",
		"-Wl,--rpath-link=",
	},
}

// What the compiler and the linker of MSVC take beside: with a slash or a dash before it, the linker's in any case.
// See https://learn.microsoft.com/cpp/build/reference/compiler-options-listed-by-category and
// https://learn.microsoft.com/cpp/build/reference/linker-options.
var (
	msvcCompileFlags = allowlist{
		nothing: {
			"MD", "MDd", "MT", "MTd", "EHa", "EHs", "EHsc", "GR", "GR-", "GS", "GS-", "bigobj", "permissive-", "utf-8", "openmp",
			"W0", "W1", "W2", "W3", "W4", "Wall", "nologo",
		},
		level:      {"O"},
		word:       {"wd", "arch:", "fp:", "std:", "Zc:", "volatile:"},
		macro:      {"U"},
		definition: {"D"},
		directory:  {"I", "external:I"},
	}
	msvcLinkFlags = allowlist{
		nothing:   {"NODEFAULTLIB"},
		word:      {"IGNORE:", "MACHINE:", "OPT:", "SUBSYSTEM:"},
		name:      {"DEFAULTLIB:", "NODEFAULTLIB:"},
		directory: {"LIBPATH:"},
	}
)

// apart are the flags whose value may also be the next argument.
var apart = []string{"-D", "-U", "-I", "-F", "-l", "-L", "-isystem", "-arch", "-framework", "-include"}

// alone are those of them whose value must be.
var alone = []string{"-arch", "-framework", "-include"}

// takesArgument says whether the next argument belongs to the flag, also for flags that are not allowed: so that an error
// names them whole, and what they hide is not taken for a flag of its own.
func takesArgument(flag string) bool {
	return slices.Contains(apart, flag) || slices.Contains([]string{
		"-idirafter", "-iquote", "-include", "-imacros", "-isysroot", "--sysroot", "-target", "-weak_framework", "-u", "-z", "-T", "-e",
		"-x", "-o", "-Xlinker", "-Xclang", "-Xpreprocessor", "-Xassembler", "-B", "-wrapper", "-specs", "-plugin",
	}, flag)
}

func (a allowlist) allows(args []string) bool {
	for v, flags := range a {
		for _, flag := range flags {
			text, ok := strings.CutPrefix(args[0], flag)
			switch {
			case !ok:
			case len(args) == 2 && text == "" && slices.Contains(apart, flag) && v.fits(args[1]):
				return true
			case len(args) == 1 && !slices.Contains(alone, flag) && v.fits(text):
				return true
			}
		}
	}
	return false
}

// checkCompile refuses a flag, or a flag and its argument, for the compiler that is neither on the list nor among those that the
// user allows. It is as the package has it, before its directory is put in.
func (c *collector) checkCompile(item cps.Item, args []string) error {
	ok := compileFlags.allows(args) || pkgconf.Harmless(args)
	if text, isFlag := msvcFlag(args); isFlag && c.opts.Env == "msvc" {
		ok = ok || msvcCompileFlags.allows([]string{text})
	}
	return c.check(item, args, ok || c.opts.FilesOnly)
}

// checkLink is checkCompile for the linker, among whose flags there may be libraries of the package.
func (c *collector) checkLink(item cps.Item, args []string) error {
	ok := !slices.ContainsFunc(group(pkgconf.LinkerFlags(args)), func(args []string) bool {
		library := len(args) == 1 && directory.fits(args[0]) && pkgconf.LibraryPath(args[0])
		return !library && !linkFlags.allows(args) && !pkgconf.Harmless(args)
	})
	if text, isFlag := msvcFlag(args); isFlag && c.opts.Env == "msvc" {
		option, value, valued := strings.Cut(text, ":")
		if valued {
			option += ":"
		}
		ok = ok || msvcLinkFlags.allows([]string{strings.ToUpper(option) + value})
	}
	return c.check(item, args, ok || c.opts.FilesOnly)
}

func msvcFlag(args []string) (string, bool) {
	if len(args) != 1 || strings.IndexAny(args[0], "-/") != 0 {
		return "", false
	}
	return args[0][1:], true
}

// check refuses what is not ok, unless the user allows the very same, to the letter.
func (c *collector) check(item cps.Item, args []string, ok bool) error {
	flag := strings.Join(args, " ")
	if !control(flag) && (ok || slices.Contains(c.opts.AllowFlags, flag)) {
		return nil
	}
	return &FlagError{Package: c.of[item.Package].Name, Component: item.Component, Flag: flag}
}

// checkPath refuses a path that is not in the package, or that some tool would take for more than a path. as is what stands
// before it among the flags.
func (c *collector) checkPath(item cps.Item, as, file string) error {
	if strings.ContainsAny(file, c.opts.unfit) && inside(file) {
		return errdef.Errorf(errdef.ErrUsage, "link %s: its component %q names %q, and CMake and its generators take no path with one of %s in it: have its author rename it", c.of[item.Package].Name, item.Component, file, c.opts.unfit)
	}
	return c.check(item, []string{as + file}, inside(file))
}

// checkLibrary is checkPath for what is linked: compilers and linkers take files of other names for source and for scripts.
func (c *collector) checkLibrary(item cps.Item, file string) error {
	if !pkgconf.LibraryPath(file) {
		return c.check(item, []string{file}, false)
	}
	return c.checkPath(item, "", file)
}

// inside says whether a path that a component names is one in its package. A relative one is. Make and shells evaluate
// what follows a dollar sign, and linkers split their options at commas.
func inside(file string) bool {
	rest, marked := strings.CutPrefix(file, cps.PrefixMarker)
	if !marked {
		rest = "/" + file
	}
	absolute := !marked && (strings.IndexAny(file, `/\`) == 0 || len(file) > 1 && file[1] == ':')
	clean := path.Clean("." + strings.ReplaceAll(rest, `\`, "/")) // as Windows reads it
	return !absolute && (rest == "" || rest[0] == '/') && clean != ".." && !strings.HasPrefix(clean, "../") &&
		!active(rest) && !strings.ContainsRune(rest, ',')
}

// active says whether a text could become more than a part of one argument. It may be read once more than it is quoted, by
// make and by the shell that it calls: so there is nothing in it that these evaluate inside of quotes. Or it may be read once
// less, where cc $(ocipkg link …) has a shell split it at blanks and leave the quotes: so what would be a flag then, or a file
// of flags, does not follow a blank. And it does not end its line.
func active(text string) bool {
	for i := 1; i < len(text); i++ {
		if (text[i-1] == ' ' || text[i-1] == '\t') && (text[i] == '-' || text[i] == '@') {
			return true
		}
	}
	return control(text) || strings.ContainsAny(text, "$`")
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func identifier(name string) bool {
	for i, r := range name {
		if r != '_' && !alphanumeric(r) || i == 0 && r >= '0' && r <= '9' {
			return false
		}
	}
	return name != ""
}

// control says whether an argument would break the line that it is printed on, or the terminal.
func control(arg string) bool {
	return strings.ContainsFunc(arg, func(r rune) bool { return unicode.IsControl(r) && r != '\t' })
}

// nameable says whether a library or a framework can be of that name. CMake writes such names as they are into files that
// a shell reads. A colon before it makes it that of a file. Apple's linker would read -lto_library as another flag, which
// has it load and run what follows.
func nameable(name string) bool {
	name, isFile := strings.CutPrefix(name, ":")
	if isFile && !pkgconf.LibraryPath(name) { // which linkers would read as a script
		return false
	}
	return name != "" && name[0] != '-' && !strings.HasPrefix(name, "to_library") && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsControl(r) || !alphanumeric(r) && r < 0x80 && !strings.ContainsRune("_.+-", r)
	})
}

// IsModule says whether a name can be that of a module, which pkg-config looks up in its own directories and nowhere else:
// no path, no option, no further constraint, nothing that a build system could evaluate.
func IsModule(name string) bool {
	return name != "" && name[0] != '.' && name[0] != '-' && !strings.HasSuffix(name, ".pc") && !strings.ContainsFunc(name, func(r rune) bool {
		return r == ' ' || unicode.IsControl(r) || strings.ContainsRune("/\\:,<>=!\"'$`;|&()[]{}*?#", r)
	})
}
