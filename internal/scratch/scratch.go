// Package scratch makes temporary directories beside what is to be written, on
// the same disk, so that it can be renamed into place. What a process that was
// killed left there, the next one that writes in that directory removes.
package scratch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ocipkg/ocipkg/internal/filelock"
	"github.com/ocipkg/ocipkg/internal/owned"
)

const (
	suffix   = ".tmp"
	pattern  = ".ocipkg-*" + suffix
	gone     = ".old" + suffix // of one that nobody works in, and nobody can begin to
	lockFile = "lock"          // in the directory: held by whoever writes there
)

// Dir is a temporary directory.
type Dir struct {
	Path string
	lock *os.File
}

// New makes one in the directory dir, after removing those in it whose makers
// were killed. Where dir is not there, the error is of [fs.ErrNotExist].
func New(dir string) (*Dir, error) {
	Sweep(dir)
	path, lock, err := makeTemp(dir)
	if err != nil {
		return nil, err
	}
	return &Dir{path, lock}, nil
}

// Close removes the directory with all that is still in it.
func (d *Dir) Close() error {
	if takeAway(d.Path, d.lock) == nil {
		return nil
	}
	return os.RemoveAll(d.Path)
}

// takeAway removes a directory whose lock is held, and gives that up. First it
// gets another name: others, who may be about to take the lock too, make a file
// where they find none, and work on in what they find.
func takeAway(path string, lock *os.File) error {
	if runtime.GOOS == "windows" { // moves no directory in which a file is open
		lock.Close()
	}
	defer lock.Close()
	doomed := strings.TrimSuffix(path, suffix) + gone
	if err := os.Rename(path, doomed); err != nil {
		return err
	}
	return os.RemoveAll(doomed)
}

// Sweep removes the user's own temporary directories in dir whose makers were
// killed. Where others may write, what has such a name may be theirs, and made to
// have us open what they like.
func Sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if match, _ := filepath.Match(pattern, entry.Name()); !match || !entry.IsDir() {
			continue
		}
		info, err := entry.Info()
		if err != nil || !info.IsDir() || !owned.Mine(info) || owned.Writable(info) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if strings.HasSuffix(path, gone) {
			os.RemoveAll(path)
		} else if lock, err := filelock.Open(filepath.Join(path, lockFile), 0o600, false); err == nil {
			_ = takeAway(path, lock)
		}
	}
}

// makeTemp makes a temporary directory in dir and takes its lock. Another
// process may sweep the directory away before it is locked: then another one is
// made.
func makeTemp(dir string) (tmp string, lock *os.File, err error) {
	const tries = 100
	for range tries {
		if tmp, err = os.MkdirTemp(dir, pattern); err != nil {
			return "", nil, err
		}
		name := filepath.Join(tmp, lockFile)
		lock, err = filelock.Open(name, 0o600, false)
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
