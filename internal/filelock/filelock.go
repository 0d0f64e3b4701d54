// Package filelock locks files against other processes. The system releases a
// lock when its file is closed, and so when the process ends, however it ends.
package filelock

import (
	"errors"
	"io/fs"
	"os"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked")

// Open opens the file name, which is made with the mode perm where it is not
// there, and locks it, alone or shared with others, without waiting: the error is
// [ErrLocked] when others hold it. Closing the file releases the lock. Who may read
// the file may lock it, and keep its owner waiting.
func Open(name string, perm fs.FileMode, shared bool) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, perm)
	if errors.Is(err, fs.ErrPermission) {
		if readable, readErr := os.Open(name); readErr == nil {
			file, err = readable, nil // enough, but on network file systems
		}
	}
	if err != nil {
		return nil, err
	}
	if err := lock(file, shared); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
