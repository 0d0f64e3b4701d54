package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/platform"
)

func TestABlobIsReadOnlyAsItShouldBe(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		change  func(*ocispec.Descriptor)
		limit   int64
		text    string
	}{
		"shorter than said":         {"bytes", func(d *ocispec.Descriptor) { d.Size = 6 }, 10, "cut short"},
		"longer than said":          {"bytes", func(d *ocispec.Descriptor) { d.Size = 4 }, 10, "not what it should be"},
		"nothing, of some bytes":    {"", func(d *ocispec.Descriptor) { d.Size = 1 }, 10, "cut short"},
		"something, of none":        {"bytes", func(d *ocispec.Descriptor) { d.Size = 0 }, 10, "not what it should be"},
		"beyond the limit":          {"bytes", func(*ocispec.Descriptor) {}, 4, "more than 4"},
		"a size that is negative":   {"bytes", func(d *ocispec.Descriptor) { d.Size = -5 }, 10, "size -5"},
		"a digest that is unknown":  {"bytes", func(d *ocispec.Descriptor) { d.Digest = "md5:x" }, 10, "md5:x"},
		"a digest that is no words": {"bytes", func(d *ocispec.Descriptor) { d.Digest = "" }, 10, `the digest ""`},
	} {
		t.Run(name, func(t *testing.T) {
			from := newMemory()
			desc := from.add("text/plain", test.content)
			good := desc.Digest
			test.change(&desc)
			from.blobs[desc.Digest] = from.blobs[good]
			_, err := ReadBlob(ctx, from, desc, test.limit)
			refuses(t, err, test.text)
		})
	}
	from := newMemory()
	for _, content := range []string{"", "bytes"} {
		raw, err := ReadBlob(ctx, from, from.add("text/plain", content), int64(len(content)))
		if err != nil || string(raw) != content {
			t.Errorf("%q is read as %q, %v", content, raw, err)
		}
	}
	desc := from.add("text/plain", "bytes")
	from.blobs[desc.Digest] = []byte("BYTES")
	_, err := ReadBlob(ctx, from, desc, 10)
	refuses(t, err, "not what it should be")
}

func TestDigestsOfSHA512AreChecked(t *testing.T) {
	from := newMemory()
	d := digest.SHA512.FromString("bytes")
	from.blobs[d] = []byte("bytes")
	_, err := ReadBlob(ctx, from, ocispec.Descriptor{Digest: d, Size: 5}, 10)
	must(t, err)
	from.blobs[d] = []byte("BYTES")
	_, err = ReadBlob(ctx, from, ocispec.Descriptor{Digest: d, Size: 5}, 10)
	refuses(t, err, "not what it should be")
}

