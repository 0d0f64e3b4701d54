//go:build linux

package pkgconfigcmd_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The programs under test, and a directory for all the rest, stores included,
// that has a blank in its name.
var (
	top     string
	program string // ocipkg-pkg-config
	ocipkg  string
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if top, err = os.MkdirTemp("", "ocipkg pkg-config-*"); err != nil {
		panic(err)
	}
	defer remove(top)
	// cmd/go takes what follows a blank in PKG_CONFIG for an argument.
	bin, err := os.MkdirTemp("", "ocipkg-programs-*")
	if err != nil {
		panic(err)
	}
	defer remove(bin)
	out, err := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "github.com/ocipkg/ocipkg/cmd/ocipkg", "github.com/ocipkg/ocipkg/cmd/ocipkg-pkg-config").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	program, ocipkg = filepath.Join(bin, "ocipkg-pkg-config"), filepath.Join(bin, "ocipkg")
	return m.Run()
}

// remove removes a tree. Packages in a store are read-only, directories
// included.
func remove(dir string) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	os.RemoveAll(dir)
}

// session is a user's surroundings: a store, a working directory, variables.
type session struct {
	t    testing.TB
	base string // the directory of all the others
	dir  string // the working directory
	home string // the store
	env  []string
}

// newSession makes one with an empty store and a pkg-config that knows the
// modules in the directory PC below it, and no others.
func newSession(t testing.TB) *session {
	t.Helper()
	dir, err := os.MkdirTemp(top, "session-*")
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, base: dir, dir: filepath.Join(dir, "work"), home: filepath.Join(dir, "the store")}
	for _, d := range []string{s.dir, s.pc()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(dir, "ocipkg-pkg-config-*")); len(left) > 0 {
			t.Errorf("temporary files are left: %q", left)
		}
	})
	s.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "OCIPKG_HOME=" + s.home, "PKG_CONFIG_LIBDIR=" + s.pc()}
	return s
}

// pc is where the system's modules are.
func (s *session) pc() string { return filepath.Join(s.base, "PC") }

func (s *session) set(variable, value string) {
	s.env = append(slices.DeleteFunc(s.env, func(e string) bool { return strings.HasPrefix(e, variable+"=") }), variable+"="+value)
}

// write writes a file below the session's directory.
func (s *session) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.base, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// result is what a program did.
type result struct {
	out, err string
	code     int
}

// exec runs a program in the working directory.
func (s *session) exec(program string, args ...string) result {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, append(s.env, "PWD="+s.dir), &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.t.Fatalf("%s: %v", program, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ours runs ocipkg-pkg-config.
func (s *session) ours(args ...string) result {
	s.t.Helper()
	return s.exec(program, args...)
}

// answer is what ocipkg-pkg-config prints, having succeeded as it should: with
// nothing on stderr, which cmd/go would take for flags.
func (s *session) answer(args ...string) string {
	s.t.Helper()
	r := s.ours(args...)
	if r.code != 0 || r.err != "" {
		s.t.Errorf("%q: exit code %d, stderr %q", args, r.code, r.err)
	}
	return r.out
}

// refusal is the line on stderr, having failed as it should: with nothing on
// stdout.
func (s *session) refusal(args ...string) string {
	s.t.Helper()
	r := s.ours(args...)
	if r.code != 1 || r.out != "" || strings.Count(r.err, "\n") != 1 {
		s.t.Errorf("%q: exit code %d, stdout %q, stderr %q; want 1, nothing, one line", args, r.code, r.out, r.err)
	}
	return r.err
}

// archive packs the tree and gives the path of the archive.
func (s *session) archive(tree, name string, args ...string) string {
	s.t.Helper()
	file := filepath.Join(s.base, strings.NewReplacer("/", "-", ":", "-").Replace(name)+".tar")
	args = append([]string{"pack", tree, file, "-t", name}, args...)
	if r := s.exec(ocipkg, args...); r.code != 0 {
		s.t.Fatalf("pack %s: %s", tree, r.err)
	}
	return file
}

// load packs a tree and puts the package into the store. It gives the digest.
func (s *session) load(tree, name string, args ...string) string {
	s.t.Helper()
	r := s.exec(ocipkg, "load", s.archive(tree, name, args...))
	if r.code != 0 {
		s.t.Fatalf("load %s: %s", name, r.err)
	}
	return strings.TrimSpace(r.out)
}

// root is where the store has the package of a digest.
func (s *session) root(digest string) string {
	return filepath.Join(s.home, "packages", "sha256", strings.TrimPrefix(digest, "sha256:"), "root")
}

// build compiles a C file into a library of the tree: an archive or, where the
// name ends in .so, a shared library.
func (s *session) build(library, source string) {
	s.t.Helper()
	c := s.write("build.c", source)
	path := filepath.Join(s.base, filepath.FromSlash(library))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	object := filepath.Join(s.base, "build.o")
	steps := [][]string{{"cc", "-c", "-fPIC", "-o", object, c}, {"ar", "rcs", path, object}}
	if strings.HasSuffix(library, ".so") {
		steps = [][]string{{"cc", "-shared", "-fPIC", "-o", path, c, "-Wl,-soname," + filepath.Base(path)}}
	}
	for _, step := range steps {
		if r := s.exec(step[0], step[1:]...); r.code != 0 {
			s.t.Fatalf("%q: %s", step, r.err)
		}
	}
}
