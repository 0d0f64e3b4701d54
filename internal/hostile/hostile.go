package hostile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Case is a package, and what must come of it.
type Case struct {
	// Name says in words what is wrong. Where that was reported of another program,
	// it begins with the advisory's ids.
	Name string
	// Make makes the package.
	Make func(at Place) *Content
	// Refused is what the error says, beside the name of what was asked for; nil
	// where the package is legal.
	Refused []string
	// Code is what the programs exit with when they refuse it; zero is that of a
	// failed verification.
	Code int
	// Missing says that a blob is not there, which of a registry is one of not
	// found.
	Missing bool
	// Holds is what the package unpacks to where it is legal: path=content,
	// path=N bytes where that is longer than a line, path->target, path/. Outside
	// stands for the path of that directory without the first slash.
	Holds []string
	// Limit is what --limit is set to; empty leaves it.
	Limit string
	// Listable says that it can be inspected: what is wrong shows only when it is
	// unpacked for a target.
	Listable bool
	// RegistryOnly says that only a registry can be wrong in that way.
	RegistryOnly bool
}

// Place is where the cases are tried.
type Place struct {
	// Outside is the absolute path of a directory that nothing may touch. There is
	// a file canary in it. The package is unpacked in another directory, below the
	// one that Outside is in.
	Outside string
	// URL is that of a server that nobody may ask.
	URL string
}

// Advisory tells whether a case is one that was reported of another program.
func (c Case) Advisory() bool {
	return strings.HasPrefix(c.Name, "CVE-") || strings.HasPrefix(c.Name, "GHSA-")
}

// ExitCode gives what the programs exit with when the package comes from a
// registry, or from a layout: zero where it is legal.
func (c Case) ExitCode(registry bool) int {
	const notFound, verification = 3, 5
	switch {
	case c.Refused == nil:
		return 0
	case c.Missing && registry:
		return notFound
	case c.Code == 0:
		return verification
	}
	return c.Code
}

// Corpus is all the cases.
func Corpus() []Case {
	return slices.Concat(paths(), links(), kinds(), sizes(), streams(), twoReaders(), listings(), manifests(), names())
}

const (
	configType = "application/vnd.ocipkg.v1.config+json"
	layerType  = "application/vnd.ocipkg.v1.layer.tar+zstd"
)

// image gives a container image for Linux with a layer of these entries: a package
// by others, which says nothing of what is in it.
func image(entries ...entry) func(Place) *Content {
	return imageOf(ocispec.MediaTypeImageLayer, tarball(entries...))
}

// imageOf is image with layers as they are, one on the other.
func imageOf(mediaType string, layers ...[]byte) func(Place) *Content {
	return imageFor("linux", mediaType, layers...)
}

func imageFor(os, mediaType string, layers ...[]byte) func(Place) *Content {
	return func(Place) *Content {
		c := newContent()
		var descs []ocispec.Descriptor
		for _, raw := range layers {
			descs = append(descs, c.add(mediaType, raw))
		}
		c.manifest(c.add(ocispec.MediaTypeImageConfig, fmt.Appendf(nil, `{"os":%q,"architecture":"amd64"}`, os)), descs...)
		return c
	}
}

// outside makes a case's entries with the path of what nobody may touch.
func outside(entries func(path string) []entry) func(Place) *Content {
	return func(at Place) *Content { return image(entries(at.Outside)...)(at) }
}

// manifest makes the manifest of a config and layers the root.
func (c *Content) manifest(config ocispec.Descriptor, layers ...ocispec.Descriptor) {
	c.root(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "config": config, "layers": append([]ocispec.Descriptor{}, layers...)})
}

// root makes a manifest the root.
func (c *Content) root(manifest any) {
	raw, err := json.Marshal(manifest)
	if err != nil {
		panic(err)
	}
	c.Root = c.add(ocispec.MediaTypeImageManifest, raw)
}

// listed is how a config lists an entry, which the layer of that number has.
func (e entry) listed() string {
	item := map[string]any{"path": e.name, "size": len(e.body), "mode": fmt.Sprintf("%04o", e.mode), "layer": 0}
	if e.kind == '2' {
		item["target"] = e.link
	}
	raw, err := json.Marshal(item)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// packed gives a package of our own for Linux, whose config lists what list says,
// and whose layer holds entries.
func packed(list []string, entries ...entry) func(Place) *Content {
	return packedFor("linux", list, zstdCompressed(tarball(entries...)))
}

func packedFor(os string, list []string, layers ...[]byte) func(Place) *Content {
	platform := fmt.Sprintf(`"platform":{"os":%q,"architecture":"amd64"},`, os)
	if os == "" {
		platform = ""
	}
	return withConfig(fmt.Sprintf(`{%s"files":[%s]}`, platform, strings.Join(list, ",")), layers...)
}

// withConfig gives a package of our own with a config as it is written.
func withConfig(config string, layers ...[]byte) func(Place) *Content {
	return func(Place) *Content {
		c := newContent()
		var descs []ocispec.Descriptor
		for _, raw := range layers {
			descs = append(descs, c.add(layerType, raw))
		}
		c.manifest(c.add(configType, []byte(config)), descs...)
		return c
	}
}

// honest gives a package of our own that holds what it lists.
func honest(entries ...entry) func(Place) *Content { return packed(list(entries...), entries...) }

func list(entries ...entry) (all []string) {
	for _, e := range entries {
		all = append(all, e.listed())
	}
	return all
}

// change makes other content of that of a case.
func change(of func(Place) *Content, by func(*Content)) func(Place) *Content {
	return func(at Place) *Content {
		c := of(at)
		by(c)
		return c
	}
}

func says(text ...string) []string { return text }
