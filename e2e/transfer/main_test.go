// Package transfer tests copies between registries, archives and layouts, and
// what is read from mirrors and offline.
package transfer

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestMain(m *testing.M) { program.Main(m) }

// The codes that the program exits with.
const (
	usage        = 2
	notFound     = 3
	verification = 5
	unfit        = 7
	network      = 8
)

// library makes archives of a library for two platforms, linux.tar and
// windows.tar, in a session's directory.
func library(t *testing.T, s *program.Session) []string {
	t.Helper()
	for i, platform := range []string{"linux/amd64", "windows/amd64"} {
		name := strings.Split(platform, "/")[0]
		s.WriteFile(name+"/include/z.h", "#define Z \""+name+"\"\n", 0o644)
		tree.WriteRandom(t, filepath.Join(s.Dir, name, "share/data"), 3<<20, byte(i+1))
		s.Own(filepath.Join(s.Dir, name))
		s.Run("ocipkg", "pack", name, name+".tar", "--platform", platform).OK()
	}
	return []string{"linux.tar", "windows.tar"}
}

// publish pushes the library as one index and gives its digest.
func publish(t *testing.T, s *program.Session, name string) string {
	t.Helper()
	return s.Run("ocipkg", append(append([]string{"push"}, library(t, s)...), name)...).Digest()
}

// repository opens a repository by the library that others use.
func repository(t *testing.T, name string) *remote.Repository {
	t.Helper()
	repo, err := remote.NewRepository(name)
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	return repo
}

// attach pushes a manifest of the given type that refers to a digest in a
// repository, and gives its own.
func attach(t *testing.T, name, subject, artifactType string) string {
	t.Helper()
	repo := repository(t, name)
	ctx := context.Background()
	desc, err := repo.Resolve(ctx, subject)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := oras.PushBytes(ctx, repo, "application/octet-stream", []byte(artifactType+" of "+subject))
	if err != nil {
		t.Fatal(err)
	}
	referrer, err := oras.PackManifest(ctx, repo, oras.PackManifestVersion1_1, artifactType, oras.PackManifestOptions{
		Subject: &desc, Layers: []ocispec.Descriptor{blob},
		ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: "2026-01-01T00:00:00Z"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return referrer.Digest.String()
}

// referrers gives the digests of what refers to a digest in a repository.
func referrers(t *testing.T, name, subject string) []string {
	t.Helper()
	repo := repository(t, name)
	desc, err := repo.Resolve(context.Background(), subject)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	err = repo.Referrers(context.Background(), desc, "", func(page []ocispec.Descriptor) error {
		for _, referrer := range page {
			found = append(found, referrer.Digest.String())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// members gives the digests of the packages of an index.
func members(t *testing.T, s *program.Session, source string) []string {
	t.Helper()
	var in struct{ Packages []struct{ Digest string } }
	if err := json.Unmarshal([]byte(s.Run("ocipkg", "inspect", "--json", source).OK().Stdout), &in); err != nil {
		t.Fatal(err)
	}
	var digests []string
	for _, p := range in.Packages {
		digests = append(digests, p.Digest)
	}
	return digests
}

// sameManifest checks that two sources have the same bytes under a name.
func sameManifest(t *testing.T, a, b string) {
	t.Helper()
	get := func(name string) string {
		repo := repository(t, name[:strings.LastIndexAny(name, ":@")])
		_, r, err := repo.FetchReference(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if one, other := get(a), get(b); one != other {
		t.Errorf("%s is\n%s\nand %s\n%s", a, one, b, other)
	}
}

// uploaded gives how many bytes of blobs a registry was sent.
func uploaded(r *registrytest.Registry) (n int64) {
	for _, request := range r.Requests() {
		if strings.Contains(request.Path, "/blobs/uploads/") && (request.Method == http.MethodPut || request.Method == http.MethodPatch) {
			n += request.Received
		}
	}
	return n
}

// image pushes an index of plain container images, as docker's builder does,
// with an attestation of each, and gives its digest.
func image(t *testing.T, name string) string {
	t.Helper()
	repository := repository(t, name[:strings.LastIndex(name, ":")])
	ctx := context.Background()
	push := func(mediaType string, raw []byte) ocispec.Descriptor {
		desc, err := oras.PushBytes(ctx, repository, mediaType, raw)
		if err != nil {
			t.Fatal(err)
		}
		return desc
	}
	document := func(mediaType string, doc any) ocispec.Descriptor {
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return push(mediaType, raw)
	}
	const docker = "application/vnd.docker.distribution.manifest.v2+json"
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, arch := range []string{"amd64", "arm64"} {
		layer := push("application/vnd.docker.image.rootfs.diff.tar", tarOf(t, "lib/where", arch))
		config := document("application/vnd.docker.container.image.v1+json", map[string]any{
			"os": "linux", "architecture": arch, "rootfs": map[string]any{"type": "layers", "diff_ids": []digest.Digest{layer.Digest}},
		})
		manifest := document(docker, ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: docker, Config: config, Layers: []ocispec.Descriptor{layer}})
		manifest.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		statement := push("application/vnd.in-toto+json", []byte(`{"about": "`+arch+`"}`))
		provenance := document(ocispec.MediaTypeImageManifest, ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			Config: document(ocispec.MediaTypeImageConfig, map[string]any{"os": "unknown", "architecture": "unknown"}), Layers: []ocispec.Descriptor{statement},
		})
		provenance.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
		provenance.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": manifest.Digest.String()}
		index.Manifests = append(index.Manifests, manifest, provenance)
	}
	desc := document(index.MediaType, index)
	if err := repository.Tag(ctx, desc, name); err != nil {
		t.Fatal(err)
	}
	return desc.Digest.String()
}

// has tells whether a list has all of some words, in any order, and no other.
func has(list []string, words ...string) bool {
	slices.Sort(words)
	return slices.Equal(slices.Sorted(slices.Values(list)), words)
}