func TestWhoIsToBlameForALayer(t *testing.T) {
	from := newMemory()
	l := Layer{Descriptor: from.add("x", "bytes of a layer")}
	tampered := Layer{Descriptor: from.add("x", "other bytes there")}
	from.blobs[tampered.Descriptor.Digest] = []byte("tampered bytes ..")
	short := l
	short.Descriptor.Size = 100
	garbled := errors.New("garbled")
	readAll := func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	readSome := func(err error) func(io.Reader) error {
		return func(r io.Reader) error {
			_, _ = io.ReadFull(r, make([]byte, 3))
			return err
		}
	}
	for name, test := range map[string]struct {
		layer        Layer
		use          func(io.Reader) error
		text         string
		verification bool
	}{
		"the bytes":                       {tampered, readAll, "not what it should be", true},
		"the bytes, that make no sense":   {tampered, readSome(garbled), "not what it should be", true},
		"the package":                     {l, readSome(garbled), "garbled", true},
		"the end that is missing":         {short, readAll, "cut short", true},
		"the end, and no sense before":    {short, readSome(garbled), "cut short", true},
		"a full disk":                     {l, readSome(&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), "no space", false},
		"a full directory":                {l, readSome(&os.LinkError{Op: "symlinkat", Old: "x", New: "y", Err: syscall.ENOSPC}), "no space", false},
		"a full disk, and tampered bytes": {tampered, readSome(&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), "no space", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := ReadLayer(ctx, from, test.layer, test.use)
			if err == nil || !strings.Contains(err.Error(), test.text) || errors.Is(err, errdef.ErrVerification) != test.verification {
				t.Errorf("the error is %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
		})
	}
	must(t, ReadLayer(ctx, from, l, readAll))
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := ReadLayer(cancelled, from, l, readSome(context.Canceled)); !errors.Is(err, context.Canceled) || errors.Is(err, errdef.ErrVerification) {
		t.Errorf("when cancelled the error is %v", err)
	}
}

func TestLayersAreReadByTheirMediaType(t *testing.T) {
	title := func(name string) map[string]string { return map[string]string{ocispec.AnnotationTitle: name} }
	unpack := map[string]string{ocispec.AnnotationTitle: "dir", "io.deis.oras.content.unpack": "true"}
	for name, test := range map[string]struct {
		mediaType   string
		annotations map[string]string
		want        Layer
	}{
		"ours":                          {LayerTypeZstd, nil, Layer{Compression: layer.Zstd}},
		"ours and Rust's":               {LayerTypeGzip, nil, Layer{Compression: layer.Gzip}},
		"an image's":                    {ocispec.MediaTypeImageLayer, nil, Layer{}},
		"an image's, gzip":              {ocispec.MediaTypeImageLayerGzip, nil, Layer{Compression: layer.Gzip}},
		"an image's, zstd":              {ocispec.MediaTypeImageLayerZstd, nil, Layer{Compression: layer.Zstd}},
		"Docker's":                      {"application/vnd.docker.image.rootfs.diff.tar.gzip", nil, Layer{Compression: layer.Gzip}},
		"a file of ORAS":                {"application/octet-stream", title("a.bin"), Layer{Title: "a.bin"}},
		"a file of ORAS, as it says":    {ocispec.MediaTypeImageLayer, title("lib/a.so"), Layer{Title: "lib/a.so"}},
		"a directory of ORAS":           {ocispec.MediaTypeImageLayerGzip, unpack, Layer{Compression: layer.Gzip}},
		"a directory of ORAS, plain":    {ocispec.MediaTypeImageLayer, unpack, Layer{}},
		"an archive that has a title":   {LayerTypeZstd, title("x"), Layer{Compression: layer.Zstd}},
		"a foreign layer with a title":  {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", title("x"), Layer{Title: "x"}},
		"anything else that has a name": {"", title("x"), Layer{Title: "x"}},
	} {
		desc := ocispec.Descriptor{MediaType: test.mediaType, Annotations: test.annotations, Digest: someDigest}
		p := Package{Manifest: ocispec.Manifest{Layers: []ocispec.Descriptor{desc}}}
		layers, err := p.Layers()
		if err != nil || layers[0].Compression != test.want.Compression || layers[0].Title != test.want.Title {
			t.Errorf("%s: %+v, %v", name, layers, err)
		}
	}
	for _, mediaType := range []string{"", "application/octet-stream", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"} {
		p := Package{Manifest: ocispec.Manifest{Layers: []ocispec.Descriptor{{MediaType: mediaType, Digest: someDigest, URLs: []string{"https://evil.example/x"}}}}}
		_, err := p.Layers()
		refuses(t, err, "without a title")
	}
}

func TestThePackageOfAnIndexIsTheOneThatServesTheTargetBest(t *testing.T) {
	of := func(name, os, arch string, features ...string) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(name), Platform: &ocispec.Platform{OS: os, Architecture: arch, OSFeatures: features}}
	}
	any := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("any")}
	attestation := of("attestation", "linux", "amd64")
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	nested := of("nested", "linux", "amd64")
	nested.MediaType = ocispec.MediaTypeImageIndex
	docker := of("docker", "windows", "amd64")
	docker.MediaType = dockerManifest
	musl, glibc := of("musl", "linux", "amd64", "libc.musl"), of("glibc", "linux", "amd64", "libc.glibc")
	for name, test := range map[string]struct {
		list   []ocispec.Descriptor
		target platform.Platform
		want   string
	}{
		"the system and architecture": {[]ocispec.Descriptor{of("a", "linux", "arm64"), of("b", "linux", "amd64")}, platform.Platform{OS: "linux", Architecture: "amd64"}, "b"},
		"the C library":               {[]ocispec.Descriptor{musl, glibc}, platform.Platform{OS: "linux", Architecture: "amd64", Libc: "glibc"}, "glibc"},
		"any, when nothing else fits": {[]ocispec.Descriptor{musl, any}, platform.Platform{OS: "linux", Architecture: "amd64", Libc: "glibc"}, "any"},
		"the exact one before any":    {[]ocispec.Descriptor{any, glibc}, platform.Platform{OS: "linux", Architecture: "amd64", Libc: "glibc"}, "glibc"},
		"the first of equals":         {[]ocispec.Descriptor{of("a", "linux", "amd64"), of("b", "linux", "amd64")}, platform.Platform{OS: "linux"}, "a"},
		"no attestation, no index":    {[]ocispec.Descriptor{attestation, nested, of("a", "linux", "amd64")}, platform.Platform{OS: "linux", Architecture: "amd64"}, "a"},
		"Docker's manifests":          {[]ocispec.Descriptor{docker}, platform.Platform{OS: "windows"}, "docker"},
	} {
		got, err := Select(ocispec.Index{Manifests: test.list}, test.target)
		if err != nil || got.Digest != digest.FromString(test.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, list := range map[string][]ocispec.Descriptor{"nothing": nil, "only what is no package": {attestation, nested}, "other platforms": {musl, docker}} {
		_, err := Select(ocispec.Index{Manifests: list}, platform.Platform{OS: "linux", Architecture: "amd64", Libc: "glibc"})
		if !errors.Is(err, errdef.ErrPlatform) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestResolveGoesThroughAnIndexAndNoFurther(t *testing.T) {
	from := newMemory()
	raw := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":2,"platform":{"os":"linux","architecture":"amd64"}}]}`, ocispec.MediaTypeImageManifest, someDigest)
	desc := from.add(ocispec.MediaTypeImageIndex, raw)
	got, err := Resolve(ctx, from, desc, platform.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil || got.Digest != someDigest {
		t.Errorf("it is %v, %v", got, err)
	}
	again, err := Resolve(ctx, from, got, platform.Platform{OS: "plan9"})
	if err != nil || again.Digest != someDigest || !slices.Equal(from.fetched, []digest.Digest{desc.Digest}) {
		t.Errorf("a manifest gives %v, %v, after fetching %v", again, err, from.fetched)
	}
	lying := from.add(ocispec.MediaTypeImageIndex, string(manifest()))
	_, err = Resolve(ctx, from, lying, platform.Platform{})
	refuses(t, err, "both manifests and layers")
}

func TestAnIndexWithoutPlatformsIsCompletedFromItsPackages(t *testing.T) {
	from := newMemory()
	var index ocispec.Index
	want := map[string]platform.Platform{}
	for _, p := range []platform.Platform{
		{OS: "linux", Architecture: "arm64", Libc: "glibc", LibcVersion: "2.28"}, {OS: "linux", Architecture: "amd64", Libc: "musl"}, {},
	} {
		s := spec(t, "")
		s.Platform = p
		desc, err := Build(ctx, from, s)
		must(t, err)
		want[desc.Digest.String()] = p
		index.Manifests = append(index.Manifests, ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size})
	}
	said, err := Complete(ctx, from, &index)
	if err != nil || !maps.Equal(said, want) {
		t.Errorf("it says %v, %v; want %v", said, err, want)
	}
	for _, c := range Candidates(index) {
		if c.Platform != want[c.Descriptor.Digest.String()] {
			t.Errorf("%s is for %s", c.Descriptor.Digest, c.Platform)
		}
	}
	fetched := len(from.fetched)
	index.Manifests = index.Manifests[:2]
	if again, err := Complete(ctx, from, &index); err != nil || again != nil || len(from.fetched) != fetched {
		t.Errorf("what is complete says %v, %v, after fetching %v", again, err, from.fetched[fetched:])
	}

	index.Manifests = slices.Repeat([]ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageManifest, Digest: someDigest, Size: 2}}, MaxUnsaid+1)
	if _, err := Complete(ctx, from, &index); !errors.Is(err, errdef.ErrPlatform) || len(from.fetched) != fetched {
		t.Errorf("of too many the error is %v, after fetching %v", err, from.fetched[fetched:])
	}
}

func TestAnnotationsAreThoseOfTheManifestOrOfOldRust(t *testing.T) {
	labels := []byte(`{"config":{"Labels":{"a":"label"}}}`)
	image := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig}
	for name, test := range map[string]struct {
		p    Package
		want string
	}{
		"the manifest's":       {Package{Manifest: ocispec.Manifest{Config: image, Annotations: map[string]string{"a": "manifest"}}, RawConfig: labels}, "manifest"},
		"the labels":           {Package{Manifest: ocispec.Manifest{Config: image}, RawConfig: labels}, "label"},
		"no labels of our own": {Package{Manifest: ocispec.Manifest{Config: ocispec.Descriptor{MediaType: ConfigType}}, RawConfig: labels}, ""},
		"a config that is odd": {Package{Manifest: ocispec.Manifest{Config: image}, RawConfig: []byte("[1]")}, ""},
	} {
		if got := test.p.Annotations()["a"]; got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// endless is a layer without an end, as a large file is to who waits for it.
type endless struct{ read int }

func (e *endless) Fetch(context.Context, ocispec.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(e), nil
}

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func TestALayerThatIsReadEndsWithTheContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	from := &endless{}
	err := ReadLayer(ctx, from, Layer{Descriptor: ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1 << 60}}, func(r io.Reader) error {
		_, err := io.CopyN(io.Discard, r, 1000)
		stop()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		return err
	})
	if !errors.Is(err, context.Canceled) || from.read > 1<<20 {
		t.Errorf("after %d bytes: %v", from.read, err)
	}
}
