package store

import (
	"context"
	"os"

	"github.com/ocipkg/ocipkg/internal/filelock"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// Lock is held on a file in locks/. The system releases it when the process
// ends, however it ends; the file stays, since removing it would let two
// processes hold a lock of one name. What is in tmp/ under the lock's name is
// its holder's.
type Lock struct {
	name string
	file *os.File
}

// FileSuffix tells a small file in tmp/ from a package that is being unpacked.
const FileSuffix = ".file"

// LockName gives the name of the lock on a package or blob.
func LockName(digest string) string {
	_, encoded, _ := reference.SplitDigest(digest)
	return encoded
}

// Name gives the lock's name.
func (l *Lock) Name() string { return l.name }

// Release gives the lock up.
func (l *Lock) Release() { l.file.Close() }

// Lock takes the lock of that name, alone or shared with others, waiting for
// those who hold it.
func (s *Store) Lock(ctx context.Context, name string, shared bool) (*Lock, error) {
	if err := s.Mkdir("locks"); err != nil {
		return nil, err
	}
	file, err := filelock.Wait(ctx, s.Path("locks", name), shared)
	if err != nil {
		return nil, err
	}
	return s.locked(name, file), nil
}

// locked lets others of a group have the file of a lock, too. Who cannot say so
// did not make it.
func (s *Store) locked(name string, file *os.File) *Lock {
	if isShared(s.dirMode()) {
		_ = file.Chmod(sharedFile)
	}
	return &Lock{name, file}
}

// TryLock is [Store.Lock] without waiting: the error is [filelock.ErrLocked]
// when others hold it.
func (s *Store) TryLock(name string, shared bool) (*Lock, error) {
	if err := s.Mkdir("locks"); err != nil {
		return nil, err
	}
	file, err := filelock.Open(s.Path("locks", name), shared)
	if err != nil {
		return nil, err
	}
	return s.locked(name, file), nil
}
