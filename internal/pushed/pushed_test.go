package pushed

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
)

var ctx = context.Background()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// place is a directory that is pushed, and a store.
type place struct {
	*testing.T
	dir string
	in  *store.Store
}

func newPlace(t *testing.T) *place {
	p := &place{t, t.TempDir(), nil}
	var err error
	p.in, err = store.Open(filepath.Join(t.TempDir(), "store"))
	must(t, err)
	return p
}

// write writes a file that was last changed an hour ago, as far as a program can
// make it so.
func (p *place) write(name, text string) {
	p.Helper()
	path := filepath.Join(p.dir, name)
	must(p.T, os.WriteFile(path, []byte(text), 0o644))
	old := time.Now().Add(-time.Hour)
	must(p.T, os.Chtimes(path, old, old))
}

func (p *place) open(options Options) *Memory {
	options.Repository, options.Compression = "registry.example/acme/a", layer.Zstd
	if options.Dir == "" {
		options.Dir = p.dir
	}
	return Open(p.in, options)
}

// files lists the directory.
func (p *place) files() []*layer.File {
	p.Helper()
	files, err := layer.Scan(p.dir, nil)
	must(p.T, err)
	var all []*layer.File
	for i := range files {
		all = append(all, &files[i])
	}
	return all
}

// remember notes that the files became a layer, in a push that began after they
// were changed by as much as times are told by.
func (p *place) remember(packed layer.Packed) []*layer.File {
	p.Helper()
	m := p.open(Options{})
	m.start += int64(time.Minute)
	files := p.files()
	for _, f := range files {
		if f.IsRegular() {
			sum, err := f.Sum(p.Context())
			must(p.T, err)
			f.Digest = sum
		}
	}
	m.Remember(files, packed)
	must(p.T, m.Save(ctx, digest.FromString("root")))
	return files
}

var some = layer.Packed{Digest: digest.FromString("layer"), Size: 7}

func TestWhatWasPushedIsKnownWithoutReadingIt(t *testing.T) {
	p := newPlace(t)
	p.write("a", "1")
	p.write("b", "2")
	must(t, os.Symlink("a", filepath.Join(p.dir, "link")))
	before := p.remember(some)
	m, files := p.open(Options{}), p.files()
	must(t, os.Rename(p.dir, p.dir+".away")) // so that nothing can be read
	packed, ok := m.Recall(ctx, files)
	if !ok || packed != some || m.Root() != digest.FromString("root") {
		t.Fatalf("it recalls %v, %v, of %s", packed, ok, m.Root())
	}
	for i, f := range files {
		if f.Digest != before[i].Digest {
			t.Errorf("%s has the digest %s, want %s", f.Path, f.Digest, before[i].Digest)
		}
	}
	for name, options := range map[string]Options{
		"all is to be read":       {Reread: true},
		"from another directory":  {Dir: "/elsewhere"}, // which is read, and found to be the same
		"from the same as before": {Dir: p.dir},
	} {
		_, ok := p.open(options).Recall(ctx, files)
		if want := !options.Reread; ok != want {
			t.Errorf("%s: it recalls: %v, want %v", name, ok, want)
		}
	}
}

func TestWhatMayHaveChangedIsReadAgain(t *testing.T) {
	for name, change := range map[string]struct {
		do    func(p *place)
		known bool
	}{
		"nothing":                {func(*place) {}, true},
		"written anew, the same": {func(p *place) { p.write("a", "1") }, true},
		"other bytes, size and time as they were": {func(p *place) { p.write("a", "3") }, false},
		"another file in its place": {func(p *place) {
			p.write("new", "3")
			must(p.T, os.Rename(filepath.Join(p.dir, "new"), filepath.Join(p.dir, "a")))
		}, false},
		"longer":         {func(p *place) { p.write("a", "11") }, false},
		"executable":     {func(p *place) { must(p.T, os.Chmod(filepath.Join(p.dir, "a"), 0o755)) }, false},
		"one file more":  {func(p *place) { p.write("c", "") }, false},
		"one file fewer": {func(p *place) { must(p.T, os.Remove(filepath.Join(p.dir, "b"))) }, false},
		"a link in its place": {func(p *place) {
			must(p.T, os.Remove(filepath.Join(p.dir, "a")))
			must(p.T, os.Symlink("b", filepath.Join(p.dir, "a")))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write("a", "1")
			p.write("b", "2")
			p.remember(some)
			p.T = t
			change.do(p)
			files := p.files()
			if _, ok := p.open(Options{}).Recall(ctx, files); ok != change.known {
				t.Errorf("it recalls: %v", ok)
			}
			if i := slices.IndexFunc(files, func(f *layer.File) bool { return f.Digest != "" }); (i >= 0) != change.known {
				t.Errorf("there is a digest: %v", i >= 0)
			}
		})
	}
}

