package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/platform"
)

const (
	someDigest  = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	otherDigest = "sha256:6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
)

// manifest gives a good manifest with some text replaced.
func manifest(replace ...string) []byte {
	text := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.ocipkg.v1.artifact",` +
		`"config":{"mediaType":"application/vnd.ocipkg.v1.config+json","digest":"` + someDigest + `","size":2},` +
		`"layers":[{"mediaType":"application/vnd.ocipkg.v1.layer.tar+zstd","digest":"` + otherDigest + `","size":10}],"annotations":{"a":"b"}}`
	return []byte(strings.NewReplacer(replace...).Replace(text))
}

func index(replace ...string) []byte {
	text := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",` +
		`"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + someDigest + `","size":2}],"annotations":{"a":"b"}}`
	return []byte(strings.NewReplacer(replace...).Replace(text))
}

func TestGoodManifestsAndIndexesAreRead(t *testing.T) {
	m, err := ParseManifest(manifest())
	must(t, err)
	if m.ArtifactType != ArtifactType || len(m.Layers) != 1 || m.Layers[0].Size != 10 || m.Config.MediaType != ConfigType {
		t.Errorf("the manifest is %+v", m)
	}
	for name, raw := range map[string][]byte{
		"without a media type":    manifest(`"mediaType":"application/vnd.oci.image.manifest.v1+json",`, ""),
		"of Docker":               manifest("vnd.oci.image.manifest.v1+json", "vnd.docker.distribution.manifest.v2+json"),
		"with a sha512":           manifest(someDigest, digest.SHA512.FromString("").String()),
		"without layers":          manifest(`"layers"`, `"x-layers"`),
		"with unknown keys":       manifest(`"schemaVersion"`, `"x":{"y":[1,{"z":null}]},"schemaVersion"`),
		"with odd annotations":    manifest(`"a":"b"`, `"Digest":"1","DIGEST":"2","size":"3"`),
		"with space at the end":   append(manifest(), " \n"...),
		"with a subject and data": manifest(`"schemaVersion"`, `"subject":{"mediaType":"m","digest":"`+someDigest+`","size":0},"schemaVersion"`, `"size":2`, `"size":2,"data":"e30=","urls":["https://x"]`),
	} {
		if _, err := ParseManifest(raw); err != nil {
			t.Errorf("a manifest %s: %v", name, err)
		}
	}
	i, err := ParseIndex(ctx, index())
	if err != nil || len(i.Manifests) != 1 {
		t.Errorf("the index is %+v, %v", i, err)
	}
	if _, err := ParseIndex(ctx, index("vnd.oci.image.index.v1+json", "vnd.docker.distribution.manifest.list.v2+json")); err != nil {
		t.Errorf("an index of Docker: %v", err)
	}
	if _, err := ParseIndex(ctx, []byte(`{"schemaVersion":2,"manifests":[]}`)); err != nil {
		t.Errorf("an empty index: %v", err)
	}
}

func TestHostileManifestsAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		raw  []byte
		text string
	}{
		"nothing":                    {nil, "no valid document"},
		"no JSON":                    {[]byte("<html>"), "no valid document"},
		"half a document":            {manifest()[:200], "no valid document"},
		"a list":                     {[]byte("[]"), "no valid document"},
		"null":                       {[]byte("null"), "schemaVersion"},
		"layers and manifests":       {manifest(`"schemaVersion"`, `"manifests":[],"schemaVersion"`), "both layers and manifests"},
		"manifests that are null":    {manifest(`"schemaVersion"`, `"manifests":null,"schemaVersion"`), "both layers and manifests"},
		"Manifests":                  {manifest(`"schemaVersion"`, `"Manifests":[],"schemaVersion"`), "in other letters"},
		"an index":                   {index(), "both layers and manifests"},
		"a manifest that says index": {manifest("image.manifest.v1", "image.index.v1"), "it says that it is a application/vnd.oci.image.index"},
		"schema 1":                   {manifest(`"schemaVersion":2`, `"schemaVersion":1`), "schemaVersion is 1"},
		"no schema":                  {manifest(`"schemaVersion":2,`, ""), "schemaVersion is 0"},
		"no config":                  {manifest(`"config"`, `"x-config"`), `the digest ""`},
		"a negative size":            {manifest(`"size":10`, `"size":-10`), "has the size -10"},
		"a size beyond 64 bits":      {manifest(`"size":10`, `"size":9223372036854775808`), "no valid document"},
		"a fraction of a byte":       {manifest(`"size":10`, `"size":1.5`), "no valid document"},
		"an unknown algorithm":       {manifest("sha256:6e", "md5:6e"), "digest"},
		"a digest in capitals":       {manifest("6e340b9c", "6E340B9C"), "digest"},
		"a digest that is short":     {manifest("6e340b9c", ""), "digest"},
		"a digest that is a path":    {manifest("6e340b9c", "../../6e"), "digest"},
		"data after its end":         {append(manifest(), `{}`...), "data after its end"},
		"two documents":              {append(manifest(), manifest()...), "data after its end"},
		"layers twice":               {manifest(`"annotations"`, `"layers":[],"annotations"`), `"layers" comes twice`},
		"layers twice, by escape":    {manifest(`"annotations"`, `"\u006cayers":[],"annotations"`), `"layers" comes twice`},
		"Layers too":                 {manifest(`"annotations"`, `"Layers":[],"annotations"`), "in other letters"},
		"only Layers":                {manifest(`"layers"`, `"LAYERS"`), "in other letters"},
		"layers with a long s":       {manifest(`"annotations"`, `"layerſ":[],"annotations"`), "in other letters"},
		"a digest twice in a layer":  {manifest(`"size":10`, `"size":10,"digest":"`+someDigest+`"`), `"digest" comes twice`},
		"an annotation twice":        {manifest(`"a":"b"`, `"a":"b","a":"c"`), `"a" comes twice`},
		"layers that are no list":    {manifest(`"layers":[`, `"layers":{"x":[`, `}],"ann`, `}]},"ann`), "no valid document"},
		"nested beyond reason":       {[]byte(strings.Repeat("[", 20000)), "no valid document"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseManifest(test.raw)
			refuses(t, err, test.text)
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
		})
	}
}

func TestHostileIndexesAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		raw  []byte
		text string
	}{
		"layers too":           {index(`"schemaVersion"`, `"layers":[],"schemaVersion"`), "both manifests and layers"},
		"a config too":         {index(`"schemaVersion"`, `"config":{},"schemaVersion"`), "both manifests and layers"},
		"a manifest":           {manifest(), "both manifests and layers"},
		"one that says so":     {index("image.index.v1", "image.manifest.v1"), "it says that it is a"},
		"schema 1":             {index(`"schemaVersion":2`, `"schemaVersion":1`), "schemaVersion is 1"},
		"a negative size":      {index(`"size":2`, `"size":-2`), "has the size -2"},
		"an unknown algorithm": {index("sha256:e3", "sha1:e3"), "digest"},
		"manifests twice":      {index(`"annotations"`, `"manifests":[],"annotations"`), "comes twice"},
		"trailing data":        {append(index(), '1'), "data after its end"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseIndex(ctx, test.raw)
			refuses(t, err, test.text)
		})
	}
}

const config = `{"layers":{"` + otherDigest + `":["lib"]},"files":[{"path":"lib/a","size":3,"mode":"0644","digest":"` + someDigest + `","layer":0},` +
	`{"path":"lib/l","size":0,"mode":"0777","target":"a","layer":0},{"path":"z/","size":0,"mode":"0755","layer":1}]}`

// parse reads a config that is not compressed.
func parse(raw []byte, layers int, limits limit.Limits) (Config, error) {
	return parseConfig(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }, layers, limits)
}

// written gives a config as it is written.
func written(t *testing.T, c Config) []byte {
	t.Helper()
	var raw bytes.Buffer
	must(t, c.write(&raw))
	return raw.Bytes()
}

