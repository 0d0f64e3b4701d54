package robustness

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
)

// killAtRename runs a command that is killed when it renames for the n-th time,
// just before that happens; what the store holds changes by renames. It tells
// whether the command came so far.
// https://man7.org/linux/man-pages/man1/strace.1.html
func killAtRename(t *testing.T, s *program.Session, n int, arguments ...string) (killed bool) {
	t.Helper()
	const renames = "rename,renameat,renameat2"
	strace := []string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + renames,
		"-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", renames, n), "ocipkg"}
	r := s.Run("strace", append(strace, arguments...)...)
	return r.OrKilled()
}

func TestGetKilledBeforeAnyOfItsRenamesLeavesAGoodStore(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatalf("%v; install it: apt-get install strace", err)
	}
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	want := makePackage(t, s, 2*megabyte)
	s.Run("ocipkg", "push", "in", name).OK()
	store := storetest.Dir(s)

	moments := 0
	for n := 1; killAtRename(t, s, n, "get", name); n++ {
		moments++
		storetest.CheckPackages(t, store, want)
		s.Run("ocipkg", "get", name).OK()
		if have := storetest.CheckPackages(t, store, want); have != 1 {
			t.Errorf("killed at rename %d: after the next get the store has %d packages", n, have)
		}
		storetest.CheckTmpEmpty(t, store)
		if err := tempdir.Remove(store); err != nil {
			t.Fatal(err)
		}
	}
	if moments < 3 {
		t.Errorf("a get was killed at %d renames only", moments)
	}
}

func TestGetOverAPackageThatIsKilledBeforeAnyOfItsRenamesDoesNotLoseIt(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatalf("%v; install it: apt-get install strace", err)
	}
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	want := makePackage(t, s, 2*megabyte)
	s.Run("ocipkg", "push", "in", name).OK()
	s.Run("ocipkg", "get", name).OK()
	store := storetest.Dir(s)

	moments := 0
	for n := 1; killAtRename(t, s, n, "get", "--overwrite", name); n++ {
		moments++
		// Without the registry: what was there is there.
		if r := s.Run("ocipkg", "image-directory", name); r.ExitCode != 0 {
			t.Errorf("killed at rename %d: %s", n, r)
		}
		s.Run("ocipkg", "get", name).OK()
		if have := storetest.CheckPackages(t, store, want); have != 1 {
			t.Errorf("killed at rename %d: after the next get the store has %d packages", n, have)
		}
	}
	storetest.CheckTmpEmpty(t, store)
	if moments < 2 { // that of the package, and that of its name
		t.Errorf("a get was killed at %d renames only", moments)
	}
}
