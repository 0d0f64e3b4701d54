package registry

import (
	"io"
	"net/http"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Whatever a registry answers, the number of requests has a bound.
func TestNoLoopOfRequestsIsWithoutEnd(t *testing.T) {
	around := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	}
	onAndOn := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path+"x", http.StatusTemporaryRedirect)
	}
	next := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			w.Header().Set("Link", "<"+r.URL.Path+`?n=1>; rel="next"`)
			io.WriteString(w, body)
		}
	}
	fetchBlob := func(r *Repository) error { _, err := fetch(t, r, blobOf("content")); return err }
	push := func(r *Repository) error {
		_, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
		return err
	}
	none := answer(http.StatusNotFound, "")
	uploadTo := func(location string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusAccepted)
		}
	}
	for name, c := range map[string]struct {
		handlers map[string]http.HandlerFunc
		ask      func(*Repository) error
		most     int
	}{
		"a blob is sent around":       {map[string]http.HandlerFunc{"/": around}, fetchBlob, 11},
		"a blob is sent on and on":    {map[string]http.HandlerFunc{"/": onAndOn}, fetchBlob, 11},
		"a manifest is sent around":   {map[string]http.HandlerFunc{"/": around}, func(r *Repository) error { _, _, err := r.Manifest(t.Context(), "1"); return err }, 11},
		"a tag is sent around":        {map[string]http.HandlerFunc{"/": around}, func(r *Repository) error { _, err := r.Resolve(t.Context(), "1"); return err }, 11},
		"tags have a next page":       {map[string]http.HandlerFunc{"/": next(`{"tags":["a"]}`)}, func(r *Repository) error { _, err := r.Tags(t.Context()); return err }, 1001},
		"tags are sent around":        {map[string]http.HandlerFunc{"/": around}, func(r *Repository) error { _, err := r.Tags(t.Context()); return err }, 11},
		"referrers have a next page":  {map[string]http.HandlerFunc{"/": next(`{"schemaVersion":2,"manifests":[]}`)}, func(r *Repository) error { _, err := r.Referrers(t.Context(), manifestOf("{}")); return err }, 1001},
		"looking for it is sent on":   {map[string]http.HandlerFunc{"/": around}, push, 11},
		"an upload is sent around":    {map[string]http.HandlerFunc{"HEAD /": none, "/": around}, push, 1 + 11},
		"an upload leads to another":  {map[string]http.HandlerFunc{"HEAD /": none, "/": uploadTo("/v2/acme/foo/blobs/uploads/x")}, push, 3},
		"the content is sent around":  {map[string]http.HandlerFunc{"HEAD /": none, "POST /": uploadTo("/u"), "PUT /": around}, push, 3},
		"a manifest put goes around":  {map[string]http.HandlerFunc{"/": around}, func(r *Repository) error { return r.PushManifest(t.Context(), manifestOf("{}"), []byte("{}"), "1") }, 11},
		"a login is never enough":     {map[string]http.HandlerFunc{"/": basic("Basic", "x", "y", nil)}, fetchBlob, 3},
		"it is busy without a reason": {map[string]http.HandlerFunc{"/": answer(429, "")}, fetchBlob, maxRetries + 1},
		"it is busy for no time": {map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(429)
		}}, fetchBlob, maxRetries + 1},
		"each part is empty": {map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-6/7")
			w.WriteHeader(http.StatusPartialContent)
		}}, fetchBlob, maxRetries + 1},
		"each answer ends at once": {map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
		}}, fetchBlob, maxRetries + 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, c.handlers)
			err := c.ask(repo(t, s.host, Options{Credentials: stored(t, s.host, ann)}))
			if got := s.times(""); got > c.most {
				t.Errorf("%d requests, want at most %d (%v)", got, c.most, err)
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestARegistryThatSendsAroundIsNamed(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	}})
	_, err := fetch(t, repo(t, s.host, Options{}), blobOf("content"))
	wantError(t, err, errdef.ErrNetwork, s.host+" sends from one place to another", "tell its operator")
}

func TestATokenServerThatSendsAroundIsNotFollowedWithoutEnd(t *testing.T) {
	var issuer *server
	issuer = serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, issuer.URL+"/token?again", http.StatusTemporaryRedirect)
	}})
	s := serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+issuer.URL+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}})
	if _, err := fetch(t, repo(t, s.host, Options{}), blobOf("content")); err == nil {
		t.Error("no error")
	}
	if n := issuer.times(""); n > 22 {
		t.Errorf("the token server was asked %d times", n)
	}
	if n := s.times(""); n > 2 {
		t.Errorf("the registry was asked %d times", n)
	}
}

func TestPagesWhoseAddressesGrowAreNotFollowedForLong(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "<"+strings.Repeat("longer", 500)+`/list>; rel="next"`)
		answer(http.StatusOK, `{"tags": ["1"]}`)(w, r)
	}})
	_, err := repo(t, s.host, Options{}).Tags(t.Context())
	wantError(t, err, errdef.ErrNetwork, s.host, "an address of 18", "16384")
	s.wantTimes(t, "GET", 6)
}
