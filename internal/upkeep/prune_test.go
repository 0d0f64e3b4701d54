package upkeep_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/internal/upkeep"
)

func (f *fixture) putBlob(text string) string {
	f.t.Helper()
	sum := sha256.Sum256([]byte(text))
	encoded := hex.EncodeToString(sum[:])
	if err := errors.Join(f.Mkdir("blobs", "sha256"), os.WriteFile(f.Path("blobs", "sha256", encoded), []byte(text), 0o644)); err != nil {
		f.t.Fatal(err)
	}
	return "sha256:" + encoded
}

func TestWhatNobodyUsedForAWhileIsPruned(t *testing.T) {
	f := newFixture(t)
	old := f.add("h.io/a/foo:1", library("1"))
	f.age(40 * day)
	used := f.add("h.io/a/foo:2", library("2"))
	f.age(10 * day) // both are as old now, but for the notes
	then := time.Now().Add(-40 * day)
	if err := errors.Join(os.Chtimes(f.Path("used", store.LockName(old)), then, then), os.Chtimes(f.PackageDir(old), then, then)); err != nil {
		t.Fatal(err)
	}
	before := f.state()
	dry := f.prune(upkeep.PruneOptions{Unused: 30 * day, DryRun: true})
	sameState(t, "after a dry run", before, f.state())
	removed := f.prune(upkeep.PruneOptions{Unused: 30 * day})
	if fmt.Sprint(*dry) != fmt.Sprint(*removed) {
		t.Errorf("a dry run says %+v, and then %+v is removed", *dry, *removed)
	}
	if len(removed.Packages) != 1 || removed.Packages[0].Digest != old || !slices.Equal(removed.Names, []string{"h.io/a/foo:1"}) || removed.Blobs != 2 {
		t.Errorf("removed: %+v", removed)
	}
	if have := f.have(); !slices.Equal(have, []string{used}) {
		t.Errorf("the store has %v", have)
	}
	if left := f.files("tmp"); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
	if again := f.prune(upkeep.PruneOptions{Unused: 30 * day}); len(again.Packages)+len(again.Names)+again.Blobs+again.Notes+again.Leftovers != 0 {
		t.Errorf("there is more to prune: %+v", again)
	}
	if report := f.fsck(upkeep.FsckOptions{}); len(report.Damage) > 0 {
		t.Errorf("damaged: %+v", report.Damage)
	}
}

