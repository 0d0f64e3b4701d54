package install_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/store"
)

// flaky is a registry that breaks off: of a blob it gives so many bytes, and then
// an error. It notes from which byte on each blob was fetched.
type flaky struct {
	*memory
	cut map[digest.Digest]int64
	err error
	// lies, if set, gives other bytes from an offset on than the blob has there.
	lies func(raw []byte) []byte

	mu        sync.Mutex
	from      map[digest.Digest][]int64
	oneStream bool
}

func newFlaky(m *memory) *flaky {
	return &flaky{memory: m, cut: map[digest.Digest]int64{}, err: errdef.Errorf(errdef.ErrNetwork, "the connection broke"), from: map[digest.Digest][]int64{}}
}

func (f *flaky) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return f.FetchFrom(ctx, desc, 0)
}

func (f *flaky) FetchFrom(_ context.Context, desc ocispec.Descriptor, offset int64) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from[desc.Digest] = append(f.from[desc.Digest], offset)
	raw := f.blobs[desc.Digest][offset:]
	if f.lies != nil && !f.oneStream {
		raw = f.lies(raw)
	}
	if n, ok := f.cut[desc.Digest]; ok {
		return io.NopCloser(io.MultiReader(bytes.NewReader(raw[:n-offset]), failingReader{f.err})), nil
	}
	return io.NopCloser(bytes.NewReader(raw)), nil
}

func (f *flaky) InOneStream() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	differs := f.lies != nil && !f.oneStream
	f.oneStream = true
	return differs
}

// heal ends all faults, and forgets what was fetched.
func (f *flaky) heal() {
	clear(f.cut)
	clear(f.from)
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// large is content of n bytes that does not become less when it is compressed.
func large(n int, seed byte) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return string(b)
}

// several is a package of some layers: two large files, and a small one.
func several() map[string]string {
	return map[string]string{"lib/a.bin": large(3<<20, 1), "lib/b.bin": large(2<<20, 2), "include/foo.h": "int foo(void);\n", "lib/link": "-> a.bin"}
}

// interrupted gives a package, and a store in which a try for it was broken off
// in the layer of b.bin, when the other layers had come.
func interrupted(t *testing.T) (f *flaky, s *store.Store, desc ocispec.Descriptor, broken digest.Digest) {
	t.Helper()
	install.KeepAll(t)
	f, s = newFlaky(newMemory()), newStore(t)
	desc = build(t, f.memory, several())
	pkg, err := artifact.Open(t.Context(), f, desc)
	if err != nil {
		t.Fatal(err)
	}
	last := pkg.Manifest.Layers[len(pkg.Manifest.Layers)-1]
	broken = last.Digest
	f.cut[broken] = last.Size / 2
	one := runtime.GOMAXPROCS(1) // so that the others have come by then
	_, err = install.Package(t.Context(), s, f, desc, nil, install.Options{Resume: true})
	runtime.GOMAXPROCS(one)
	if !errors.Is(err, errdef.ErrNetwork) {
		t.Fatalf("the error is %v", err)
	}
	if have, err := s.Packages(); err != nil || len(have) > 0 {
		t.Fatalf("the store has %v (%v)", have, err)
	}
	f.heal()
	return f, s, desc, broken
}

