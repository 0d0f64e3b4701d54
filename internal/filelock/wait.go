package filelock

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// Wait is [Open] that waits for those who hold the lock, until ctx ends.
func Wait(ctx context.Context, name string, perm fs.FileMode, shared bool) (*os.File, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		file, err := Open(name, perm, shared)
		if !errors.Is(err, ErrLocked) {
			return file, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}
