// Package reference compares the names that ocipkg reads with those of the
// grammar's own implementation.
package reference

import (
	"errors"
	"strings"
	"testing"

	"github.com/distribution/reference"

	ours "github.com/ocipkg/ocipkg/internal/reference"
)

func FuzzNamesAreReadAsDistributionReadsThem(f *testing.F) {
	sha := "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, name := range []string{
		"zlib", "user/repo:1", "docker.io/zlib", "index.docker.io/a", "ghcr.io/acme/zstd:1.5", "ghcr.io/acme/zstd:1.5@" + sha, "a@" + sha,
		"localhost/a", "localhost:5000/a/b", "[::1]:5000/a:1", "[fe80::1%25eth0]/a", "a__b/c-d.e:V1_x", "a___b/c", "a--b", "a.-b", "-a", "a-",
		"A/b", "a/B", "Foo/bar", "HOST:1/a", "a..b/c", "x.:5/a", "a:b:c", "a:", "a@", "a@sha256:12", "a//b", "/a", "a/", "a.b", "a.b:5", "localhost:5000", "é/a", "a:é", " a", "a.b_c/d",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.HasPrefix(name, "oci:") || strings.HasPrefix(name, "oci-archive:") {
			return // layouts, to us
		}
		got, err := ours.ParseRepository(name)
		want, wantErr := reference.ParseNormalizedNamed(name)
		if wantErr == nil && reference.Domain(want) == "" {
			// What stands for the registry can be none, so the other takes all for
			// the path, in no registry: nothing can be fetched by that.
			wantErr = errors.New("it is in no registry")
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: we say %v, the other says %v", name, err, wantErr)
		}
		if err == nil && got.String() != want.String() {
			t.Fatalf("%q: we read %s, the other %s", name, got, want)
		}
	})
}
