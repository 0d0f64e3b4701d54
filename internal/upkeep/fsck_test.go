package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/internal/upkeep"
)

// writable lets do change what is in a directory.
func writable(t testing.TB, dir string, do func() error) {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), do(), os.Chmod(dir, info.Mode().Perm())); err != nil {
		t.Fatal(err)
	}
}

// flip changes a byte of a file, which keeps its size, mode and names.
func flip(t testing.TB, path string, at int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Chmod(path, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 1)
	_, err = file.ReadAt(one, at)
	one[0] ^= 0x04
	_, writeErr := file.WriteAt(one, at)
	if err := errors.Join(err, writeErr, file.Close(), os.Chmod(path, info.Mode().Perm())); err != nil {
		t.Fatal(err)
	}
}

func TestEveryDifferenceIsFoundAndMended(t *testing.T) {
	for name, change := range map[string]struct {
		at string
		do func(t *testing.T, dir, at string) error
	}{
		"a flipped byte": {"root/lib/big.bin", func(t *testing.T, _, at string) error { flip(t, at, 70_000); return nil }},
		"a byte more": {"root/include/foo.h", func(_ *testing.T, _, at string) error {
			os.Chmod(at, 0o644)
			return os.WriteFile(at, []byte("x"), 0o444)
		}},
		"a missing file":          {"root/include/foo.h", func(_ *testing.T, _, at string) error { return os.Remove(at) }},
		"a missing link":          {"root/lib/libfoo.so", func(_ *testing.T, _, at string) error { return os.Remove(at) }},
		"a link elsewhere":        {"root/lib/libfoo.so", func(_ *testing.T, _, at string) error { return errors.Join(os.Remove(at), os.Symlink("libfoo.a", at)) }},
		"a link for a file":       {"root/lib/libfoo.a", func(_ *testing.T, _, at string) error { return errors.Join(os.Remove(at), os.Symlink("libfoo.so", at)) }},
		"a directory for a file":  {"root/lib/libfoo.a", func(_ *testing.T, _, at string) error { return errors.Join(os.Remove(at), os.Mkdir(at, 0o755)) }},
		"another mode":            {"root/lib/libfoo.a", func(_ *testing.T, _, at string) error { return os.Chmod(at, 0o644) }},
		"another directory mode":  {"root/share/empty", func(_ *testing.T, _, at string) error { return os.Chmod(at, 0o755) }},
		"a new file":              {"root/lib/new", func(_ *testing.T, _, at string) error { return os.WriteFile(at, nil, 0o444) }},
		"a new directory":         {"root/new", func(_ *testing.T, _, at string) error { return os.Mkdir(at, 0o555) }},
		"a missing directory":     {"root/share/empty", func(_ *testing.T, _, at string) error { return os.Remove(at) }},
		"a view's missing link":   {"static/libfoo.a", func(_ *testing.T, _, at string) error { return os.Remove(at) }},
		"a view's link elsewhere": {"shared/libfoo.so", func(_ *testing.T, _, at string) error { return errors.Join(os.Remove(at), os.Symlink("x", at)) }},
		"no link.json":            {"link.json", func(_ *testing.T, _, at string) error { return os.Remove(at) }},
		"link.json cut short":     {"link.json", func(_ *testing.T, _, at string) error { return os.Truncate(at, 20) }},
		"no list of files":        {"files", func(_ *testing.T, _, at string) error { return os.Remove(at) }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			digest := f.add("h.io/a/foo:1", library("1"))
			f.add("h.io/a/bar:1", map[string]string{"lib/bar.bin": "bar"})
			dir := f.PackageDir(digest)
			at := filepath.Join(dir, filepath.FromSlash(change.at))
			writable(t, filepath.Dir(at), func() error { return change.do(t, dir, at) })
			report := f.fsck(upkeep.FsckOptions{})
			if len(report.Damage) == 0 || len(report.Unrepaired) != 1 || report.Unrepaired[0].Digest != digest || report.Packages != 2 {
				t.Fatalf("found: %+v", report)
			}
			for _, d := range report.Damage {
				if d.Package != digest || !slices.Equal(d.Names, []string{"h.io/a/foo:1"}) || d.Path != change.at && d.Path != "." {
					t.Errorf("found: %+v", d)
				}
			}
			report = f.fsck(upkeep.FsckOptions{Repair: f.repair})
			if len(report.Repaired) != 1 || len(report.Unrepaired) > 0 {
				t.Errorf("repaired: %+v", report)
			}
			if report = f.fsck(upkeep.FsckOptions{}); len(report.Damage) > 0 {
				t.Errorf("after the repair: %+v", report.Damage)
			}
		})
	}
}

