package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/filelock"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/platform"
)

func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "store"))
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func digestOf(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

// put writes a file of the store.
func put(t testing.TB, s *Store, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(s.Path(name)), 0o755))
	must(t, os.WriteFile(s.Path(name), []byte(text), 0o644))
}

// add makes a package without files.
func add(t testing.TB, s *Store, name string) string {
	t.Helper()
	d := digestOf(name)
	put(t, s, "packages/sha256/"+LockName(d)+"/link.json", fmt.Sprintf(`{"version":%d,"bootID":%q,"platform":{}}`, LinkVersion, BootID()))
	return d
}

func linux() (platform.Platform, error) {
	return platform.Platform{OS: "linux", Architecture: "amd64"}, nil
}

func TestWhereTheStoreIs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Setenv("OCIPKG_HOME", "/x") // the other systems' places are fixed
		if dir, err := DefaultDir(); err != nil || !strings.HasSuffix(dir, "x") {
			t.Errorf("it is %q, %v", dir, err)
		}
		return
	}
	for _, c := range []struct{ ocipkg, xdg, home, want string }{
		{"/a/b", "/xdg", "/home/me", "/a/b"},
		{"", "/xdg", "/home/me", "/xdg/ocipkg/v1"},
		{"", "", "/home/me", "/home/me/.local/share/ocipkg/v1"},
		{"", "relative", "/home/me", "/home/me/.local/share/ocipkg/v1"},
	} {
		t.Setenv("OCIPKG_HOME", c.ocipkg)
		t.Setenv("XDG_DATA_HOME", c.xdg)
		t.Setenv("HOME", c.home)
		if dir, err := DefaultDir(); err != nil || dir != c.want {
			t.Errorf("%+v: %q, %v", c, dir, err)
		}
	}
	t.Setenv("HOME", "")
	if _, err := DefaultDir(); err == nil || !strings.Contains(err.Error(), "OCIPKG_HOME") {
		t.Errorf("without a home the error is %v", err)
	}
	t.Setenv("OCIPKG_HOME", "relative")
	if dir, err := DefaultDir(); err != nil || !filepath.IsAbs(dir) {
		t.Errorf("it is %q, %v", dir, err)
	}
}

func TestAFileIsNoStore(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(name, nil, 0o644))
	if _, err := Open(name); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), "OCIPKG_HOME") {
		t.Errorf("the error is %v", err)
	}
}

func TestAStoreThatIsNotThereHasNothing(t *testing.T) {
	s := open(t)
	refs, err := s.Refs()
	if err != nil || len(refs) > 0 {
		t.Errorf("it has the names %v, %v", refs, err)
	}
	packages, err := s.Packages()
	if err != nil || len(packages) > 0 {
		t.Errorf("it has the packages %v, %v", packages, err)
	}
	if _, err := s.Package(digestOf("x")); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("the error is %v", err)
	}
	if !s.LastUsed(digestOf("x")).IsZero() {
		t.Error("a package that is not there was used")
	}
	if _, err := os.Lstat(s.Dir()); err == nil {
		t.Error("looking at the store made it")
	}
}

func TestADigestIsNeverAPath(t *testing.T) {
	s := open(t)
	put(t, s, "evil/link.json", `{"version":2}`)
	for _, d := range []string{"", "sha256:", "sha256:../../evil", "../../evil", "sha256:" + strings.Repeat("A", 64), "sha256:" + strings.Repeat("0", 63), "md5:" + strings.Repeat("0", 32), "sha256:" + strings.Repeat("0", 62) + "/x"} {
		if _, err := s.Package(d); !errors.Is(err, errdef.ErrUsage) {
			t.Errorf("%q: the error is %v", d, err)
		}
		if _, err := s.LookupDigest(d, linux); err == nil {
			t.Errorf("%q is looked up", d)
		}
	}
}

