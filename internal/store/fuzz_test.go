package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/internal/reference"
)

// FuzzNotes looks for a file of the store that ends a command, or makes it take
// for good what is none. A store is written by others too: other versions, other
// users, and disks that were cut off.
func FuzzNotes(f *testing.F) {
	const some = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, seed := range []string{
		`{"name":"a.b/c:1","digest":"` + some + `","lookedUp":"2026-01-02T03:04:05Z"}`, some + "\n" + some + "\n", some[:20],
		`{"version":2,"bootID":"x","platform":{"os":"linux"},"views":true,"size":3,"cps":{"name":"a","components":{"a":{"type":"archive","location":"@prefix@/a"}}},"requires":[{"package":"z"}]}`,
		`{"files":[{"path":"../../etc/passwd","size":1}]}`, `{"files":[{"path":"a","size":-1},{"path":"","target":"b"}]}`, "{", "null", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		dir := s.PackageDir(some)
		note := filepath.Join(s.Dir(), "note")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{filepath.Join(dir, "link.json"), filepath.Join(dir, "files"), note} {
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if ref, err := ReadRef(note); err == nil {
			if _, _, ok := reference.SplitDigest(ref.Digest); !ok {
				t.Errorf("a name stands for %q", ref.Digest)
			}
		}
		for _, owner := range ReadOwners(note) {
			if _, _, ok := reference.SplitDigest(owner); !ok {
				t.Errorf("a layer is owned by %q", owner)
			}
		}
		if p, err := s.Package(some); err == nil && (p.Version != LinkVersion || p.Root != filepath.Join(dir, "root")) {
			t.Errorf("the package is %+v", p)
		}
	})
}