// A file that was changed just before it was read may have been changed again
// within the resolution of its times.
func TestAFileThatWasChangedAMomentBeforeIsReadAgain(t *testing.T) {
	p := newPlace(t)
	p.write("a", "1")
	m, files := p.open(Options{}), p.files()
	files[0].Digest = digest.FromString("1")
	m.Remember(files, some)
	must(t, m.Save(ctx, digest.FromString("root")))
	again, files := p.open(Options{}), p.files()
	must(t, os.Rename(filepath.Join(p.dir, "a"), filepath.Join(p.dir, "b")))
	if _, ok := again.Recall(ctx, files); ok {
		t.Error("it is not read")
	}
}

// summed ends a text as a memory ends.
func summed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return text + string(sum[:])
}

func TestADamagedMemoryIsNone(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "cut short": `{"version":2,"root":"sha256:`, "one of a version before": `{"version":1,"layers":[]}`,
		"another version": summed(`{"version":3,"root":"x"}`), "a list": summed(`[]`), "no document": summed(""),
		"fewer records than files": summed(`{"version":2,"root":"x","layers":[{"files":2}]}` + "\n" + strings.Repeat("x", 2*recordSize-1)),
		"a number below zero":      summed(`{"version":2,"root":"x","layers":[{"files":-1}]}` + "\n"),
		"too large a number":       summed(`{"version":2,"root":"x","layers":[{"files":144115188075855872}]}` + "\n"),
	} {
		p := newPlace(t)
		p.write("a", "1")
		p.remember(some)
		must(t, os.WriteFile(p.open(Options{}).path(), []byte(text), 0o644))
		m := p.open(Options{})
		if _, ok := m.Recall(ctx, p.files()); ok || m.Root() != "" {
			t.Errorf("%s: it recalls %v, of %q", name, ok, m.Root())
		}
		p.remember(some) // and it is replaced
		if _, ok := p.open(Options{}).Recall(ctx, p.files()); !ok {
			t.Errorf("%s: it stays so", name)
		}
	}
}

// What is remembered goes into packages: no byte of it may have changed.
func TestAMemoryWithAnotherByteIsNone(t *testing.T) {
	p := newPlace(t)
	p.write("a", "1")
	p.remember(some)
	path := p.open(Options{}).path()
	raw, err := os.ReadFile(path)
	must(t, err)
	for i := range raw {
		changed := slices.Clone(raw)
		changed[i] ^= 1
		must(t, os.WriteFile(path, changed, 0o644))
		m := p.open(Options{})
		if packed, ok := m.Recall(ctx, p.files()); ok || m.Root() != "" {
			t.Fatalf("byte %d of %s: it recalls %v", i, raw, packed)
		}
	}
}

func TestSomeDirectoriesAreRememberedForEachRepository(t *testing.T) {
	p := newPlace(t)
	p.write("a", "1")
	top := p.dir
	for i := range maxDirs + 3 {
		p.dir = filepath.Join(top, strings.Repeat("x", i+1))
		must(t, os.Mkdir(p.dir, 0o755))
		p.write("a", "1")
		p.remember(some)
	}
	m := p.open(Options{})
	if all := m.all(); len(all) != maxDirs || all[0] != m.path() {
		t.Errorf("%d are kept, the latest is %v", len(all), all)
	}
}
