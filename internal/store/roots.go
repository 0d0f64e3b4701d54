package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// NoteRoot notes a lock file, by its absolute path: what it names is not pruned
// while it is there. Where it is noted already this takes one look; where it
// cannot be, as in a store that is read-only, nothing is said.
func (s *Store) NoteRoot(lockFile string) {
	note := s.RootPath(lockFile)
	// A note that the power cut short is shorter than the path.
	if info, err := os.Stat(note); err == nil && info.Size() == int64(len(lockFile)) {
		return
	}
	lock, err := s.TryLock("root-"+filepath.Base(note), false)
	if err != nil {
		return
	}
	defer lock.Release()
	_ = s.WriteFile(lock, note, []byte(lockFile))
}

// RootPath gives the file that notes a lock file.
func (s *Store) RootPath(lockFile string) string { return s.Path("roots", RootFile(lockFile)) }

// RootFile is the name in roots/ of the file that notes a lock file.
func RootFile(lockFile string) string {
	hash := sha256.Sum256([]byte(lockFile))
	return hex.EncodeToString(hash[:])
}

// Roots lists the lock files that were noted, whether or not they are still
// there. A note that cannot be read is an error that names it: what it kept is
// not known.
func (s *Store) Roots() ([]string, error) {
	entries, err := os.ReadDir(s.Path("roots"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var roots []string
	for _, entry := range entries {
		note := s.Path("roots", entry.Name())
		raw, err := os.ReadFile(note)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process found its lock file gone
		}
		if err != nil {
			return nil, err
		}
		if s.RootPath(string(raw)) != note {
			return nil, errdef.Errorf(errdef.ErrVerification, "%s, which notes a lock file whose packages are kept, is damaged; remove it, and build the project that it was for once", note)
		}
		roots = append(roots, string(raw))
	}
	return roots, nil
}
