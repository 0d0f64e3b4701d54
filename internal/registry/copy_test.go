package registry

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// sibling is another repository of the same registry.
func sibling(r *Repository) *Repository {
	return r.client.Repository(reference.Reference{Registry: r.registry(), Repository: "acme/bar"})
}

func TestABlobOfTheSameRegistryIsMounted(t *testing.T) {
	handlers := keeper(unprotected)
	upload := handlers["POST /v2/acme/foo/blobs/uploads/"]
	for name, c := range map[string]struct {
		mount http.HandlerFunc
		want  Arrival
		posts int
	}{
		"it is": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("from") != "acme/bar" || r.URL.Query().Get("mount") != blobOf("content").Digest.String() {
				t.Errorf("asked with %s", r.URL.RawQuery)
			}
			w.WriteHeader(http.StatusCreated)
		}, Mounted, 1},
		"it is not, and an upload begins": {upload, Sent, 1},
		"it is refused":                   {answer(http.StatusForbidden, errorDocument("DENIED", "no")), Sent, 2},
		"it is not known":                 {answer(http.StatusMethodNotAllowed, errorDocument("UNSUPPORTED", "no")), Sent, 2},
	} {
		t.Run(name, func(t *testing.T) {
			handlers := keeper(unprotected)
			handlers["POST /v2/acme/foo/blobs/uploads/"] = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("mount") {
					c.mount(w, r)
					return
				}
				upload(w, r)
			}
			s := serve(t, handlers)
			r := repo(t, s.host, Options{})
			how, err := r.PushBlob(t.Context(), blobOf("content"), sibling(r), opener("content"))
			if how != c.want || err != nil {
				t.Errorf("it arrived by %v, %v; want %v", how, err, c.want)
			}
			s.wantTimes(t, "POST", c.posts)
		})
	}
}

func TestABlobOfAnotherRegistryIsNotMounted(t *testing.T) {
	s := registryThatKeeps(t, unprotected)
	r := repo(t, s.host, Options{})
	how, err := r.PushBlob(t.Context(), blobOf("content"), r.client.Repository(reference.Reference{Registry: "example.com", Repository: "acme/bar"}), opener("content"))
	if how != Sent || err != nil {
		t.Errorf("it arrived by %v, %v", how, err)
	}
	s.wantTimes(t, "POST", 1)
}

func TestAnUploadThatBreaksAfterAMountWasRefusedStartsAgainWithoutIt(t *testing.T) {
	s := serve(t, pushing(upload, func(h http.HandlerFunc) http.HandlerFunc { return failing(1, broken, h) }))
	r := repo(t, s.host, Options{})
	how, err := r.PushBlob(t.Context(), blobOf("content"), sibling(r), opener("content"))
	if how != Sent || err != nil {
		t.Errorf("it arrived by %v, %v", how, err)
	}
	s.wantTimes(t, "POST", 2)
	wantFetched(t, r, "content")
}

func TestOfflineNothingIsAsked(t *testing.T) {
	s := registryThatKeeps(t, unprotected)
	asked := filepath.Join(t.TempDir(), "asked")
	helper(t, "never", "echo > "+asked+"; exit 1")
	client := New(Options{Offline: true, Credentials: credentialsIn(t, `{"credsStore": "never"}`)})
	defer client.Close()
	r := client.Repository(reference.Reference{Registry: s.host, Repository: repository})
	ctx := t.Context()
	for name, ask := range map[string]func() error{
		"look up " + s.host + "/acme/foo:1": func() error { _, err := r.Resolve(ctx, "1"); return err },
		"fetch " + s.host + "/acme/foo:1":   func() error { _, _, err := r.Manifest(ctx, "1"); return err },
		"fetch sha256:":                     func() error { _, err := r.Fetch(ctx, blobOf("x")); return err },
		"list the tags of":                  func() error { _, err := r.Tags(ctx); return err },
		"list what refers to":               func() error { _, err := r.Referrers(ctx, manifestOf(odd)); return err },
		"look for sha256:":                  func() error { _, err := r.PushBlob(ctx, blobOf("x"), nil, opener("x")); return err },
		"push the manifest to":              func() error { return r.PushManifest(ctx, manifestOf(odd), []byte(odd), "1") },
		"log in to " + s.host:               func() error { return client.Login(ctx, s.host, "ann", "secret") },
	} {
		err := ask()
		wantError(t, err, errdef.ErrNetwork, name, "this runs offline", "OCIPKG_MIRROR=oci:DIR")
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("the error has several lines: %v", err)
		}
	}
	if len(s.asked) > 0 {
		t.Errorf("the registry was asked %q", s.asked)
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("the helper for credentials was asked")
	}
}
