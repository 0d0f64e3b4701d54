// Package storetest looks at a user's store from outside, as it lies on the
// disk: whole packages under packages/, and nothing under tmp/ once no command
// runs.
package storetest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// Dir gives where the program keeps a session's store when no variable says
// otherwise.
func Dir(s *program.Session) string {
	return filepath.Join(s.Home, ".local", "share", "ocipkg", "v1")
}

// Roots lists the trees of the packages in a store.
func Roots(t testing.TB, store string) []string {
	t.Helper()
	roots, err := filepath.Glob(filepath.Join(store, "packages", "*", "*", "root"))
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

// CheckTmpEmpty reports what is under tmp/.
func CheckTmpEmpty(t testing.TB, store string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(store, "tmp"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("%s was left in the store's tmp/", entry.Name())
	}
}

// CheckPackages reports each package of a store that is not whole: its files
// must be those of want, and link.json and files must stand beside them. It
// gives the number of packages.
func CheckPackages(t testing.TB, store string, want tree.Tree) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(store, "packages", "sha256"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		dir := filepath.Join(store, "packages", "sha256", entry.Name())
		for _, name := range []string{"link.json", "files"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
				t.Errorf("package %s has no %s", entry.Name(), name)
			}
		}
		tree.Check(t, "package "+entry.Name(), tree.Content(t, filepath.Join(dir, "root")), want)
	}
	return len(entries)
}

// Age makes a store look as if nobody had used it for a while.
func Age(t testing.TB, store string, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	err := filepath.WalkDir(store, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		if filepath.Base(filepath.Dir(path)) == "refs" {
			var ref map[string]any
			raw, err := os.ReadFile(path)
			if err == nil {
				err = json.Unmarshal(raw, &ref)
			}
			if err != nil {
				return err
			}
			ref["lookedUp"] = then.UTC()
			if raw, err = json.Marshal(ref); err != nil {
				return err
			}
			if err := os.WriteFile(path, raw, 0o644); err != nil {
				return err
			}
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil {
		t.Fatal(err)
	}
}
