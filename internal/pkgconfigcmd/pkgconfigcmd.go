// Package pkgconfigcmd is the program ocipkg-pkg-config: pkg-config for packages
// in registries. It takes the place of pkg-config, so that every build system that
// asks pkg-config links them by their names, and behaves as pkgconf 1.8 does:
// https://manpages.debian.org/bookworm/pkgconf/pkgconf.1.en.html.
//
// A name with a slash in it that is no path is a reference to a package; one
// that is listed under [dependencies] in ocipkg.toml is an alias of such a
// package, and one that is a module of such a package is answered by it. Any other
// name is the system's, and left to the real pkg-config, as is a call with no other
// names in it. Packages are linked statically, unless
// --shared or the project file says otherwise.
//
// On success nothing is written to stderr: cmd/go takes both streams for flags.
// A warm call answers from the store alone; what is missing is fetched by the
// program ocipkg, so that none of what networks take is loaded here.
package pkgconfigcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"unicode"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/system"
)

// Version is that of pkgconf whose flags and answers are ours, which is said where there is no pkg-config behind this one.
const Version = "1.8.1"

// errNo is an answer that consists of the exit code alone.
var errNo = errors.New("no")

// Main runs the program with the arguments argv, the first of which is its own
// name, and gives its exit code: 0 or 1, as with pkgconf, or the real
// pkg-config's where that answers alone.
func Main(argv []string) int {
	c := &command{program: argv[0], source: newSource(argv[0])}
	out, err := c.run(context.Background(), argv[1:])
	if err == nil {
		if _, err = io.WriteString(os.Stdout, out); err == nil {
			return 0
		}
	}
	c.report(err)
	var real *system.Error
	if errors.As(err, &real) && real.Code > 0 {
		return real.Code
	}
	return 1
}

// command is one call.
type command struct {
	program string // as it was called
	source  source
	*request
	names []name
	found *closure // of the names that are ours

	pkgConfig *system.PkgConfig // the real one; nil until it is asked
}

// name is one of the packages that a call asks for.
type name struct {
	pkgconf.Dependency
	ours bool
	// Of one of ours:
	shared  bool // its shared libraries are linked, and not static ones where there are some
	link    link.Request
	version string
}

func (c *command) run(ctx context.Context, args []string) (string, error) {
	var err error
	if c.request, err = parse(args); err != nil {
		return "", err
	}
	switch {
	case c.version:
		return c.versionBehind() + "\n", nil
	case c.help:
		return usage, nil
	case c.atleastPkgConfig != "":
		if pkgconf.CompareVersions(c.versionBehind(), c.atleastPkgConfig) < 0 {
			return "", errNo
		}
		return "", nil
	}
	ours, err := c.tellApart(ctx)
	if err != nil {
		return "", err
	}
	if !ours {
		if len(c.request.packages) == 0 && len(c.unknown) == 0 {
			return "", errdef.Errorf(errdef.ErrUsage, "there is no package to look up: give at least one name on the command line")
		}
		return "", c.passThrough(args)
	}
	defer func() {
		if c.pkgConfig != nil {
			c.pkgConfig.Close()
		}
	}()
	return c.answer(ctx)
}

// versionBehind returns the version of the real pkg-config, which answers what is not ours to answer.
func (c *command) versionBehind() string {
	real, err := (&system.PkgConfig{Triple: triple(c.program)}).Find("its version")
	if err != nil {
		return Version
	}
	cmd := exec.Command(real, "--version")
	cmd.Env = system.Environment(real)
	out, err := cmd.Output()
	if version := strings.TrimSpace(string(out)); err == nil && version != "" {
		return version
	}
	return Version
}

// tellApart finds out which names are ours, and whether any is.
func (c *command) tellApart(ctx context.Context) (bool, error) {
	any := false
	for _, d := range c.request.packages {
		n := name{Dependency: d, ours: reference.InPkgConfig(d.Name)}
		if !n.ours {
			var err error
			if n.ours, err = c.source.answers(ctx, d.Name); err != nil {
				return false, err
			}
		}
		any = any || n.ours
		c.names = append(c.names, n)
	}
	return any, nil
}

// report writes what went wrong as one line, where the request wants it.
func (c *command) report(err error) {
	to := io.Writer(os.Stderr)
	if c.request != nil {
		if c.quiet() {
			return
		}
		if c.toStdout {
			to = os.Stdout
		}
	}
	var real *system.Error
	switch {
	case errors.Is(err, errNo):
	case errors.As(err, &real) && real.Verbatim:
		fmt.Fprint(to, real.Stderr)
	default:
		fmt.Fprintln(to, oneLine(reference.Redact(err.Error())))
	}
}

// oneLine joins the lines of a text, which has nothing in it then that a
// terminal acts on.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }), "; ")
}

const usage = `usage: ocipkg-pkg-config [OPTIONS] [PACKAGES]

A pkg-config that also knows packages in registries. A name with a slash in it,
such as ghcr.io/acme/zstd:1.5, and an alias under [dependencies] in ocipkg.toml
are such packages, fetched when the store lacks them; modules of the packages
listed there are theirs. Any other name is looked up by the real pkg-config. A name may be followed by a constraint: NAME >= 1.2.

flags for the compiler and the linker:
  --cflags, --cflags-only-I, --cflags-only-other
  --libs, --libs-only-L, --libs-only-l, --libs-only-other
  --static                          link static libraries, the default
  --shared                          link shared libraries

questions about packages:
  --exists                          exit with 0 when they are all there
  --atleast-version=VERSION, --exact-version=VERSION, --max-version=VERSION
  --modversion                      print the version
  --variable=NAME, --print-variables
  --print-requires, --print-requires-private
  --link-abi                        print the languages that it is linked for

errors:
  --print-errors, --short-errors, --silence-errors, --errors-to-stdout

  --version                         print the version of the real pkg-config
  --atleast-pkgconfig-version=VERSION
  --help                            print this text

Other options are handed to the real pkg-config: OCIPKG_REAL_PKG_CONFIG, else
the first pkg-config or pkgconf on PATH.
`
