package upkeep

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// noteLock notes a lock file in the store, as a build does that works with it.
func (s *site) noteLock(lock string) {
	s.t.Helper()
	s.WriteFile(filepath.Join(s.store, "roots", fmt.Sprintf("%x", sha256.Sum256([]byte(lock)))), lock, 0o644)
}

func TestWhatALockFileNamesStaysWhileTheLockFileIsThere(t *testing.T) {
	s := newSite(t)
	one, oneDigest := s.publish("1")
	two, _ := s.publish("2")
	s.Run("ocipkg", "get", one).OK()
	s.Run("ocipkg", "get", two).OK()
	lock := s.WriteFile("my project/ocipkg.lock", "something new = "+oneDigest+"\n", 0o644)
	s.noteLock(lock)
	s.age(40 * day)

	// A directory that may not be entered says nothing of what is in it.
	project := filepath.Dir(lock)
	if err := os.Chmod(project, 0); err != nil {
		t.Fatal(err)
	}
	s.Run("ocipkg", "store", "prune").Fails(1, lock, "permission denied", "make it readable")
	s.Run("ocipkg", "store", "remove", two).Fails(2, lock, "--force")
	if err := os.Chmod(project, 0o755); err != nil {
		t.Fatal(err)
	}
	s.Run("ocipkg", "store", "remove", one).Fails(2, lock, "--force")
	s.Run("ocipkg", "store", "remove", oneDigest).Fails(2, lock, "--force")
	s.Run("ocipkg", "store", "prune", "--all").OK().Says(two, "1 package and 1 name")
	s.directory(one)
	s.age(40 * day)
	if err := os.RemoveAll(project); err != nil {
		t.Fatal(err)
	}
	s.Run("ocipkg", "store", "prune", "--all").OK().Says(one, "1 package and 1 name")
	if left, err := os.ReadDir(filepath.Join(s.store, "roots")); err != nil || len(left) > 0 {
		t.Errorf("left in roots: %v (%v)", left, err)
	}
	s.Run("ocipkg", "get", one).OK()
	s.noteLock(s.WriteFile("other/ocipkg.lock", oneDigest, 0o644))
	s.Run("ocipkg", "store", "remove", "--force", one).OK()
	s.checkGood()
}
