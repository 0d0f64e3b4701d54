// Package artifact says what a package is in OCI terms: its media types, its
// config, its manifest, and the index that gathers its platforms; it makes them
// from files, and reads them from whatever holds blobs.
//
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
package artifact

import (
	"bytes"
	"context"
	_ "crypto/sha512" // for digests of that algorithm
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/jsonstream"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// Media types of a package.
const (
	ArtifactType   = "application/vnd.ocipkg.v1.artifact"
	ConfigType     = "application/vnd.ocipkg.v1.config+json"
	ConfigTypeZstd = "application/vnd.ocipkg.v1.config+json+zstd"
	LayerTypeZstd  = "application/vnd.ocipkg.v1.layer.tar+zstd"
	LayerTypeGzip  = "application/vnd.ocipkg.v1.layer.tar+gzip"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// ManifestTypes are the media types of what a registry is asked for by name:
// manifests and indexes.
var ManifestTypes = []string{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, dockerManifest, dockerIndex}

// Fetcher gives a blob, manifest or index by its descriptor. What it gives is
// not verified: [ReadBlob] and [Verified] do that.
type Fetcher interface {
	Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error)
}

// Resumer is a [Fetcher] that may give the rest of a blob.
type Resumer interface {
	Fetcher
	// FetchFrom is Fetch without the first bytes of the blob.
	FetchFrom(ctx context.Context, desc ocispec.Descriptor, offset int64) (io.ReadCloser, error)
	// InOneStream has blobs fetched from their beginning in one answer from now on,
	// after what came in parts was not what it should be. It tells whether that
	// makes a difference.
	InOneStream() bool
}

// FetchFrom is [Resumer.FetchFrom] for any fetcher.
func FetchFrom(ctx context.Context, from Fetcher, desc ocispec.Descriptor, offset int64) (io.ReadCloser, error) {
	if r, ok := from.(Resumer); ok {
		return r.FetchFrom(ctx, desc, offset)
	}
	blob, err := from.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, blob, offset); err != nil {
		blob.Close()
		return nil, err
	}
	return blob, nil
}

// InOneStream is [Resumer.InOneStream] for any fetcher.
func InOneStream(from Fetcher) bool {
	r, ok := from.(Resumer)
	return ok && r.InOneStream()
}

// Package is a manifest with its config.
type Package struct {
	Descriptor  ocispec.Descriptor // of the manifest
	Manifest    ocispec.Manifest
	RawManifest []byte // as it came
	RawConfig   []byte // as it came
	// Config is what an ocipkg config says; its zero value when the package
	// was published by something else.
	Config Config
}

// IsIndex tells whether desc is of several packages, one a platform.
func IsIndex(desc ocispec.Descriptor) bool {
	return desc.MediaType == ocispec.MediaTypeImageIndex || desc.MediaType == dockerIndex
}

// Verified gives a reader of the blob's bytes that are to be checked, and a
// function that says, once the reader was read to its end, whether they were
// the ones that desc names. Its error is of kind [errdef.ErrVerification].
func Verified(r io.Reader, desc ocispec.Descriptor) (io.Reader, func() error) {
	verifier := content.NewVerifyReader(r, desc)
	return verifier, func() error {
		if err := verifier.Verify(); err != nil {
			return errdef.Errorf(errdef.ErrVerification, "%s is not what it should be (%d bytes of that digest): %w", desc.Digest, desc.Size, err)
		}
		return nil
	}
}

// ReadBlob reads and verifies a blob of at most limit bytes.
func ReadBlob(ctx context.Context, from Fetcher, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	if err := CheckDescriptor(desc); err != nil {
		return nil, err
	}
	if desc.Size > limit {
		return nil, errdef.Errorf(errdef.ErrVerification, "%s has %d bytes; a %s of more than %d is not read", desc.Digest, desc.Size, desc.MediaType, limit)
	}
	blob, err := from.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	r, verify := Verified(blob, desc)
	raw := make([]byte, desc.Size)
	if _, err := io.ReadFull(r, raw); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, errdef.Errorf(errdef.ErrVerification, "%s is cut short: it should have %d bytes", desc.Digest, desc.Size)
		}
		return nil, fmt.Errorf("read %s: %w", desc.Digest, err)
	}
	return raw, verify()
}

// ReadManifest reads and verifies a manifest or an index.
func ReadManifest(ctx context.Context, from Fetcher, desc ocispec.Descriptor) ([]byte, error) {
	limits := limit.From(ctx)
	if desc.Size > limits.Manifest {
		return nil, limits.Exceeded("manifest", "the manifest %s has %d bytes", desc.Digest, desc.Size)
	}
	return ReadBlob(ctx, from, desc, limits.Manifest)
}

