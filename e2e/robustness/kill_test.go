package robustness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// checkVersion checks that a package's tree has a file named version with that
// text, and beside it what want has.
func checkVersion(t *testing.T, dir, version string, want tree.Tree) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "version"))
	if err != nil || string(text) != version {
		t.Errorf("%s/version is %q (%v), want %q", dir, text, err, version)
	}
	got := tree.Content(t, dir)
	delete(got, "version")
	tree.Check(t, dir, got, want)
}

const kills = 50

func TestGetKilledAtAnyMomentLeavesAGoodStoreAndTheNextOneSucceeds(t *testing.T) {
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/library:1"
	producer := program.New(t, program.Options{})
	want := makePackage(t, producer, 48*megabyte)
	producer.Run("ocipkg", "push", "in", name).OK()

	user := program.New(t, program.Options{})
	store := storetest.Dir(user)
	forget := func() {
		if err := tempdir.Remove(store); err != nil {
			t.Fatal(err)
		}
	}
	var duration time.Duration
	for range 3 {
		forget()
		duration = max(duration, user.Run("ocipkg", "get", name).OK().Elapsed)
	}
	t.Logf("a get takes %v", duration)

	killed, halfMade := 0, 0
	for i := range kills {
		forget()
		delay := duration * time.Duration(i) / kills
		if user.Start("ocipkg", "get", name).KillAfter(delay).Killed {
			killed++
		}
		storetest.CheckPackages(t, store, want)
		if left, err := os.ReadDir(filepath.Join(store, "tmp")); err == nil && len(left) > 0 {
			halfMade++
		}
		user.Run("ocipkg", "get", name).OK()
		if n := storetest.CheckPackages(t, store, want); n != 1 {
			t.Errorf("killed after %v: after the next get the store has %d packages", delay, n)
		}
		storetest.CheckTmpEmpty(t, store)
		if t.Failed() {
			t.Fatalf("killed after %v of %v", delay, duration)
		}
	}
	// Otherwise the kills did not test what they are for.
	if killed < kills/2 || halfMade < kills/4 {
		t.Errorf("of %d gets %d were killed, %d of them while they unpacked", kills, killed, halfMade)
	}
	t.Logf("killed %d gets, %d of them while they unpacked", killed, halfMade)
}

func TestPackKilledAtAnyMomentKeepsTheOldArchive(t *testing.T) {
	s := program.New(t, program.Options{})
	makePackage(t, s, 32*megabyte)
	s.WriteFile("old/file", "old", 0o644)
	s.Run("ocipkg", "pack", "old", "out.tar").OK()
	archive := filepath.Join(s.Dir, "out.tar")
	old := fileSum(t, archive)
	duration := s.Run("ocipkg", "pack", "in", "new.tar").OK().Elapsed
	whole := fileSum(t, filepath.Join(s.Dir, "new.tar"))
	for i := range 15 {
		s.Start("ocipkg", "pack", "-f", "in", "out.tar").KillAfter(duration * time.Duration(i) / 15)
		if sum := fileSum(t, archive); sum != old && sum != whole {
			t.Fatalf("a pack killed after %v of %v left an archive that is neither the old nor the new one", duration*time.Duration(i)/15, duration)
		}
	}
	s.Run("ocipkg", "pack", "-f", "in", "out.tar").OK()
	if fileSum(t, archive) != whole {
		t.Error("after the kills the archive differs")
	}
	// What the killed ones had begun does not pile up beside the archive.
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			t.Errorf("%s of a pack that was killed is still there after the next one", entry.Name())
		}
	}
}
