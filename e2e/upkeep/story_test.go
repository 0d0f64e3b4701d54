package upkeep

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestAUserSeesRemovesAndPrunesWhatTheStoreHas(t *testing.T) {
	s := newSite(t)
	one, oneDigest := s.publish("1")
	two, twoDigest := s.publish("2")
	s.Run("ocipkg", "list").OK().Says("the store has no packages")
	if r := s.removed("store", "prune"); len(r.Packages) > 0 {
		t.Errorf("pruned of nothing: %+v", r)
	}
	s.Run("ocipkg", "store", "fsck").OK().Says("checked 0 packages")
	if _, err := os.Stat(s.store); err == nil {
		t.Error("looking after a store that is not there made one")
	}
	s.Run("ocipkg", "get", one).OK()
	s.Run("ocipkg", "get", two).OK()
	s.Run("ocipkg", "list").OK().Says("NAME", "DIGEST", "PLATFORM", "SIZE", "LAST USED", one, two, oneDigest[:19], "2.1 MB")
	s.checkGood()

	s.Run("ocipkg", "store", "remove", one, s.registry.Host+"/acme/other:1").Fails(3, "acme/other:1 is not in the store")
	s.directory(one)
	r := s.removed("store", "remove", one)
	// The large file is the other's, too.
	if len(r.Packages) != 1 || r.Packages[0].Digest != oneDigest || r.Packages[0].Size < 2*megabyte || r.Freed > megabyte || !slices.Equal(r.Names, []string{one}) {
		t.Errorf("removed: %+v", r)
	}
	s.Run("ocipkg", "image-directory", one).Fails(3)
	s.checkGood()
	s.Run("ocipkg", "get", one).OK()

	s.age(25 * 24 * 3600e9)
	if r := s.removed("store", "prune"); len(r.Packages) > 0 {
		t.Errorf("pruned before its time: %+v", r)
	}
	s.Run("ocipkg", "link", one).OK()
	before := tree.Of(t, s.store)
	s.Run("ocipkg", "store", "prune", "--older-than", "3w", "--dry-run").OK().Says(two, twoDigest, "1 package and 1 name", "nothing was removed")
	tree.Check(t, "after a dry run", tree.Of(t, s.store), before)
	s.Run("ocipkg", "store", "prune", "--older-than", "3w").OK().Says(two, twoDigest, "1 package and 1 name")
	s.Run("ocipkg", "image-directory", two).Fails(3)
	s.Run("ocipkg", "store", "prune", "--all").OK().Says("0 packages")
	s.checkGood()
	s.age(2 * day)
	s.Run("ocipkg", "store", "prune", "--all").OK().Says(one, "1 package", "2.1 MB free")
	for _, dir := range []string{"packages/sha256", "blobs/sha256", "refs", "layers", "used", "tmp"} {
		if left, err := os.ReadDir(filepath.Join(s.store, dir)); err == nil && len(left) > 0 {
			t.Errorf("left in %s: %v", dir, left)
		}
	}
	s.Run("ocipkg", "store", "prune", "--older-than", "soon").Fails(2, `"soon"`, "30d")
	s.Run("ocipkg", "store", "prune", "--older-than", "2w", "--all").Fails(2)
}

func TestFsckFindsAFlippedByteAndBringsThePackagesAgain(t *testing.T) {
	s := newSite(t)
	one, _ := s.publish("1")
	two, twoDigest := s.publish("2")
	s.Run("ocipkg", "get", one).OK()
	s.Run("ocipkg", "get", two).OK()
	a, b := filepath.Join(s.directory(one), "lib/large.bin"), filepath.Join(s.directory(two), "lib/large.bin")
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA != nil || errB != nil || !os.SameFile(infoA, infoB) {
		t.Fatal("the packages do not share the large file")
	}
	want := tree.Of(t, s.directory(two))
	flip(t, a, megabyte)
	found := s.Run("ocipkg", "store", "fsck").Exit(5).Says(one, two, "root/lib/large.bin: its bytes are not what they were", "ocipkg store fsck --repair")
	if n := strings.Count(found.Stdout, "damaged"); n != 2 {
		t.Errorf("%d are damaged\n%s", n, found)
	}
	// The tag has moved meanwhile, and one of the names leads nowhere.
	s.publish("2-next")
	s.producer.Run("ocipkg", "push", "in", two).OK()
	s.Run("ocipkg", "store", "fsck", "--repair").OK().Says("repaired")
	s.checkGood()
	if dir := s.directory(twoDigest); filepath.Dir(filepath.Dir(b)) != dir {
		t.Errorf("the package is in %s now", dir)
	}
	tree.Check(t, "the package", tree.Of(t, s.directory(twoDigest)), want)

	flip(t, filepath.Join(s.directory(one), "include/library.h"), 3)
	s.registry.Stop()
	s.Run("ocipkg", "store", "fsck", "--repair", one).Exit(5).Says("not repaired", one, "ocipkg store remove sha256:")
	s.Run("ocipkg", "store", "fsck", two).OK()
}

func TestWhatWasLoadedFromAFileCannotBeBroughtAgain(t *testing.T) {
	s := newSite(t)
	s.WriteFile("in/lib/libfoo.a", "!<arch>\n", 0o644)
	s.Run("ocipkg", "pack", "in", "foo.tar").OK()
	digest := s.Run("ocipkg", "load", "foo.tar").Digest()
	flip(t, filepath.Join(s.directory(digest), "lib/libfoo.a"), 2)
	s.Run("ocipkg", "store", "fsck", "--repair").Exit(5).Says("no name that leads to a registry", "ocipkg store remove "+digest)
	s.Run("ocipkg", "load", "-f", "foo.tar").OK()
	s.checkGood()
	flip(t, filepath.Join(s.directory(digest), "lib/libfoo.a"), 2)
	s.Run("ocipkg", "store", "remove", digest).OK()
	s.checkGood()
}

func TestAStoreThatCannotBeWrittenToIsListedAndChecked(t *testing.T) {
	s := newSite(t)
	one, _ := s.publish("1")
	s.Run("ocipkg", "get", one).OK()
	s.age(40 * day)
	var dirs []string
	modes := map[string]os.FileMode{}
	err := filepath.WalkDir(s.store, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Type()&os.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		dirs, modes[path] = append(dirs, path), info.Mode().Perm()
		return os.Chmod(path, info.Mode().Perm()&^0o222)
	})
	if err != nil {
		t.Fatal(err)
	}
	before := tree.Of(t, s.store)
	s.Run("ocipkg", "list").OK().Says(one)
	s.Run("ocipkg", "store", "fsck").OK().Says("checked 1 package")
	s.Run("ocipkg", "store", "prune", "--dry-run").OK().Says(one, "1 package")
	s.Run("ocipkg", "store", "prune").Fails(1, "permission denied")
	s.Run("ocipkg", "store", "remove", one).Fails(1, "permission denied")
	tree.Check(t, "a store that cannot be written to", tree.Of(t, s.store), before)
	for _, path := range dirs {
		if err := os.Chmod(path, modes[path]); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("ocipkg", "store", "prune").OK().Says(one, "1 package")
}
