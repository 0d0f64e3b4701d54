package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/internal/upkeep"
)

// fixture is a store, and where its packages came from.
type fixture struct {
	*store.Store
	t       testing.TB
	client  *ocipkg.Client
	sources map[string]string // archives, by the digest of the package
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	dir, err := os.MkdirTemp("", "ocipkg store *") // a blank in it, as users have
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := layer.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	s, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{Store: s, t: t, client: &ocipkg.Client{Store: s.Dir()}, sources: map[string]string{}}
}

// library is what a package of a library has in it.
func library(version string) map[string]string {
	return map[string]string{
		"include/foo.h":     "int foo(void); /* " + version + " */\n",
		"lib/libfoo.a":      "!<arch>\n",
		"lib/libfoo.so.1.2": strings.Repeat("shared", 1000),
		"lib/libfoo.so":     "-> libfoo.so.1.2",
		"lib/big.bin":       strings.Repeat("0123456789abcdef", 1<<16), // a layer of its own
		"share/READ ME":     "read me\n",
		"share/empty/":      "",
	}
}

// add brings a package of files into the store, and gives its digest.
func (f *fixture) add(name string, files map[string]string) string {
	f.t.Helper()
	dir := f.t.TempDir()
	in, archive := filepath.Join(dir, "in"), filepath.Join(dir, "out.tar")
	for name, text := range files {
		path := filepath.Join(in, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, path))
		} else if strings.HasSuffix(name, "/") {
			err = errors.Join(err, os.MkdirAll(path, 0o755))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(text), 0o644))
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
	if _, err := ocipkg.Pack(f.t.Context(), in, archive, ocipkg.PackOptions{Name: name}); err != nil {
		f.t.Fatal(err)
	}
	p, err := f.client.Load(f.t.Context(), archive, ocipkg.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.sources[p.Digest.String()] = archive
	return p.Digest.String()
}

// name gives a package or index another name.
func (f *fixture) name(name, digest string) {
	f.t.Helper()
	ref, err := reference.Parse(name)
	if err == nil {
		err = f.SetRef(f.t.Context(), ref, digest)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// repair brings a package again from where it came.
func (f *fixture) repair(ctx context.Context, digest string, _ []store.Ref) error {
	source, ok := f.sources[digest]
	if !ok {
		return fmt.Errorf("there is no source of %s", digest)
	}
	_, err := f.client.Load(ctx, source, ocipkg.GetOptions{Force: true})
	return err
}

// age makes everything in the store as old as if nobody had used it for a while.
func (f *fixture) age(by time.Duration) {
	f.t.Helper()
	then := time.Now().Add(-by)
	err := filepath.WalkDir(f.Dir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		if filepath.Base(filepath.Dir(path)) == "refs" {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			r, err := store.ReadRef(path)
			if err != nil {
				return err
			}
			raw = []byte(strings.Replace(string(raw), r.LookedUp.Format(time.RFC3339Nano), then.UTC().Format(time.RFC3339Nano), 1))
			if err := os.WriteFile(path, raw, 0o644); err != nil {
				return err
			}
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// state lists all that is in the store, with sizes and times, locks left out.
func (f *fixture) state() map[string]string {
	f.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(f.Dir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		rel, _ := filepath.Rel(f.Dir(), path)
		if err == nil && !strings.HasPrefix(rel, "locks") {
			all[filepath.ToSlash(rel)] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// files lists what is in a directory of the store.
func (f *fixture) files(dir ...string) []string {
	f.t.Helper()
	entries, err := os.ReadDir(f.Path(dir...))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// have lists the digests of the packages in the store.
func (f *fixture) have() []string {
	f.t.Helper()
	digests, err := f.Packages()
	if err != nil {
		f.t.Fatal(err)
	}
	return slices.Sorted(slices.Values(digests))
}

func sorted(s ...string) []string { return slices.Sorted(slices.Values(s)) }

// noDigests is for a store that no lock file is noted in.
func noDigests(lockFile string) ([]string, error) {
	return nil, fmt.Errorf("there is no lock file, and %s was asked for", lockFile)
}

func digestsOf(lockFile string) ([]string, error) {
	raw, err := os.ReadFile(lockFile)
	return upkeep.DigestsIn(string(raw)), err
}

func (f *fixture) prune(options upkeep.PruneOptions) *upkeep.Removed {
	f.t.Helper()
	if options.Digests == nil {
		options.Digests = noDigests
	}
	removed, err := upkeep.Prune(f.t.Context(), f.Store, options)
	if err != nil {
		f.t.Fatal(err)
	}
	return removed
}

func (f *fixture) remove(words ...string) (*upkeep.Removed, error) {
	return upkeep.Remove(f.t.Context(), f.Store, words, upkeep.RemoveOptions{Digests: digestsOf, Resolve: reference.Parse})
}

func (f *fixture) fsck(options upkeep.FsckOptions) *upkeep.Report {
	f.t.Helper()
	report, err := upkeep.Fsck(f.t.Context(), f.Store, options)
	if err != nil {
		f.t.Fatal(err)
	}
	return report
}

func sameState(t testing.TB, what string, before, after map[string]string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if after[path] != before[path] {
			t.Errorf("%s: %s is %q, and was %q", what, path, after[path], before[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[path]; !ok {
			t.Errorf("%s: %s is new", what, path)
		}
	}
}