// CheckDescriptor tells whether desc can name a blob: a digest of an algorithm by
// which the store and locks can keep it, and a size that is not negative.
func CheckDescriptor(desc ocispec.Descriptor) error {
	if err := desc.Digest.Validate(); err != nil {
		return errdef.Errorf(errdef.ErrVerification, "a descriptor has the digest %q: %w", desc.Digest, err)
	}
	if _, _, ok := reference.SplitDigest(desc.Digest.String()); !ok {
		return errdef.Errorf(errdef.ErrVerification, "a descriptor has the digest %s; only those of SHA-256 and SHA-512 are read", desc.Digest)
	}
	if desc.Size < 0 {
		return errdef.Errorf(errdef.ErrVerification, "the descriptor of %s has the size %d", desc.Digest, desc.Size)
	}
	return nil
}

// Open reads the package whose manifest desc names.
func Open(ctx context.Context, from Fetcher, desc ocispec.Descriptor) (*Package, error) {
	raw, err := ReadManifest(ctx, from, desc)
	if err != nil {
		return nil, err
	}
	return OpenManifest(ctx, from, desc, raw)
}

// OpenManifest is [Open] for a manifest whose verified bytes are at hand.
func OpenManifest(ctx context.Context, from Fetcher, desc ocispec.Descriptor, raw []byte) (*Package, error) {
	manifest, err := ParseManifest(raw)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	p := &Package{Descriptor: desc, Manifest: manifest, RawManifest: raw}
	limits := limit.From(ctx)
	if manifest.Config.Size > limits.Config {
		return nil, limits.Exceeded("config", "the config %s of %s has %d bytes", manifest.Config.Digest, desc.Digest, manifest.Config.Size)
	}
	if p.RawConfig, err = ReadBlob(ctx, from, manifest.Config, limits.Config); err != nil {
		return nil, fmt.Errorf("config of %s: %w", desc.Digest, err)
	}
	if !p.IsNative() {
		return p, nil
	}
	if p.Config, err = p.readConfig(limits); err != nil {
		return nil, fmt.Errorf("config %s: %w", manifest.Config.Digest, err)
	}
	return p, nil
}

// IsNative tells whether the package was published by ocipkg: by this program
// or by the Rust one from 0.3 on.
func (p *Package) IsNative() bool {
	return p.Manifest.Config.MediaType == ConfigType || p.Manifest.Config.MediaType == ConfigTypeZstd
}

// ListsFiles tells whether the config says what every layer holds, so that the
// layers are independent of each other and of no surprise.
func (p *Package) ListsFiles() bool { return p.IsNative() && len(p.Config.Files) > 0 }