// wantWhole installs a package and checks that it is all there.
func wantWhole(t *testing.T, s *store.Store, f *flaky, desc ocispec.Descriptor, want map[string]string) {
	t.Helper()
	p, err := install.Package(t.Context(), s, f, desc, nil, install.Options{Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.Root); !maps.Equal(got, want) {
		t.Error("the tree is another")
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func partOf(s *store.Store, desc ocispec.Descriptor) string {
	return s.Path("tmp", desc.Digest.Encoded()+".part")
}

func TestWhatCameIsUsedByTheNextTry(t *testing.T) {
	f, s, desc, broken := interrupted(t)
	wantWhole(t, s, f, desc, several())
	pkg, err := artifact.Open(t.Context(), f.memory, desc)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range pkg.Manifest.Layers {
		asked := f.from[l.Digest]
		switch {
		case l.Digest != broken && len(asked) > 0:
			t.Errorf("the layer %s had come, and was fetched from %d", l.Digest, asked)
		case l.Digest == broken && (len(asked) != 1 || asked[0] != l.Size/2):
			t.Errorf("the layer that broke off at %d was fetched from %d", l.Size/2, asked)
		}
	}
}

func TestWhatAKilledProcessLeftIsUsedByTheNextTry(t *testing.T) {
	f, s, desc, broken := interrupted(t)
	// As it is when nothing was put in order.
	staging := s.Path("tmp", desc.Digest.Encoded())
	if err := errors.Join(s.Mkdir("tmp", desc.Digest.Encoded()), os.Rename(filepath.Join(partOf(s, desc), "root"), filepath.Join(staging, "root"))); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, s, f, desc, several())
	for d, asked := range f.from {
		if isLayer(f.blobs[d]) && d != broken && len(asked) > 0 {
			t.Errorf("a layer that had come was fetched from %d", asked)
		}
	}
}

// isLayer tells a large layer from a config and a manifest, which are small.
func isLayer(blob []byte) bool { return len(blob) > 1<<20 }

func TestNothingThatAnEarlierTryLeftIsTrusted(t *testing.T) {
	change := func(t *testing.T, path string, how func(raw []byte) []byte) {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err == nil {
			err = errors.Join(os.Remove(path), os.WriteFile(path, how(raw), 0o444))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	flip := func(raw []byte) []byte { raw[len(raw)/2] ^= 1; return raw }
	for name, damage := range map[string]func(t *testing.T, part string){
		"a file has another byte": func(t *testing.T, part string) { change(t, filepath.Join(part, "root/lib/a.bin"), flip) },
		"a file is cut short": func(t *testing.T, part string) {
			change(t, filepath.Join(part, "root/lib/a.bin"), func(raw []byte) []byte { return raw[:100] })
		},
		"a file has another mode": func(t *testing.T, part string) {
			if err := os.Chmod(filepath.Join(part, "root/lib/a.bin"), 0o400); err != nil {
				t.Fatal(err)
			}
		},
		"a file is gone": func(t *testing.T, part string) {
			if err := os.Remove(filepath.Join(part, "root/lib/a.bin")); err != nil {
				t.Fatal(err)
			}
		},
		"a file is a link to a like one": func(t *testing.T, part string) {
			at, elsewhere := filepath.Join(part, "root/lib/a.bin"), filepath.Join(t.TempDir(), "a.bin")
			if err := errors.Join(os.WriteFile(elsewhere, []byte(several()["lib/a.bin"]), 0o444), os.Remove(at), os.Symlink(elsewhere, at)); err != nil {
				t.Fatal(err)
			}
		},
		"a directory is a link elsewhere": func(t *testing.T, part string) {
			at, elsewhere := filepath.Join(part, "root/lib"), filepath.Join(t.TempDir(), "lib")
			if err := errors.Join(os.Rename(at, elsewhere), os.Symlink(elsewhere, at)); err != nil {
				t.Fatal(err)
			}
		},
		"a file is there that is none of the package": func(t *testing.T, part string) {
			if err := os.WriteFile(filepath.Join(part, "root/lib/evil.so"), []byte("evil"), 0o444); err != nil {
				t.Fatal(err)
			}
		},
		"all is gone": func(t *testing.T, part string) {
			if err := os.RemoveAll(part); err != nil {
				t.Fatal(err)
			}
		},
		"compressed bytes are others": func(t *testing.T, part string) { change(t, spoolIn(t, part), flip) },
		"compressed bytes begin with others": func(t *testing.T, part string) {
			change(t, spoolIn(t, part), func(raw []byte) []byte { clear(raw[:8]); return raw })
		},
		"compressed bytes are more than the layer has": func(t *testing.T, part string) {
			change(t, spoolIn(t, part), func(raw []byte) []byte { return append(bytes.Repeat(raw, 3), 0) })
		},
		"compressed bytes are none": func(t *testing.T, part string) {
			change(t, spoolIn(t, part), func(raw []byte) []byte { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, s, desc, _ := interrupted(t)
			damage(t, partOf(s, desc))
			wantWhole(t, s, f, desc, several())
		})
	}
}

// spoolIn finds the compressed bytes that were kept.
func spoolIn(t *testing.T, part string) string {
	t.Helper()
	entries, err := os.ReadDir(part)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			return filepath.Join(part, entry.Name())
		}
	}
	t.Fatal("no compressed bytes were kept")
	return ""
}

func TestCompressedBytesThatAreAllThereAreNotFetched(t *testing.T) {
	f, s, desc, broken := interrupted(t)
	spool := spoolIn(t, partOf(s, desc))
	if err := os.WriteFile(spool, f.blobs[broken], 0o600); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, s, f, desc, several())
	if asked := f.from[broken]; len(asked) > 0 {
		t.Errorf("it was fetched from %d", asked)
	}
}

func TestATryMayBreakOffAgainAndAgain(t *testing.T) {
	f, s, desc, broken := interrupted(t)
	size := int64(len(f.blobs[broken]))
	for part := int64(5); part < 8; part++ {
		f.cut[broken] = size * part / 8
		if _, err := install.Package(t.Context(), s, f, desc, nil, install.Options{Resume: true}); !errors.Is(err, errdef.ErrNetwork) {
			t.Fatalf("the error is %v", err)
		}
	}
	f.heal()
	wantWhole(t, s, f, desc, several())
	if asked := f.from[broken]; len(asked) != 1 || asked[0] != size*7/8 {
		t.Errorf("it was fetched from %d, want %d", asked, size*7/8)
	}
}

func TestATryThatDoesNotGetSoFarLosesNothing(t *testing.T) {
	f, s, desc, broken := interrupted(t)
	if err := os.Remove(spoolIn(t, partOf(s, desc))); err != nil {
		t.Fatal(err)
	}
	// Not even the config comes.
	for d := range f.blobs {
		if d != desc.Digest {
			f.cut[d] = 0
		}
	}
	if _, err := install.Package(t.Context(), s, f, desc, nil, install.Options{Resume: true}); !errors.Is(err, errdef.ErrNetwork) {
		t.Fatalf("the error is %v", err)
	}
	f.heal()
	wantWhole(t, s, f, desc, several())
	for d, asked := range f.from {
		if isLayer(f.blobs[d]) && d != broken && len(asked) > 0 {
			t.Errorf("a layer that had come was fetched from %d", asked)
		}
	}
}

// A file that is read knows of no end but its own.
func TestATryThatIsStoppedReadsNoFileToItsEnd(t *testing.T) {
	f, s, desc, _ := interrupted(t)
	ctx, cancel := context.WithCancel(t.Context())
	stopping := &healingSource{f, cancel} // when the config is fetched, before what is left is looked at
	if _, err := install.Package(ctx, s, stopping, desc, nil, install.Options{Resume: true}); !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v", err)
	}
	wantWhole(t, s, f, desc, several())
}

func TestWhatCameIsKeptForATryThatMaySucceedOnly(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		resume bool
		kept   bool
	}{
		"the network":       {errdef.Errorf(errdef.ErrNetwork, "broken"), true, true},
		"a token that ends": {errdef.Errorf(errdef.ErrUnauthorized, "refused"), true, true},
		"a file":            {errdef.Errorf(errdef.ErrNetwork, "broken"), false, false},
		"wrong bytes":       {errdef.Errorf(errdef.ErrVerification, "wrong"), true, false},
		"the disk":          {&os.PathError{Op: "write", Path: "x", Err: syscall.EIO}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			install.KeepAll(t)
			f, s := newFlaky(newMemory()), newStore(t)
			desc := build(t, f.memory, several())
			for d, raw := range f.blobs {
				if isLayer(raw) {
					f.cut[d] = int64(len(raw)) / 2
				}
			}
			f.err = c.err
			if _, err := install.Package(t.Context(), s, f, desc, nil, install.Options{Resume: c.resume}); err == nil {
				t.Fatal("no error")
			}
			if left := leftovers(t, s); len(left) > 0 != c.kept {
				t.Errorf("left in tmp: %v", left)
			}
		})
	}
}

