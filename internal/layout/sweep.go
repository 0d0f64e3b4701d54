package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ocipkg/ocipkg/internal/filelock"
)

const (
	tmpPattern = ".ocipkg-*.tmp"
	lockFile   = "lock" // in a temporary directory: held by whoever writes there
)

// sweep removes the temporary directories in dir whose writers were killed.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if match, _ := filepath.Match(tmpPattern, entry.Name()); !match || !entry.IsDir() {
			continue
		}
		tmp := filepath.Join(dir, entry.Name())
		if lock, err := filelock.Open(filepath.Join(tmp, lockFile), false); err == nil {
			lock.Close() // Windows removes no file that is open
			os.RemoveAll(tmp)
		}
	}
}

// makeTemp makes a temporary directory in dir and takes its lock. Another
// process may sweep the directory away before it is locked: then another one is
// made.
func makeTemp(dir string) (tmp string, lock *os.File, err error) {
	const tries = 100
	for range tries {
		if tmp, err = os.MkdirTemp(dir, tmpPattern); err != nil {
			return "", nil, err
		}
		name := filepath.Join(tmp, lockFile)
		lock, err = filelock.Open(name, false)
		if errors.Is(err, filelock.ErrLocked) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(tmp))
		}
		there, statErr := os.Stat(name)
		if mine, err := lock.Stat(); err == nil && statErr == nil && os.SameFile(mine, there) {
			return tmp, lock, nil
		}
		lock.Close()
	}
	return "", nil, fmt.Errorf("make a temporary directory in %s: %w", dir, err)
}
