package artifact

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/platform"
)

// Member is a package as an index has it.
type Member struct {
	// Descriptor is the entry in the index: that of the package's manifest,
	// with its platform.
	Descriptor ocispec.Descriptor
	Platform   platform.Platform
	// Annotations are those of the package.
	Annotations map[string]string
	// Source is what the user called it, for errors; empty for one that was
	// found in a registry.
	Source string
	// Foreign tells that the package itself does not say what it is for, but
	// only the entry of the index that it is in.
	Foreign bool
}

// String names the package for an error.
func (m Member) String() string { return cmp.Or(m.Source, m.Descriptor.Digest.String()) }

// MemberOf makes the entry of an index for a package. The platform of one that
// does not say itself what it is for is that of desc, the entry of the index that
// it came from, which is then kept as its publisher wrote it.
func MemberOf(pkg *Package, desc ocispec.Descriptor) Member {
	m := Member{Platform: pkg.Config.Platform, Annotations: pkg.Annotations()}
	if m.Platform.IsZero() && desc.Platform != nil {
		m.Platform, m.Descriptor, m.Foreign = PlatformOf(desc), desc, true
		return m
	}
	if m.Platform.IsZero() {
		m.Platform = pkg.ImagePlatform()
	}
	m.Descriptor = ocispec.Descriptor{
		MediaType: pkg.Descriptor.MediaType, Digest: pkg.Descriptor.Digest, Size: pkg.Descriptor.Size,
		ArtifactType: pkg.Manifest.ArtifactType,
	}
	oci, annotations := m.Platform.ToOCI()
	if !m.Platform.IsZero() {
		m.Descriptor.Platform = &ocispec.Platform{OS: oci.OS, Architecture: oci.Architecture, Variant: oci.Variant, OSVersion: oci.OSVersion, OSFeatures: oci.OSFeatures}
	}
	if triple := m.Annotations[platform.AnnotationTarget]; triple != "" {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[platform.AnnotationTarget] = triple
	}
	m.Descriptor.Annotations = annotations
	return m
}

// Slot names the place of the member among those of an index, of which each has
// one package: os-architecture[variant][-libc or -env], such as
// linux-amd64-glibc, or "any". What a platform says beyond that, such as its
// floors, may differ between two builds for the same slot. The error is of kind
// [errdef.ErrUsage].
func (m Member) Slot() (string, error) {
	p := m.Platform
	if p.IsZero() {
		return "any", nil
	}
	parts := []string{cmp.Or(p.OS, "any"), cmp.Or(p.Architecture, "any") + p.Variant}
	for _, part := range []string{p.Libc, p.Env} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	slot := strings.Join(parts, "-")
	if strings.Trim(slot, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return "", errdef.Errorf(errdef.ErrUsage, "the platform %s cannot be part of a tag", p)
	}
	return slot, nil
}

// BuildIndex makes the index of members, and gives its descriptor and bytes. The
// same members give the same digest, in whatever order they come; one that comes
// twice counts once. Two for the same platform are an error of kind
// [errdef.ErrUsage]: one of them would never be chosen.
func BuildIndex(members []Member) (ocispec.Descriptor, []byte, error) {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Platform.String(), b.Platform.String()), strings.Compare(string(a.Descriptor.Digest), string(b.Descriptor.Digest)))
	})
	members = slices.CompactFunc(members, func(a, b Member) bool { return a.Descriptor.Digest == b.Descriptor.Digest })
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		ArtifactType: ArtifactType, Annotations: common(members), Manifests: []ocispec.Descriptor{},
	}
	for i, m := range members {
		if i > 0 && m.Platform.String() == members[i-1].Platform.String() {
			return ocispec.Descriptor{}, nil, errdef.Errorf(errdef.ErrUsage, "%s and %s are both for %s, so that one of them would never be taken; leave one out", members[i-1], m, m.Platform)
		}
		if m.Descriptor.ArtifactType != ArtifactType {
			index.ArtifactType = ""
		}
		index.Manifests = append(index.Manifests, m.Descriptor)
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	return ocispec.Descriptor{MediaType: index.MediaType, ArtifactType: index.ArtifactType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, raw, nil
}

// common gives the annotations that all members have, with the same values, but
// for what is about one platform.
func common(members []Member) map[string]string {
	if len(members) == 0 {
		return nil
	}
	all := maps.Clone(members[0].Annotations)
	delete(all, platform.AnnotationTarget)
	for _, m := range members[1:] {
		maps.DeleteFunc(all, func(key, value string) bool { return m.Annotations[key] != value })
	}
	return all
}