func TestLittleIsNotWorthKeeping(t *testing.T) {
	f, s := newFlaky(newMemory()), newStore(t)
	desc := build(t, f.memory, several())
	for d, raw := range f.blobs {
		if isLayer(raw) {
			f.cut[d] = 500 << 10
		}
	}
	if _, err := install.Package(t.Context(), s, f, desc, nil, install.Options{Resume: true}); err == nil {
		t.Fatal("no error")
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestWhatCameIsKeptForADayOrUntilThePrune(t *testing.T) {
	for _, old := range []bool{false, true} {
		f, s, desc, _ := interrupted(t)
		other := build(t, f.memory, map[string]string{"other": "content"})
		if old {
			then := time.Now().Add(-25 * time.Hour)
			if err := os.Chtimes(partOf(s, desc), then, then); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := install.Package(t.Context(), s, f, other, nil, install.Options{Resume: true}); err != nil {
			t.Fatal(err)
		}
		if left := leftovers(t, s); len(left) > 0 == old {
			t.Errorf("after a day %v, left in tmp: %v", old, left)
		}
		install.SweepAll(s)
		if left := leftovers(t, s); len(left) > 0 {
			t.Errorf("after a prune, left in tmp: %v", left)
		}
	}
}

func TestWhatCameOfAPackageThatIsThereIsOfNoUse(t *testing.T) {
	f, s, desc, broken := interrupted(t)
	wantWhole(t, s, f, desc, several())
	f.cut[broken] = int64(len(f.blobs[broken])) / 2
	if _, err := install.Package(t.Context(), s, f, desc, nil, install.Options{Resume: true, Replace: true}); !errors.Is(err, errdef.ErrNetwork) {
		t.Fatalf("the error is %v", err)
	}
	if left := leftovers(t, s); len(left) == 0 {
		t.Error("nothing is left, which tests nothing")
	}
	wantWhole(t, s, f, desc, several())
}

func TestASourceThatLiesAboutPartsIsReadInOneStream(t *testing.T) {
	f, s := newFlaky(newMemory()), newStore(t)
	desc := build(t, f.memory, several())
	f.lies = func(raw []byte) []byte {
		if !isLayer(raw) {
			return raw
		}
		raw = bytes.Clone(raw)
		raw[len(raw)-1000] ^= 1
		return raw
	}
	wantWhole(t, s, f, desc, several())
	// One that gives wrong bytes in any case is asked no more often than that.
	f, s = newFlaky(newMemory()), newStore(t)
	desc = build(t, f.memory, several())
	f.lies = func(raw []byte) []byte { return raw }
	for d, raw := range f.blobs {
		if isLayer(raw) {
			f.blobs[d] = append([]byte{0}, raw[1:]...)
		}
	}
	if _, err := install.Package(t.Context(), s, f, desc, nil, install.Options{Resume: true}); !errors.Is(err, errdef.ErrVerification) {
		t.Errorf("the error is %v", err)
	}
	for _, asked := range f.from {
		if len(asked) > 2 {
			t.Errorf("a blob was fetched %d times", len(asked))
		}
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

// What is kept for the next try must not be why this one fails.
func TestADiskThatIsFullOfWhatIsKeptIsUsedForThePackage(t *testing.T) {
	f, s, desc, broken := interrupted(t)
	f.cut[broken] = int64(len(f.blobs[broken])) * 3 / 4
	f.err = &os.PathError{Op: "write", Path: "lib/b.bin", Err: syscall.ENOSPC}
	first := true
	healing := &healingSource{f, func() {
		if !first {
			f.heal()
		}
		first = false
	}}
	p, err := install.Package(t.Context(), s, healing, desc, nil, install.Options{Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.Root); !maps.Equal(got, several()) {
		t.Error("the tree is another")
	}
}

// healingSource calls something whenever a config is fetched: each try does that once.
type healingSource struct {
	*flaky
	each func()
}

func (h *healingSource) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if strings.Contains(desc.MediaType, "config") {
		h.each()
	}
	return h.flaky.Fetch(ctx, desc)
}

func TestOfALayerOfAForeignPackageTheBytesAreKept(t *testing.T) {
	install.KeepAll(t)
	f, s := newFlaky(newMemory()), newStore(t)
	a, b := f.put("text/plain", []byte(large(1<<20, 3))), f.put("text/plain", []byte(large(1<<20, 4)))
	a.Annotations, b.Annotations = map[string]string{ocispec.AnnotationTitle: "a"}, map[string]string{ocispec.AnnotationTitle: "b"}
	desc := manifest(t, f.memory, f.put("application/json", []byte("{}")), a, b)
	f.cut[b.Digest] = 600 << 10
	if _, err := install.Package(t.Context(), s, f, desc, nil, install.Options{Resume: true}); !errors.Is(err, errdef.ErrNetwork) {
		t.Fatalf("the error is %v", err)
	}
	f.heal()
	wantWhole(t, s, f, desc, map[string]string{"a": large(1<<20, 3), "b": large(1<<20, 4)})
	if len(f.from[a.Digest]) != 0 || len(f.from[b.Digest]) != 1 || f.from[b.Digest][0] != 600<<10 {
		t.Errorf("fetched were a from %d, b from %d", f.from[a.Digest], f.from[b.Digest])
	}
}