func TestConfigsAreRead(t *testing.T) {
	c, err := parse([]byte(config), 2, limit.Default)
	must(t, err)
	want := []layer.File{
		{Path: "lib/a", Size: 3, Mode: 0o644, Digest: someDigest}, {Path: "lib/l", Mode: 0o777, Target: "a"}, {Path: "z/", Mode: 0o755, Layer: 1},
	}
	if fmt.Sprint(c.Files) != fmt.Sprint(want) {
		t.Errorf("the files are %+v\n           want %+v", c.Files, want)
	}
	// As the Rust program writes it, and with what a later version may add.
	for _, raw := range []string{`{"layers":{}}`, `{}`, `{"layers":{"` + someDigest + `":["tree/include"]},"later":{"x":1}}`} {
		if _, err := parse([]byte(raw), 1, limit.Default); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestHostileConfigsAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		old, new, text string
	}{
		"an absolute path":      {"lib/a", "/etc/passwd", "absolute"},
		"a way out":             {"lib/a", "../a", "out of the package"},
		"a path that is twice":  {"lib/l", "lib/a", "twice"},
		"a NUL":                 {"lib/a", `lib\u0000`, "NUL"},
		"a link out":            {`"target":"a"`, `"target":"../../a"`, "out of the tree"},
		"an absolute link":      {`"target":"a"`, `"target":"/a"`, "absolute"},
		"a file below a link":   {"lib/a", "lib/l/a", "not a directory"},
		"a negative size":       {`"size":3`, `"size":-3`, "negative"},
		"a link with a size":    {`"size":0`, `"size":1`, "several things"},
		"a setuid bit":          {"0644", "4755", "4755"},
		"a mode that is none":   {"0644", "rw-r--r--", "rw-r--r--"},
		"no mode":               {"0644", "", `the mode ""`},
		"a layer that is not":   {`"layer":1`, `"layer":2`, "layer 2 of 2"},
		"a negative layer":      {`"layer":1`, `"layer":-1`, "layer -1 of 2"},
		"a digest that is none": {someDigest, "sha256:xyz", "digest"},
		"trailing data":         {`"layer":1}]}`, `"layer":1}]}x`, "data after its end"},
		"a list":                {config, "[]", "no valid document"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]byte(strings.Replace(config, test.old, test.new, 1)), 2, limit.Default)
			refuses(t, err, test.text)
		})
	}
}

func TestAConfigIsWrittenAndReadBack(t *testing.T) {
	c, err := parse([]byte(config), 2, limit.Default)
	must(t, err)
	raw := written(t, c)
	again, err := parse(raw, 2, limit.Default)
	must(t, err)
	if fmt.Sprint(again) != fmt.Sprint(c) {
		t.Errorf("it is %+v\n   was %+v", again, c)
	}
	var list bytes.Buffer
	must(t, WriteFiles(&list, c.Files))
	files, err := ReadFiles(json.NewDecoder(&list), limit.Default, func() {})
	if err != nil || fmt.Sprint(files) != fmt.Sprint(c.Files) {
		t.Errorf("the list is %+v, %v", files, err)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(manifest())
	f.Add(index())
	f.Add(manifest(`"annotations"`, `"layers":[],"annotations"`))
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"` + someDigest + `"},"Layers":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseManifest(raw)
		if _, other := ParseIndex(ctx, raw); err == nil && other == nil {
			t.Fatal("it is read as a manifest and as an index")
		}
		if err != nil {
			return
		}
		// What another reader, who knows no other letters, sees is the same.
		var doc map[string]json.RawMessage
		must(t, json.Unmarshal(raw, &doc))
		var layers []ocispec.Descriptor
		if doc["layers"] != nil {
			must(t, json.Unmarshal(doc["layers"], &layers))
		}
		if len(layers) != len(m.Layers) {
			t.Fatalf("%d layers are read of %d", len(m.Layers), len(layers))
		}
		p := Package{Manifest: m}
		_, _ = p.Layers()
	})
}

