//go:build !linux

package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// syncAll writes every file below dir to the disk.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
