// Package robustness tests what becomes of the store and of files when
// commands run at once, are killed or interrupted, or when the registry or the
// disk fails them.
package robustness

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestMain(m *testing.M) { program.Main(m) }

// megabyte is in bytes.
const megabyte = 1 << 20

// makePackage puts a directory "in" of about the given size into a session's
// directory: a large file, some of a few megabytes, many small ones, a program
// and a link. It gives what a package of it holds.
func makePackage(t *testing.T, s *program.Session, size int64) tree.Tree {
	t.Helper()
	dir := filepath.Join(s.Dir, "in")
	tree.WriteRandom(t, filepath.Join(dir, "lib/large"), size/2, 1)
	for i := range 4 {
		tree.WriteRandom(t, filepath.Join(dir, fmt.Sprintf("lib/medium-%d", i)), size/8, byte(2+i))
	}
	for i := range 60 {
		s.WriteFile(fmt.Sprintf("in/include/header-%d.h", i), fmt.Sprintf("#define HEADER %d\n", i), 0o644)
	}
	s.WriteFile("in/bin/program", "#!/bin/sh\n", 0o755)
	if err := os.Symlink("large", filepath.Join(dir, "lib/link")); err != nil {
		t.Fatal(err)
	}
	s.Own(dir)
	return tree.Content(t, dir)
}

// fileSum gives the SHA-256 of a file.
func fileSum(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