// ParseManifest reads a manifest. What is not one, or is one and an index at
// once, gives an error of kind [errdef.ErrVerification].
func ParseManifest(raw []byte) (ocispec.Manifest, error) {
	var doc struct {
		ocispec.Manifest
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := decodeStrictly(raw, &doc, 0); err != nil {
		return ocispec.Manifest{}, err
	}
	switch {
	case doc.Manifests != nil:
		return ocispec.Manifest{}, errdef.Errorf(errdef.ErrVerification, "it has both layers and manifests")
	case doc.MediaType != "" && doc.MediaType != ocispec.MediaTypeImageManifest && doc.MediaType != dockerManifest:
		return ocispec.Manifest{}, errdef.Errorf(errdef.ErrVerification, "it says that it is a %s", doc.MediaType)
	case doc.SchemaVersion != 2:
		return ocispec.Manifest{}, errdef.Errorf(errdef.ErrVerification, "its schemaVersion is %d, not 2", doc.SchemaVersion)
	}
	for _, desc := range append([]ocispec.Descriptor{doc.Config}, doc.Layers...) {
		if err := CheckDescriptor(desc); err != nil {
			return ocispec.Manifest{}, err
		}
	}
	return doc.Manifest, nil
}

// ParseIndex reads an image index, as [ParseManifest] does a manifest.
func ParseIndex(ctx context.Context, raw []byte) (ocispec.Index, error) {
	var doc struct {
		ocispec.Index
		Layers json.RawMessage `json:"layers"`
		Config json.RawMessage `json:"config"`
	}
	if err := decodeStrictly(raw, &doc, limit.From(ctx).Index); err != nil {
		return ocispec.Index{}, err
	}
	switch {
	case doc.Layers != nil || doc.Config != nil:
		return ocispec.Index{}, errdef.Errorf(errdef.ErrVerification, "it has both manifests and layers")
	case doc.MediaType != "" && doc.MediaType != ocispec.MediaTypeImageIndex && doc.MediaType != dockerIndex:
		return ocispec.Index{}, errdef.Errorf(errdef.ErrVerification, "it says that it is a %s", doc.MediaType)
	case doc.SchemaVersion != 2:
		return ocispec.Index{}, errdef.Errorf(errdef.ErrVerification, "its schemaVersion is %d, not 2", doc.SchemaVersion)
	}
	if limits := limit.From(ctx); int64(len(doc.Manifests)) > limits.Index {
		return ocispec.Index{}, limits.Exceeded("index", "it has %d entries", len(doc.Manifests))
	}
	for _, desc := range doc.Manifests {
		if err := CheckDescriptor(desc); err != nil {
			return ocispec.Index{}, err
		}
	}
	return doc.Index, nil
}

// decodeStrictly is decode for documents that other programs read too, whose lists
// have up to so many elements, or the usual ones.
func decodeStrictly(raw []byte, doc any, elements int64) error {
	bounds := jsonstream.Bounds{Values: 10 * max(elements, maxElements), Elements: max(elements, maxElements)}
	if _, err := io.Copy(io.Discard, jsonstream.NewBounded(bytes.NewReader(raw), bounds, tooMuch)); err != nil {
		return err
	}
	if err := decode(raw, doc); err != nil {
		return err
	}
	return manifestKeys.check(bytes.NewReader(raw))
}

// maxElements is how many elements a list of a manifest or an index may have, each
// of which becomes some hundred bytes, unless more entries of an index are asked
// for.
const maxElements = 50_000

func tooMuch(what string, most int64) error {
	return errdef.Mark(errdef.ErrVerification, jsonstream.TooMuch(what, most))
}

func decode(raw []byte, doc any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if err := decoder.Decode(doc); err != nil {
		return invalid(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errdef.Errorf(errdef.ErrVerification, "it has data after its end")
	}
	return nil
}

// invalid is the error for a document that could not be read, unless that is one
// of what it was read from.
func invalid(err error) error {
	if errors.Is(err, errdef.ErrVerification) {
		return err
	}
	return errdef.Errorf(errdef.ErrVerification, "it is no valid document: %w", err)
}

// Unpack annotations of https://oras.land: what a layer's file is called, and
// whether it is an archive to be unpacked.
const orasUnpack = "io.deis.oras.content.unpack"

// Layer says how one layer of a package is read.
type Layer struct {
	Descriptor  ocispec.Descriptor
	Compression layer.Compression
	// Title is the name of the file that the layer is, when it is no archive.
	Title string
}

// Layers says how each layer of the package is read. Archives are told by their
// media type; any other layer is the file that its
// org.opencontainers.image.title names. A plain tar with a title is such a file
// too, unless it asks to be unpacked: ORAS pushes every file as that type.
func (p *Package) Layers() ([]Layer, error) {
	layers := make([]Layer, len(p.Manifest.Layers))
	for i, desc := range p.Manifest.Layers {
		l := Layer{Descriptor: desc}
		title := desc.Annotations[ocispec.AnnotationTitle]
		compression, archive := compressionOf(desc.MediaType)
		if archive && compression == layer.None && title != "" && desc.Annotations[orasUnpack] != "true" {
			archive = false
		}
		switch {
		case archive:
			l.Compression = compression
		case title != "":
			l.Title = title
		default:
			return nil, errdef.Errorf(errdef.ErrVerification, "layer %s is a %s without a title: it is no archive, and nothing says what file it is", desc.Digest, desc.MediaType)
		}
		layers[i] = l
	}
	return layers, nil
}

// Content gives what each layer of a package that lists its files is to hold, and
// tells whether tree can hold it.
func (p *Package) Content(layers []Layer, tree *layer.Tree) ([][]layer.File, error) {
	counts := make([]int, len(layers))
	for _, f := range p.Config.Files {
		counts[f.Layer]++
	}
	content := make([][]layer.File, len(layers))
	for i, n := range counts { // of very many files, what grows takes up much more than they do
		content[i] = make([]layer.File, 0, n)
	}
	for _, f := range p.Config.Files {
		content[f.Layer] = append(content[f.Layer], f)
	}
	sizes := make([]int64, len(layers))
	for i, l := range layers {
		sizes[i] = l.Descriptor.Size
		if l.Title != "" {
			return nil, errdef.Errorf(errdef.ErrVerification, "layer %s is the file %q, and not an archive", l.Descriptor.Digest, l.Title)
		}
	}
	return content, tree.Expect(p.Config.Files, sizes)
}

// compressionOf reads a layer's media type. Foreign layers, which a descriptor's
// urls would name, are not fetched from there: their type is no archive here.
func compressionOf(mediaType string) (layer.Compression, bool) {
	switch mediaType {
	case LayerTypeZstd, ocispec.MediaTypeImageLayerZstd:
		return layer.Zstd, true
	case LayerTypeGzip, ocispec.MediaTypeImageLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip":
		return layer.Gzip, true
	case ocispec.MediaTypeImageLayer, "application/vnd.docker.image.rootfs.diff.tar":
		return layer.None, true
	}
	return layer.None, false
}

// Name gives the name that a descriptor in a layout's index.json carries; empty
// when it has none.
func Name(desc ocispec.Descriptor) string {
	return desc.Annotations[ocispec.AnnotationRefName]
}

// PackageName gives the name of a package that a descriptor in a layout's
// index.json carries. Other tools note only a tag there, which names no package.
func PackageName(desc ocispec.Descriptor) string {
	if name := Name(desc); strings.Contains(name, "/") {
		return name
	}
	return ""
}