func TestWhatWasPushedLongAgoIsForgotten(t *testing.T) {
	f := newFixture(t)
	write := func(repository, dir string, age time.Duration) string {
		path := f.Path("pushed", repository, dir)
		then := time.Now().Add(-age)
		if err := errors.Join(f.Mkdir("pushed", repository), os.WriteFile(path, nil, 0o600), os.Chtimes(path, then, then)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("one", "old", 40*day)
	write("two", "young", 20*day)
	write("two", "old", 40*day)
	if dry := f.prune(upkeep.PruneOptions{Unused: 30 * day, DryRun: true}); dry.Notes != 2 || len(f.files("pushed", "one")) != 1 || len(f.files("pushed", "two")) != 2 {
		t.Errorf("a dry run says %+v", dry)
	}
	removed := f.prune(upkeep.PruneOptions{Unused: 30 * day})
	if removed.Notes != 2 || !slices.Equal(f.files("pushed", "two"), []string{"young"}) {
		t.Errorf("removed %+v, left %v", removed, f.files("pushed", "two"))
	}
	if _, err := os.Stat(f.Path("pushed", "one")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty directory is left: %v", err)
	}
}

func TestWhatWasUsedWithinADayIsNeverPruned(t *testing.T) {
	for _, what := range []string{"used", "brought"} {
		f := newFixture(t)
		digest := f.add("h.io/a/foo:1", library("1"))
		f.age(40 * day)
		then := time.Now().Add(-23*time.Hour - 59*time.Minute)
		path := f.PackageDir(digest)
		if what == "used" {
			path = f.Path("used", store.LockName(digest))
		}
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		if removed := f.prune(upkeep.PruneOptions{Unused: time.Nanosecond}); len(removed.Packages)+len(removed.Names)+removed.Blobs > 0 {
			t.Errorf("%s a day ago: %+v", what, removed)
		}
		f.age(25 * time.Hour)
		if removed := f.prune(upkeep.PruneOptions{Unused: time.Nanosecond}); len(removed.Packages) != 1 {
			t.Errorf("%s longer ago: %+v", what, removed)
		}
	}
}

func TestWhatALockFileNamesIsNotPruned(t *testing.T) {
	f := newFixture(t)
	one, two := f.add("h.io/a/foo:1", library("1")), f.add("h.io/a/foo:2", library("2"))
	index := f.putIndex("sha256:" + strings.Repeat("a", 64)) // of which nothing is there
	project := t.TempDir()
	lock := filepath.Join(project, "ocipkg.lock")
	text := "a later version = { }}} \"" + one + "\" x" + index
	if err := os.WriteFile(lock, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f.NoteRoot(lock)
	f.age(40 * day)
	removed := f.prune(upkeep.PruneOptions{Unused: 30 * day, Digests: digestsOf})
	if len(removed.Packages) != 1 || removed.Packages[0].Digest != two || !slices.Equal(f.have(), []string{one}) {
		t.Errorf("removed: %+v", removed)
	}
	if !slices.Contains(f.files("blobs", "sha256"), store.LockName(index)) {
		t.Error("the index that the lock file names is gone")
	}
	// The project is gone, and the note about it goes with the rest.
	if err := os.RemoveAll(project); err != nil {
		t.Fatal(err)
	}
	f.age(40 * day)
	if removed = f.prune(upkeep.PruneOptions{Unused: 30 * day, Digests: digestsOf}); len(removed.Packages) != 1 || len(f.files("roots")) != 0 {
		t.Errorf("without the project: %+v, %v", removed, f.files("roots"))
	}
}

func TestALockFileThatCannotBeReadStopsThePruning(t *testing.T) {
	f := newFixture(t)
	f.add("h.io/a/foo:1", library("1"))
	dir := t.TempDir()
	for name, make := range map[string]func(lock string) error{
		"a directory":             func(lock string) error { return os.Mkdir(lock, 0o755) },
		"a link that is dangling": func(lock string) error { return os.Symlink("nowhere", lock) },
	} {
		lock := filepath.Join(dir, name)
		if err := make(lock); err != nil {
			t.Fatal(err)
		}
		f.NoteRoot(lock)
		f.age(40 * day)
		if _, err := upkeep.Prune(t.Context(), f.Store, upkeep.PruneOptions{Digests: digestsOf}); err == nil || !strings.Contains(err.Error(), lock) || !strings.Contains(err.Error(), f.RootPath(lock)) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Remove(f.RootPath(lock)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(f.RootPath("/some/ocipkg.lock"), []byte("/some"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := upkeep.Prune(t.Context(), f.Store, upkeep.PruneOptions{Digests: digestsOf}); !errors.Is(err, errdef.ErrVerification) {
		t.Errorf("a note that was cut short: %v", err)
	}
	if len(f.have()) != 1 {
		t.Error("a package was pruned")
	}
}

func TestWhatIsStillBeingFetchedIsNotPruned(t *testing.T) {
	f := newFixture(t)
	index := f.putIndex("sha256:" + strings.Repeat("a", 64))
	f.name("h.io/a/foo:1", index)
	if removed := f.prune(upkeep.PruneOptions{}); removed.Blobs+len(removed.Names) > 0 {
		t.Errorf("young: %+v", removed)
	}
	f.age(25 * time.Hour)
	f.putBlob("{}")
	if removed := f.prune(upkeep.PruneOptions{}); removed.Blobs != 1 || len(removed.Names) != 1 {
		t.Errorf("old: %+v", removed)
	}
}

func TestWhatSomebodyIsAtIsNotPruned(t *testing.T) {
	f := newFixture(t)
	digest := f.add("h.io/a/foo:1", library("1"))
	f.age(40 * day)
	lock, err := f.TryLock(store.LockName(digest), true)
	if err != nil {
		t.Fatal(err)
	}
	if removed := f.prune(upkeep.PruneOptions{}); len(removed.Packages) > 0 {
		t.Errorf("removed: %+v", removed)
	}
	lock.Release()
	if removed := f.prune(upkeep.PruneOptions{}); len(removed.Packages) != 1 {
		t.Errorf("removed: %+v", removed)
	}
}

func TestWhatKilledCommandsLeftIsPrunedAndWhatTheyTookAwayComesBack(t *testing.T) {
	f := newFixture(t)
	digest := f.add("h.io/a/foo:1", library("1"))
	aside := f.Path("tmp", store.LockName(digest)+".old")
	if err := errors.Join(f.Mkdir("tmp"), os.Rename(f.PackageDir(digest), aside), os.WriteFile(f.Path("tmp", "summary.file"), make([]byte, 100), 0o644)); err != nil {
		t.Fatal(err)
	}
	before := f.state()
	dry := f.prune(upkeep.PruneOptions{DryRun: true})
	sameState(t, "after a dry run", before, f.state())
	if removed := f.prune(upkeep.PruneOptions{}); removed.Leftovers != 1 || removed.Freed != 100 || dry.Leftovers != 1 || dry.Freed != 100 {
		t.Errorf("removed: %+v, and before %+v", removed, dry)
	}
	if !slices.Equal(f.have(), []string{digest}) || len(f.files("tmp")) > 0 {
		t.Errorf("the store has %v, and in tmp %v", f.have(), f.files("tmp"))
	}
}

func TestAMissingStoreIsNotMade(t *testing.T) {
	f := newFixture(t)
	f.prune(upkeep.PruneOptions{})
	f.prune(upkeep.PruneOptions{DryRun: true})
	f.fsck(upkeep.FsckOptions{})
	if _, err := upkeep.Read(f.Store); err != nil {
		t.Error(err)
	}
	if _, err := f.remove("h.io/a/foo:1"); !errors.Is(err, errdef.ErrNotFound) {
		t.Error(err)
	}
	if _, err := os.Stat(f.Dir()); err == nil {
		t.Errorf("the store has %v", f.files())
	}
}

func TestAnInterruptedPruneSaysWhatItDid(t *testing.T) {
	f := newFixture(t)
	f.add("h.io/a/foo:1", library("1"))
	f.age(40 * day)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if removed, err := upkeep.Prune(ctx, f.Store, upkeep.PruneOptions{Digests: noDigests}); !errors.Is(err, context.Canceled) || removed == nil {
		t.Errorf("%+v, %v", removed, err)
	}
}

func TestAgesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 30 * day, "2w": 14 * day, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "0d": 0} {
		if got, err := upkeep.ParseAge(text); err != nil || got != want {
			t.Errorf("%s is %v (%v)", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "30", "-1d", "-1h", "1.5d", "1e3d", "99999999w", "30 d", "1y", "+1d"} {
		if got, err := upkeep.ParseAge(text); !errors.Is(err, errdef.ErrUsage) {
			t.Errorf("%q is %v (%v)", text, got, err)
		}
	}
}

func TestDigestsAreFoundInAnyText(t *testing.T) {
	a, b, c := strings.Repeat("a", 64), strings.Repeat("0", 64), strings.Repeat("b", 128)
	text := `x="sha256:` + a + `"` + "\x00\xff" + `sha256:sha256:` + b + `0 repo@sha512:` + c + ` sha256:` + a + ` sha256:12 sha512:` + a + ` SHA sha256:` + strings.ToUpper(a)
	if got, want := upkeep.DigestsIn(text), sorted("sha256:"+a, "sha256:"+b, "sha512:"+c); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
