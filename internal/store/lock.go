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
func (l *Lock) Release() { l.file.Close() } // which does nothing to no file

// lockMode is that of the files in locks/: nobody else can hold up the store's user.
const lockMode = 0o600

// Lock takes the lock of that name, alone or shared with others, waiting for
// those who hold it. Of the store of another user it gives only shared ones, which
// hold nobody up.
func (s *Store) Lock(ctx context.Context, name string, shared bool) (*Lock, error) {
	if s.others && shared { // who only reads does without
		return &Lock{name: name}, nil
	}
	if err := s.Mkdir("locks"); err != nil {
		return nil, err
	}
	file, err := filelock.Wait(ctx, s.Path("locks", name), lockMode, shared)
	if err != nil {
		return nil, err
	}
	return &Lock{name, file}, nil
}

// TryLock is [Store.Lock] without waiting: the error is [filelock.ErrLocked]
// when others hold it.
func (s *Store) TryLock(name string, shared bool) (*Lock, error) {
	if err := s.Mkdir("locks"); err != nil {
		return nil, err
	}
	file, err := filelock.Open(s.Path("locks", name), lockMode, shared)
	if err != nil {
		return nil, err
	}
	return &Lock{name, file}, nil
}
