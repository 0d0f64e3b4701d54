package scratch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestWhatAKilledMakerLeftIsRemovedAndWhatALivingOneHasStays(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, ".ocipkg-1.tmp")
	removing := filepath.Join(dir, ".ocipkg-3.old.tmp") // by one who was killed
	others := filepath.Join(dir, ".ocipkg-2.tmp")       // is no directory, and so not ours
	if err := errors.Join(os.MkdirAll(filepath.Join(left, "layout/blobs"), 0o755), os.WriteFile(filepath.Join(left, lockFile), nil, 0o600), os.WriteFile(others, nil, 0o600), os.Mkdir(removing, 0o700)); err != nil {
		t.Fatal(err)
	}
	first, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{left, removing} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	second, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{first.Path, second.Path, others} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("there is %v (%v)", entries, err)
	}
	if _, err := New(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where there is no directory: %v", err)
	}
}

func TestManyMakersTakeNothingFromEachOther(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				d, err := New(dir)
				if err != nil {
					t.Error(err)
					return
				}
				name := filepath.Join(d.Path, "file")
				if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Rename(name, filepath.Join(d.Path, "renamed")), d.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("there is %v (%v)", entries, err)
	}
}
