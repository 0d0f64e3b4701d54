package layout

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
)

// Referrers lists the manifests of the layout that refer to desc: signatures,
// lists of what is in it, and the like. They are found among the entries of the
// index, where ORAS puts them, and in the indexes among these, which is where
// regclient does.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
func (l *Layout) Referrers(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.about == nil {
		about := map[digest.Digest][]ocispec.Descriptor{}
		if err := l.look(ctx, l.Index.Manifests, about, map[digest.Digest]bool{}); err != nil {
			return nil, err
		}
		l.about = about
	}
	return slices.Clone(l.about[desc.Digest]), nil
}

// look notes in about what each of some manifests, and of those that they list,
// refers to.
func (l *Layout) look(ctx context.Context, descs []ocispec.Descriptor, about map[digest.Digest][]ocispec.Descriptor, seen map[digest.Digest]bool) error {
	for _, desc := range descs {
		if seen[desc.Digest] || !slices.Contains(artifact.ManifestTypes, desc.MediaType) {
			continue
		}
		seen[desc.Digest] = true
		if err := ctx.Err(); err != nil {
			return err
		}
		subject, manifests, err := l.links(ctx, desc)
		if err != nil {
			return err
		}
		if subject != "" {
			desc.Annotations, desc.Platform = nil, nil
			about[subject] = append(about[subject], desc)
		}
		if err := l.look(ctx, manifests, about, seen); err != nil {
			return err
		}
	}
	return nil
}

// links gives what a manifest or index refers to, empty for nothing, and what it
// lists. One that the layout does not have has neither: of a part of an index
// the rest may have been left out.
func (l *Layout) links(ctx context.Context, desc ocispec.Descriptor) (subject digest.Digest, manifests []ocispec.Descriptor, err error) {
	if !l.Has(desc) {
		return "", nil, nil
	}
	raw, err := artifact.ReadManifest(ctx, l, desc)
	if err != nil {
		return "", nil, err
	}
	var doc struct {
		Subject   ocispec.Descriptor   `json:"subject"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return "", nil, nil // whoever uses it says what is wrong
	}
	return doc.Subject.Digest, doc.Manifests, nil
}

// withoutParts leaves out of entries of the index, of those without a name, what
// refers to something, and what another entry lists, which ORAS notes as well.
func (l *Layout) withoutParts(entries []ocispec.Descriptor) []ocispec.Descriptor {
	part := map[digest.Digest]bool{}
	for _, desc := range entries {
		if !slices.Contains(artifact.ManifestTypes, desc.MediaType) {
			continue
		}
		subject, manifests, err := l.links(context.Background(), desc)
		if err != nil {
			continue // whoever uses it says what is wrong
		}
		if subject != "" {
			part[desc.Digest] = true
		}
		for _, of := range manifests {
			part[of.Digest] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(entries), func(desc ocispec.Descriptor) bool {
		return artifact.Name(desc) == "" && part[desc.Digest]
	})
}
