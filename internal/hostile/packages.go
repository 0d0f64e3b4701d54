package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const platform = 7 // the exit code where no package fits

// sized is a file whose header says another size.
func sized(size string) entry {
	e := file("a", "1")
	e.size = size
	return e
}

// sizes are those that lie, or are too much.
func sizes() []Case {
	many := make([]entry, 101)
	for i := range many {
		many[i] = file(fmt.Sprintf("%03d", i), "")
	}
	tenGiB := strings.Replace(file("zeros", "").listed(), `"size":0`, `"size":10737418240`, 1)
	zeros := tarball(file("zeros", strings.Repeat("\x00", 1<<20)))
	return []Case{
		{Name: "a negative size in a header", Make: image(sized("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")), Refused: says("invalid tar header")},
		{Name: "a size in a header that overflows", Make: image(sized("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")), Refused: says("invalid tar header")},
		{Name: "a size in a header that is no number", Make: image(sized("0x1F")), Refused: says("invalid tar header")},
		{Name: "a negative size in a record", Make: image(paxFile("a", "1", "size=-1")), Refused: says("invalid tar header")},
		{Name: "the largest size that there is", Make: image(paxFile("a", "1", "size=9223372036854775807")), Refused: says(`"a"`, "--limit bytes=")},
		{Name: "a size that overflows in a record", Make: image(paxFile("a", "1", "size=9223372036854775808")), Refused: says("invalid tar header")},
		{Name: "a size beyond the end of the archive", Make: image(sized("77777777777\x00")), Refused: says("unexpected EOF")},
		{Name: "a negative size that is listed", Make: packed([]string{strings.Replace(file("a", "").listed(), `"size":0`, `"size":-1`, 1)}, file("a", "")), Refused: says(`"a"`, "negative")},
		{Name: "a listed size that overflows", Make: packed([]string{strings.Replace(file("a", "").listed(), `"size":0`, `"size":9223372036854775808`, 1)}, file("a", "")), Refused: says("no valid document")},
		{Name: "listed sizes that overflow together", Make: packed([]string{strings.Replace(file("a", "").listed(), `"size":0`, `"size":9223372036854775807`, 1), strings.Replace(file("b", "").listed(), `"size":0`, `"size":9223372036854775807`, 1)}), Refused: says("--limit bytes=")},
		{Name: "more entries than are allowed", Make: image(many...), Limit: "entries=100", Refused: says("more than 100 entries", "--limit entries=")},
		{Name: "more listed entries than are allowed", Make: honest(many...), Limit: "entries=100", Refused: says("more than 100 files", "--limit entries=")},
		{Name: "as many listed entries as are allowed", Make: honest(many[:3]...), Limit: "entries=3", Holds: says("000=", "001=", "002=")},
		{Name: "more bytes than are allowed", Make: image(file("a", "12345"), file("b", "12345")), Limit: "bytes=9", Refused: says(`"b"`, "more than 9 bytes", "--limit bytes=")},
		{Name: "more listed bytes than are allowed", Make: honest(file("a", "12345"), file("b", "12345")), Limit: "bytes=9", Refused: says(`"b"`, "more than 9 bytes", "--limit bytes=")},
		{Name: "a file of ORAS that is larger than allowed", Make: titled("a"), Limit: "bytes=3", Refused: says("--limit bytes=")},
		{Name: "a listed bomb of 10 GiB", Make: packedFor("linux", []string{tenGiB}, zstdCompressed(zeros)), Refused: says("more than 100 bytes for each compressed one", "--limit ratio=")},
		{Name: "a bomb in a bomb, of which one is opened", Make: imageOf(ocispec.MediaTypeImageLayerGzip, gzipped(tarball(file("inner.gz", string(gzipped(zeros)))))), Holds: says(fmt.Sprintf("inner.gz=%d bytes", len(gzipped(zeros))))},
		{Name: "a config that is a bomb", Make: func(Place) *Content {
			c := newContent()
			c.manifest(c.add(configType+"+zstd", zstdCompressed(bytes.Repeat([]byte(" "), 1<<20)))) // which may stand before a document
			return c
		}, Refused: says("config sha256:", "larger than")},
		{Name: "a window of 128 MiB", Make: imageOf(ocispec.MediaTypeImageLayerZstd, zstdCompressed(slices.Concat(tarball(file("a", "1")), make([]byte, 512)), zstd.WithWindowSize(128<<20), zstd.WithSingleSegment(false))), Refused: says("window of more than 67108864 bytes")},
	}
}

