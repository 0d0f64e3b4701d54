package artifact

import (
	"context"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/platform"
)

// Candidate is one package of an index.
type Candidate struct {
	Descriptor ocispec.Descriptor
	Platform   platform.Platform
}

// Candidates lists the packages of an index in its order, attestations and
// other indexes left out.
func Candidates(index ocispec.Index) []Candidate {
	var candidates []Candidate
	for _, desc := range index.Manifests {
		if desc.MediaType != ocispec.MediaTypeImageManifest && desc.MediaType != dockerManifest {
			continue
		}
		if desc.Annotations["vnd.docker.reference.type"] != "" {
			continue // provenance of an image, published beside it
		}
		candidates = append(candidates, Candidate{desc, PlatformOf(desc)})
	}
	return candidates
}

// PlatformOf reads the platform of a descriptor in an image index. A descriptor
// without one gives the zero value.
func PlatformOf(desc ocispec.Descriptor) platform.Platform {
	if desc.Platform == nil {
		return platform.FromOCI(platform.OCI{}, desc.Annotations)
	}
	p := desc.Platform
	return platform.FromOCI(platform.OCI{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures}, desc.Annotations)
}

// Select gives the package of an index that serves target best. When none fits,
// the error is of kind [errdef.ErrPlatform] and lists what there is.
func Select(index ocispec.Index, target platform.Platform) (ocispec.Descriptor, error) {
	candidates := Candidates(index)
	platforms := make([]platform.Platform, len(candidates))
	for i, c := range candidates {
		platforms[i] = c.Platform
	}
	best, reasons := platform.Best(target, platforms)
	if best >= 0 {
		return candidates[best].Descriptor, nil
	}
	if len(candidates) == 0 {
		return ocispec.Descriptor{}, errdef.Errorf(errdef.ErrPlatform, "the index has no packages in it")
	}
	var have []string
	for i, p := range platforms {
		have = append(have, fmt.Sprintf("%s (%s)", p, reasons[i]))
	}
	return ocispec.Descriptor{}, errdef.Errorf(errdef.ErrPlatform, "nothing in the index fits the target %s; there is %s", target, strings.Join(have, ", "))
}

// Resolve follows an index to the package for target. A manifest's descriptor
// comes back as it is.
func Resolve(ctx context.Context, from Fetcher, desc ocispec.Descriptor, target platform.Platform) (ocispec.Descriptor, error) {
	if !IsIndex(desc) {
		return desc, nil
	}
	raw, err := ReadBlob(ctx, from, desc, MaxManifest)
	if err != nil {
		return desc, err
	}
	index, err := ParseIndex(raw)
	if err != nil {
		return desc, fmt.Errorf("index %s: %w", desc.Digest, err)
	}
	return Select(index, target)
}
