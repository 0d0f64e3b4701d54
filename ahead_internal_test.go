package ocipkg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/registry"
	"github.com/ocipkg/ocipkg/internal/store"
)

// counted gives made-up blobs, and counts how often each was asked for.
type counted struct {
	asked chan digest.Digest
	err   error
}

func (c counted) Fetch(_ context.Context, desc Descriptor) (io.ReadCloser, error) {
	c.asked <- desc.Digest
	if c.err != nil {
		return nil, c.err
	}
	return io.NopCloser(bytes.NewReader([]byte(desc.Digest))), nil
}

func TestABlobThatIsInAPackageTwiceIsAskedForAgain(t *testing.T) {
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	client := &Client{store: s, registry: registry.New(registry.Options{})}
	blob := func(of string, size int64) project.Blob {
		return project.Blob{Digest: digest.FromString(of).String(), Size: size}
	}
	big := int64(aheadAtOnce)
	build := &project.LockedBuild{Config: blob("config", 71), Layers: []project.Blob{blob("small", 71), blob("small", 71), blob("big", big), blob("bigger", big)}}
	for name, failure := range map[string]error{"": nil, "with errors": errors.New("no")} {
		from := counted{make(chan digest.Digest, 10), failure}
		a := client.lookAhead(t.Context(), from, blobsOf(build), client.has(""))
		for range 3 {
			blob, err := a.Fetch(t.Context(), Descriptor{Digest: digest.FromString("small")})
			if !errors.Is(err, failure) {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil {
				text, _ := io.ReadAll(blob)
				if string(text) != digest.FromString("small").String() {
					t.Errorf("got %q", text)
				}
			}
		}
		a.Close()
		close(from.asked)
		times := map[digest.Digest]int{}
		for d := range from.asked {
			times[d]++
		}
		// Two big ones would be held in memory.
		want := map[string]int{"config": 1, "small": 3, "big": 0, "bigger": 0}
		for of, n := range want {
			if times[digest.FromString(of)] != n {
				t.Errorf("%s: %s was asked for %d times, want %d", name, of, times[digest.FromString(of)], n)
			}
		}
	}
}

// failing gives a blob that ends in an error after some bytes.
type failing struct {
	bytes int64
	err   error
}

func (f failing) Fetch(context.Context, Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, f.bytes)), iotest.ErrReader(f.err))), nil
}

func TestWhatWasReadAheadEndsAsItWouldHave(t *testing.T) {
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	broken := fmt.Errorf("the connection kept breaking: %w", io.EOF)
	client := &Client{store: s, registry: registry.New(registry.Options{})}
	for name, c := range map[string]struct {
		size, bytes int64
		err, want   error
		read        int64
	}{
		"whole":             {1 << 20, 1 << 20, io.EOF, nil, 1 << 20},
		"empty":             {0, 0, io.EOF, nil, 0},
		"short":             {1 << 20, 300 << 10, io.EOF, nil, 300 << 10},
		"long":              {1000, 2000, io.EOF, nil, 1001}, // enough to see that it is
		"broken":            {1 << 20, 300 << 10, broken, broken, 300 << 10},
		"broken at its end": {256 << 10, 256 << 10, broken, broken, 256 << 10},
	} {
		desc := Descriptor{Digest: digest.FromString(name), Size: c.size}
		a := client.lookAhead(t.Context(), failing{c.bytes, c.err}, []Descriptor{desc}, func(Descriptor) bool { return false })
		blob, err := a.Fetch(t.Context(), desc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n, err := io.Copy(io.Discard, blob)
		if n != c.read || !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: read %d bytes, %v", name, n, err)
		}
		blob.Close()
		a.Close()
		if chunks, ok := client.registry.Room().Take(8 << 20); !ok {
			t.Errorf("%s: buffers are still out", name)
		} else {
			client.registry.Room().Give(chunks...)
		}
	}
}