// streams are layers that end too early, too late, or in pieces.
func streams() []Case {
	raw := tarball(file("a", "1"), file("b", strings.Repeat("2", 2000)))
	hidden := tarball(file("hidden", ""))
	holds := says("a=1", "b=2000 bytes")
	third := len(raw) / 3
	image := func(compress func([]byte) []byte, parts ...[]byte) func(Place) *Content {
		mediaType := ocispec.MediaTypeImageLayerGzip
		if compress(nil) != nil && bytes.HasPrefix(compress([]byte("x")), []byte{0x28, 0xb5}) {
			mediaType = ocispec.MediaTypeImageLayerZstd
		}
		return imageOf(mediaType, bytes.Join(parts, nil))
	}
	packed := func(raw []byte) []byte { return zstdCompressed(raw) }
	var cases []Case
	for name, compress := range map[string]func([]byte) []byte{"gzip": gzipped, "zstd": packed} {
		whole := compress(raw)
		cases = append(cases,
			Case{Name: name + ", in several parts", Make: image(compress, compress(raw[:third]), compress(raw[third:2*third]), compress(raw[2*third:])), Holds: holds},
			Case{Name: name + ", with an empty part", Make: image(compress, compress(nil), whole, compress(nil)), Holds: holds},
			Case{Name: name + ", cut short", Make: image(compress, whole[:len(whole)/2]), Refused: says("EOF")},
			Case{Name: name + ", without its checksum", Make: image(compress, whole[:len(whole)-3]), Refused: says("EOF")},
			Case{Name: name + ", with bytes after it", Make: image(compress, whole, []byte("trailing")), Refused: says("read the layer")},
			Case{Name: name + ", with an archive after it", Make: image(compress, whole, compress(hidden)), Refused: says("data after the end")},
			Case{Name: name + ", with an archive after the first in one part", Make: image(compress, compress(slices.Concat(raw, hidden))), Refused: says("data after the end")},
			Case{Name: name + ", with much padding", Make: image(compress, whole, compress(make([]byte, 2<<20))), Refused: says("padding")},
			Case{Name: name + ", of which a byte is another", Make: image(compress, changed(whole)), Refused: says("layer sha256:")},
		)
	}
	return append(cases,
		Case{Name: "zstd, with frames that say nothing", Make: image(packed, skippable("abc"), packed(raw), skippable("PK\x03\x04")), Holds: holds},
		Case{Name: "zstd that is said to be gzip", Make: imageOf(ocispec.MediaTypeImageLayerGzip, packed(raw)), Refused: says("gzip")},
		Case{Name: "no archive at all", Make: imageOf(ocispec.MediaTypeImageLayer, bytes.Repeat([]byte("no archive "), 1000)), Refused: says("read the layer")},
		Case{Name: "an archive that is cut in a file", Make: imageOf(ocispec.MediaTypeImageLayer, raw[:1800]), Refused: says("EOF")},
		Case{Name: "an archive that is cut in a header", Make: imageOf(ocispec.MediaTypeImageLayer, raw[:1100]), Refused: says("read the layer")},
		Case{Name: "an archive without the blocks at its end", Make: imageOf(ocispec.MediaTypeImageLayer, raw[:len(raw)-1024]), Holds: holds},
		Case{Name: "a layer of our own that is cut short", Make: packedFor("linux", list(file("a", "1")), packed(tarball(file("a", "1")))[:40]), Refused: says("layer sha256:")},
	)
}

func changed(raw []byte) []byte {
	raw = slices.Clone(raw)
	raw[len(raw)/2] ^= 1
	return raw
}

