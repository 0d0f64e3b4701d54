package ocipkg

import (
	"testing"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/reference"
)

func TestARequirementByReferenceIsNotedOnceUnderANameOfItsOwn(t *testing.T) {
	spec := artifact.Spec{Requires: []reference.Requirement{{Package: "z", Image: "ghcr.io/acme/zlib", Tag: "1.3"}}}
	for _, c := range []struct{ reference, want string }{
		{"ghcr.io/acme/zlib:1.3", "z"},
		{"ghcr.io/acme/libpng:1.6", "libpng"},
		{"ghcr.io/acme/libpng:1.6", "libpng"},
		{"localhost:5000/mine/libpng:1.6", "localhost-5000-mine-libpng"},
	} {
		if got, err := require(&spec, c.reference); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.reference, got, err, c.want)
		}
	}
	if len(spec.Requires) != 3 || spec.Requires[1].Image != "ghcr.io/acme/libpng" || spec.Requires[1].Tag != "1.6" {
		t.Errorf("the package requires %+v", spec.Requires)
	}
	if got, err := require(&spec, "ghcr.io/Acme/libpng"); err == nil {
		t.Errorf("a name that is none: got %q", got)
	}
}
