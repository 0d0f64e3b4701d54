package artifact

import (
	"context"
	"fmt"
	"maps"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

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
		if isCandidate(desc) {
			candidates = append(candidates, Candidate{desc, PlatformOf(desc)})
		}
	}
	return candidates
}

func isCandidate(desc ocispec.Descriptor) bool {
	if desc.MediaType != ocispec.MediaTypeImageManifest && desc.MediaType != dockerManifest {
		return false
	}
	return desc.Annotations["vnd.docker.reference.type"] == "" // else it is the provenance of an image, published beside it
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

// MaxUnsaid is the number of packages in an index that may leave it to their configs
// to say what they are for.
const MaxUnsaid = 64

// Complete returns the entries of an index that have no platform the one that their
// packages' configs say, which it fetches: other tools make indexes without. It
// returns the platforms that it added, by digest; nil when all were there. More
// than [MaxUnsaid] are an error of kind [errdef.ErrPlatform].
func Complete(ctx context.Context, from Fetcher, index *ocispec.Index) (map[string]platform.Platform, error) {
	var unsaid []int
	for i, desc := range index.Manifests {
		if desc.Platform == nil && isCandidate(desc) {
			unsaid = append(unsaid, i)
		}
	}
	if len(unsaid) > MaxUnsaid {
		return nil, errdef.Errorf(errdef.ErrPlatform, "%d packages of the index have no platform in it, and at most %d are looked into for theirs; make the index with: ocipkg index create", len(unsaid), MaxUnsaid)
	}
	if len(unsaid) == 0 {
		return nil, nil
	}
	manifests := slices.Clone(index.Manifests)
	said := make([]platform.Platform, len(unsaid))
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(configsAtOnce)
	for n, i := range unsaid {
		workers.Go(func() error {
			desc := manifests[i]
			desc.Annotations = maps.Clone(desc.Annotations)
			pkg, err := Open(ctx, from, desc)
			if err != nil {
				return fmt.Errorf("what %s is for: %w", desc.Digest, err)
			}
			of := MemberOf(pkg, ocispec.Descriptor{})
			if said[n] = of.Platform; said[n].IsZero() {
				return nil
			}
			desc.Platform = of.Descriptor.Platform
			if desc.Annotations == nil {
				desc.Annotations = map[string]string{}
			}
			maps.Copy(desc.Annotations, of.Descriptor.Annotations)
			manifests[i] = desc
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		return nil, err
	}
	index.Manifests = manifests
	byDigest := make(map[string]platform.Platform, len(unsaid))
	for n, i := range unsaid {
		byDigest[manifests[i].Digest.String()] = said[n]
	}
	return byDigest, nil
}

const configsAtOnce = 8 // small requests

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
	if _, err := Complete(ctx, from, &index); err != nil {
		return desc, fmt.Errorf("index %s: %w", desc.Digest, err)
	}
	return Select(index, target)
}