// twoReaders are archives of which two readers may see different files.
func twoReaders() []Case {
	inner := tarball(file("smuggled", "1"))[:1024] // the entry alone
	longer := paxFile("outer", string(inner), fmt.Sprintf("size=%d", len(inner)))
	longer.size = "00000000000"
	shorter := paxFile("outer", string(inner), "size=0")
	twoNames := paxFile("a", "1", "path=harmless")
	twoNames.gnuName = "harmful"
	twoTargets := symlink("l", "a")
	twoTargets.pax, twoTargets.gnuLink = []string{"linkpath=harmless"}, "harmful"
	sameNames := paxFile("a", "1", "path=b")
	sameNames.gnuName = "b"
	return []Case{
		// POSIX has the record count, and the file is what it says.
		{Name: "CVE-2025-62518: a size in a record, and none in the header", Make: image(longer), Holds: says("outer=1024 bytes")},
		{Name: "CVE-2025-62518: a size in the header, and none in the record", Make: image(shorter), Holds: says("outer=", "smuggled=1")},
		{Name: "CVE-2025-62518: a size in a record, in a layer of our own", Make: packed(list(entry{name: "outer", body: string(inner), mode: 0o644}), longer), Holds: says("outer=1024 bytes")},
		{Name: "CVE-2025-62518: a file that is smuggled into a layer of our own", Make: packed(list(file("outer", "")), shorter), Refused: says(`"smuggled"`, "does not list")},
		{Name: "CVE-2025-62518: a name by POSIX and another by GNU", Make: image(twoNames), Refused: says("harmless", "harmful", "at once")},
		{Name: "a target by POSIX and another by GNU", Make: image(twoTargets), Refused: says("harmless", "harmful", "at once")},
		{Name: "one name by POSIX and by GNU", Make: image(sameNames), Holds: says("b=1")},
		{Name: "two entries of one name, of which the last counts", Make: image(file("a", "1"), file("a", "2")), Holds: says("a=2")},
		{Name: "two entries of one name in a layer of our own", Make: packed(list(file("a", "1")), file("a", "1"), file("a", "2")), Refused: says(`"a"`, "does not list")},
	}
}

