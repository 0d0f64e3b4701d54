package artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refuses checks that err is one of verification that says what text does.
func refuses(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there was no error; want one about %q", text)
	}
	if !errors.Is(err, errdef.ErrVerification) {
		t.Errorf("the error %q is not one of verification", err)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("the error is %q; it should say %q", err, text)
	}
}

// memory holds blobs: what is fetched, and what is built.
type memory struct {
	mu      sync.Mutex
	blobs   map[digest.Digest][]byte
	open    int // blobs that were neither committed nor discarded
	fetched []digest.Digest
}

func newMemory() *memory { return &memory{blobs: map[digest.Digest][]byte{}} }

func (m *memory) add(mediaType, content string) ocispec.Descriptor {
	d := digest.FromString(content)
	m.blobs[d] = []byte(content)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

func (m *memory) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fetched = append(m.fetched, desc.Digest)
	raw, ok := m.blobs[desc.Digest]
	if !ok {
		return nil, errdef.Errorf(errdef.ErrNotFound, "blob %s is not there", desc.Digest)
	}
	return io.NopCloser(bytes.NewReader(raw)), nil
}

func (m *memory) Create() (Blob, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open++
	return &memoryBlob{m: m}, nil
}

type memoryBlob struct {
	bytes.Buffer
	m    *memory
	done bool
}

func (b *memoryBlob) Commit(desc ocispec.Descriptor) error {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if digest.FromBytes(b.Bytes()) != desc.Digest || int64(b.Len()) != desc.Size {
		return errors.New("the descriptor is not that of the bytes")
	}
	b.m.blobs[desc.Digest] = b.Bytes()
	b.m.open--
	b.done = true
	return nil
}

func (b *memoryBlob) Discard() {
	if !b.done {
		b.m.mu.Lock()
		defer b.m.mu.Unlock()
		b.m.open--
		b.done = true
	}
}

// write makes files in a new directory.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		at := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		must(t, os.WriteFile(at, []byte(content), 0o644))
	}
	return dir
}
