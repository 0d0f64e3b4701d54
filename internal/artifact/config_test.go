package artifact

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/platform"
)

// builtConfig builds a package of so many files and gives it with the type of
// its config.
func builtConfig(t *testing.T, files int, compression layer.Compression) (*memory, *Package, string) {
	t.Helper()
	tree := map[string]string{}
	for i := range files {
		tree[fmt.Sprintf("include/part%03d/header.h", i)] = fmt.Sprint(i)
	}
	listed, err := layer.Scan(write(t, tree), nil)
	must(t, err)
	sink := newMemory()
	desc, err := Build(ctx, sink, Spec{Files: listed, Compression: compression, Platform: platform.Platform{OS: "linux"}})
	must(t, err)
	p, err := Open(ctx, sink, desc)
	must(t, err)
	if len(p.Config.Files) != files || !p.IsNative() || !p.ListsFiles() || p.Config.Platform.OS != "linux" {
		t.Fatalf("of %d files, the config lists %d", files, len(p.Config.Files))
	}
	return sink, p, p.Manifest.Config.MediaType
}

func TestAConfigIsCompressedWhereItIsLargeAndLayersAreZstd(t *testing.T) {
	for _, test := range []struct {
		name        string
		files       int
		compression layer.Compression
		want        string
	}{
		{"few files", 20, layer.Zstd, ConfigType},
		{"many files", 200, layer.Zstd, ConfigTypeZstd},
		{"the default", 200, "", ConfigTypeZstd},
		{"gzip", 200, layer.Gzip, ConfigType},
	} {
		sink, p, got := builtConfig(t, test.files, test.compression)
		if got != test.want {
			t.Errorf("%s: the config is a %s", test.name, got)
		}
		plain := bytes.HasPrefix(p.RawConfig, []byte("{"))
		if plain != (test.want == ConfigType) || !bytes.Equal(p.RawConfig, sink.blobs[p.Manifest.Config.Digest]) {
			t.Errorf("%s: the config begins with %q", test.name, p.RawConfig[:8])
		}
		if rust := test.compression == layer.Gzip; (p.Config.Layers != nil) != rust {
			t.Errorf("%s: the config says of the layers %v", test.name, p.Config.Layers)
		}
		_, again, _ := builtConfig(t, test.files, test.compression)
		if again.Descriptor.Digest != p.Descriptor.Digest {
			t.Errorf("%s: built again it is %s, and was %s", test.name, again.Descriptor.Digest, p.Descriptor.Digest)
		}
		if !plain && len(p.RawConfig) > 200*70 {
			t.Errorf("%s: the config has %d bytes", test.name, len(p.RawConfig))
		}
	}
}

func TestTheBoundFromWhichAConfigIsCompressed(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789abcdef"), plainConfig/16)
	for i := range text {
		text[i] += byte(i * i % 61) // so that it does not shrink out of all proportion
	}
	mediaType, raw, err := packConfig(text, layer.Zstd)
	if err != nil || mediaType != ConfigType || !bytes.Equal(raw, text) {
		t.Errorf("%d bytes become a %s, %v", len(text), mediaType, err)
	}
	if mediaType, _, err := packConfig(append(text, 'x'), layer.Zstd); err != nil || mediaType != ConfigTypeZstd {
		t.Errorf("one more become a %s, %v", mediaType, err)
	}
}

// Empty files and links tell little apart, so that their list shrinks most.
func TestAConfigThatWouldNotBeReadCompressedStaysPlain(t *testing.T) {
	c := Config{Layers: map[digest.Digest][]string{}}
	for i := range 300 {
		c.Files = append(c.Files, layer.File{Path: strings.Repeat("directory/", 300) + fmt.Sprintf("%04d", i), Mode: 0o644, Digest: someDigest})
	}
	text, err := c.Marshal()
	must(t, err)
	mediaType, raw, err := packConfig(text, layer.Zstd)
	if err != nil || mediaType != ConfigType || !bytes.Equal(raw, text) {
		t.Errorf("%d bytes become %d of a %s, %v", len(text), len(raw), mediaType, err)
	}
}

// withConfig puts a manifest over a config.
func withConfig(m *memory, mediaType string, raw []byte) ocispec.Descriptor {
	config := m.add(mediaType, string(raw))
	return m.add(ocispec.MediaTypeImageManifest, fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":%q,"digest":%q,"size":%d},`+
		`"layers":[{"mediaType":%q,"digest":%q,"size":1},{"mediaType":%[4]q,"digest":%[5]q,"size":1}]}`, mediaType, config.Digest, config.Size, LayerTypeZstd, otherDigest))
}

func TestACompressedConfigSaysWhatAPlainOneDoes(t *testing.T) {
	m := newMemory()
	packed, err := layer.Compress([]byte(config))
	must(t, err)
	plain, err := Open(ctx, m, withConfig(m, ConfigType, []byte(config)))
	must(t, err)
	compressed, err := Open(ctx, m, withConfig(m, ConfigTypeZstd, packed))
	must(t, err)
	if !reflect.DeepEqual(plain.Config, compressed.Config) || len(compressed.Config.Files) != 3 {
		t.Errorf("it says %+v\n     want %+v", compressed.Config, plain.Config)
	}
	if !bytes.Equal(compressed.RawConfig, packed) {
		t.Error("its bytes are not as they came")
	}
}

func TestHostileCompressedConfigsAreRefused(t *testing.T) {
	compressed := func(raw []byte) []byte {
		packed, err := layer.Compress(raw)
		must(t, err)
		return packed
	}
	good := compressed([]byte(config))
	bomb := compressed([]byte(`{"x":"` + strings.Repeat("x", 20<<20) + `"}`))
	for name, test := range map[string]struct {
		mediaType string
		raw       []byte
		text      string
	}{
		"a bomb":                   {ConfigTypeZstd, bomb, fmt.Sprintf("larger than %d bytes", 100*len(bomb))},
		"half of it":               {ConfigTypeZstd, good[:len(good)/2], "cut short"},
		"two frames":               {ConfigTypeZstd, append(good[:len(good):len(good)], good...), "data after its end"},
		"plain":                    {ConfigTypeZstd, []byte(config), "not compressed"},
		"nothing":                  {ConfigTypeZstd, nil, "not compressed"},
		"compressed twice":         {ConfigTypeZstd, compressed(good), "no valid document"},
		"compressed and not said":  {ConfigType, good, "no valid document"},
		"a way out":                {ConfigTypeZstd, compressed([]byte(strings.Replace(config, "lib/a", "../a", 1))), "out of the package"},
		"data after the document":  {ConfigTypeZstd, compressed([]byte(config + "{}")), "data after its end"},
		"a layer that is not":      {ConfigTypeZstd, compressed([]byte(strings.Replace(config, `"layer":1`, `"layer":2`, 1))), "layer 2 of 2"},
		"a key in another writing": {ConfigTypeZstd, compressed([]byte(strings.Replace(config, `"files"`, `"Files"`, 1))), "in other letters"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			_, err := Open(ctx, m, withConfig(m, test.mediaType, test.raw))
			refuses(t, err, test.text)
		})
	}
}

func TestACompressedConfigIsBoundWhateverItsSize(t *testing.T) {
	if got := configBound(make([]byte, 1<<10), limit.Default); got != 100<<10 {
		t.Errorf("a KiB may become %d bytes", got)
	}
	if got := configBound(make([]byte, limit.Default.Config), limit.Default); got != limit.Default.Config {
		t.Errorf("the largest may become %d bytes", got)
	}
}