func TestALinkDescriptionThatIsDamagedIsNoPackage(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "zeros": strings.Repeat("\x00", 100), "cut": `{"version":2,"pla`, "another version": `{"version":1}`, "no version": `{}`, "a list": `[]`,
		"another start, and no list of files": `{"version":2,"bootID":"earlier"}`,
	} {
		s := open(t)
		d := add(t, s, "x")
		put(t, s, "packages/sha256/"+LockName(d)+"/link.json", text)
		if _, err := s.Package(d); BootID() != "" && !errors.Is(err, errdef.ErrNotFound) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestAfterAStartOfTheMachineFilesAreCheckedOnce(t *testing.T) {
	if BootID() == "" {
		return // the system does not tell its starts apart, and files are not checked
	}
	const list = `{"layers":[],"files":[{"path":"lib/a","size":5,"mode":"0644"},{"path":"lib/l","size":0,"mode":"0777","target":"gone"},{"path":"empty/","size":0,"mode":"0755"}]}`
	for name, test := range map[string]struct {
		damage func(root string) error
		whole  bool
	}{
		"nothing happened":         {func(string) error { return nil }, true},
		"a file is short":          {func(root string) error { return os.Truncate(filepath.Join(root, "lib/a"), 4) }, false},
		"a file is empty":          {func(root string) error { return os.Truncate(filepath.Join(root, "lib/a"), 0) }, false},
		"a file is gone":           {func(root string) error { return os.Remove(filepath.Join(root, "lib/a")) }, false},
		"a link is gone":           {func(root string) error { return os.Remove(filepath.Join(root, "lib/l")) }, false},
		"a directory is gone":      {func(root string) error { return os.Remove(filepath.Join(root, "empty")) }, false},
		"the tree is gone":         {os.RemoveAll, false},
		"a file is now a link":     {func(root string) error { return relink(filepath.Join(root, "lib/a")) }, false},
		"the list of files is not": {func(root string) error { return os.Truncate(filepath.Join(filepath.Dir(root), "files"), 30) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			d := add(t, s, "x")
			dir := "packages/sha256/" + LockName(d)
			put(t, s, dir+"/link.json", `{"version":2,"bootID":"earlier","platform":{"os":"linux"}}`)
			put(t, s, dir+"/files", list)
			put(t, s, dir+"/root/lib/a", "12345")
			root := s.Path(dir, "root")
			must(t, errors.Join(os.Symlink("gone", filepath.Join(root, "lib/l")), os.Mkdir(filepath.Join(root, "empty"), 0o755)))
			must(t, test.damage(root))
			p, err := s.Package(d)
			if test.whole != (err == nil) || err != nil && !errors.Is(err, errdef.ErrNotFound) {
				t.Fatalf("the error is %v", err)
			}
			if !test.whole {
				return
			}
			raw, err := os.ReadFile(s.Path(dir, "link.json"))
			if err != nil || !strings.Contains(string(raw), BootID()) || p.Platform.OS != "linux" {
				t.Errorf("the check is not noted: %s, %v", raw, err)
			}
		})
	}
}

func relink(name string) error { return errors.Join(os.Remove(name), os.Symlink("/etc/passwd", name)) }

func TestNamesAreNotedAndLookedUp(t *testing.T) {
	s := open(t)
	d := add(t, s, "package")
	ref, err := reference.Parse("ghcr.io/acme/zlib:1.3")
	must(t, err)
	if _, err := s.Lookup(ref, linux); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("before, the error is %v", err)
	}
	must(t, s.SetRef(context.Background(), ref, d))
	if p, err := s.Lookup(ref, linux); err != nil || p.Digest != d || p.Root != filepath.Join(s.PackageDir(d), "root") {
		t.Errorf("it is %+v, %v", p, err)
	}
	pinned, err := reference.Parse("ghcr.io/acme/zlib:other@" + d)
	must(t, err)
	if p, err := s.Lookup(pinned, linux); err != nil || p.Digest != d {
		t.Errorf("by its digest it is %+v, %v", p, err)
	}
	refs, err := s.Refs()
	if err != nil || len(refs) != 1 || refs[0].Name != "ghcr.io/acme/zlib:1.3" || time.Since(refs[0].LookedUp) > time.Minute {
		t.Errorf("the names are %+v, %v", refs, err)
	}
	if got := s.PackagesOf(d); len(got) != 1 || got[0] != d {
		t.Errorf("the packages of it are %v", got)
	}
}

func TestNamesWhoseNotesAreDamagedAreAsIfTheyWereNotThere(t *testing.T) {
	s := open(t)
	ref, err := reference.Parse("ghcr.io/acme/zlib:1.3")
	must(t, err)
	must(t, s.SetRef(context.Background(), ref, digestOf("x")))
	for _, text := range []string{"", "{", "[]", `{"name":"x"}`, `{"digest":"sha256:../../x"}`, `{"digest":5}`, strings.Repeat("\x00", 200)} {
		must(t, os.WriteFile(s.RefPath(ref), []byte(text), 0o644))
		if _, err := s.Lookup(ref, linux); !errors.Is(err, errdef.ErrNotFound) {
			t.Errorf("%q: the error is %v", text, err)
		}
	}
	put(t, s, "refs/README", "not a note")
	must(t, os.Mkdir(s.Path("refs", "directory"), 0o755))
	if refs, err := s.Refs(); err != nil || len(refs) > 0 {
		t.Errorf("the names are %+v, %v", refs, err)
	}
}

