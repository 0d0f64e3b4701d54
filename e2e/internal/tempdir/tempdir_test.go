package tempdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestDirectoryIsOpenToOthersAndRemovedWithReadOnlyTrees(t *testing.T) {
	var dir string
	t.Run("use", func(t *testing.T) {
		dir = New(t)
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o755 {
			t.Errorf("mode is %v, want 0755", info.Mode())
		}
		inner := filepath.Join(dir, "packages", "root")
		if err := os.MkdirAll(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(inner, "libz.a"), nil, 0o444); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{inner, filepath.Dir(inner)} {
			if err := os.Chmod(path, 0o500); err != nil {
				t.Fatal(err)
			}
		}
	})
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s still exists after the test (%v)", dir, err)
	}
	if err := Remove(dir); err != nil {
		t.Errorf("removing it again: %v", err)
	}
}
