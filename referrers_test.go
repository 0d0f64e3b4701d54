package ocipkg_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg"
)

// A registry says what refers to what, and no digest stands in the way of its
// saying that two refer to each other, or one to itself.
func TestAdvisoryCVE_2026_55588_GHSA_f36w_mj3v_6jqv_ReferrersInACircleAreCopiedOnce(t *testing.T) {
	m := &memory{content: map[string][]byte{}, types: map[string]string{}}
	server := httptest.NewServer(m)
	defer server.Close()
	const repository = "/v2/acme/a"
	put := func(what string) ocispec.Descriptor {
		config := []byte("{}")
		m.content[repository+"/blobs/"+digest.FromBytes(config).String()] = config
		raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[],"annotations":{"is":%q}}`,
			ocispec.MediaTypeImageManifest, ocispec.MediaTypeEmptyJSON, digest.FromBytes(config), what)
		desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
		m.content[repository+"/manifests/"+desc.Digest.String()], m.types[repository+"/manifests/"+desc.Digest.String()] = raw, desc.MediaType
		return desc
	}
	root, first, second := put("the package"), put("a signature"), put("a signature of that")
	m.content[repository+"/manifests/1"], m.types[repository+"/manifests/1"] = m.content[repository+"/manifests/"+root.Digest.String()], root.MediaType
	for of, by := range map[digest.Digest][]ocispec.Descriptor{root.Digest: {first, root}, first.Digest: {second, first}, second.Digest: {first, root}} {
		raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": by})
		if err != nil {
			t.Fatal(err)
		}
		at := repository + "/referrers/" + of.String()
		m.content[at], m.types[at] = raw, ocispec.MediaTypeImageIndex
	}
	client := &ocipkg.Client{Store: t.TempDir(), Anonymous: true}
	defer client.Close()
	copied, err := client.Copy(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/acme/a:1", "oci:"+filepath.Join(t.TempDir(), "layout"), ocipkg.CopyOptions{})
	if err != nil || copied.Referrers != 2 {
		t.Errorf("%d referrers were copied, %v", copied.Referrers, err)
	}
}
