package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
	"github.com/ocipkg/ocipkg/internal/project"
)

func (a *app) envCommand() *cobra.Command {
	var shell string
	var flags bool
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print what makes a shell's builds use ocipkg",
		Long: `Print the variables that make builds ask ocipkg for packages, as a shell sets them:
PKG_CONFIG, the program ocipkg-pkg-config; OCIPKG, this program; and, where there
is an ocipkg.toml, OCIPKG_PROJECT, its directory. A PKG_CONFIG that the shell has
becomes OCIPKG_REAL_PKG_CONFIG, which answers for the system's packages, and
CGO_LDFLAGS_ALLOW lets the go command link whole archives. In a Go module that has both programs as tools, run it as: go tool ocipkg env.

With --flags, also what links all [dependencies] of ocipkg.toml into a project that
asks no pkg-config: CPPFLAGS, LDFLAGS, LIBS and LDLIBS for make and configure,
CGO_CPPFLAGS and CGO_LDFLAGS for Go, behind what the shell has in them. What an
earlier evaluation added is replaced.`,
		Example: "  eval $(ocipkg env)\n  eval $(ocipkg env --flags) && ./configure && make\n  ocipkg env --shell fish | source\n  ocipkg env --shell powershell | Invoke-Expression",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			syntax, ok := shells[shell]
			if !ok {
				return errdef.Errorf(errdef.ErrUsage, "the shell %q is not known; choose sh, fish or powershell", shell)
			}
			variables, err := environment(cmd.Context())
			if err != nil {
				return fmt.Errorf("find the programs for a build: %w", err)
			}
			if flags {
				client := a.client()
				defer client.Close()
				text, err := client.Link(cmd.Context(), nil, ocipkg.LinkOptions{Format: ocipkg.FormatJSON})
				if err == nil {
					err = variables.addFlags([]byte(text))
				}
				if err != nil {
					return err
				}
			}
			if a.json {
				return a.resultJSON(cmd, variables)
			}
			return a.result(cmd, syntax(variables))
		},
	}
	cmd.Flags().StringVar(&shell, "shell", defaultShell(), "the `sh, fish or powershell` to write for")
	cmd.Flags().BoolVar(&flags, "flags", false, "print also the flags that link all [dependencies]")
	a.addJSON(cmd)
	return cmd
}

// variables are those that a build reads.
type variables struct {
	PkgConfig string `json:"PKG_CONFIG"`
	Ocipkg    string `json:"OCIPKG"`
	Project   string `json:"OCIPKG_PROJECT,omitempty"` // empty for none
	// Real is the pkg-config that the shell had set; empty for none.
	Real string `json:"OCIPKG_REAL_PKG_CONFIG,omitempty"`
	// Allow are linker flags that cmd/go takes from pkg-config, as a regular expression.
	Allow string `json:"CGO_LDFLAGS_ALLOW,omitempty"`

	// What links the project's dependencies: all of it empty where that is not asked for.
	CPPFlags    string `json:"CPPFLAGS,omitempty"`
	LDFlags     string `json:"LDFLAGS,omitempty"`
	Libs        string `json:"LIBS,omitempty"`   // as configure calls it
	LDLibs      string `json:"LDLIBS,omitempty"` // as make does
	CgoCPPFlags string `json:"CGO_CPPFLAGS,omitempty"`
	CgoLDFlags  string `json:"CGO_LDFLAGS,omitempty"`
	// The part of these that is ours, by which the next evaluation knows it.
	OwnCPPFlags string `json:"OCIPKG_CPPFLAGS,omitempty"`
	OwnLDFlags  string `json:"OCIPKG_LDFLAGS,omitempty"`
	OwnLibs     string `json:"OCIPKG_LIBS,omitempty"`
}