// All of a package's own files, and of the names and blobs, but for what a later
// look at a registry would mend.
func TestAFlippedByteIsFoundWhereverItIs(t *testing.T) {
	f := newFixture(t)
	f.add("h.io/a/foo:1", map[string]string{"lib/libfoo.a": "!<arch>\n", "lib/libfoo.so": "so", "include/foo.h": "int foo;\n"})
	var paths []string
	err := filepath.WalkDir(f.Dir(), func(path string, entry fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(f.Dir(), path)
		if err == nil && entry.Type().IsRegular() && (strings.HasPrefix(rel, "packages") || strings.HasPrefix(rel, "blobs")) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) != 7 {
		t.Fatalf("%v, %v", paths, err)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		boot := strings.Index(string(raw), store.BootID())
		for at := range info.Size() {
			if filepath.Base(path) == "link.json" && boot >= 0 && at >= int64(boot) && at < int64(boot+len(store.BootID())) {
				continue // then the sizes are looked at again
			}
			flip(t, path, at)
			if report := f.fsck(upkeep.FsckOptions{}); len(report.Damage) == 0 {
				t.Errorf("byte %d of %s: %q", at, path, raw[max(0, at-10):min(info.Size(), at+10)])
			}
			flip(t, path, at)
		}
	}
	if report := f.fsck(upkeep.FsckOptions{}); len(report.Damage) > 0 {
		t.Errorf("at the end: %+v", report.Damage)
	}
}

func TestAFileThatPackagesShareIsMendedInEach(t *testing.T) {
	f := newFixture(t)
	one, two := f.add("h.io/a/foo:1", library("1")), f.add("h.io/a/foo:2", library("2"))
	a, b := filepath.Join(f.PackageDir(one), "root/lib/big.bin"), filepath.Join(f.PackageDir(two), "root/lib/big.bin")
	infoA, _ := os.Stat(a)
	infoB, _ := os.Stat(b)
	if !os.SameFile(infoA, infoB) {
		t.Fatal("the packages share nothing")
	}
	flip(t, a, 1<<19)
	report := f.fsck(upkeep.FsckOptions{})
	if len(report.Damage) != 2 || len(report.Unrepaired) != 2 {
		t.Fatalf("found: %+v", report)
	}
	// Nothing that comes now is made of what is damaged.
	three := f.add("h.io/a/foo:3", library("3"))
	if only := f.fsck(upkeep.FsckOptions{Only: []string{three}}); len(only.Damage) > 0 || only.Packages != 1 {
		t.Errorf("what came after: %+v", only)
	}
	// One of the two cannot be brought again.
	source := f.sources[one]
	delete(f.sources, one)
	report = f.fsck(upkeep.FsckOptions{Repair: f.repair})
	if len(report.Repaired) != 1 || len(report.Unrepaired) != 1 || report.Unrepaired[0].Digest != one || report.Unrepaired[0].Err == nil {
		t.Errorf("repaired: %+v", report)
	}
	f.sources[one] = source
	if report = f.fsck(upkeep.FsckOptions{Repair: f.repair}); len(report.Repaired) != 1 || len(report.Damage) != 1 {
		t.Errorf("repaired: %+v", report)
	}
	if report = f.fsck(upkeep.FsckOptions{}); len(report.Damage) > 0 || report.Packages != 3 {
		t.Errorf("at the end: %+v", report)
	}
}

func TestBlobsAndNamesThatAreDamagedAreMendedOrRemoved(t *testing.T) {
	f := newFixture(t)
	digest := f.add("h.io/a/foo:1", library("1"))
	index := f.putIndex(digest)
	f.name("h.io/a/foo:all", index)
	stray := f.putBlob("stray")
	manifest, config := f.Path("blobs", "sha256", store.LockName(digest)), ""
	for _, name := range f.files("blobs", "sha256") {
		if !slices.Contains([]string{store.LockName(digest), store.LockName(index), store.LockName(stray)}, name) {
			config = f.Path("blobs", "sha256", name)
		}
	}
	for _, path := range []string{manifest, config, f.Path("blobs", "sha256", store.LockName(index)), f.Path("blobs", "sha256", store.LockName(stray))} {
		flip(t, path, 2)
	}
	if err := os.WriteFile(f.Path("refs", strings.Repeat("0", 64)), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if report := f.fsck(upkeep.FsckOptions{}); len(report.Damage) != 5 || len(report.Unrepaired) != 5 {
		t.Fatalf("found: %+v", report)
	}
	good := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":1,"platform":{"os":"linux","architecture":"arch0"}}]}`, digest)
	report := f.fsck(upkeep.FsckOptions{Repair: func(ctx context.Context, d string, names []store.Ref) error {
		if d == index && len(names) == 1 {
			f.putBlob(good)
			return nil
		}
		return f.repair(ctx, d, names)
	}})
	if len(report.Unrepaired) > 0 || len(report.Repaired) != 5 {
		t.Errorf("repaired: %+v", report)
	}
	if report = f.fsck(upkeep.FsckOptions{}); len(report.Damage) > 0 {
		t.Errorf("at the end: %+v", report.Damage)
	}
	if left := f.files("blobs", "sha256"); len(left) != 3 || len(f.files("refs")) != 2 {
		t.Errorf("the blobs are %v, and the names %v", left, f.files("refs"))
	}
}

func TestProgressEndsWithAllBytes(t *testing.T) {
	f := newFixture(t)
	f.add("h.io/a/foo:1", library("1"))
	f.add("h.io/a/foo:2", library("2"))
	last := make(chan [2]int64, 1000)
	report := f.fsck(upkeep.FsckOptions{Progress: func(done, total int64) { last <- [2]int64{done, total} }})
	close(last)
	var most int64
	for p := range last {
		if most = max(most, p[0]); p[1] != report.Bytes {
			t.Errorf("of %d bytes: %v", report.Bytes, p)
		}
	}
	if most != report.Bytes {
		t.Errorf("%d of %d bytes", most, report.Bytes)
	}
}