func TestOnlyWhatIsNamedLikeAPackageIsOne(t *testing.T) {
	s := open(t)
	d := add(t, s, "x")
	for _, name := range []string{"packages/sha256/short", "packages/sha256/" + strings.Repeat("Z", 64), "packages/md5/x", "packages/.DS_Store"} {
		put(t, s, name+"/link.json", "{}")
	}
	if got, err := s.Packages(); err != nil || len(got) != 1 || got[0] != d {
		t.Errorf("the packages are %v, %v", got, err)
	}
}

func TestThePackageOfAStoredIndexIsChosenForTheTarget(t *testing.T) {
	s := open(t)
	amd64, arm64 := add(t, s, "amd64"), add(t, s, "arm64")
	entry := func(d, arch string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":2,"platform":{"os":"linux","architecture":%q}}`, ociManifest, d, arch)
	}
	index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[%s,%s,%s]}`, entry(arm64, "arm64"), entry(amd64, "amd64"), entry(digestOf("gone"), "s390x"))
	d := digestOf(index)
	put(t, s, "blobs/sha256/"+LockName(d), index)
	if p, err := s.LookupDigest(d, linux); err != nil || p.Digest != amd64 {
		t.Errorf("it is %+v, %v", p, err)
	}
	on := func(os, arch string) func() (platform.Platform, error) {
		return func() (platform.Platform, error) { return platform.Platform{OS: os, Architecture: arch}, nil }
	}
	if _, err := s.LookupDigest(d, on("windows", "amd64")); !errors.Is(err, errdef.ErrPlatform) || !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("for Windows the error is %v", err)
	}
	if _, err := s.LookupDigest(d, on("linux", "s390x")); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("of a package that is not there the error is %v", err)
	}
	if got := s.PackagesOf(d); len(got) != 2 {
		t.Errorf("its packages are %v", got)
	}
	for _, text := range []string{"", index[:100], strings.Replace(index, "amd64", "amd65", 1)} {
		put(t, s, "blobs/sha256/"+LockName(d), text)
		if _, err := s.LookupDigest(d, linux); !errors.Is(err, errdef.ErrNotFound) {
			t.Errorf("of a damaged index the error is %v", err)
		}
	}
}

func TestWhatAnIndexDoesNotSayOfItsPackagesIsNoted(t *testing.T) {
	s := open(t)
	amd64, arm64 := add(t, s, "amd64"), add(t, s, "arm64")
	entry := func(d string) string { return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":2}`, ociManifest, d) }
	gone := digestOf("gone")
	index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[%s,%s,%s]}`, entry(arm64), entry(gone), entry(amd64))
	d := digestOf(index)
	put(t, s, "blobs/sha256/"+LockName(d), index)
	said := map[string]platform.Platform{
		arm64: {OS: "linux", Architecture: "arm64"}, gone: {OS: "linux", Architecture: "s390x"}, amd64: {OS: "linux", Architecture: "amd64"},
	}
	must(t, s.NotePlatforms(context.Background(), d, said))
	for _, want := range []string{amd64, arm64, gone} {
		p, err := s.LookupDigest(d, func() (platform.Platform, error) { return said[want], nil })
		if want == gone && !errors.Is(err, errdef.ErrNotFound) || want != gone && (err != nil || p.Digest != want) {
			t.Errorf("for %s it is %+v, %v; want %s", said[want], p, err, want)
		}
	}
	_, err := s.LookupDigest(d, func() (platform.Platform, error) { return platform.Platform{OS: "windows"}, nil })
	if !errors.Is(err, errdef.ErrPlatform) {
		t.Errorf("for Windows the error is %v", err)
	}
}

func TestALockIsHeldAloneOrShared(t *testing.T) {
	s := open(t)
	one, err := s.TryLock("x", true)
	must(t, err)
	two, err := s.TryLock("x", true)
	must(t, err)
	if _, err := s.TryLock("x", false); !errors.Is(err, filelock.ErrLocked) {
		t.Errorf("beside two that share it: %v", err)
	}
	one.Release()
	two.Release()
	alone, err := s.TryLock("x", false)
	must(t, err)
	if _, err := s.TryLock("x", true); !errors.Is(err, filelock.ErrLocked) {
		t.Errorf("beside one that has it alone: %v", err)
	}
	other, err := s.TryLock("y", false)
	must(t, err)
	other.Release()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Lock(ctx, "x", false); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting, when cancelled: %v", err)
	}
	waited := make(chan error)
	go func() {
		l, err := s.Lock(context.Background(), "x", false)
		if err == nil {
			l.Release()
		}
		waited <- err
	}()
	alone.Release()
	must(t, <-waited)
}

func TestAFileIsPutInPlaceWholeOrNotAtAll(t *testing.T) {
	s := open(t)
	lock, err := s.TryLock("x", false)
	must(t, err)
	defer lock.Release()
	must(t, s.WriteFile(lock, s.Path("a", "b"), []byte("1")))
	must(t, s.WriteFile(lock, s.Path("a", "b"), []byte("2")))
	must(t, s.Mkdir("a", "directory", "full"))
	if err := s.WriteFile(lock, s.Path("a", "directory"), []byte("3")); err == nil {
		t.Error("a file took the place of a directory")
	}
	if err := s.WriteFile(lock, s.Path("a", "b", "c"), []byte("3")); err == nil {
		t.Error("a file was made below a file")
	}
	if raw, err := os.ReadFile(s.Path("a", "b")); err != nil || string(raw) != "2" {
		t.Errorf("it holds %q, %v", raw, err)
	}
	if left, err := os.ReadDir(s.Path("tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

func TestUseIsNotedToTheHour(t *testing.T) {
	s := open(t)
	d := add(t, s, "x")
	s.Use(d)
	if since := time.Since(s.LastUsed(d)); since > time.Minute {
		t.Errorf("it was used %v ago", since)
	}
	recent, old := time.Now().Add(-30*time.Minute), time.Now().Add(-2*time.Hour)
	for _, c := range []struct{ at, want time.Time }{{recent, recent}, {old, time.Now()}} {
		must(t, os.Chtimes(s.Path("used", LockName(d)), c.at, c.at))
		s.Use(d)
		if diff := s.LastUsed(d).Sub(c.want).Abs(); diff > time.Minute {
			t.Errorf("noted at %v, it is off by %v", c.at, diff)
		}
	}
}

func TestTheStoreIsTheUsersAloneUnlessItWasNot(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // there are no such modes
	}
	s := open(t)
	must(t, s.Mkdir("tmp"))
	for _, dir := range []string{".", "tmp"} {
		if info, err := os.Stat(s.Path(dir)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has the mode %v", dir, info.Mode())
		}
	}
	shared := open(t)
	must(t, errors.Join(os.Mkdir(shared.Dir(), 0o755), os.Chmod(shared.Dir(), 0o755), shared.Mkdir("tmp")))
	for _, dir := range []string{".", "tmp"} {
		if info, err := os.Stat(shared.Path(dir)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("of a store that was there, %s has the mode %v", dir, info.Mode())
		}
	}
}

func TestLockFilesAreNotedOnceAndAgainWhenTheNoteWasCutShort(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "a store"))
	if err != nil {
		t.Fatal(err)
	}
	if roots, err := s.Roots(); err != nil || len(roots) > 0 {
		t.Errorf("before there is any: %q, %v", roots, err)
	}
	want := []string{"/home/me/a project/ocipkg.lock", "/home/me/line\nend/ocipkg.lock"}
	for range 2 {
		for _, root := range want {
			s.NoteRoot(root)
		}
	}
	if err := os.Truncate(s.RootPath(want[0]), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Roots(); !errors.Is(err, errdef.ErrVerification) || !strings.Contains(err.Error(), s.RootPath(want[0])) {
		t.Errorf("a note that was cut short: %v", err)
	}
	s.NoteRoot(want[0])
	if roots, err := s.Roots(); err != nil || !slices.Equal(slices.Sorted(slices.Values(roots)), want) {
		t.Errorf("%q, %v", roots, err)
	}
}

func TestTheCheckAfterAStartBringsBackNothingThatWasRemoved(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	dir := s.PackageDir(digest)
	raw := []byte(`{"version":2,"bootID":"another","size":0,"cps":{"x":"<"}}`)
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "root"), 0o755), os.WriteFile(filepath.Join(dir, "files"), []byte(`{"files":[]}`), 0o644)); err != nil {
		t.Fatal(err)
	}
	p := &Package{Digest: digest, Root: filepath.Join(dir, "root")}
	if err := s.checkAfterBoot(p, raw, "this one"); err != nil { // link.json is gone meanwhile
		t.Fatal(err)
	}
	if s.Use(digest) {
		t.Error("half of the package came back")
	}
	if err := os.WriteFile(filepath.Join(dir, "link.json"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.checkAfterBoot(p, raw, "this one"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "link.json")); err != nil || !strings.Contains(string(got), `"bootID":"this one"`) {
		t.Errorf("it has %s (%v)", got, err)
	}
}