// addFlags adds what the packages give, as [ocipkg.FormatJSON] has it, to what the shell has. No variable is touched that has
// a default of its own which it would take the place of: what the compiler is told stands in CPPFLAGS and CGO_CPPFLAGS, and Go's
// default of CGO_LDFLAGS is kept.
func (v *variables) addFlags(text []byte) error {
	var linked struct{ Cflags, Libs []string }
	if err := json.Unmarshal(text, &linked); err != nil {
		return err
	}
	isDirectory := func(arg string) bool { // one to search, now or when the program runs; they come first
		return strings.HasPrefix(arg, "-L") || strings.HasPrefix(arg, "-Wl,-rpath,") || arg == "-Wl,--disable-new-dtags"
	}
	n := 0
	for n < len(linked.Libs) && isDirectory(linked.Libs[n]) {
		n++
	}
	v.OwnCPPFlags, v.OwnLDFlags, v.OwnLibs = quoted(linked.Cflags), quoted(linked.Libs[:n]), quoted(linked.Libs[n:])
	v.CPPFlags = behind("CPPFLAGS", "", os.Getenv("OCIPKG_CPPFLAGS"), v.OwnCPPFlags)
	v.LDFlags = behind("LDFLAGS", "", os.Getenv("OCIPKG_LDFLAGS"), v.OwnLDFlags)
	v.Libs = behind("LIBS", "", os.Getenv("OCIPKG_LIBS"), v.OwnLibs)
	v.LDLibs = behind("LDLIBS", "", os.Getenv("OCIPKG_LIBS"), v.OwnLibs)
	forGo := func(name, standard string, before, now string) (string, error) {
		was, _ := quotedForGo(before)
		own, err := quotedForGo(now)
		return behind(name, standard, was, own), err
	}
	var err error
	if v.CgoCPPFlags, err = forGo("CGO_CPPFLAGS", "", os.Getenv("OCIPKG_CPPFLAGS"), v.OwnCPPFlags); err != nil {
		return err
	}
	v.CgoLDFlags, err = forGo("CGO_LDFLAGS", "-O2 -g", os.Getenv("OCIPKG_LDFLAGS")+" "+os.Getenv("OCIPKG_LIBS"), v.OwnLDFlags+" "+v.OwnLibs)
	return err
}

// behind returns what the shell has in a variable, without what was added before, or else the default, with own behind it.
func behind(name, standard, before, own string) string {
	set := os.Getenv(name)
	if before != "" {
		set = strings.Replace(" "+set+" ", " "+before+" ", " ", 1)
	}
	return strings.TrimSpace(cmp.Or(strings.TrimSpace(set), standard) + " " + own)
}

func quoted(args []string) string {
	var list []string
	for _, arg := range args {
		list = append(list, link.Quote(arg))
	}
	return strings.Join(list, " ")
}

// quotedForGo writes flags that are quoted for a shell as the go command reads them, which knows quotes and no backslash.
func quotedForGo(flags string) (string, error) {
	args, err := pkgconf.Split(flags)
	if err != nil {
		return "", err
	}
	for i, arg := range args {
		switch {
		case !strings.ContainsAny(arg, " \t'\""):
		case !strings.Contains(arg, "'"):
			args[i] = "'" + arg + "'"
		case !strings.Contains(arg, `"`):
			args[i] = `"` + arg + `"`
		default:
			return "", errdef.Errorf(errdef.ErrUsage, "the go command takes no flag with both quotes in it, such as %s: link without --flags", arg)
		}
	}
	return strings.Join(args, " "), nil
}

// wholeArchives is what ocipkg-pkg-config gives for archives of which every member is linked, as a regular expression. cmd/go
// takes it from nobody by default. It allows archives by path and libraries by name, and no other option.
const wholeArchives = `-Wl,--whole-archive(,([a-zA-Z]:)?/[^,]+[.](a|lib)|,-l[^-,][^,]*)+,--no-whole-archive`

func (v variables) each(do func(name, value string)) {
	do("PKG_CONFIG", v.PkgConfig)
	do("OCIPKG", v.Ocipkg)
	if v.Project != "" {
		do("OCIPKG_PROJECT", v.Project)
	}
	if v.Real != "" {
		do("OCIPKG_REAL_PKG_CONFIG", v.Real)
	}
	if v.Allow != "" {
		do("CGO_LDFLAGS_ALLOW", v.Allow)
	}
	if v.CgoLDFlags == "" {
		return
	}
	do("CPPFLAGS", v.CPPFlags)
	do("LDFLAGS", v.LDFlags)
	do("LIBS", v.Libs)
	do("LDLIBS", v.LDLibs)
	do("CGO_CPPFLAGS", v.CgoCPPFlags)
	do("CGO_LDFLAGS", v.CgoLDFlags)
	do("OCIPKG_CPPFLAGS", v.OwnCPPFlags)
	do("OCIPKG_LDFLAGS", v.OwnLDFlags)
	do("OCIPKG_LIBS", v.OwnLibs)
}

func defaultShell() string {
	if runtime.GOOS == "windows" {
		return "powershell"
	}
	return "sh"
}