// FuzzParseIndex looks for an index of which a package is taken that another
// reader does not see in it, or that is for something else than the target.
func FuzzParseIndex(f *testing.F) {
	f.Add(index(), "linux/amd64")
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"`+someDigest+`","size":7,"platform":{"os":"linux","architecture":"arm","variant":"v7","os.features":["libc.musl"]},"annotations":{"dev.ocipkg.libc.version":"1.2"}}]}`), "linux/arm/v7")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"`+someDigest+`","size":7}]}`), "any")
	f.Fuzz(func(t *testing.T, raw []byte, target string) {
		read, err := ParseIndex(ctx, raw)
		if err != nil {
			return
		}
		want, err := platform.Parse(target)
		if err != nil {
			want = platform.Platform{}
		}
		choice := Choose(read, want)
		if len(choice.Reasons) != len(choice.Candidates) || choice.Best >= len(choice.Candidates) {
			t.Fatalf("of %d candidates, %d have reasons and number %d was taken", len(choice.Candidates), len(choice.Reasons), choice.Best)
		}
		if choice.Best < 0 {
			return
		}
		taken := choice.Candidates[choice.Best]
		if choice.Reasons[choice.Best] != "" {
			t.Errorf("taken in spite of %q", choice.Reasons[choice.Best])
		}
		if os := taken.Platform.OS; os != "" && want.OS != "" && os != want.OS {
			t.Errorf("for %v, %v was taken", want, taken.Platform)
		}
		var other ocispec.Index
		must(t, json.Unmarshal(raw, &other))
		if !slices.ContainsFunc(other.Manifests, func(d ocispec.Descriptor) bool { return d.Digest == taken.Descriptor.Digest }) {
			t.Errorf("%s was taken, which is not in the index", taken.Descriptor.Digest)
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(config), 2)
	f.Add([]byte(`{"layers":{},"platform":{"os":"linux"},"cps":{"name":"x","cps_version":"0.13","components":{}},"requires":[{"package":"z"}]}`), 1)
	f.Fuzz(func(t *testing.T, raw []byte, layers int) {
		c, err := parse(raw, layers, limit.Default)
		if err != nil {
			return
		}
		must(t, layer.CheckFiles(c.Files, limit.Default))
		raw = written(t, c)
		again, err := parse(raw, layers, limit.Default)
		must(t, err)
		if fmt.Sprint(again.Files) != fmt.Sprint(c.Files) {
			t.Fatalf("the files are %v, and were %v", again.Files, c.Files)
		}
		if twice := written(t, again); string(twice) != string(raw) {
			t.Fatalf("written again it is %s, and was %s", twice, raw)
		}
	})
}

// The store and locks keep what has a digest of SHA-256 or SHA-512.
func TestADigestThatCannotBeKeptIsRefused(t *testing.T) {
	for algorithm, digits := range map[string]int{"sha256": 64, "sha384": 96, "sha512": 128} {
		desc := ocispec.Descriptor{Digest: digest.NewDigestFromEncoded(digest.Algorithm(algorithm), strings.Repeat("0", digits))}
		if err := CheckDescriptor(desc); (err == nil) != (algorithm != "sha384") || err != nil && !errors.Is(err, errdef.ErrVerification) {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// What is short on the wire may be large in memory.
func TestListsOfNothingTakeLittleMemory(t *testing.T) {
	list := func(n int, element string) string { return strings.TrimSuffix(strings.Repeat(element+",", n), ",") }
	config := func(text string) error {
		_, err := parseConfig(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }, 1, limit.Default)
		return err
	}
	for name, parse := range map[string]func() error{
		"an index": func() error {
			_, err := ParseIndex(t.Context(), []byte(`{"schemaVersion":2,"manifests":[`+list(4<<20, "{}")+`]}`))
			return err
		},
		"a manifest": func() error { _, err := ParseManifest([]byte(`{"layers":[` + list(4<<20, "{}") + `]}`)); return err },
		"annotations": func() error {
			_, err := ParseManifest([]byte(`{"layers":[` + list(1<<20, `{"urls":["",""]}`) + `]}`))
			return err
		},
		"what a config needs":  func() error { return config(`{"requires":[` + list(4<<20, "{}") + `]}`) },
		"layers of a config":   func() error { return config(`{"layers":{"x":[` + list(4<<20, `""`) + `]}}`) },
		"a link description":   func() error { return config(`{"cps":{"components":{"a":{"requires":[` + list(4<<20, `""`) + `]}}}}`) },
		"keys of a config":     func() error { return config(`{"x":{` + list(1<<20, `"a":1`) + `}}`) },
		"a string of a config": func() error { return config(`{"x":"` + strings.Repeat("a", 8<<20) + `"}`) },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := parse()
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, errdef.ErrVerification) || took > 96<<20 { // with the document itself
			t.Errorf("%s: %d MiB, %v", name, took>>20, err)
		}
	}
}
