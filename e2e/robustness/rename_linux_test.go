package robustness

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/syscalls"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// killAtEachRename kills a command just before each of its renames, by which
// stores and layouts change. What it renames onto must be all of must, which
// are patterns.
func killAtEachRename(t *testing.T, s *program.Session, must []string, prepare func(), check func(), arguments ...string) {
	t.Helper()
	seen := map[string]bool{}
	plan := syscalls.Plan{Names: []string{"rename"}, Verdict: syscalls.ErrKill, Prepare: prepare}
	plan.Check = func(c syscalls.Call, r *program.Result) {
		for _, pattern := range must {
			if ok, err := filepath.Match(pattern, c.Path); err != nil {
				t.Fatal(err)
			} else if ok {
				seen[pattern] = true
			}
		}
		if !r.OrKilled() {
			t.Errorf("not killed at %s", c)
		}
		if check(); t.Failed() {
			t.Fatalf("killed at %s", c)
		}
	}
	syscalls.Each(t, s, plan, "ocipkg", arguments...)
	for _, pattern := range must {
		if !seen[pattern] {
			t.Errorf("%s: nothing was renamed onto %s", strings.Join(arguments, " "), pattern)
		}
	}
}

func TestGetKilledBeforeAnyOfItsRenamesLeavesAGoodStore(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	want := makePackage(t, s, 2*megabyte)
	s.Run("ocipkg", "push", "in", name).OK()
	store := storetest.Dir(s)
	forget := func() {
		if err := tempdir.Remove(store); err != nil {
			t.Fatal(err)
		}
	}
	must := []string{store + "/packages/sha256/*", store + "/blobs/sha256/*", store + "/refs/*"}
	killAtEachRename(t, s, must, forget, func() {
		storetest.CheckPackages(t, store, want)
		s.Run("ocipkg", "get", name).OK()
		if have := storetest.CheckPackages(t, store, want); have != 1 {
			t.Errorf("after the next get the store has %d packages", have)
		}
		storetest.CheckTmpEmpty(t, store)
	}, "get", name)
}

func TestGetOverAPackageThatIsKilledBeforeAnyOfItsRenamesDoesNotLoseIt(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	want := makePackage(t, s, 2*megabyte)
	s.Run("ocipkg", "push", "in", name).OK()
	s.Run("ocipkg", "get", name).OK()
	store := storetest.Dir(s)
	must := []string{store + "/packages/sha256/*", store + "/refs/*"}
	killAtEachRename(t, s, must, func() {}, func() {
		s.Run("ocipkg", "image-directory", name).OK() // without the registry: what was there is there
		s.Run("ocipkg", "get", name).OK()
		if have := storetest.CheckPackages(t, store, want); have != 1 {
			t.Errorf("after the next get the store has %d packages", have)
		}
	}, "get", "--overwrite", name)
	storetest.CheckTmpEmpty(t, store)
}

func TestCopyKilledBeforeAnyOfItsRenamesLeavesAGoodLayout(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	for _, version := range []string{"1", "2"} {
		s.WriteFile(version+"/file", version, 0o644)
		s.Run("ocipkg", "pack", version, version+".tar", "-t", "example.com/acme/library:"+version).OK()
	}
	layout := filepath.Join(s.Dir, "layout")
	prepare := func() {
		if err := tempdir.Remove(layout); err != nil {
			t.Fatal(err)
		}
		s.Run("ocipkg", "copy", "1.tar", "oci:layout").OK()
	}
	killAtEachRename(t, s, []string{layout + "/blobs/sha256/*", layout + "/index.json"}, prepare, func() {
		s.Run("ocipkg", "inspect", "--verify", "oci:layout:1").OK()
		s.Run("ocipkg", "copy", "2.tar", "oci:layout").OK()
		for _, version := range []string{"1", "2"} {
			s.Run("ocipkg", "inspect", "--verify", "oci:layout:"+version).OK()
		}
		for name := range tree.Of(t, s.Dir) {
			if filepath.Ext(name) == ".tmp" {
				t.Errorf("%s is left", name)
			}
		}
	}, "copy", "2.tar", "oci:layout")
}

// Where directories cannot be exchanged at once, the old package is out of its
// place for a moment.
func TestGetOverAPackageThatIsKilledWhereNothingCanBeExchangedDoesNotLoseIt(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	want := makePackage(t, s, 2*megabyte)
	s.Run("ocipkg", "push", "in", name).OK()
	s.Run("ocipkg", "get", name).OK()
	store := storetest.Dir(s)
	place := storetest.Roots(t, store)[0]
	place = filepath.Dir(place)
	for n := 1; ; n++ {
		exchanges, renames := 0, 0
		r := syscalls.Run(t, s, []string{"rename"}, func(c syscalls.Call) syscalls.Verdict {
			if c.Path == place && exchanges == 0 {
				exchanges++
				return syscall.EINVAL // as of a file system without it
			}
			if renames++; renames == n {
				return syscalls.ErrKill
			}
			return nil
		}, "ocipkg", "get", "--overwrite", name)
		if !r.OrKilled() {
			if exchanges != 1 || n < 5 { // two notes of blobs, two moves of directories, one note of a name
				t.Errorf("%d renames, and %d exchanges", n-1, exchanges)
			}
			break
		}
		s.Run("ocipkg", "link", name).OK()
		if have := storetest.CheckPackages(t, store, want); have != 1 {
			t.Errorf("killed at rename %d, and linked: the store has %d packages", n, have)
		}
		if t.Failed() {
			t.Fatalf("killed at rename %d", n)
		}
	}
	storetest.CheckTmpEmpty(t, store)
}

func TestWhereThereAreNoHardLinksFilesThatPackagesShareAreCopied(t *testing.T) {
	t.Parallel()
	one, two, want := publishTwo(t)
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EXDEV, syscall.EMLINK, syscall.EOPNOTSUPP} {
		s := program.New(t, program.Options{})
		s.Run("ocipkg", "get", one).OK()
		refused := 0
		syscalls.Run(t, s, []string{"link"}, func(syscalls.Call) syscalls.Verdict { refused++; return errno }, "ocipkg", "get", two).OK()
		if refused == 0 {
			t.Error("no link was tried")
		}
		var files []fs.FileInfo
		for name := range want {
			dir := strings.TrimSpace(s.Run("ocipkg", "image-directory", name).OK().Stdout)
			tree.Check(t, name, tree.Content(t, dir), want[name])
			info, err := os.Stat(filepath.Join(dir, "lib/large"))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, info)
		}
		if os.SameFile(files[0], files[1]) {
			t.Errorf("%v: they share a file", errno)
		}
		s.Run("ocipkg", "store", "fsck").OK()
	}
}
