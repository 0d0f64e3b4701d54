package install_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/layout"
)

// archive makes a tar archive of entries.
func archive(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		text := h.PAXRecords["text"]
		h.PAXRecords = nil
		if h.Size = int64(len(text)); h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, text string) *tar.Header {
	return &tar.Header{Name: name, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"text": text}}
}

func symlink(name, target string) *tar.Header {
	return &tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}
}

func gzipped(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// manifest puts a manifest over a config and layers.
func manifest(t testing.TB, m *memory, config ocispec.Descriptor, layers ...ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: layers,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m.put(ocispec.MediaTypeImageManifest, raw)
}

func TestAnImageIsUnpackedLayerOverLayer(t *testing.T) {
	m, s := newMemory(), newStore(t)
	config := m.put(ocispec.MediaTypeImageConfig, []byte(`{"os":"linux","architecture":"s390x"}`))
	base := m.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, archive(t,
		&tar.Header{Name: "usr/lib/", Typeflag: tar.TypeDir, Mode: 0o755},
		symlink("lib", "/usr/lib"),
		file("usr/lib/old.txt", "old"), file("usr/lib/kept.txt", "kept"), file("etc/conf", "1"),
		symlink("etc/absolute", "/usr/lib/kept.txt"),
	)))
	top := m.put(ocispec.MediaTypeImageLayer, archive(t,
		file("usr/lib/.wh.old.txt", ""), file("etc/conf", "2"), file("lib/through.txt", "by the link"),
		&tar.Header{Name: "etc/twin", Typeflag: tar.TypeLink, Linkname: "etc/conf"},
	))
	p, err := install.Package(t.Context(), s, m, manifest(t, m, config, base, top), nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"lib": "-> usr/lib", "usr/lib/kept.txt": "kept", "usr/lib/through.txt": "by the link",
		"etc/conf": "2", "etc/twin": "2", "etc/absolute": "-> ../usr/lib/kept.txt",
	}
	if got := content(t, p.Root); !maps.Equal(got, want) {
		t.Errorf("the tree is %v", got)
	}
	if got := p.Platform.String(); got != "linux/s390x" {
		t.Errorf("the platform is %s", got)
	}
}

func TestFilesThatORASPushedKeepTheirNames(t *testing.T) {
	m, s := newMemory(), newStore(t)
	titled := func(mediaType, title, text string) ocispec.Descriptor {
		desc := m.put(mediaType, []byte(text))
		desc.Annotations = map[string]string{ocispec.AnnotationTitle: title}
		return desc
	}
	config := m.put("application/vnd.oci.empty.v1+json", []byte("{}"))
	desc := manifest(t, m, config,
		titled("application/octet-stream", "lib/libfoo.a", "archive"),
		titled(ocispec.MediaTypeImageLayer, "include/foo.h", "not a tar"))
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, p.Root), map[string]string{"lib/libfoo.a": "archive", "include/foo.h": "not a tar"}; !maps.Equal(got, want) {
		t.Errorf("the tree is %v", got)
	}
	for _, title := range []string{"../out", "/out", "a/../../out", ""} {
		bad := manifest(t, m, config, titled("application/octet-stream", title, "x"))
		if _, err := install.Package(t.Context(), s, m, bad, nil, install.Options{}); !errors.Is(err, errdef.ErrVerification) {
			t.Errorf("title %q: %v", title, err)
		}
	}
}

func TestPackagesOfTheRustProgramAreInstalled(t *testing.T) {
	for _, archive := range []string{"rust-0.2.9-pack", "rust-0.2.9-compose", "rust-0.4.0-pack", "rust-0.4.0-compose"} {
		l, err := layout.OpenArchive(t.Context(), "../layout/testdata/"+archive+".tar")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if warned := len(l.Warnings) == 1; warned != strings.Contains(archive, "0.4.0") {
			t.Errorf("%s: warnings %q", archive, l.Warnings)
		}
		root, err := l.Root("")
		if err != nil || artifact.PackageName(root) != "registry.example/acme/greet:1.0.0" {
			t.Errorf("%s: %+v, %v", archive, root, err)
		}
		p, err := install.Package(t.Context(), newStore(t), l, root, nil, install.Options{})
		if err != nil {
			t.Errorf("%s: %v", archive, err)
			continue
		}
		got := content(t, p.Root)
		prefix := map[bool]string{true: "include/", false: ""}[strings.Contains(archive, "-pack")]
		if len(got) != 2 || !strings.Contains(got[prefix+"greet.h"], "GREET_H") {
			t.Errorf("%s: the tree is %v", archive, got)
		}
	}
}

func TestAManifestThatLiesIsRefused(t *testing.T) {
	m := newMemory()
	config := m.put(ocispec.MediaTypeImageConfig, []byte("{}"))
	layer := m.put(ocispec.MediaTypeImageLayer, archive(t, file("a", "b")))
	for name, raw := range map[string]string{
		"both a manifest and an index": `{"schemaVersion":2,"config":CONFIG,"layers":[],"manifests":[]}`,
		"an index":                     `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":CONFIG,"layers":[]}`,
		"another version":              `{"schemaVersion":1,"config":CONFIG,"layers":[]}`,
		"a negative size":              `{"schemaVersion":2,"config":{"digest":"` + config.Digest.String() + `","size":-1},"layers":[]}`,
		"an unknown algorithm":         `{"schemaVersion":2,"config":{"digest":"md5:00","size":1},"layers":[]}`,
		"no document":                  `[]`,
		"text after it":                `{"schemaVersion":2,"config":CONFIG,"layers":[]} x`,
		"a layer that is too long":     `{"schemaVersion":2,"config":CONFIG,"layers":[{"mediaType":"` + layer.MediaType + `","digest":"` + layer.Digest.String() + `","size":5}]}`,
		"a layer of an unknown type":   `{"schemaVersion":2,"config":CONFIG,"layers":[{"mediaType":"text/plain","digest":"` + layer.Digest.String() + `","size":5}]}`,
	} {
		quoted, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		desc := m.put(ocispec.MediaTypeImageManifest, []byte(strings.ReplaceAll(raw, "CONFIG", string(quoted))))
		s := newStore(t)
		if _, err := install.Package(t.Context(), s, m, desc, nil, install.Options{}); !errors.Is(err, errdef.ErrVerification) {
			t.Errorf("%s: %v, want a verification error", name, err)
		}
		if left := leftovers(t, s); len(left) > 0 {
			t.Errorf("%s: left in tmp: %v", name, left)
		}
	}
}