var shells = map[string]func(variables) string{
	// On one line and without two blanks in a row, so that it survives eval $(…) without quotes.
	"sh": func(v variables) string {
		line := "export"
		v.each(func(name, value string) {
			line += " " + name + "='" + strings.NewReplacer("'", `'\''`, " ", " ''").Replace(value) + "'"
		})
		return line
	},
	"fish": func(v variables) string {
		var lines []string
		v.each(func(name, value string) {
			lines = append(lines, "set -gx "+name+" '"+strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value)+"';")
		})
		return strings.Join(lines, "\n")
	},
	// Which takes quotes of typographers for quotes.
	"powershell": func(v variables) string {
		double := strings.NewReplacer("'", "''", "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019", "\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b")
		var statements []string
		v.each(func(name, value string) {
			statements = append(statements, "$env:"+name+" = '"+double.Replace(value)+"'")
		})
		return strings.Join(statements, "; ")
	},
}

// environment gives the variables for builds in the working directory.
func environment(ctx context.Context) (variables, error) {
	own, err := os.Executable()
	if err != nil {
		return variables{}, err
	}
	v, err := programs(ctx, own)
	if err != nil {
		return v, err
	}
	v.Real = otherPkgConfig(v.PkgConfig)
	v.Allow = allowed(os.Getenv("CGO_LDFLAGS_ALLOW"))
	of, err := project.Find(".")
	if of != nil {
		v.Project = of.Root
	}
	return v, err
}

// allowed adds whole archives to what the shell allows already.
func allowed(set string) string {
	switch {
	case set == "":
		return wholeArchives
	case strings.HasPrefix(set, wholeArchives):
		return set
	}
	return wholeArchives + "|" + set
}

// otherPkgConfig gives the program that the shell has for pkg-config, which is
// to go on answering for the system's packages; empty when it has none, or ours
// already.
func otherPkgConfig(front string) string {
	path, err := lookPath(os.Getenv("PKG_CONFIG"))
	if err != nil || strings.HasPrefix(filepath.Base(path), frontName) {
		return ""
	}
	ours, err := os.Stat(front)
	if err != nil {
		return ""
	}
	if set, err := os.Stat(path); err != nil || os.SameFile(ours, set) {
		return ""
	}
	return path
}

const frontName = "ocipkg-pkg-config"

// programs finds ocipkg-pkg-config and ocipkg: beside own, the running program;
// as tools of the Go module; on PATH. The go command builds a tool in a
// temporary directory and runs it there when its cache did not have it, so that
// own may be gone in a moment: it is asked for the place of both.
func programs(ctx context.Context, own string) (variables, error) {
	real, err := filepath.EvalSymlinks(own)
	if err != nil {
		real = own
	}
	for _, program := range []string{own, real} {
		front, err := exec.LookPath(filepath.Join(filepath.Dir(program), executable(frontName)))
		if err == nil {
			return variables{PkgConfig: front, Ocipkg: program}, nil
		}
	}
	front, toolErr := goTool(ctx, frontName)
	if toolErr == nil {
		if main, err := goTool(ctx, "ocipkg"); err == nil {
			own = main
		}
		return variables{PkgConfig: front, Ocipkg: own}, nil
	}
	front, err = lookPath(frontName)
	if err != nil {
		return variables{}, errdef.Errorf(errdef.ErrNotFound, "%s is neither beside %s nor on PATH, and no tool of this Go module (%w); run: go get -tool github.com/ocipkg/ocipkg/cmd/ocipkg github.com/ocipkg/ocipkg/cmd/ocipkg-pkg-config", frontName, own, toolErr)
	}
	if main, err := lookPath("ocipkg"); err == nil {
		own = main
	}
	return variables{PkgConfig: front, Ocipkg: own}, nil
}

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// lookPath gives the absolute path of a program on PATH.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// goTool gives the path of a tool of the Go module around the working
// directory, which the go command builds if its cache has it not.
// https://go.dev/ref/mod#go-tool
func goTool(ctx context.Context, name string) (string, error) {
	program, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("the go command is not on PATH")
	}
	cmd := exec.CommandContext(ctx, program, "tool", "-n", name)
	// For this machine, whatever the builds to come are for.
	cmd.Env = append(os.Environ(), "GOOS=", "GOARCH=")
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", errors.New(oneLine(errors.New(strings.TrimSpace(string(failed.Stderr)))))
	}
	if err != nil {
		return "", err
	}
	path := strings.TrimSpace(string(out))
	if info, err := os.Stat(path); err != nil || !filepath.IsAbs(path) || info.IsDir() {
		return "", fmt.Errorf("go tool -n %s printed %q, which is no program", name, path)
	}
	return path, nil
}
