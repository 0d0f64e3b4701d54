package tree

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// WriteRandom writes a file of size bytes that no compressor makes smaller,
// the same for the same seed. Its directory is made when it is missing.
func WriteRandom(t testing.TB, path string, size int64, seed byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyN(struct{ io.Writer }{file}, rand.NewChaCha8([32]byte{seed}), size)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
}
