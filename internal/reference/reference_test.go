package reference

import (
	"errors"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

const (
	hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func TestParseExpandsAndKeepsEveryPart(t *testing.T) {
	sha := "sha256:" + hex64
	for name, want := range map[string]string{
		"zlib":                                "docker.io/library/zlib:latest",
		"user/repo":                           "docker.io/user/repo:latest",
		"user/repo:1":                         "docker.io/user/repo:1",
		"docker.io/zlib:1.3":                  "docker.io/library/zlib:1.3",
		"index.docker.io/a/b:1":               "docker.io/a/b:1",
		"ghcr.io/acme/zstd:1.5":               "ghcr.io/acme/zstd:1.5",
		"ghcr.io/acme/zstd@" + sha:            "ghcr.io/acme/zstd@" + sha,
		"ghcr.io/acme/zstd:1.5@" + sha:        "ghcr.io/acme/zstd:1.5@" + sha,
		"localhost/a":                         "localhost/a:latest",
		"localhost:5000/a/b/c:1":              "localhost:5000/a/b/c:1",
		"[::1]:5000/a:1":                      "[::1]:5000/a:1",
		"127.0.0.1:5000/a":                    "127.0.0.1:5000/a:latest",
		"r.example/a__b/c-d.e:V1_x":           "r.example/a__b/c-d.e:V1_x",
		"ghcr.io/x/y@sha512:" + hex64 + hex64: "ghcr.io/x/y@sha512:" + hex64 + hex64,
	} {
		ref, err := Parse(name)
		if err != nil {
			t.Errorf("Parse(%q): %v", name, err)
			continue
		}
		if got := ref.String(); got != want {
			t.Errorf("Parse(%q) = %q, want %q", name, got, want)
		}
		again, err := Parse(ref.String())
		if err != nil || again != ref {
			t.Errorf("Parse(%q) = %+v, %v; want %+v again", ref.String(), again, err, ref)
		}
	}
}

func TestParseRefusesWithAReasonAndANextStep(t *testing.T) {
	for name, want := range map[string]string{
		"":                            "it is empty",
		"https://ghcr.io/acme/zstd":   "leave out the https://",
		"ghcr.io/Acme/zstd":           "lower case",
		"ghcr.io/acme/zstd:":          "registry/repository:tag",
		"ghcr.io/acme/zstd:a b":       "registry/repository:tag",
		"ghcr.io/acme/zstd@sha256:12": "registry/repository",
		"ghcr.io/../x":                "registry/repository",
		"ghcr.io//x":                  "registry/repository",
		"oci:layout":                  "ocipkg load oci:layout",
		"oci-archive:a.tar":           "ocipkg load oci-archive:a.tar",
	} {
		_, err := Parse(name)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, errdef.ErrUsage) {
			t.Errorf("Parse(%q): error %v, want a usage error with %q", name, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a", "a/b:1", "[::1]:5/a@sha256:" + hex64, "https://x", "A/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(ref.String()); err != nil || again != ref {
			t.Fatalf("Parse(%q) = %+v; parsed again: %+v, %v", s, ref, again, err)
		}
	})
}
