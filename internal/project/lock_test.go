package project

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/platform"
)

// blob makes up a blob of that size.
func blob(size int64) Blob { return Blob{fmt.Sprintf("sha256:%064x", size), size} }

func sampleLock() *Lock {
	return &Lock{
		Platforms: []string{"linux/amd64", "aarch64-linux-gnu"},
		Packages: []LockedPackage{
			{Name: "ghcr.io/acme/ssh:1.11", Blob: blob(1), Builds: []LockedBuild{
				{
					Platform: platform.Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.28", LibcEstimated: true, Cxx: "libstdc++", CxxVersion: "3.4"},
					Blob:     blob(2), Config: blob(3), Layers: []Blob{blob(4), blob(5)}, Requires: []string{"ghcr.io/acme/zlib:1.3"},
				},
				{Platform: platform.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, Blob: blob(6), Config: blob(7), Layers: []Blob{}},
			}},
			{Name: "ghcr.io/acme/zlib:1.3", Blob: blob(8), Builds: []LockedBuild{{Blob: blob(8), Config: blob(9), Layers: []Blob{blob(10)}}}},
		},
	}
}

func TestALockIsReadAsItWasWritten(t *testing.T) {
	want := sampleLock()
	text := want.Text()
	got, err := parseLock(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, want)
	}
	if !bytes.Equal(got.Text(), text) {
		t.Errorf("written again it is\n%s\nand was\n%s", got.Text(), text)
	}
	if want.Packages[1].IsIndex() || !want.Packages[0].IsIndex() {
		t.Error("a package of one build is taken for an index, or the reverse")
	}
}

func TestALockIsAskedByTag(t *testing.T) {
	l := sampleLock()
	for name, want := range map[string]bool{
		"ghcr.io/acme/zlib:1.3": true, "ghcr.io/acme/zlib:1.3@" + blob(99).Digest: true,
		"ghcr.io/acme/zlib:1.4": false, "ghcr.io/acme/zlib@" + blob(8).Digest: false,
	} {
		ref, err := reference.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Find(ref) != nil; got != want {
			t.Errorf("%s is in the lock: %t, want %t", name, got, want)
		}
	}
	if (*Lock)(nil).Find(reference.Reference{}) != nil {
		t.Error("no lock has something")
	}
}

func TestALockThatMakesNoSenseIsRefusedWithTheReason(t *testing.T) {
	good := string(sampleLock().Text())
	replaced := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for text, want := range map[string]string{
		"<<<<<<< HEAD\n" + good:                     "line 1",
		replaced("version = 1", "version = 2"):      "of version 2, and this ocipkg reads 1 at most; install a newer ocipkg",
		"newKey = 1\nversion = 7":                   "of version 7",
		replaced("version = 1", ""):                 "has no version",
		"":                                          "has no version",
		replaced("size = 1\n", "size = -1\n"):       "which cannot be",
		replaced("size = 1\n", "size = \"many\"\n"): "line",
		replaced("size = 1\n", "sise = 1\n"):        `the key "package.sise" is not known`,
		replaced(blob(4).Digest, "sha256:12"):       `the digest "sha256:12"`,
		replaced("acme/ssh", "acme/zzz"):            "not in its place",
		replaced("acme/ssh:1.11", "acme/zlib:1.3"):  "there twice",
		replaced("ghcr.io/acme/ssh:1.11", "ssh"):    "not written whole, as docker.io/library/ssh:latest",
		replaced("ghcr.io/acme/ssh:1.11", "A B"):    "not a package name",
		replaced("os = \"linux\"", "os = \"l nx\""): "no platform",
		"version = 1\n[[package]]\nname = \"a.b/c:1\"\ndigest = \"" + blob(1).Digest + "\"\nsize = 1": "has no builds",
		replaced("requires = [\"", "requires = [\"!"):                                                 "requires",
	} {
		_, err := parseLock([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q, for\n%s", err, want, text)
		}
	}
	path := filepath.Join(t.TempDir(), LockName)
	if l, err := ReadLock(path); l != nil || err != nil {
		t.Errorf("a missing lock: %v, %v", l, err)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLock(path); !errors.Is(err, errdef.ErrLock) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "ocipkg lock") {
		t.Errorf("nonsense: %v", err)
	}
}

func FuzzLock(f *testing.F) {
	f.Add(sampleLock().Text())
	f.Add([]byte("version = 1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := parseLock(raw)
		if err != nil {
			return
		}
		again, err := parseLock(l.Text())
		if err != nil || !bytes.Equal(again.Text(), l.Text()) {
			t.Fatalf("%v for\n%s\nwritten from\n%s", err, l.Text(), raw)
		}
	})
}

func BenchmarkReadLock(b *testing.B) {
	l := &Lock{}
	for i := range 10 {
		p := LockedPackage{Name: fmt.Sprintf("ghcr.io/acme/p%d:1", i), Blob: blob(1)}
		for j := range 6 {
			build := LockedBuild{Platform: platform.Platform{OS: "linux", Architecture: "amd64"}, Blob: blob(int64(j)), Config: blob(3)}
			for k := range 8 {
				build.Layers = append(build.Layers, blob(int64(k)))
			}
			p.Builds = append(p.Builds, build)
		}
		l.Packages = append(l.Packages, p)
	}
	text := l.Text()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := parseLock(text); err != nil {
			b.Fatal(err)
		}
	}
}
