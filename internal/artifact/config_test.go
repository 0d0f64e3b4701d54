package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
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

// configOf makes a config that has so many bytes, written plainly.
func configOf(t *testing.T, size int) Config {
	t.Helper()
	var c Config
	for {
		sum := digest.FromString(fmt.Sprint(len(c.Files)))
		c.Files = append(c.Files, layer.File{Path: fmt.Sprintf("lib/%04d", len(c.Files)), Mode: 0o644, Digest: sum})
		if missing := size - len(written(t, c)); missing < 200 {
			c.Files[0].Path = "lib/" + strings.Repeat("0", missing+4)
			return c
		}
	}
}

func TestTheBoundFromWhichAConfigIsCompressed(t *testing.T) {
	for size, want := range map[int]string{plainConfig: ConfigType, plainConfig + 1: ConfigTypeZstd} {
		c, sink := configOf(t, size), newMemory()
		if got := len(written(t, c)); got != size {
			t.Fatalf("the config has %d bytes, not %d", got, size)
		}
		desc, err := putConfig(sink, c, layer.Zstd)
		if plain := string(written(t, c)) == string(sink.blobs[desc.Digest]); err != nil || desc.MediaType != want || plain != (want == ConfigType) {
			t.Errorf("%d bytes become a %s, plain: %v, %v", size, desc.MediaType, plain, err)
		}
	}
}

// Empty files and links tell little apart, so that their list shrinks most.
func TestAConfigThatWouldNotBeReadCompressedStaysPlain(t *testing.T) {
	c, sink := Config{Layers: map[digest.Digest][]string{}}, newMemory()
	for i := range 300 {
		c.Files = append(c.Files, layer.File{Path: strings.Repeat("directory/", 300) + fmt.Sprintf("%04d", i), Mode: 0o644, Digest: someDigest})
	}
	desc, err := putConfig(sink, c, layer.Zstd)
	if err != nil || desc.MediaType != ConfigType || !bytes.Equal(sink.blobs[desc.Digest], written(t, c)) || len(sink.blobs) != 1 {
		t.Errorf("it becomes %d bytes of a %s, of %d blobs, %v", desc.Size, desc.MediaType, len(sink.blobs), err)
	}
}

// What is written by hand is what encoding/json would write.
func TestAFileIsWrittenAsJSON(t *testing.T) {
	for _, f := range []layer.File{
		{}, {Path: "lib/a", Size: 3, Mode: 0o644, Digest: someDigest, Layer: 7}, {Path: "d/", Mode: 0o755}, {Path: "l", Target: "../a", Mode: 0o777},
		{Path: `"quoted\" & <here>`, Target: "<&>", Mode: 0o4},
		{Path: "tab\tnewline\n\x00\x7f", Size: 1 << 62}, {Path: "größe/\u65e5\u672c", Target: "\u2028\u2029\xff"},
	} {
		for _, escape := range []bool{false, true} {
			var want bytes.Buffer
			encoder := json.NewEncoder(&want)
			encoder.SetEscapeHTML(escape)
			must(t, encoder.Encode(wireFile{f.Digest, f.Layer, fmt.Sprintf("%04o", f.Mode), f.Path, f.Size, f.Target}))
			if got := string(appendFile(nil, f, escape)) + "\n"; got != want.String() {
				t.Errorf("it is written as %swant                 %s", got, want.String())
			}
		}
	}
}

// compressed gives a document as a compressed config has it.
func compressed(t *testing.T, raw []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	z, err := layer.Compress(&packed, int64(len(raw)))
	must(t, err)
	_, err = z.Write(raw)
	must(t, errors.Join(err, z.Close()))
	return packed.Bytes()
}

// withConfig puts a manifest over a config.
func withConfig(m *memory, mediaType string, raw []byte) ocispec.Descriptor {
	config := m.add(mediaType, string(raw))
	return m.add(ocispec.MediaTypeImageManifest, fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":%q,"digest":%q,"size":%d},`+
		`"layers":[{"mediaType":%q,"digest":%q,"size":1},{"mediaType":%[4]q,"digest":%[5]q,"size":1}]}`, mediaType, config.Digest, config.Size, LayerTypeZstd, otherDigest))
}

func TestACompressedConfigSaysWhatAPlainOneDoes(t *testing.T) {
	m := newMemory()
	packed := compressed(t, []byte(config))
	plain, err := Open(ctx, m, withConfig(m, ConfigType, []byte(config)))
	must(t, err)
	small, err := Open(ctx, m, withConfig(m, ConfigTypeZstd, packed))
	must(t, err)
	if !reflect.DeepEqual(plain.Config, small.Config) || len(small.Config.Files) != 3 {
		t.Errorf("it says %+v\n     want %+v", small.Config, plain.Config)
	}
	if !bytes.Equal(small.RawConfig, packed) {
		t.Error("its bytes are not as they came")
	}
}

func TestHostileCompressedConfigsAreRefused(t *testing.T) {
	good := compressed(t, []byte(config))
	bomb := compressed(t, []byte(`{"x":"`+strings.Repeat("x", 20<<20)+`"}`))
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
		"compressed twice":         {ConfigTypeZstd, compressed(t, good), "no valid document"},
		"compressed and not said":  {ConfigType, good, "no valid document"},
		"a way out":                {ConfigTypeZstd, compressed(t, []byte(strings.Replace(config, "lib/a", "../a", 1))), "out of the package"},
		"data after the document":  {ConfigTypeZstd, compressed(t, []byte(config+"{}")), "data after its end"},
		"a layer that is not":      {ConfigTypeZstd, compressed(t, []byte(strings.Replace(config, `"layer":1`, `"layer":2`, 1))), "layer 2 of 2"},
		"a key in another writing": {ConfigTypeZstd, compressed(t, []byte(strings.Replace(config, `"files"`, `"Files"`, 1))), "in other letters"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			_, err := Open(ctx, m, withConfig(m, test.mediaType, test.raw))
			refuses(t, err, test.text)
		})
	}
}

func TestACompressedConfigIsBoundWhateverItsSize(t *testing.T) {
	if got := configBound(1<<10, limit.Default); got != 100<<10 {
		t.Errorf("a KiB may become %d bytes", got)
	}
	if got := configBound(limit.Default.Config, limit.Default); got != limit.Default.Config {
		t.Errorf("the largest may become %d bytes", got)
	}
}
