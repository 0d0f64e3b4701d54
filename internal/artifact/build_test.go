package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/platform"
)

var library = map[string]string{"include/greet.h": "void greet(void);\n", "lib/libgreet.a": "!<arch>\n", "lib/large.a": strings.Repeat("large", 300<<10)}

func spec(t testing.TB, compression layer.Compression) Spec {
	t.Helper()
	files, err := layer.Scan(write(t, library), nil)
	must(t, err)
	return Spec{
		Files: files, Compression: compression, Platform: platform.Platform{OS: "linux", Architecture: "amd64"},
		Annotations: map[string]string{"org.opencontainers.image.url": "https://example.com/?a&b"},
	}
}

// The digests cover encoders, manifest and config: when they change, every
// package that is made has another digest than before.
func TestTheDigestOfAPackageIsThatOfTheLastRelease(t *testing.T) {
	for compression, want := range map[layer.Compression]string{
		layer.Zstd: "sha256:0324d7b7f56f3e3041b7b9fdca0489bea6e19aa3c81f29083fa23d85cb065430",
		layer.Gzip: "sha256:3032d9befaffdf8c755b251efad3e6fb2f3c5946ec56f44cb5e9c78d71d536ce",
	} {
		for _, processors := range []int{1, 7} {
			before := runtime.GOMAXPROCS(processors)
			sink := newMemory()
			desc, err := Build(ctx, sink, spec(t, compression))
			runtime.GOMAXPROCS(before)
			must(t, err)
			if desc.Digest.String() != want {
				t.Errorf("%s: the digest is %s, and was %s", compression, desc.Digest, want)
			}
			if sink.open != 0 {
				t.Errorf("%d blobs were left open", sink.open)
			}
		}
	}
}

func TestABuiltPackageIsReadBack(t *testing.T) {
	sink := newMemory()
	s := spec(t, "")
	desc, err := Build(ctx, sink, s)
	must(t, err)
	if desc.MediaType != ocispec.MediaTypeImageManifest || desc.ArtifactType != ArtifactType {
		t.Errorf("its descriptor is %+v", desc)
	}
	p, err := Open(ctx, sink, desc)
	must(t, err)
	if !p.IsNative() || !p.ListsFiles() || p.Config.Platform != s.Platform || !maps.Equal(p.Annotations(), s.Annotations) {
		t.Errorf("the package is %+v", p)
	}
	layers, err := p.Layers()
	must(t, err)
	if len(layers) != 2 || layers[0].Compression != layer.Zstd || layers[0].Descriptor.MediaType != LayerTypeZstd {
		t.Errorf("its layers are %+v", layers)
	}
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	tree := layer.NewTree(root, limit.Default)
	for i, l := range layers {
		content := slices.DeleteFunc(slices.Clone(p.Config.Files), func(f layer.File) bool { return f.Layer != i })
		must(t, ReadLayer(ctx, sink, l, func(r io.Reader) error { return tree.Expand(ctx, r, l.Compression, content) }))
	}
	for name, content := range library {
		if raw, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(raw) != content {
			t.Errorf("%s holds %d bytes, %v", name, len(raw), err)
		}
	}
}

func TestTheConfigHasItsKeysSortedAndNothingEscaped(t *testing.T) {
	sink := newMemory()
	s := spec(t, layer.Gzip)
	s.Files = append(s.Files[:0:0], s.Files...)
	s.Files[0].Path = "a&b<c>.h"
	desc, err := Build(ctx, sink, s)
	must(t, err)
	p, err := Open(ctx, sink, desc)
	must(t, err)
	text := string(p.RawConfig)
	for _, want := range []string{`{"files":[{"digest":"sha256:`, `"layer":0,"mode":"0644","path":"a&b<c>.h","size":18}`, `"layers":{"sha256:`, `"platform":{"architecture":"amd64","os":"linux"}}`} {
		if !strings.Contains(text, want) {
			t.Errorf("the config is %s\nand lacks %s", text, want)
		}
	}
	var tree any
	must(t, json.Unmarshal(p.RawConfig, &tree))
	var top []string
	for _, names := range p.Config.Layers {
		top = append(top, names...)
	}
	slices.Sort(top)
	if !slices.Equal(top, []string{"a&b<c>.h", "lib", "lib"}) {
		t.Errorf("the layers are said to hold %q", top)
	}
}

func TestAFileThatChangesStopsTheBuildAndLeavesNoBlobOpen(t *testing.T) {
	sink := newMemory()
	s := spec(t, "")
	must(t, os.Truncate(s.Files[slices.IndexFunc(s.Files, func(f layer.File) bool { return f.Path == "lib/large.a" })].Source(), 5))
	_, err := Build(ctx, sink, s)
	if err == nil || !strings.Contains(err.Error(), "changed while it was packed") {
		t.Errorf("the error is %v", err)
	}
	if sink.open != 0 {
		t.Errorf("%d blobs were left open", sink.open)
	}
}

func TestAnImageOfAProgramIsOneThatContainerRuntimesTake(t *testing.T) {
	dir := write(t, map[string]string{"hello": "\x7fELF"})
	file, err := layer.Entry(filepath.Join(dir, "hello"), "hello", nil)
	must(t, err)
	sink := newMemory()
	desc, err := BuildImage(ctx, sink, file, platform.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, nil)
	must(t, err)
	p, err := Open(ctx, sink, desc)
	must(t, err)
	var image ocispec.Image
	must(t, json.Unmarshal(p.RawConfig, &image))
	if p.IsNative() || image.OS != "linux" || image.Architecture != "arm" || image.Variant != "v7" || !slices.Equal(image.Config.Entrypoint, []string{"/hello"}) || image.RootFS.Type != "layers" {
		t.Errorf("the image is %+v", image)
	}
	layers, err := p.Layers()
	must(t, err)
	plain := sink.blobs[layers[0].Descriptor.Digest]
	listing := layer.NewListing(limit.Default)
	must(t, listing.Apply(ctx, bytes.NewReader(plain), layers[0].Compression, 0))
	if files := listing.Files(); len(files) != 1 || files[0].Path != "hello" || files[0].Mode != 0o755 {
		t.Errorf("the image holds %+v", files)
	}
	if got := p.ImagePlatform(); got != (platform.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}) {
		t.Errorf("its platform is %v", got)
	}
}

func TestASinkThatFailsStopsTheBuild(t *testing.T) {
	full := errors.New("no space left")
	for created := range 4 {
		sink := &failingSink{memory: newMemory(), left: created, err: full}
		if _, err := Build(ctx, sink, spec(t, "")); !errors.Is(err, full) {
			t.Errorf("after %d blobs the error is %v", created, err)
		}
		if sink.open != 0 {
			t.Errorf("after %d blobs %d are left open", created, sink.open)
		}
	}
}

type failingSink struct {
	*memory
	left int
	err  error
}

func (s *failingSink) Create() (Blob, error) {
	s.mu.Lock()
	s.left--
	failed := s.left < 0
	s.mu.Unlock()
	if failed {
		return nil, s.err
	}
	return s.memory.Create()
}
