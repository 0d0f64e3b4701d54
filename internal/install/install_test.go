package install_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/store"
)

var library = map[string]string{
	"include/foo.h":      "int foo(void);\n",
	"lib/libfoo.so.1.2":  strings.Repeat("shared", 1000),
	"lib/libfoo.so.1":    "-> libfoo.so.1.2",
	"share/doc/foo/READ": "read me\n",
	"lib/big.bin":        strings.Repeat("0123456789abcdef", 1<<17), // 2 MiB: a layer of its own
}

func TestAPackageComesWholeAndReadOnly(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.Root); !maps.Equal(got, library) {
		t.Errorf("the tree has %v", maps.Keys(got))
	}
	for path, want := range map[string]fs.FileMode{".": fs.ModeDir | 0o555, "lib": fs.ModeDir | 0o555, "include/foo.h": 0o444} {
		info, err := os.Lstat(filepath.Join(p.Root, path))
		if err != nil || info.Mode() != want {
			t.Errorf("%s has the mode %v (%v), want %v", path, info.Mode(), err, want)
		}
	}
	if info, err := os.Stat(s.Dir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the store has the mode %v, want 0700", info.Mode())
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestAStoreThatWasSharedStaysShared(t *testing.T) {
	m, s := newMemory(), newStore(t)
	if err := os.Mkdir(s.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := install.Package(t.Context(), s, m, build(t, m, library), nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for dir := p.Root; dir != s.Dir(); dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o055 != 0o055 {
			t.Errorf("%s has the mode %v: others cannot read it", dir, info.Mode())
		}
	}
}

func TestManyAtOnceFetchEachBlobOnce(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := install.Package(context.Background(), s, m, desc, nil, install.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if total, most := m.fetches(desc.Digest); most != 1 || total < 3 {
		t.Errorf("%d fetches, up to %d of one blob", total, most)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestALayerThatAPackageHasIsLinkedAndNotFetched(t *testing.T) {
	m, s := newMemory(), newStore(t)
	first, err := install.Package(t.Context(), s, m, build(t, m, library), nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	changed := maps.Clone(library)
	changed["include/foo.h"] = "int foo(int);\n"
	desc := build(t, m, changed)
	clear(m.fetched)
	second, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if total, _ := m.fetches(desc.Digest); total != 2 { // the config, and the layer that changed
		t.Errorf("%d blobs were fetched, want 2", total)
	}
	if got := content(t, second.Root); !maps.Equal(got, changed) {
		t.Errorf("the tree has %v", maps.Keys(got))
	}
	a, _ := os.Stat(filepath.Join(first.Root, "lib/big.bin"))
	b, _ := os.Stat(filepath.Join(second.Root, "lib/big.bin"))
	if !os.SameFile(a, b) {
		t.Error("the big file is there twice")
	}
}

func TestACompressedConfigIsKeptAsItCame(t *testing.T) {
	m, s := newMemory(), newStore(t)
	many := map[string]string{}
	for i := range 150 {
		many[fmt.Sprintf("include/part%03d/header.h", i)] = fmt.Sprint(i)
	}
	desc := build(t, m, many)
	manifest, err := artifact.ParseManifest(m.blobs[desc.Digest])
	if err != nil || manifest.Config.MediaType != artifact.ConfigTypeZstd {
		t.Fatalf("the config is a %s, %v", manifest.Config.MediaType, err)
	}
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.Root); !maps.Equal(got, many) {
		t.Errorf("the tree has %d files", len(got))
	}
	if raw, ok := install.Blob(s, manifest.Config.Digest); !ok || !bytes.Equal(raw, m.blobs[manifest.Config.Digest]) {
		t.Errorf("the store has %d bytes of the config", len(raw))
	}
}

func TestALayerIsFetchedWhenThePackageThatHadItIsDamaged(t *testing.T) {
	m, s := newMemory(), newStore(t)
	first, err := install.Package(t.Context(), s, m, build(t, m, library), nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(first.Root, "lib")
	if err := errors.Join(os.Chmod(lib, 0o755), os.Remove(filepath.Join(lib, "big.bin"))); err != nil {
		t.Fatal(err)
	}
	changed := maps.Clone(library)
	changed["include/foo.h"] = "int foo(int);\n"
	second, err := install.Package(t.Context(), s, m, build(t, m, changed), nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, second.Root); !maps.Equal(got, changed) {
		t.Errorf("the tree has %v", maps.Keys(got))
	}
}

func TestWrongBytesAreRefusedAndNothingIsLeft(t *testing.T) {
	for name, change := range map[string]func(desc ocispec.Descriptor, raw []byte) io.Reader{
		"another byte": func(_ ocispec.Descriptor, raw []byte) io.Reader {
			raw = bytes.Clone(raw)
			raw[len(raw)/2] ^= 1
			return bytes.NewReader(raw)
		},
		"cut short": func(_ ocispec.Descriptor, raw []byte) io.Reader { return bytes.NewReader(raw[:len(raw)-1]) },
		"too long":  func(_ ocispec.Descriptor, raw []byte) io.Reader { return bytes.NewReader(append(bytes.Clone(raw), 0)) },
		"nothing":   func(ocispec.Descriptor, []byte) io.Reader { return strings.NewReader("") },
	} {
		good := newMemory()
		desc := build(t, good, library)
		for victim := range good.blobs {
			s := newStore(t)
			m := &memory{blobs: good.blobs, fetched: good.fetched, change: func(d ocispec.Descriptor, raw []byte) io.Reader {
				if d.Digest == victim {
					return change(d, raw)
				}
				return bytes.NewReader(raw)
			}}
			_, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
			if !errors.Is(err, errdef.ErrVerification) {
				t.Errorf("%s: %v, want a verification error", name, err)
			}
			if left := leftovers(t, s); len(left) > 0 {
				t.Errorf("%s: left in tmp: %v", name, left)
			}
			if have, _ := s.Packages(); len(have) > 0 {
				t.Errorf("%s: the store has %v", name, have)
			}
		}
	}
}

func TestAFetchThatFailsLeavesNothingAndTheNextSucceeds(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	broken := errors.New("the cable is out")
	m.change = func(d ocispec.Descriptor, raw []byte) io.Reader {
		if !strings.Contains(d.MediaType, "layer") {
			return bytes.NewReader(raw)
		}
		return io.MultiReader(bytes.NewReader(raw[:len(raw)/2]), failing{broken})
	}
	if _, err := install.Package(t.Context(), s, m, desc, nil, install.Options{}); !errors.Is(err, broken) {
		t.Fatalf("got %v, want the error of the fetch", err)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
	m.change = nil
	if _, err := install.Package(t.Context(), s, m, desc, nil, install.Options{}); err != nil {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestACancelledInstallLeavesNothing(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	ctx, cancel := context.WithCancel(t.Context())
	m.change = func(d ocispec.Descriptor, raw []byte) io.Reader {
		if d.MediaType != ocispec.MediaTypeImageManifest {
			cancel()
		}
		return bytes.NewReader(raw)
	}
	if _, err := install.Package(ctx, s, m, desc, nil, install.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestReplaceUnpacksAnew(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	header := filepath.Join(p.Root, "include/foo.h")
	if err := errors.Join(os.Chmod(header, 0o644), os.WriteFile(header, []byte("tampered"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := install.Package(t.Context(), s, m, desc, nil, install.Options{Replace: true}); err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.Root); !maps.Equal(got, library) {
		t.Error("the tree is not what it was")
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestADescriptionThatWasCutShortIsMadeAgain(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(filepath.Dir(p.Root), "link.json")
	if err := os.Truncate(link, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Package(p.Digest); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("the damaged package: %v", err)
	}
	if _, err := install.Package(t.Context(), s, m, desc, nil, install.Options{}); err != nil {
		t.Error(err)
	}
	if got := content(t, p.Root); !maps.Equal(got, library) {
		t.Error("the tree is not what it was")
	}
}

func TestTheFirstUseAfterAStartOfTheMachineChecksSizes(t *testing.T) {
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := func() { // as if it had been unpacked before the machine started
		link := filepath.Join(filepath.Dir(p.Root), "link.json")
		raw, err := os.ReadFile(link)
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.Replace(raw, []byte(store.BootID()), []byte("earlier"), 1)
		if err := os.WriteFile(link, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before()
	if _, err := s.Package(p.Digest); err != nil {
		t.Errorf("a package that is whole: %v", err)
	}
	before()
	big := filepath.Join(p.Root, "lib/big.bin")
	if err := errors.Join(os.Chmod(big, 0o644), os.Truncate(big, 100)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Package(p.Digest); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("a package that was cut short: %v", err)
	}
	if _, err := install.Package(t.Context(), s, m, desc, nil, install.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.Root); !maps.Equal(got, library) {
		t.Error("the tree is not what it was")
	}
}

func TestWhatADeadProcessLeftIsSweptAndALivingOnesIsNot(t *testing.T) {
	m, s := newMemory(), newStore(t)
	if err := errors.Join(s.Mkdir("tmp", "dead", "root", "sub"), s.Mkdir("tmp", "alive", "root"), s.Mkdir("tmp", "dead.old")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dead" + store.FileSuffix, "alive" + store.FileSuffix} {
		if err := os.WriteFile(s.Path("tmp", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(s.Path("tmp", "dead", "root"), 0o555); err != nil {
		t.Fatal(err)
	}
	lock, err := s.TryLock("alive", false)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	if _, err := install.Package(t.Context(), s, m, build(t, m, library), nil, install.Options{}); err != nil {
		t.Fatal(err)
	}
	if left := strings.Join(leftovers(t, s), " "); left != "alive alive.file" {
		t.Errorf("tmp holds %q, want what the living process has", left)
	}
}

func TestAPackageOverItsLimitsIsRefused(t *testing.T) {
	m := newMemory()
	desc := build(t, m, library)
	for want, limits := range map[string]limit.Limits{
		"more than 1000 bytes":    {Bytes: 1000},
		"lists more than 3 files": {Entries: 3},
	} {
		s := newStore(t)
		_, err := install.Package(limit.With(t.Context(), limits), s, m, desc, nil, install.Options{})
		if !errors.Is(err, errdef.ErrVerification) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if left := leftovers(t, s); len(left) > 0 {
			t.Errorf("left in tmp: %v", left)
		}
	}
}

// While the rest of a package comes, which may take long, others can work on the
// package that layers were taken from.
func TestAPackageIsLetGoAsSoonAsItsLayersWereTaken(t *testing.T) {
	m, s := newMemory(), newStore(t)
	large := func(text string) string { return strings.Repeat(text, 1<<20) } // a layer by itself
	before := build(t, m, map[string]string{"lib/kept": large("k"), "lib/changed": large("1")})
	after := build(t, m, map[string]string{"lib/kept": large("k"), "lib/changed": large("2")})
	if _, err := install.Package(t.Context(), s, m, before, nil, install.Options{}); err != nil {
		t.Fatal(err)
	}
	had := maps.Clone(m.fetched)
	held, wanted := make(chan struct{}), make(chan struct{})
	m.change = func(desc ocispec.Descriptor, raw []byte) io.Reader {
		if raw[0] == '{' {
			return bytes.NewReader(raw)
		}
		return &heldReader{Reader: bytes.NewReader(raw), wanted: sync.OnceFunc(func() { close(wanted) }), held: held}
	}
	done := make(chan error, 1)
	go func() {
		_, err := install.Package(t.Context(), s, m, after, nil, install.Options{})
		done <- err
	}()
	<-wanted // the layer that is not there is on its way
	taken := filepath.Join(s.Path("tmp"), store.LockName(after.Digest.String()), "root", "lib", "kept")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, err := os.Lstat(taken); err != nil && ctx.Err() == nil; _, err = os.Lstat(taken) {
		runtime.Gosched()
	}
	lock, err := s.Lock(ctx, store.LockName(before.Digest.String()), false)
	if err != nil {
		t.Errorf("the package before is held: %v", err)
	} else {
		lock.Release()
	}
	close(held)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for d, n := range m.fetched {
		if raw := m.blobs[d]; raw[0] != '{' && had[d] > 0 && n > had[d] {
			t.Errorf("the layer %s was fetched again", d)
		}
	}
}

// heldReader reads nothing until it may.
type heldReader struct {
	io.Reader
	wanted func()
	held   chan struct{}
}

func (r *heldReader) Read(p []byte) (int, error) {
	r.wanted()
	<-r.held
	return r.Reader.Read(p)
}
