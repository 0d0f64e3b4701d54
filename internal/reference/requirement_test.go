package reference

import (
	"strings"
	"testing"
)

func TestARequirementAsksForItsTagElseForItsDigest(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct {
		requirement Requirement
		want        string
	}{
		{Requirement{Image: "ghcr.io/acme/png", Tag: "1.6", BuiltWith: digest}, "ghcr.io/acme/png:1.6"},
		{Requirement{Image: "ghcr.io/acme/png", BuiltWith: digest}, "ghcr.io/acme/png@" + digest},
		{Requirement{Image: "ghcr.io/acme/png"}, "ghcr.io/acme/png:latest"},
	} {
		if got, err := c.requirement.Reference(); err != nil || got.String() != c.want {
			t.Errorf("%+v: got %s, %v, want %s", c.requirement, got, err, c.want)
		}
	}
}
