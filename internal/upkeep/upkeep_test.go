package upkeep_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/internal/upkeep"
)

// differ finds the first line in which what a list says differs from what the
// store has.
func (f *fixture) differ() (listed, read string) {
	f.t.Helper()
	lines := func(read func(*store.Store) (*upkeep.Catalog, error)) []string {
		c, err := read(f.Store)
		if err != nil {
			f.t.Fatal(err)
		}
		var lines []string
		add := func(parts ...any) { lines = append(lines, fmt.Sprint(parts...)) }
		for _, r := range c.Refs {
			add(r.Name, r.Digest)
			for _, p := range c.Of(r.Digest) {
				add("  ", p.Digest, p.Names, *p.Platform, p.Size, p.Damaged)
			}
		}
		for _, p := range c.Packages {
			add(p.Digest, p.Names, *p.Platform, p.Size, p.Damaged)
		}
		return append(lines, "")
	}
	a, b := lines(upkeep.List), lines(upkeep.Read)
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i], b[i]
		}
	}
	return fmt.Sprint(len(a)), fmt.Sprint(len(b))
}

func TestTheSummaryIsNeverBehind(t *testing.T) {
	f := newFixture(t)
	digest := f.add("h.io/a/foo:1", library("1"))
	for i := range 120 { // enough to be worth a summary
		f.name(fmt.Sprintf("h.io/a/foo:n%d", i), digest)
	}
	f.age(time.Hour)
	check := func(what string) {
		t.Helper()
		for range 2 {
			if listed, read := f.differ(); listed != read {
				t.Errorf("%s: the list has\n%.200s\nand the store\n%.200s", what, listed, read)
			}
		}
	}
	check("at first")
	if _, err := os.Stat(f.Path("summary")); err != nil {
		t.Fatal(err)
	}
	index := f.putIndex("sha256:"+strings.Repeat("a", 64), digest)
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"a name comes", func() error { f.name("h.io/a/foo:new", digest); return nil }},
		{"a name moves", func() error { f.name("h.io/a/foo:n5", "sha256:"+strings.Repeat("b", 64)); return nil }},
		{"it moves at once again", func() error { f.name("h.io/a/foo:n5", "sha256:"+strings.Repeat("c", 64)); return nil }},
		{"it moves to an index", func() error { f.name("h.io/a/foo:n5", index); return nil }},
		{"the index goes", func() error { return os.Remove(f.Path("blobs", "sha256", store.LockName(index))) }},
		{"it comes back", func() error { f.putIndex("sha256:"+strings.Repeat("a", 64), digest); return nil }},
		{"a package comes", func() error { f.add("h.io/a/bar:1", library("2")); return nil }},
		{"a name goes", func() error { _, err := f.remove("h.io/a/foo:new"); return err }},
		{"a package is damaged and mended", func() error {
			if err := os.Truncate(filepath.Join(f.PackageDir(digest), "link.json"), 10); err != nil {
				return err
			}
			return f.repair(t.Context(), digest, nil)
		}},
		{"a package goes", func() error { _, err := f.remove("h.io/a/bar:1"); return err }},
		{"a name is damaged", func() error {
			return errors.Join(os.WriteFile(f.Path("bad"), []byte("{}"), 0o644), os.Rename(f.Path("bad"), f.Path("refs", store.RefFile("h.io/a/foo:n7"))))
		}},
		{"the summary is damaged", func() error { return os.Truncate(f.Path("summary"), 1000) }},
		{"and again", func() error { flip(t, f.Path("summary"), 300); return nil }},
		{"the summary is a directory", func() error { return errors.Join(os.Remove(f.Path("summary")), os.Mkdir(f.Path("summary"), 0o755)) }},
		{"and is none again", func() error { return os.RemoveAll(f.Path("summary")) }},
		{"all goes", func() error { return layer.Remove(f.Path("packages")) }},
	} {
		if err := step.do(); err != nil {
			t.Fatal(step.what, err)
		}
		check(step.what)
		// As it looks when a while has gone by.
		if step.what != "a name is damaged" {
			old := time.Now().Add(-time.Minute)
			for _, dir := range []string{"refs", "packages/sha256", "blobs/sha256"} {
				_ = os.Chtimes(f.Path(dir), old, old)
			}
		}
		check(step.what + ", a while ago")
	}
}

func TestAListSaysWhatThePackagesAre(t *testing.T) {
	f := newFixture(t)
	one, two := f.add("h.io/a/foo:2", library("1")), f.add("", library("2"))
	f.name("h.io/a/foo:1", one)
	list, err := (&ocipkg.Client{Store: f.Dir()}).List()
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []string{"h.io/a/foo:1 " + one, "h.io/a/foo:2 " + one, " " + two} {
		p := list[i]
		if p.Name+" "+p.Digest.String() != want || p.Directory != filepath.Join(f.PackageDir(p.Digest.String()), "root") || p.Size < 1<<20 || time.Since(p.LastUsed) > time.Minute {
			t.Errorf("%d is %+v, want %s", i, p, want)
		}
	}
}
