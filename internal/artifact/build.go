package artifact

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/platform"
)

// Sink takes the blobs of a package as they are made, several at once.
type Sink interface {
	// Create starts a blob.
	Create() (Blob, error)
}

// Blob is one blob on its way into a [Sink]. Either Commit or Discard ends it.
type Blob interface {
	io.Writer
	// Commit says that the blob is whole, and what it is.
	Commit(desc ocispec.Descriptor) error
	// Discard gives the blob up. After Commit it does nothing.
	Discard()
}

// Spec is what a package is built from.
type Spec struct {
	// Files is the content, listed by package layer.
	Files []layer.File
	// Compression of the layers; empty is zstd.
	Compression layer.Compression
	// Annotations go onto the manifest as they are; nil is none.
	Annotations map[string]string
	Platform    platform.Platform
	CPS         *cps.Package
	Requires    []reference.Requirement
	// Complete sets the fields after Files from what is in the files, which takes
	// time: it runs while layers are packed, on a copy, and has Files to itself.
	// Its error is that of the whole. Nil when there is nothing to add.
	Complete func(*Spec) error
	// Memory knows layers that need not be packed; nil knows none.
	Memory Memory
}

// Memory knows what files became when they were packed before.
type Memory interface {
	// Recall gives the layer that files are, and sets their digests, where that
	// is known and its bytes are not needed.
	Recall(ctx context.Context, files []*layer.File) (layer.Packed, bool)
	// Remember notes what files became.
	Remember(files []*layer.File, packed layer.Packed)
}

const maxWorkers = 8 // layers packed at once; each holds about 24 MiB

// Build packs files into layers, writes them, the config and the manifest to
// sink, and gives the manifest's descriptor. The same spec gives the same
// digest.
func Build(ctx context.Context, sink Sink, spec Spec) (ocispec.Descriptor, error) {
	if spec.Compression == "" {
		spec.Compression = layer.Zstd
	}
	var layers []ocispec.Descriptor
	completed := spec
	work, working := errgroup.WithContext(ctx)
	if spec.Complete != nil {
		completed.Files = slices.Clone(spec.Files)
		work.Go(func() error { return spec.Complete(&completed) })
	}
	work.Go(func() (err error) {
		layers, err = packLayers(working, sink, spec)
		return err
	})
	if err := work.Wait(); err != nil {
		return ocispec.Descriptor{}, err
	}
	completed.Files = spec.Files // those with digests
	spec = completed
	config := Config{Files: spec.Files, Platform: spec.Platform, CPS: spec.CPS, Requires: spec.Requires}
	if spec.Compression == layer.Gzip { // the Rust program asks for it
		config.Layers = map[digest.Digest][]string{}
		for i, desc := range layers {
			config.Layers[desc.Digest] = layer.TopLevel(inLayer(spec.Files, i))
		}
	}
	configDesc, err := putConfig(sink, config, spec.Compression)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return putManifest(sink, ocispec.Manifest{ArtifactType: ArtifactType, Config: configDesc, Layers: layers, Annotations: spec.Annotations})
}

func inLayer(files []layer.File, number int) []*layer.File {
	var in []*layer.File
	for i := range files {
		if files[i].Layer == number {
			in = append(in, &files[i])
		}
	}
	return in
}

// packLayers packs the layers in parallel, the biggest first, and sets the
// Layer and Digest of each file.
func packLayers(ctx context.Context, sink Sink, spec Spec) ([]ocispec.Descriptor, error) {
	mediaType := LayerTypeZstd
	if spec.Compression == layer.Gzip {
		mediaType = LayerTypeGzip
	}
	groups := layer.Group(spec.Files)
	sizes := make([]int64, len(groups))
	for number, group := range groups {
		for _, i := range group {
			spec.Files[i].Layer = number
			sizes[number] += spec.Files[i].Size
		}
	}
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sizes[b], sizes[a]) })

	descs := make([]ocispec.Descriptor, len(groups))
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(min(runtime.GOMAXPROCS(0), maxWorkers))
	for _, number := range order {
		files := make([]*layer.File, len(groups[number]))
		for i, index := range groups[number] {
			files[i] = &spec.Files[index]
		}
		workers.Go(func() (err error) {
			if spec.Memory != nil {
				if packed, ok := spec.Memory.Recall(ctx, files); ok {
					descs[number] = ocispec.Descriptor{MediaType: mediaType, Digest: packed.Digest, Size: packed.Size}
					return nil
				}
			}
			descs[number], err = packLayer(ctx, sink, mediaType, spec.Compression, files, nil)
			if err == nil && spec.Memory != nil {
				spec.Memory.Remember(files, layer.Packed{Digest: descs[number].Digest, Size: descs[number].Size})
			}
			return err
		})
	}
	return descs, workers.Wait()
}

func packLayer(ctx context.Context, sink Sink, mediaType string, compression layer.Compression, files []*layer.File, plain io.Writer) (ocispec.Descriptor, error) {
	blob, err := sink.Create()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer blob.Discard()
	packed, err := layer.Pack(ctx, blob, plain, files, compression)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: packed.Digest, Size: packed.Size}
	return desc, blob.Commit(desc)
}

// put writes a blob as write gives it.
func put(sink Sink, mediaType string, write func(io.Writer) error) (ocispec.Descriptor, error) {
	blob, err := sink.Create()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer blob.Discard()
	var size counter
	sum := digest.SHA256.Digester()
	if err := write(io.MultiWriter(blob, sum.Hash(), &size)); err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: sum.Digest(), Size: int64(size)}
	return desc, blob.Commit(desc)
}

// putJSON writes a document that is small.
func putJSON(sink Sink, mediaType string, document any) (ocispec.Descriptor, error) {
	raw, err := json.Marshal(document)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return put(sink, mediaType, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}

func putManifest(sink Sink, manifest ocispec.Manifest) (ocispec.Descriptor, error) {
	manifest.Versioned = specs.Versioned{SchemaVersion: 2}
	manifest.MediaType = ocispec.MediaTypeImageManifest
	desc, err := putJSON(sink, ocispec.MediaTypeImageManifest, manifest)
	desc.ArtifactType = manifest.ArtifactType
	return desc, err
}

// BuildImage makes a runnable OCI image of one statically linked program: a
// layer that holds it at the root, and a config that starts it. Any container
// runtime runs it.
//
// https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
func BuildImage(ctx context.Context, sink Sink, program layer.File, built platform.Platform, annotations map[string]string) (ocispec.Descriptor, error) {
	program.Mode = 0o755
	plain := sha256.New()
	desc, err := packLayer(ctx, sink, ocispec.MediaTypeImageLayerGzip, layer.Gzip, []*layer.File{&program}, plain)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	config, err := putJSON(sink, ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: ocispec.Platform{OS: built.OS, Architecture: built.Architecture, Variant: built.Variant},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/" + path.Base(program.Path)}, WorkingDir: "/"},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.NewDigest(digest.SHA256, plain)}},
	})
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("make the image's config: %w", err)
	}
	return putManifest(sink, ocispec.Manifest{Config: config, Layers: []ocispec.Descriptor{desc}, Annotations: annotations})
}
