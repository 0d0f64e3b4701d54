package publish

import (
	"cmp"
	"strings"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotations describes the package in OCI's predefined keys
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md);
// what Cargo.toml does not say is left out. An empty revision is unknown.
func (p *cargoPackage) annotations(revision string) map[string]string {
	all := map[string]string{
		imagespec.AnnotationURL:           cmp.Or(p.Homepage, p.Repository),
		imagespec.AnnotationSource:        p.Repository,
		imagespec.AnnotationDocumentation: p.Documentation,
		imagespec.AnnotationLicenses:      spdxLicense(p.License),
		imagespec.AnnotationDescription:   strings.TrimSpace(p.Description),
		imagespec.AnnotationVersion:       p.Version,
		imagespec.AnnotationAuthors:       strings.Join(p.Authors, ", "),
		imagespec.AnnotationRevision:      revision,
	}
	for key, value := range all {
		if value == "" {
			delete(all, key)
		}
	}
	return all
}

// spdxLicense turns cargo's deprecated MIT/Apache-2.0 into an SPDX expression,
// which OCI asks for.
func spdxLicense(license string) string {
	parts := strings.Split(license, "/")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return strings.Join(parts, " OR ")
}
