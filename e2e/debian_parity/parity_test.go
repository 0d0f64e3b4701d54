// Package debianparity tests that packages made of Debian's libraries are linked
// with the very flags that pkgconf gives for the originals.
package debianparity

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/debian"
	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/subject"
)

func TestMain(m *testing.M) { program.Main(m) }

// originals is a tree in which all the subjects are unpacked together, as a
// system has them.
type originals struct{ dir, search string }

func newOriginals(t *testing.T, libraries []subject.Library) originals {
	t.Helper()
	var packages []string
	for _, l := range libraries {
		packages = append(packages, l.Debian...)
	}
	dir := debian.Fetch(t, packages...)
	found, err := filepath.Glob(filepath.Join(dir, "usr/lib/*/pkgconfig"))
	if err != nil || len(found) != 1 {
		t.Fatalf("found the directories of .pc files %v (%v), want one", found, err)
	}
	return originals{dir, found[0]}
}

// systemFlags makes pkg-config print the directories that compilers search
// anyway.
var systemFlags = []string{"PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1", "PKG_CONFIG_ALLOW_SYSTEM_LIBS=1"}

// ask asks pkgconf about a module of the originals.
func (o originals) ask(t *testing.T, arguments ...string) []string {
	t.Helper()
	cmd := exec.Command("pkgconf", arguments...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "PKG_CONFIG_LIBDIR=" + o.search, "PKG_CONFIG_SYSROOT_DIR=" + o.dir}, systemFlags...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return strings.Fields(string(out))
}

func TestDebiansLibrariesAreLinkedWithTheFlagsOfPkgconf(t *testing.T) {
	consumer, host := published(t, subject.Libraries)
	from := newOriginals(t, subject.Libraries)
	for _, l := range subject.Libraries {
		if l.Module == "" {
			continue
		}
		t.Run(l.Name, func(t *testing.T) {
			for _, kind := range []string{"--static", "--shared"} {
				compare(t, consumer, from, l, kind, l.Reference(host))
			}
			link(t, consumer, l, l.Reference(host))
		})
	}
}

func TestLibrariesOfAllShapesAreLinkedWithTheFlagsOfPkgconf(t *testing.T) {
	consumer, host := published(t, subject.Shapes)
	for _, l := range subject.Shapes {
		if l.Module == "" {
			continue
		}
		t.Run(l.Name, func(t *testing.T) {
			name, u := l.Reference(host)+"+"+l.Module, uses[l.Name]
			libraries := []subject.Library{l}
			for _, required := range l.Requires {
				libraries = append(libraries, subject.Find(t, required))
			}
			from := newOriginals(t, libraries)
			compare(t, consumer, from, l, "--shared", name)
			if u.static != nil {
				compare(t, consumer, from, l, "--static", name)
			} else {
				consumer.Run("ocipkg", "link", name).Fails(1, "only there as a shared library")
			}
			link(t, consumer, l, name)
		})
	}
}

// published returns an account whose store has packages of the libraries, and the host in their names. There are neither the
// registry any more nor the trees that the packages were made of.
func published(t *testing.T, libraries []subject.Library) (*program.Session, string) {
	t.Helper()
	registry := registrytest.StartMemory(t)
	producer := program.New(t, program.Options{})
	var names []string
	for _, l := range libraries {
		names = append(names, l.Name)
	}
	subject.Publish(t, producer, registry.Host, names...)

	consumer := program.New(t, program.Options{Env: systemFlags})
	for _, l := range libraries {
		consumer.Run("ocipkg", "get", l.Reference(registry.Host)).OK()
	}
	registry.Stop()
	if err := os.RemoveAll(producer.Dir); err != nil {
		t.Fatal(err)
	}
	return consumer, registry.Host
}

