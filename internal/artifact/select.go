package artifact

import (
	"context"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

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

// Choice says which package of an index serves a target.
type Choice struct {
	Candidates []Candidate
	// Reasons says of each candidate why it was not taken; empty for the one
	// that was.
	Reasons []string
	Best    int // -1 when none fits
}

// Choose finds the package of an index that serves target best.
func Choose(index ocispec.Index, target platform.Platform) Choice {
	c := Choice{Candidates: Candidates(index)}
	c.Best, c.Reasons = platform.Best(target, c.platforms())
	return c
}

func (c Choice) platforms() []platform.Platform {
	platforms := make([]platform.Platform, len(c.Candidates))
	for i, candidate := range c.Candidates {
		platforms[i] = candidate.Platform
	}
	return platforms
}

// Select gives the package of an index that serves target best. When none fits,
// the error is of kind [errdef.ErrPlatform] and lists what there is.
func Select(index ocispec.Index, target platform.Platform) (ocispec.Descriptor, error) {
	c := Choose(index, target)
	if c.Best < 0 {
		return ocispec.Descriptor{}, platform.Unfit(target, "the index", c.platforms(), c.Reasons)
	}
	return c.Candidates[c.Best].Descriptor, nil
}

// Resolve follows an index to the package for target. A manifest's descriptor
// comes back as it is.
func Resolve(ctx context.Context, from Fetcher, desc ocispec.Descriptor, target platform.Platform) (ocispec.Descriptor, error) {
	if !IsIndex(desc) {
		return desc, nil
	}
	raw, err := ReadManifest(ctx, from, desc)
	if err != nil {
		return desc, err
	}
	index, err := ParseIndex(ctx, raw)
	if err != nil {
		return desc, fmt.Errorf("index %s: %w", desc.Digest, err)
	}
	return Select(index, target)
}
