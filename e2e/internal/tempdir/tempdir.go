// Package tempdir makes temporary directories that another account can use.
//
// testing.T.TempDir is closed to everybody but the account that runs the
// tests, so a program that runs as somebody else cannot reach what is in it;
// and its removal fails on trees of read-only directories, which is what the
// ocipkg store is made of.
package tempdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// New returns a new empty directory of mode 0755, removed with all that is in
// it when t ends.
func New(t testing.TB) string {
	t.Helper()
	dir, err := Make()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Errorf("remove the temporary directory: %v", err)
		}
	})
	return dir
}

// Make returns a new empty directory of mode 0755, to be removed by Remove.
func Make() (string, error) {
	dir, err := os.MkdirTemp("", "ocipkg-e2e-")
	if err != nil {
		return "", fmt.Errorf("make a temporary directory: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", errors.Join(fmt.Errorf("open a temporary directory to all accounts: %w", err), os.Remove(dir))
	}
	return dir, nil
}

// Remove removes dir and what is in it, read-only directories included. A dir
// that does not exist is no error.
func Remove(dir string) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return os.Chmod(path, 0o700)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make %s writable: %w", dir, err)
	}
	return os.RemoveAll(dir)
}
