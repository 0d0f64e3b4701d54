package install_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

// memory holds blobs: a sink to build into, and a fetcher that counts.
type memory struct {
	mu      sync.Mutex
	blobs   map[digest.Digest][]byte
	fetched map[digest.Digest]int
	// change, if set, gives other bytes for a blob than were put in.
	change func(desc ocispec.Descriptor, raw []byte) io.Reader
}

func newMemory() *memory {
	return &memory{blobs: map[digest.Digest][]byte{}, fetched: map[digest.Digest]int{}}
}

func (m *memory) Create() (artifact.Blob, error) { return &memoryBlob{m: m}, nil }

type memoryBlob struct {
	bytes.Buffer
	m *memory
}

func (b *memoryBlob) Commit(desc ocispec.Descriptor) error {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.m.blobs[desc.Digest] = bytes.Clone(b.Bytes())
	return nil
}

func (b *memoryBlob) Discard() {}

func (m *memory) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	raw, ok := m.blobs[desc.Digest]
	if !ok {
		return nil, fmt.Errorf("blob %s is not there", desc.Digest)
	}
	m.fetched[desc.Digest]++
	if m.change != nil {
		return io.NopCloser(m.change(desc, raw)), nil
	}
	return io.NopCloser(bytes.NewReader(raw)), nil
}

// fetches counts the requests for all blobs but the manifest.
func (m *memory) fetches(manifest digest.Digest) (total, most int) {
	for d, n := range m.fetched {
		if d != manifest {
			total += n
			most = max(most, n)
		}
	}
	return total, most
}

// put adds a blob and describes it.
func (m *memory) put(mediaType string, raw []byte) ocispec.Descriptor {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	m.blobs[desc.Digest] = raw
	return desc
}

// writeFiles makes a directory of files; a text "-> x" makes a link to x.
func writeFiles(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// build makes a package of files in m.
func build(t testing.TB, m *memory, files map[string]string) ocispec.Descriptor {
	t.Helper()
	scanned, err := layer.Scan(writeFiles(t, files), nil)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := artifact.Build(t.Context(), m, artifact.Spec{Files: scanned})
	if err != nil {
		t.Fatal(err)
	}
	return desc
}

// newStore makes a store that is removed at the end, read-only trees and all.
func newStore(t testing.TB) *store.Store {
	t.Helper()
	dir, err := os.MkdirTemp("", "ocipkg-store-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := layer.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	s, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// content lists a tree: files with their text, links with their target.
func content(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.Type() == os.ModeSymlink {
			target, err := os.Readlink(path)
			all[filepath.ToSlash(name)] = "-> " + target
			return err
		}
		raw, err := os.ReadFile(path)
		all[filepath.ToSlash(name)] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// leftovers lists what is in the store's tmp/.
func leftovers(t testing.TB, s *store.Store) []string {
	t.Helper()
	entries, err := os.ReadDir(s.Path("tmp"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return slices.Sorted(slices.Values(names))
}