// listings are packages of our own that are not what they list.
func listings() []Case {
	a, b := file("a", "1"), file("b", "2")
	layer := zstdCompressed(tarball(a))
	item := a.listed()
	odd := func(old, text string) func(Place) *Content {
		return packed([]string{strings.Replace(item, old, text, 1)}, a)
	}
	return []Case{
		{Name: "what it lists", Make: honest(a, symlink("l", "a"), dir("d")), Holds: says("a=1", "d/", "l->a")},
		{Name: "an entry that is not listed", Make: packed(list(a), a, b), Refused: says(`"b"`, "does not list")},
		{Name: "a listed file that does not come", Make: packed(list(a, b), a), Refused: says(`"b"`, "does not hold")},
		{Name: "a listed file in another layer", Make: packedFor("linux", []string{item, strings.Replace(b.listed(), `"layer":0`, `"layer":1`, 1)}, zstdCompressed(tarball(b)), layer), Refused: says("does not list")},
		{Name: "a file that is listed twice", Make: packed(list(a, a), a), Refused: says(`"a"`, "twice")},
		{Name: "a file with more bytes than listed", Make: packed(list(a), file("a", "12")), Refused: says(`"a" with 2 bytes`)},
		{Name: "a file with fewer bytes than listed", Make: packed(list(file("a", "12")), a), Refused: says(`"a" with 1 bytes`)},
		{Name: "another mode than listed", Make: odd("0644", "0755"), Refused: says("mode 0644", "mode 0755")},
		{Name: "a layer that is not there", Make: odd(`"layer":0`, `"layer":1`), Refused: says("layer 1 of 1")},
		{Name: "a layer before the first", Make: odd(`"layer":0`, `"layer":-1`), Refused: says("layer -1 of 1")},
		{Name: "a digest that is none", Make: odd(`{"`, `{"digest":"sha256:x","`), Refused: says("sha256:x")},
		{Name: "a config of another package", Make: packed(list(b), a), Refused: says(`"a"`, "does not list")},
		{Name: "a config that is none", Make: withConfig(`[]`, layer), Refused: says("config sha256:", "no valid document")},
		{Name: "a config that is not there", Make: change(honest(a), func(c *Content) {
			for d, kind := range c.types {
				if kind == configType {
					delete(c.blobs, d)
				}
			}
		}), Refused: says("sha256:"), Missing: true},
		{Name: "a config with a key twice", Make: withConfig(`{"files":[],"files":[`+item+`]}`, layer), Refused: says(`"files" comes twice`)},
		{Name: "a config with a key in other letters", Make: withConfig(`{"Files":[`+item+`]}`, layer), Refused: says(`"Files"`, "other letters")},
		{Name: "a config with data after it", Make: withConfig(`{"files":[`+item+`]}{}`, layer), Refused: says("data after its end")},
		{Name: "a config that is deep", Make: withConfig(`{"x":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`}`, layer), Refused: says("no valid document")},
		{Name: "a config that is larger than allowed", Make: honest(a), Limit: "config=20", Refused: says("the config sha256:", "--limit config=")},
	}
}

// manifests are those that lie, disagree with themselves, or never end.
func manifests() []Case {
	a := file("a", "1")
	good := honest(a)
	manifest := func(of func(Place) *Content, edit func(m map[string]any)) func(Place) *Content {
		return change(of, func(c *Content) {
			var m map[string]any
			if err := json.Unmarshal(c.blobs[c.Root.Digest], &m); err != nil {
				panic(err)
			}
			edit(m)
			delete(c.blobs, c.Root.Digest)
			c.root(m)
		})
	}
	text := func(old, new string) func(Place) *Content {
		return change(good, func(c *Content) {
			raw := bytes.Replace(c.blobs[c.Root.Digest], []byte(old), []byte(new), 1)
			delete(c.blobs, c.Root.Digest)
			c.Root = c.add(c.Root.MediaType, raw)
		})
	}
	layerOf := func(m map[string]any) map[string]any { return m["layers"].([]any)[0].(map[string]any) }
	configOf := func(m map[string]any) map[string]any { return m["config"].(map[string]any) }
	swap := func(kind string, by func(raw []byte) []byte) func(Place) *Content {
		return change(good, func(c *Content) {
			for d, mediaType := range c.types {
				if mediaType == kind {
					c.blobs[d] = by(slices.Clone(c.blobs[d]))
				}
			}
		})
	}
	more := func(raw []byte) []byte { return append(raw, 0) }
	fewer := func(raw []byte) []byte { return raw[:len(raw)-1] }
	index := func(edit func(c *Content, entry *ocispec.Descriptor) map[string]any) func(Place) *Content {
		return change(good, func(c *Content) {
			entry := c.Root
			entry.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
			doc := edit(c, &entry)
			if doc["manifests"] == nil {
				doc["manifests"] = []ocispec.Descriptor{entry}
			}
			doc["schemaVersion"] = 2
			raw, err := json.Marshal(doc)
			if err != nil {
				panic(err)
			}
			c.Root = c.add(ocispec.MediaTypeImageIndex, raw)
		})
	}
	both := func(c *Content) {
		c.types[c.Root.Digest] = ocispec.MediaTypeImageIndex
		c.Root.MediaType = ocispec.MediaTypeImageIndex
	}
	urls := func(at Place, m map[string]any) { layerOf(m)["urls"] = []string{at.URL + "/layer"} }
	return []Case{
		{Name: "CVE-2024-3727 CVE-2014-8179: a manifest with other bytes", Make: swap(ocispec.MediaTypeImageManifest, changed), Refused: says("sha256:")},
		{Name: "CVE-2024-3727 CVE-2014-8179: a config with other bytes", Make: swap(configType, changed), Refused: says("config of sha256:", "not what it should be")},
		{Name: "CVE-2024-3727 CVE-2014-8179: a layer with other bytes", Make: swap(layerType, changed), Refused: says("layer sha256:", "not what it should be")},
		{Name: "CVE-2024-3727: a digest that is a path", Make: text(`"digest":"sha256:`, `"digest":"../../../outside/canary:`), Refused: says("../../../outside/canary")},
		{Name: "CVE-2024-3727: a digest without an algorithm", Make: manifest(good, func(m map[string]any) { configOf(m)["digest"] = strings.Repeat("0", 64) }), Refused: says("a descriptor has the digest")},
		{Name: "CVE-2014-8179: no digest", Make: manifest(good, func(m map[string]any) { delete(layerOf(m), "digest") }), Refused: says(`the digest ""`)},
		{Name: "an algorithm that is not known", Make: manifest(good, func(m map[string]any) { layerOf(m)["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e" }), Refused: says("md5:")},
		{Name: "GHSA-f36w-mj3v-6jqv: a layer with a byte more", Make: swap(layerType, more), Refused: says("sha256:")},
		{Name: "GHSA-f36w-mj3v-6jqv: a layer with a byte more, of no announced length", Make: change(swap(layerType, more), func(c *Content) { c.endless = true }), Refused: says("sha256:")},
		{Name: "GHSA-f36w-mj3v-6jqv: a layer with a byte less", Make: swap(layerType, fewer), Refused: says("sha256:")},
		{Name: "GHSA-f36w-mj3v-6jqv: a config with a byte more", Make: swap(configType, more), Refused: says("sha256:")},
		{Name: "GHSA-f36w-mj3v-6jqv: a config of a terabyte", Make: manifest(good, func(m map[string]any) { configOf(m)["size"] = 1 << 40 }), Refused: says("1099511627776 bytes", "--limit config=")},
		{Name: "GHSA-f36w-mj3v-6jqv: a layer of no bytes", Make: manifest(good, func(m map[string]any) { layerOf(m)["size"] = 0 }), Refused: says("sha256:")},
		{Name: "GHSA-f36w-mj3v-6jqv: a layer of fewer than no bytes", Make: manifest(good, func(m map[string]any) { layerOf(m)["size"] = -1 }), Refused: says("the size -1")},
		{Name: "GHSA-f36w-mj3v-6jqv: a package of an index with a size that lies", Make: index(func(_ *Content, entry *ocispec.Descriptor) map[string]any { entry.Size++; return map[string]any{} }), Refused: says("sha256:")},
		{Name: "GHSA-f36w-mj3v-6jqv: a package of an index with a size of a terabyte", Make: index(func(_ *Content, entry *ocispec.Descriptor) map[string]any {
			entry.Size = 1 << 40
			return map[string]any{}
		}), Refused: says("1099511627776 bytes", "--limit manifest=")},
		{Name: "CVE-2026-55588: a manifest that is larger than allowed", Make: good, Limit: "manifest=200", Refused: says("--limit manifest=")},
		{Name: "CVE-2026-55588: a manifest without end", Make: change(good, func(c *Content) {
			c.blobs[c.Root.Digest] = append(c.blobs[c.Root.Digest], bytes.Repeat([]byte(" "), 17<<20)...)
			c.endless = true
		}), Refused: says("--limit manifest="), RegistryOnly: true},
		{Name: "CVE-2026-55588: more entries in an index than are allowed", Make: index(func(c *Content, entry *ocispec.Descriptor) map[string]any {
			return map[string]any{"manifests": []ocispec.Descriptor{*entry, *entry, *entry}}
		}), Limit: "index=2", Refused: says("3 entries", "--limit index=")},
		{Name: "CVE-2026-55588: a manifest that is deep", Make: text(`{`, `{"x":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`,`), Refused: says("no valid document")},
		{Name: "GHSA-qq97-vm5h-rrhg GHSA-5j5w-g665-5m35: a manifest that is an index, too", Make: manifest(good, func(m map[string]any) { m["manifests"] = []any{} }), Refused: says("both layers and manifests")},
		{Name: "GHSA-qq97-vm5h-rrhg GHSA-5j5w-g665-5m35: an index that is a manifest, too", Make: index(func(*Content, *ocispec.Descriptor) map[string]any { return map[string]any{"layers": []any{}} }), Refused: says("both manifests and layers")},
		{Name: "GHSA-qq97-vm5h-rrhg GHSA-5j5w-g665-5m35: a manifest that is said to be an index", Make: change(good, both), Refused: says("manifest")},
		{Name: "GHSA-qq97-vm5h-rrhg GHSA-5j5w-g665-5m35: a manifest that says that it is an index", Make: manifest(good, func(m map[string]any) { m["mediaType"] = ocispec.MediaTypeImageIndex }), Refused: says("says that it is a", "index")},
		{Name: "GHSA-qq97-vm5h-rrhg GHSA-5j5w-g665-5m35: a manifest that a registry says is an index", Make: change(good, func(c *Content) { c.Type = ocispec.MediaTypeImageIndex }), Refused: says("manifest"), RegistryOnly: true},
		{Name: "GHSA-qq97-vm5h-rrhg GHSA-5j5w-g665-5m35: an index that a registry says is a manifest", Make: change(index(func(*Content, *ocispec.Descriptor) map[string]any { return map[string]any{} }), func(c *Content) { c.Type = ocispec.MediaTypeImageManifest }), Refused: says("manifest"), RegistryOnly: true},
		{Name: "a manifest that a registry says is a page, which says itself what it is", Make: change(good, func(c *Content) { c.Type = "text/html" }), Holds: says("a=1"), RegistryOnly: true},
		{Name: "GHSA-qq97-vm5h-rrhg: a key that comes twice", Make: text(`"layers":`, `"layers":[],"layers":`), Refused: says(`"layers" comes twice`)},
		{Name: "GHSA-qq97-vm5h-rrhg: a key in other letters", Make: text(`"layers":`, `"Layers":`), Refused: says(`"Layers"`, "other letters")},
		{Name: "data after a manifest", Make: text(`{`, `{}{`), Refused: says("data after its end")},
		{Name: "a manifest of another version", Make: manifest(good, func(m map[string]any) { m["schemaVersion"] = 1 }), Refused: says("schemaVersion is 1")},
		{Name: "a layer of an unknown type", Make: manifest(good, func(m map[string]any) { layerOf(m)["mediaType"] = "application/x" }), Refused: says("application/x", "no archive")},
		{Name: "data in a descriptor, which is not used", Make: manifest(good, func(m map[string]any) { layerOf(m)["data"] = "AAAA" }), Holds: says("a=1")},
		{Name: "CVE-2020-15157 GHSA-qvqc-4c52-x6qp: a layer that is elsewhere, too", Make: func(at Place) *Content { return manifest(good, func(m map[string]any) { urls(at, m) })(at) }, Holds: says("a=1")},
		{Name: "CVE-2020-15157 GHSA-qvqc-4c52-x6qp: a layer that is only elsewhere", Make: func(at Place) *Content {
			return change(manifest(good, func(m map[string]any) { urls(at, m) }), func(c *Content) {
				for d, kind := range c.types {
					if kind == layerType {
						delete(c.blobs, d)
					}
				}
			})(at)
		}, Refused: says("sha256:"), Missing: true},
		{Name: "CVE-2020-15157 GHSA-qvqc-4c52-x6qp: a foreign layer", Make: func(at Place) *Content {
			return manifest(good, func(m map[string]any) {
				urls(at, m)
				layerOf(m)["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
			})(at)
		}, Refused: says("foreign", "no archive")},
		{Name: "CVE-2026-55588: indexes in a circle", Make: index(func(c *Content, entry *ocispec.Descriptor) map[string]any {
			// A digest cannot be that of what names it: one of the two lies.
			entry.MediaType, entry.Digest = ocispec.MediaTypeImageIndex, digest.FromString("circle")
			inner := fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":100}]}`, ocispec.MediaTypeImageIndex, entry.Digest)
			entry.Size = int64(len(inner))
			c.blobs[entry.Digest], c.types[entry.Digest] = inner, ocispec.MediaTypeImageIndex
			return map[string]any{}
		}), Refused: says("index"), Code: platform, Listable: true},
		{Name: "an index in an index, which is not followed", Make: index(func(c *Content, entry *ocispec.Descriptor) map[string]any {
			raw, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []ocispec.Descriptor{*entry}})
			return map[string]any{"manifests": []ocispec.Descriptor{c.add(ocispec.MediaTypeImageIndex, raw)}}
		}), Refused: says("index"), Code: platform, Listable: true},
		{Name: "an index of one package", Make: index(func(*Content, *ocispec.Descriptor) map[string]any { return map[string]any{} }), Holds: says("a=1")},
		{Name: "a layer under a digest of SHA-512", Make: sha512(nil), Holds: says("a=1")},
		{Name: "a layer with other bytes under a digest of SHA-512", Make: sha512(changed), Refused: says("sha512:")},
	}
}

// sha512 gives a package whose layer has a digest of that algorithm.
func sha512(by func([]byte) []byte) func(Place) *Content {
	return func(Place) *Content {
		c := newContent()
		a := file("a", "1")
		layer := c.addAs(digest.SHA512, layerType, zstdCompressed(tarball(a)))
		if by != nil {
			c.blobs[layer.Digest] = by(c.blobs[layer.Digest])
		}
		c.manifest(c.add(configType, fmt.Appendf(nil, `{"platform":{"os":"linux"},"files":[%s]}`, a.listed())), layer)
		return c
	}
}
