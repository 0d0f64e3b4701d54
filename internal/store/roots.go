package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
)

// NoteRoot notes that a lock file, named by its absolute path, is in use, which
// keeps what it names from being pruned. A store that is read-only keeps no
// note.
func (s *Store) NoteRoot(lockFile string) {
	hash := sha256.Sum256([]byte(lockFile))
	name := s.Path("roots", hex.EncodeToString(hash[:]))
	if info, err := os.Stat(name); err == nil && info.Size() == int64(len(lockFile)) { // else a kill cut it short
		return
	}
	if s.Mkdir("roots") == nil {
		_ = os.WriteFile(name, []byte(lockFile), 0o600)
	}
}

// Roots lists the lock files that were in use, in no order. They need not be
// there any more.
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
		if raw, err := os.ReadFile(s.Path("roots", entry.Name())); err == nil && len(raw) > 0 {
			roots = append(roots, string(raw))
		}
	}
	return roots, nil
}
