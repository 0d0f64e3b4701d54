package ocipkg_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg"
)

// referred is a registry with a package, acme/a:1, and what refers to it, in the
// lists of the API for referrers.
type referred struct {
	*memory
	host     string
	refusing string // a path that is forbidden
	root     ocispec.Descriptor
}

const referredTo = "/v2/acme/a"

func newReferred(t *testing.T) *referred {
	r := &referred{memory: &memory{content: map[string][]byte{}, types: map[string]string{}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == r.refusing {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		r.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	r.root = r.put("the package", "", nil)
	r.content[referredTo+"/manifests/1"], r.types[referredTo+"/manifests/1"] = r.content[manifestAt(r.root)], r.root.MediaType
	return r
}

func manifestAt(desc ocispec.Descriptor) string {
	return referredTo + "/manifests/" + desc.Digest.String()
}
func blobAt(content string) string {
	return referredTo + "/blobs/" + digest.FromString(content).String()
}

// put adds a manifest with one layer, unless that is empty.
func (r *referred) put(what, layer string, subject *ocispec.Descriptor) ocispec.Descriptor {
	config, layers := "{}", []ocispec.Descriptor{}
	r.content[blobAt(config)] = []byte(config)
	if layer != "" {
		r.content[blobAt(layer)] = []byte(layer)
		layers = append(layers, ocispec.Descriptor{MediaType: "text/plain", Digest: digest.FromString(layer), Size: int64(len(layer))})
	}
	raw, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "layers": layers, "subject": subject, "annotations": map[string]string{"is": what},
		"config": ocispec.Descriptor{MediaType: ocispec.MediaTypeEmptyJSON, Digest: digest.FromString(config), Size: 2},
	})
	if err != nil {
		panic(err)
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	r.content[manifestAt(desc)], r.types[manifestAt(desc)] = raw, desc.MediaType
	return desc
}

// list says what refers to subject.
func (r *referred) list(subject ocispec.Descriptor, by ...ocispec.Descriptor) {
	raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": by})
	if err != nil {
		panic(err)
	}
	at := referredTo + "/referrers/" + subject.Digest.String()
	r.content[at], r.types[at] = raw, ocispec.MediaTypeImageIndex
}

func (r *referred) copy(t *testing.T, to string) (ocipkg.Copied, []string, error) {
	var warned []string
	client := &ocipkg.Client{Store: t.TempDir(), Anonymous: true, Warn: func(line string) { warned = append(warned, line) }}
	defer client.Close()
	copied, err := client.Copy(t.Context(), r.host+"/acme/a:1", to, ocipkg.CopyOptions{})
	return copied, warned, err
}

// A registry says what refers to what, and no digest stands in the way of its
// saying that two refer to each other, or one to itself.
func TestAdvisoryCVE_2026_55588_GHSA_f36w_mj3v_6jqv_ReferrersInACircleAreCopiedOnce(t *testing.T) {
	r := newReferred(t)
	first := r.put("a signature", "", &r.root)
	second := r.put("a signature of that", "", &first)
	r.list(r.root, first, r.root)
	r.list(first, second, first)
	r.list(second, first, r.root)
	copied, _, err := r.copy(t, "oci:"+filepath.Join(t.TempDir(), "layout"))
	if err != nil || copied.Referrers != 2 {
		t.Errorf("%d referrers were copied, %v", copied.Referrers, err)
	}
}

func TestAChainOfReferrersIsFollowedSoFar(t *testing.T) {
	r := newReferred(t)
	at := r.root
	for i := range 12 {
		next := r.put(fmt.Sprint(i), "", &at)
		r.list(at, next)
		at = next
	}
	copied, _, err := r.copy(t, "oci:"+filepath.Join(t.TempDir(), "layout"))
	if !errors.Is(err, ocipkg.ErrVerification) || copied.Referrers != 8 || len(copied.Lost) != 1 || !strings.Contains(err.Error(), "more than 8 times") {
		t.Errorf("%d referrers were copied, %q lost, %v", copied.Referrers, copied.Lost, err)
	}
}

func TestWhatRefersToSomethingElseIsNotTakenAlong(t *testing.T) {
	r := newReferred(t)
	other := r.put("another package", "", nil)
	stranger := r.put("its signature", "", &other)
	r.list(r.root, stranger, r.put("no signature", "", nil))
	copied, warned, err := r.copy(t, "oci:"+filepath.Join(t.TempDir(), "layout"))
	if err != nil || copied.Referrers != 0 || len(copied.Lost) != 0 || len(warned) != 2 || !strings.Contains(warned[0], stranger.Digest.String()) {
		t.Errorf("%d referrers were copied, %q lost, warned %q, %v", copied.Referrers, copied.Lost, warned, err)
	}
}

// What lists say of sizes and types is often wrong: the digest decides.
func TestAReferrerIsCopiedWhateverItsListSaysOfIt(t *testing.T) {
	for name, wrong := range map[string]func(*ocispec.Descriptor){
		"a size":                        func(d *ocispec.Descriptor) { d.Size++ },
		"a size of nothing":             func(d *ocispec.Descriptor) { d.Size = 0 },
		"a negative size":               func(d *ocispec.Descriptor) { d.Size = -1 },
		"a type with a parameter":       func(d *ocispec.Descriptor) { d.MediaType += "; charset=utf-8" },
		"another type":                  func(d *ocispec.Descriptor) { d.MediaType = "application/json" },
		"an artifact type that is none": func(d *ocispec.Descriptor) { d.ArtifactType = ocispec.MediaTypeEmptyJSON },
	} {
		r := newReferred(t)
		signature := r.put("a signature", "x", &r.root)
		listed := signature
		wrong(&listed)
		r.list(r.root, listed)
		dir := filepath.Join(t.TempDir(), "layout")
		copied, _, err := r.copy(t, "oci:"+dir)
		if err != nil || copied.Referrers != 1 {
			t.Errorf("%s: %d referrers were copied, %v", name, copied.Referrers, err)
			continue
		}
		client := &ocipkg.Client{Store: t.TempDir(), Anonymous: true}
		again, err := client.Copy(t.Context(), "oci:"+dir, "oci:"+dir+"-again", ocipkg.CopyOptions{})
		client.Close()
		if err != nil || again.Referrers != 1 {
			t.Errorf("%s: %d referrers were copied on, %v", name, again.Referrers, err)
		}
	}
}

func TestAReferrerThatCannotBeHadDoesNotHoldUpTheRest(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(r *referred, signature ocispec.Descriptor)
		kind error
	}{
		"it is gone":            {func(r *referred, s ocispec.Descriptor) { delete(r.content, manifestAt(s)) }, ocipkg.ErrNotFound},
		"it is forbidden":       {func(r *referred, s ocispec.Descriptor) { r.refusing = manifestAt(s) }, ocipkg.ErrUnauthorized},
		"it is another":         {func(r *referred, s ocispec.Descriptor) { r.content[manifestAt(s)] = []byte("{}") }, ocipkg.ErrVerification},
		"a blob is gone":        {func(r *referred, s ocispec.Descriptor) { delete(r.content, blobAt("x")) }, ocipkg.ErrNotFound},
		"a blob is forbidden":   {func(r *referred, s ocispec.Descriptor) { r.refusing = blobAt("x") }, ocipkg.ErrUnauthorized},
		"a blob is another one": {func(r *referred, s ocispec.Descriptor) { r.content[blobAt("x")] = []byte("y") }, ocipkg.ErrVerification},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReferred(t)
			bad, good := r.put("bad", "x", &r.root), r.put("good", "z", &r.root)
			above := r.put("of the bad one", "", &bad)
			r.list(r.root, bad, good)
			r.list(bad, above)
			test.harm(r, bad)
			into := &memory{content: map[string][]byte{}, types: map[string]string{}, strict: true}
			server := httptest.NewServer(into)
			defer server.Close()
			for _, to := range []string{"oci:" + filepath.Join(t.TempDir(), "layout"), strings.TrimPrefix(server.URL, "http://") + "/acme/a:1"} {
				copied, _, err := r.copy(t, to)
				if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), bad.Digest.String()) {
					t.Errorf("%s: %v", to, err)
				}
				if copied.Descriptor.Digest != r.root.Digest || copied.Referrers != 1 || len(copied.Lost) != 1 || copied.Lost[0] != bad.Digest.String() {
					t.Errorf("%s: copied %+v", to, copied)
				}
			}
			if into.content[manifestAt(good)] == nil || into.content[referredTo+"/manifests/1"] == nil {
				t.Error("the rest is not there")
			}
			if into.content[manifestAt(bad)] != nil || into.content[manifestAt(above)] != nil {
				t.Error("what was lost, or refers to that, is there")
			}
		})
	}
}
