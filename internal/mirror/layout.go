package mirror

import (
	"context"
	"encoding/json"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layout"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// layoutPlace is a layout as a mirror of one repository. It is opened for each
// question, so that what is added to it meanwhile is found, and nothing is left
// to close.
type layoutPlace struct {
	at  Place
	ref reference.Reference
}

func (p *layoutPlace) open(ctx context.Context) (*layout.Layout, error) {
	if p.at.Archive {
		return layout.OpenArchive(ctx, p.at.Layout)
	}
	return layout.OpenDir(ctx, p.at.Layout)
}

// with asks the layout. One that is not there is something to tell the user,
// unlike one that does not have what is wanted.
func (p *layoutPlace) with(ctx context.Context, ask func(l *layout.Layout) error) error {
	l, err := p.open(ctx)
	if err != nil {
		return errdef.Errorf(errdef.ErrNetwork, "it cannot be read: %v", err)
	}
	defer l.Close()
	return ask(l)
}

func (p *layoutPlace) missing(what string) error {
	return errdef.Errorf(errdef.ErrNotFound, "%s does not have %s", p.at, what)
}

// Resolve finds what carries the whole name with that tag.
func (p *layoutPlace) Resolve(ctx context.Context, tag string) (desc ocispec.Descriptor, err error) {
	err = p.with(ctx, func(l *layout.Layout) error {
		desc, err = p.resolve(l, tag)
		return err
	})
	return desc, err
}

func (p *layoutPlace) resolve(l *layout.Layout, tag string) (ocispec.Descriptor, error) {
	// Of two with the same name, the later was added by whoever does not know
	// that there is to be one.
	for _, desc := range slices.Backward(l.Index.Manifests) {
		name, err := reference.Parse(artifact.PackageName(desc))
		// What is named with a digest was asked for by that, and is what the tag
		// stood for at some time.
		if err == nil && name.Name() == p.ref.Name() && name.Tag == tag && name.Digest == "" && slices.Contains(artifact.ManifestTypes, desc.MediaType) {
			desc.Annotations, desc.Platform = nil, nil
			return desc, nil
		}
	}
	return ocispec.Descriptor{}, p.missing(p.ref.Name() + ":" + tag)
}

// Find gives the manifest of a tag, or of a digest, under whatever name it is.
func (p *layoutPlace) Find(ctx context.Context, tagOrDigest string) (desc ocispec.Descriptor, raw []byte, err error) {
	err = p.with(ctx, func(l *layout.Layout) error {
		if d := digest.Digest(tagOrDigest); d.Validate() == nil {
			desc, raw, err = p.byDigest(ctx, l, d)
			return err
		}
		if desc, err = p.resolve(l, tagOrDigest); err != nil {
			return err
		}
		raw, err = artifact.ReadManifest(ctx, l, desc)
		return err
	})
	return desc, raw, err
}

// byDigest reads a manifest among the blobs. Nothing but its bytes says how many
// these are, and what it is.
func (p *layoutPlace) byDigest(ctx context.Context, l *layout.Layout, d digest.Digest) (ocispec.Descriptor, []byte, error) {
	blob, size, err := l.Open(d)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if blob == nil {
		return ocispec.Descriptor{}, nil, p.missing(d.String())
	}
	defer blob.Close()
	if limits := limit.From(ctx); size > limits.Manifest {
		return ocispec.Descriptor{}, nil, limits.Exceeded("manifest", "the manifest %s has %d bytes", d, size)
	}
	raw, err := io.ReadAll(blob)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if got := d.Algorithm().FromBytes(raw); got != d {
		return ocispec.Descriptor{}, nil, errdef.Errorf(errdef.ErrVerification, "its blob %s has the digest %s; make the layout anew", d, got)
	}
	mediaType, err := typeOf(l, d, raw)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(raw))}, raw, err
}

// typeOf tells what a manifest is: by the index of the layout, else by its own
// word, which OCI lets it leave out.
func typeOf(l *layout.Layout, d digest.Digest, raw []byte) (string, error) {
	for _, desc := range l.Index.Manifests {
		if desc.Digest == d && slices.Contains(artifact.ManifestTypes, desc.MediaType) {
			return desc.MediaType, nil
		}
	}
	var doc struct {
		MediaType string          `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
	}
	err := json.Unmarshal(raw, &doc)
	switch {
	case err != nil, doc.MediaType != "" && !slices.Contains(artifact.ManifestTypes, doc.MediaType):
		return "", errdef.Errorf(errdef.ErrVerification, "%s is no manifest or index that is read; check the digest", d)
	case doc.MediaType != "":
		return doc.MediaType, nil
	case doc.Manifests != nil:
		return ocispec.MediaTypeImageIndex, nil
	}
	return ocispec.MediaTypeImageManifest, nil
}

// Fetch gives a blob, which keeps the layout open.
func (p *layoutPlace) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	var blob io.ReadCloser
	l, err := p.open(ctx)
	switch {
	case err != nil:
		return nil, errdef.Errorf(errdef.ErrNetwork, "it cannot be read: %v", err)
	case !l.Has(desc):
		err = p.missing(desc.Digest.String())
	default:
		blob, err = l.Fetch(ctx, desc)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &open{blob, l}, nil
}

// open is a blob with the layout that it is in.
type open struct {
	io.ReadCloser
	layout *layout.Layout
}

func (o *open) Close() error {
	err := o.ReadCloser.Close()
	o.layout.Close()
	return err
}

// Referrers lists what the layout has that refers to desc.
func (p *layoutPlace) Referrers(ctx context.Context, desc ocispec.Descriptor) (found []ocispec.Descriptor, err error) {
	err = p.with(ctx, func(l *layout.Layout) error {
		found, err = l.Referrers(ctx, desc)
		return err
	})
	return found, err
}