// compare asks both sides about one library and kind, as build systems do. What we say in addition is the C++ runtime of an
// archive.
func compare(t *testing.T, consumer *program.Session, from originals, l subject.Library, kind, name string) {
	t.Helper()
	u := uses[l.Name]
	for _, question := range []string{"--cflags", "--libs"} {
		ask := []string{question, l.Module}
		if kind == "--static" {
			ask = append(ask, kind)
		}
		want := from.normal(from.ask(t, ask...))
		if question == "--libs" && u.compiler != "" && u.static != nil && (kind == "--static" || u.loaded == nil) {
			want = append(slices.DeleteFunc(want, func(arg string) bool { return arg == "-lm" }), "-lstdc++", "-lm")
		}
		asPkgConfig := []string{"ocipkg-pkg-config", question, name}
		asLink := []string{"ocipkg", "link", "--format", "shell", question, name}
		if kind == "--shared" {
			asPkgConfig, asLink = append(asPkgConfig, kind), append(asLink, kind)
		}
		for _, command := range [][]string{asPkgConfig, asLink} {
			r := consumer.Run(command[0], command[1:]...).OK()
			if got := normal(t, consumer, strings.Fields(r.Stdout)); !slices.Equal(got, want) {
				t.Errorf("we say %q\npkgconf %s says %q\n%s", got, kind, want, r)
			}
			if r.Stderr != "" {
				t.Errorf("there are warnings: %s", r)
			}
		}
	}
}

// Where a package in the store has its headers and its libraries.
var (
	includes  = regexp.MustCompile(`^/packages/sha256/[0-9a-f]{64}/root(/include.*)$`)
	libraries = regexp.MustCompile(`^/packages/sha256/[0-9a-f]{64}/(root/lib/[^/]+|root/lib|static|shared)$`)
)

// normal maps our flags to those of a system: directories of packages are those
// below /usr, one directory has all the libraries, and what we say in addition
// is left out, Debian's include directory for the platform and the directories
// for the loader. Every directory must be there, in the store.
func normal(t *testing.T, consumer *program.Session, args []string) []string {
	var mapped []string
	place := func(dir string, in *regexp.Regexp) []string {
		found := in.FindStringSubmatch(strings.TrimPrefix(dir, storetest.Dir(consumer)))
		if found == nil {
			t.Errorf("%s is no place of a package in the store", dir)
			return []string{"", ""}
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			t.Errorf("%s is no directory: %v", dir, err)
		}
		return found
	}
	for _, arg := range args {
		if dir, ok := strings.CutPrefix(arg, "-I"); ok {
			arg = "-I/usr" + place(dir, includes)[1]
		} else if dir, ok := strings.CutPrefix(arg, "-L"); ok {
			place(dir, libraries)
			arg = anyLibraryDir
		} else if dir, ok := strings.CutPrefix(arg, "-Wl,-rpath,"); ok {
			place(dir, libraries)
			continue
		} else if arg == "-Wl,--disable-new-dtags" {
			continue
		}
		mapped = append(mapped, arg)
	}
	return arrange(mapped)
}

// anyLibraryDir stands for all directories with libraries: ours are one a
// package and kind, the system's are one for all, or, where a .pc file is wrong,
// none that has the library.
const anyLibraryDir = "-L/usr/lib"

// normal maps the flags of the unpacked originals to those of a system.
func (o originals) normal(args []string) []string {
	var mapped []string
	for _, arg := range args {
		arg = strings.ReplaceAll(arg, o.dir, "")
		if strings.HasPrefix(arg, "-L/usr/lib") {
			arg = anyLibraryDir
		}
		mapped = append(mapped, arg)
	}
	return arrange(mapped)
}

// arrange keeps of a directory the first mention and of a library the last,
// which are the ones that count. Of the include directories, Debian's for the
// platform is left out where the one above it comes as well.
func arrange(args []string) []string {
	var dirs, rest []string
	for _, arg := range args {
		switch {
		case strings.HasPrefix(arg, "-I"), strings.HasPrefix(arg, "-L"):
			if !slices.Contains(dirs, arg) {
				dirs = append(dirs, arg)
			}
		default:
			rest = append(slices.DeleteFunc(rest, func(other string) bool { return other == arg }), arg)
		}
	}
	if slices.Contains(dirs, "-I/usr/include") {
		dirs = slices.DeleteFunc(dirs, multiarch.MatchString)
	}
	return append(dirs, rest...)
}

var multiarch = regexp.MustCompile(`^-I/usr/include/[^/]+-linux-[^/]+$`)
