package ocipkg

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
)

func TestASelectionKeepsAllElseOfAnIndexAsItIs(t *testing.T) {
	const entry = `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:DIGEST","size":1,"platform":{"os":"linux","architecture":"ARCH","features":["x"]},"annotations":{"a":"\u003c"},"data":"e30="}`
	made := func(digit, arch string) string {
		return strings.NewReplacer("DIGEST", strings.Repeat(digit, 64), "ARCH", arch).Replace(entry)
	}
	raw := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + made("1", "amd64") + `, ` + made("2", "arm64") + `, ` + made("3", "riscv64") + `],"annotations":{"b":"c"},"unknown":[1, 2]}`
	root := document{Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromString(raw), Size: int64(len(raw))}, []byte(raw)}

	got, err := selectPlatforms(t.Context(), nil, root, []string{"linux/riscv64", "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if got.desc.Digest != digest.FromBytes(got.raw) || got.desc.Size != int64(len(got.raw)) || got.desc.MediaType != root.desc.MediaType {
		t.Errorf("the descriptor is %+v", got.desc)
	}
	index, err := artifact.ParseIndex(t.Context(), got.raw)
	if err != nil || len(index.Manifests) != 2 || index.Manifests[0].Platform.Architecture != "amd64" || index.Manifests[1].Platform.Architecture != "riscv64" || index.Annotations["b"] != "c" {
		t.Errorf("the selection is %s, %v", got.raw, err)
	}
	var doc struct {
		Manifests []json.RawMessage
		Unknown   []int
	}
	if err := json.Unmarshal(got.raw, &doc); err != nil || !slices.Equal(doc.Unknown, []int{1, 2}) || string(doc.Manifests[0]) != made("1", "amd64") {
		t.Errorf("what is not known was lost: %s, %v", got.raw, err)
	}

	all, err := selectPlatforms(t.Context(), nil, root, []string{"linux/riscv64", "linux/amd64", "linux/arm64"})
	if err != nil || string(all.raw) != raw || all.desc.Digest != root.desc.Digest {
		t.Errorf("all of it is %s, %v", all.raw, err)
	}
	if _, err := selectPlatforms(t.Context(), nil, root, []string{"linux/amd64", "windows/amd64"}); err == nil {
		t.Error("a platform that is not there is left out")
	}
}
