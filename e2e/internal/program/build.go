// Package program runs the project's programs as their users do: built from
// the checkout, as an unprivileged account, with an empty home and an
// environment that has nothing of the tests' own.
//
// A test package calls [Main] from its TestMain. A [Session] is one user at
// one machine; what it runs gives a [Result].
package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
)

// built is the directory of the programs of this test run.
var built struct {
	once sync.Once
	// main says that Main will remove the directory.
	main bool
	dir  string
	err  error
}

// Main runs the tests of a package, removes the programs that were built for
// them, and exits.
func Main(m *testing.M) {
	built.main = true
	code := m.Run()
	if built.dir != "" {
		if err := tempdir.Remove(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, "remove the built programs:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// Bin returns a directory, readable by every account, that holds the programs
// under cmd/. They are built at the first call. It fails the test when they do
// not build, or when the package's TestMain does not call Main.
func Bin(t testing.TB) string {
	t.Helper()
	if !built.main {
		t.Fatal("build the programs: TestMain of this package must call program.Main, which removes them")
	}
	built.once.Do(func() {
		if built.dir, built.err = tempdir.Make(); built.err == nil {
			built.err = buildAll(built.dir)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func buildAll(dir string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	return Build(root, dir, "./cmd/...")
}

// Build builds Go commands, named by patterns as for go build, into a
// directory.
func Build(moduleRoot, dir string, patterns ...string) error {
	// The separator says that dir is a directory, also for a single command.
	arguments := append([]string{"build", "-buildvcs=false", "-o", dir + string(filepath.Separator)}, patterns...)
	cmd := exec.Command("go", arguments...)
	cmd.Dir = moduleRoot
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %v in %s: %w\n%s", patterns, moduleRoot, err, output)
	}
	return nil
}

var moduleLine = regexp.MustCompile(`(?m)^module github\.com/ocipkg/ocipkg$`)

// Root returns the directory of the project's main module, which is above the
// working directory.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if moduleLine.Match(text) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the project's go.mod: none above %s; run the tests inside the checkout", start)
		}
	}
}
