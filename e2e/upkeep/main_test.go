// Package upkeep tests the commands that look after the store, as a user
// without privileges runs them beside builds, and as they are killed.
package upkeep

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestMain(m *testing.M) { program.Main(m) }

const (
	megabyte = 1 << 20
	day      = 24 * time.Hour
)

// site is a registry with packages, and a user with a store of their own, whose
// path has a blank in it.
type site struct {
	*program.Session
	t        *testing.T
	registry *registrytest.Registry
	producer *program.Session
	store    string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, registry: registrytest.StartMemory(t), producer: program.New(t, program.Options{})}
	s.Session = program.New(t, program.Options{})
	s.store = filepath.Join(s.Home, "my packages", "v1")
	s.Env = append(s.Env, "OCIPKG_HOME="+s.store)
	// They share this file.
	tree.WriteRandom(t, filepath.Join(s.producer.Dir, "in/lib/large.bin"), 2*megabyte, 1)
	s.producer.Own(filepath.Join(s.producer.Dir, "in"))
	return s
}

// publish pushes a package of that tag, and gives its name and digest.
func (s *site) publish(tag string) (name, digest string) {
	s.t.Helper()
	name = s.registry.Host + "/acme/library:" + tag
	s.producer.WriteFile("in/include/library.h", "#define LIBRARY \""+tag+"\"\n", 0o644)
	s.producer.WriteFile("in/lib/liblibrary.a", "!<arch>\n", 0o644)
	return name, s.producer.Run("ocipkg", "push", "in", name).Digest()
}

// age makes the store look as if nobody had used it for a while.
func (s *site) age(by time.Duration) {
	s.t.Helper()
	storetest.Age(s.t, s.store, by)
}

// directory gives where the store has a package.
func (s *site) directory(name string) string {
	s.t.Helper()
	return strings.TrimSuffix(s.Run("ocipkg", "image-directory", name).OK().Stdout, "\n")
}

// removed is what remove and prune print with --json.
type removed struct {
	Packages []struct {
		Digest string
		Names  []string
		Size   int64
	}
	Names                   []string
	Blobs, Notes, Leftovers int
	Freed                   int64
}

func (s *site) removed(args ...string) removed {
	s.t.Helper()
	var r removed
	result := s.Run("ocipkg", append(args, "--json")...).OK()
	if err := json.Unmarshal([]byte(result.Stdout), &r); err != nil {
		s.t.Fatalf("%v\n%s", err, result)
	}
	return r
}

// flip changes a byte of a file, which keeps its size, mode and names.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	one := make([]byte, 1)
	if _, err := file.ReadAt(one, at); err != nil {
		t.Fatal(err)
	}
	one[0] ^= 1
	if _, err := file.WriteAt(one, at); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, info.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
}

// checkGood checks that the store is good, and that nothing is left in tmp/ once
// somebody has pruned it.
func (s *site) checkGood() {
	s.t.Helper()
	s.Run("ocipkg", "store", "fsck").OK()
	s.Run("ocipkg", "store", "prune").OK()
	entries, err := os.ReadDir(filepath.Join(s.store, "tmp"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		s.t.Errorf("%s was left in the store's tmp/", entry.Name())
	}
}

func numbered(n int) string { return fmt.Sprintf("v%d", n) }
