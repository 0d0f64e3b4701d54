package pkgconfigcmd

import (
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// request is what a command line asks for.
type request struct {
	flags    []string // all of them, as they were written
	passed   []string // those that only say how the real pkg-config finds its own packages
	unknown  []string // those that only the real pkg-config knows
	packages []pkgconf.Dependency

	help, version    bool
	atleastPkgConfig string // the version of --atleast-pkgconfig-version

	parts                 link.Part // the flags that are wanted
	compileModes          []string  // --cflags, --cflags-only-I …: those of parts that are for the compiler
	linkModes             []string  // --libs, --libs-only-l …
	modversion            bool
	printVariables        bool
	variable              *string // nil: not asked for
	printRequires         bool
	printRequiresPrivate  bool
	linkABI               bool
	compare               string // "atleast", "exact" or "max"; empty: no comparison
	compareTo             string
	exists                bool
	static, shared        bool
	printErrors           bool
	silenceErrors         bool
	shortErrors, toStdout bool
}

// modes are the flags that ask for flags.
var modes = map[string]link.Part{
	"cflags":            link.CompileArgs,
	"cflags-only-I":     link.IncludeArgs,
	"cflags-only-other": link.OtherCompile,
	"libs":              link.LinkArgs,
	"libs-only-L":       link.SearchArgs,
	"libs-only-l":       link.LibraryArgs,
	"libs-only-other":   link.OtherLink,
}

// valued are the flags that take a value, of the real pkg-config's too: else
// the value would be taken for a package.
var valued = []string{
	"atleast-version", "exact-version", "max-version", "variable", "atleast-pkgconfig-version",
	"define-variable", "with-path", "log-file", "relocate", "prefix-variable", "personality", "maximum-traverse-depth", "fragment-filter",
}

// searching are the flags about finding and filtering the system's packages.
// They change nothing about ours.
var searching = []string{
	"keep-system-cflags", "keep-system-libs", "define-prefix", "dont-define-prefix", "dont-relocate-paths", "env-only", "with-path",
	"no-cache", "no-uninstalled", "no-provides", "ignore-conflicts", "debug",
}

// parse reads the arguments. As pkgconf does, it takes flags before and after
// names, with one dash or two, and a value after = or as the next argument.
func parse(args []string) (*request, error) {
	r := &request{}
	var names []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			names = append(names, args[i+1:]...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			names = append(names, arg)
			continue
		}
		r.flags = append(r.flags, arg)
		first := len(r.flags) - 1
		name, value, joined := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		if slices.Contains(valued, name) && !joined {
			i++
			if i == len(args) {
				return nil, errdef.Errorf(errdef.ErrUsage, "the option %s needs a value: write %s=VALUE", arg, arg)
			}
			value = args[i]
			r.flags = append(r.flags, value)
		}
		switch {
		case slices.Contains(searching, name):
			r.passed = append(r.passed, r.flags[first:]...)
		case !slices.Contains(valued, name) && joined || !r.set(name, value):
			r.unknown = append(r.unknown, arg)
		}
	}
	var err error
	if r.packages, err = pkgconf.ParseDependencies(strings.Join(names, " ")); err != nil {
		return nil, errdef.Errorf(errdef.ErrUsage, "read the packages' names: %w", err)
	}
	return r, nil
}

// set notes a flag, and tells whether it is known here.
func (r *request) set(name, value string) bool {
	if part, ok := modes[name]; ok {
		r.parts |= part
		if part&link.CompileArgs != 0 {
			r.compileModes = append(r.compileModes, "--"+name)
		} else {
			r.linkModes = append(r.linkModes, "--"+name)
		}
		return true
	}
	if how, ok := strings.CutSuffix(name, "-version"); ok && slices.Contains([]string{"atleast", "exact", "max"}, how) {
		r.compare, r.compareTo = how, value
		return true
	}
	switch name {
	case "atleast-pkgconfig-version":
		r.atleastPkgConfig = value
	case "variable":
		r.variable = &value
	default:
		set := map[string]*bool{
			"help": &r.help, "version": &r.version, "modversion": &r.modversion, "exists": &r.exists,
			"print-variables": &r.printVariables, "print-requires": &r.printRequires, "print-requires-private": &r.printRequiresPrivate, "link-abi": &r.linkABI,
			"static": &r.static, "shared": &r.shared, "print-errors": &r.printErrors, "short-errors": &r.shortErrors,
			"silence-errors": &r.silenceErrors, "errors-to-stdout": &r.toStdout,
		}[name]
		if set == nil {
			return false
		}
		*set = true
	}
	return true
}

// asksForText says whether the request wants something printed that is not
// flags for a compiler or linker, which then are not printed, as with pkgconf.
func (r *request) asksForText() bool {
	return r.modversion || r.printVariables || r.variable != nil || r.printRequires || r.printRequiresPrivate || r.linkABI
}

// quiet says whether a failure is only told by the exit code: where that is all
// that was asked for.
func (r *request) quiet() bool {
	printed := r.printErrors || len(r.packages) == 0 || len(r.unknown) > 0
	check := r.compare != "" || r.parts == 0 && !r.asksForText()
	return r.silenceErrors || check && !printed
}

// allows compares a version with the one of --atleast-version and its like.
func (r *request) allows(version string) bool {
	order := pkgconf.CompareVersions(version, r.compareTo)
	switch r.compare {
	case "atleast":
		return order >= 0
	case "max":
		return order <= 0
	}
	return order == 0
}

// noVersion is the error for a constraint on a package which does not say its version.
func noVersion(name, constraint string) error {
	return errdef.Errorf(errdef.ErrNotFound, "package %s does not say which version it is, and %s is required: ask for it without a version, or have its author set version under [package] in ocipkg.toml, or in its .pc file", name, constraint)
}

// checkConstraint refuses a package of ours that is not of the version wanted.
func checkConstraint(d pkgconf.Dependency, version string) error {
	if d.Op != "" && version == "" {
		return noVersion(d.Name, d.Op+" "+d.Version)
	}
	if d.Allows(version) {
		return nil
	}
	return errdef.Errorf(errdef.ErrNotFound, "package %s has the version %s, and %s %s is required: ask for another tag", d.Name, version, d.Op, d.Version)
}
