package upkeep_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/internal/upkeep"
)

const day = 24 * time.Hour

// What is left has the layers still, whichever of the packages with them goes.
func TestLayersThatOthersHaveAreStillTakenFromThem(t *testing.T) {
	for _, gone := range []string{"h.io/a/foo:1", "h.io/a/foo:2"} {
		f := newFixture(t)
		digests := map[string]string{"h.io/a/foo:1": f.add("h.io/a/foo:1", library("1")), "h.io/a/foo:2": f.add("h.io/a/foo:2", library("2"))}
		if _, err := f.remove(gone); err != nil {
			t.Fatal(err)
		}
		delete(digests, gone)
		next := f.add("h.io/a/foo:3", library("3"))
		for _, left := range digests {
			a, errA := os.Stat(filepath.Join(f.PackageDir(left), "root/lib/big.bin"))
			b, errB := os.Stat(filepath.Join(f.PackageDir(next), "root/lib/big.bin"))
			if err := errors.Join(errA, errB); err != nil || !os.SameFile(a, b) {
				t.Errorf("without %s: the next one has a file of its own (%v)", gone, err)
			}
		}
	}
}

func TestANameGoesWithThePackageThatNothingElseStandsFor(t *testing.T) {
	f := newFixture(t)
	first, second := f.add("h.io/a/foo:1", library("1")), f.add("h.io/a/foo:2", library("2"))
	f.name("h.io/a/foo:latest", second)
	removed, err := f.remove("h.io/a/foo:2")
	if err != nil || len(removed.Packages) != 0 || !slices.Equal(removed.Names, []string{"h.io/a/foo:2"}) {
		t.Errorf("a package with another name: %+v, %v", removed, err)
	}
	removed, err = f.remove("h.io/a/foo:latest")
	if err != nil || len(removed.Packages) != 1 || removed.Packages[0].Digest != second || removed.Blobs != 2 {
		t.Errorf("the last name: %+v, %v", removed, err)
	}
	// The big file is the first package's, too.
	if removed.Freed < 6000 || removed.Freed > 100_000 {
		t.Errorf("%d bytes are said to be free", removed.Freed)
	}
	if have := f.have(); !slices.Equal(have, []string{first}) {
		t.Errorf("the store has %v", have)
	}
	if removed, err = f.remove("h.io/a/foo:1"); err != nil || removed.Freed < 1<<20 {
		t.Errorf("the last package: %+v, %v", removed, err)
	}
	for _, dir := range [][]string{{"refs"}, {"blobs", "sha256"}, {"layers"}, {"used"}, {"tmp"}} {
		if left := f.files(dir...); len(left) > 0 {
			t.Errorf("left in %v: %v", dir, left)
		}
	}
}

func TestADigestGoesWithTheNamesThatStandForNothingMore(t *testing.T) {
	f := newFixture(t)
	digest := f.add("h.io/a/foo:1", library("1"))
	f.name("h.io/a/foo:latest", digest)
	other := f.add("h.io/a/bar:1", library("2"))
	removed, err := f.remove(digest)
	if err != nil || len(removed.Packages) != 1 || !slices.Equal(removed.Names, []string{"h.io/a/foo:1", "h.io/a/foo:latest"}) {
		t.Errorf("%+v, %v", removed, err)
	}
	if have := f.have(); !slices.Equal(have, []string{other}) {
		t.Errorf("the store has %v", have)
	}
}

// putIndex puts an index of packages into the store, and gives its digest.
func (f *fixture) putIndex(digests ...string) string {
	f.t.Helper()
	var manifests []string
	for i, d := range digests {
		manifests = append(manifests, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":1,"platform":{"os":"linux","architecture":"arch%d"}}`, d, i))
	}
	return f.putBlob(`{"schemaVersion":2,"manifests":[` + strings.Join(manifests, ",") + `]}`)
}

func TestAnIndexGoesWithItsPackagesAndStaysWhileOneIsThere(t *testing.T) {
	f := newFixture(t)
	one, two := f.add("", library("1")), f.add("h.io/a/foo:two", library("2"))
	index := f.putIndex(one, two)
	f.name("h.io/a/foo:all", index)
	removed, err := f.remove("h.io/a/foo:all")
	if err != nil || len(removed.Packages) != 1 || removed.Packages[0].Digest != one {
		t.Errorf("by its name: %+v, %v", removed, err)
	}
	if _, err := os.Stat(f.Path("blobs", "sha256", store.LockName(index))); err != nil {
		t.Errorf("the index, of which a package is there: %v", err)
	}
	if removed, err = f.remove(index); err != nil || len(removed.Packages) != 1 || !slices.Equal(removed.Names, []string{"h.io/a/foo:two"}) {
		t.Errorf("by its digest: %+v, %v", removed, err)
	}
	if left := f.files("blobs", "sha256"); len(left) > 0 {
		t.Errorf("left of the blobs: %v", left)
	}
}

func TestNothingIsRemovedWhenOneOfTheNamesIsWrong(t *testing.T) {
	f := newFixture(t)
	f.add("h.io/a/foo:1", library("1"))
	before := f.state()
	for _, wrong := range []string{"h.io/a/foo:3", "sha256:" + strings.Repeat("0", 64)} {
		if _, err := f.remove("h.io/a/foo:1", wrong); !errors.Is(err, errdef.ErrNotFound) || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	sameState(t, "after a wrong name", before, f.state())
}

func TestWhatALockFileNamesIsRemovedOnlyByForce(t *testing.T) {
	f := newFixture(t)
	digest := f.add("h.io/a/foo:1", library("1"))
	lock := filepath.Join(t.TempDir(), "ocipkg.lock")
	if err := os.WriteFile(lock, []byte("digest = \""+digest+"\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.NoteRoot(lock)
	for _, word := range []string{"h.io/a/foo:1", digest} {
		if _, err := f.remove(word); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), lock) {
			t.Errorf("%s: %v", word, err)
		}
	}
	removed, err := upkeep.Remove(t.Context(), f.Store, []string{digest}, upkeep.RemoveOptions{Force: true, Resolve: reference.Parse})
	if err != nil || len(removed.Packages) != 1 {
		t.Errorf("by force: %+v, %v", removed, err)
	}
}
