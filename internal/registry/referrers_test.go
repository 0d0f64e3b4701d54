package registry

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// listOf is a list of referrers.
func listOf(t testing.TB, descs ...ocispec.Descriptor) string {
	t.Helper()
	raw, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: descs})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func asIndex(content string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		io.WriteString(w, content)
	}
}

func TestReferrersAreListedWhateverTheRegistryKnows(t *testing.T) {
	subject, signature := manifestOf(odd), manifestOf(`{"signature": 1}`)
	list := asIndex(listOf(t, signature))
	tag := "GET /v2/acme/foo/manifests/sha256-" + subject.Digest.Encoded()
	api := "GET /v2/acme/foo/referrers/" + subject.Digest.String()
	for name, handlers := range map[string]map[string]http.HandlerFunc{
		"the API":                  {api: list},
		"the tag":                  {tag: list},
		"the tag, and a 400":       {api: answer(http.StatusBadRequest, "what?"), tag: list},
		"the tag, and a 405":       {api: answer(http.StatusMethodNotAllowed, "what?"), tag: list},
		"the API, once it is up":   {api: failing(1, answer(http.StatusServiceUnavailable, "wait"), list)},
		"another thing by the API": {api: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, tag: list},
	} {
		s := serve(t, handlers)
		got, err := repo(t, s.host, Options{}).Referrers(t.Context(), subject)
		if err != nil || len(got) != 1 || got[0].Digest != signature.Digest {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for name, handlers := range map[string]map[string]http.HandlerFunc{
		"nothing":                {},
		"an empty list":          {api: asIndex(listOf(t))},
		"the subject by the tag": {tag: asManifest(odd)},
	} {
		s := serve(t, handlers)
		if got, err := repo(t, s.host, Options{}).Referrers(t.Context(), subject); err != nil || len(got) > 0 {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	odd := `{"manifests": [{"mediaType": "x", "digest": "sha256:../../x", "size": 1}, {"mediaType": "` + ocispec.MediaTypeImageManifest + `; charset=utf-8", "digest": "` + signature.Digest.String() + `", "size": -1}]}`
	s := serve(t, map[string]http.HandlerFunc{api: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex+"; charset=utf-8")
		io.WriteString(w, odd)
	}})
	var warned []string
	got, err := repo(t, s.host, Options{Warn: func(line string) { warned = append(warned, line) }}).Referrers(t.Context(), subject)
	if len(got) != 1 || got[0].Digest != signature.Digest || got[0].MediaType != ocispec.MediaTypeImageManifest || err != nil || len(warned) != 1 {
		t.Errorf("got %v, %v, warned %q", got, err, warned)
	}
}

func TestAReferrerIsNotSentWhereItsListWouldOverwriteItsSubject(t *testing.T) {
	subject := manifestOf(odd)
	raw := `{"schemaVersion": 2, "subject": {"mediaType": "` + subject.MediaType + `", "digest": "` + subject.Digest.String() + `", "size": 1}}`
	handlers := keeper(unprotected)
	handlers["GET /v2/acme/foo/manifests/sha256-"+subject.Digest.Encoded()] = asManifest(odd)
	s := serve(t, handlers)
	err := repo(t, s.host, Options{}).PushManifest(t.Context(), manifestOf(raw), []byte(raw))
	wantError(t, err, errdef.ErrUsage, subject.Digest.String(), s.host, "--no-referrers")
	s.wantTimes(t, "PUT", 0)
}

// referTo is a manifest that refers to subject.
func referTo(subject ocispec.Descriptor, what string) string {
	return `{"schemaVersion": 2, "mediaType": "` + ocispec.MediaTypeImageManifest + `", "config": {"mediaType": "x/config"}, "artifactType": "x/signature", "annotations": {"what": "` + what + `"}, "subject": {"mediaType": "` + subject.MediaType + `", "digest": "` + subject.Digest.String() + `", "size": 1}}`
}

// Both have read the list before either writes it, and the registry takes the last.
func TestTwoWritersOfAListOfReferrersLoseNothing(t *testing.T) {
	subject := manifestOf(odd)
	tag := "/v2/acme/foo/manifests/sha256-" + subject.Digest.Encoded()
	handlers := keeper(unprotected)
	get, put := handlers["GET /v2/"], handlers["PUT /v2/acme/foo/manifests/{tag}"]
	var read sync.WaitGroup
	read.Add(2)
	reads := atomic.Int32{}
	handlers["GET "+tag] = func(w http.ResponseWriter, r *http.Request) {
		recorded := httptest.NewRecorder()
		get(recorded, r)
		if r.Method == http.MethodGet {
			if reads.Add(1) <= 2 {
				read.Done()
			}
			read.Wait()
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		w.WriteHeader(recorded.Code)
		w.Write(recorded.Body.Bytes())
	}
	first := atomic.Bool{}
	handlers["PUT "+tag] = func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			pause(r.Context(), 20*time.Millisecond) // the other one is done with writing meanwhile
		}
		put(w, r)
	}
	s := serve(t, handlers)
	var writers sync.WaitGroup
	for _, what := range []string{"one", "two"} {
		writers.Go(func() {
			raw := referTo(subject, what)
			if err := repo(t, s.host, Options{}).PushManifest(t.Context(), manifestOf(raw), []byte(raw)); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	got, err := repo(t, s.host, Options{}).Referrers(t.Context(), subject)
	if err != nil || len(got) != 2 {
		t.Errorf("%d are listed, %v", len(got), err)
	}
}

func TestAListOfReferrersKeepsWhatItHas(t *testing.T) {
	subject := manifestOf(odd)
	raw := referTo(subject, "x")
	before := `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","annotations":{"a":"b"},"manifests":[{"mediaType":"x","digest":"sha256:` + strings.Repeat("1", 64) + `","size":7,"other":[1,2]}],"unknown":{}}`
	longer, err := withReferrer([]byte(before), describeReferrer(manifestOf(raw), []byte(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"other":[1,2]`, `"unknown":{}`, `"annotations":{"a":"b"}`, `"artifactType":"x/signature","annotations":{"what":"x"}`, manifestOf(raw).Digest.String()} {
		if !strings.Contains(string(longer), want) {
			t.Errorf("%s lacks %s", longer, want)
		}
	}
	if again, err := withReferrer(longer, describeReferrer(manifestOf(raw), []byte(raw))); again != nil || err != nil {
		t.Errorf("it is added again: %s, %v", again, err)
	}
}

func TestAListOfReferrersThatCannotBeWrittenIsNamed(t *testing.T) {
	subject := manifestOf(odd)
	raw := referTo(subject, "x")
	handlers := keeper(unprotected)
	handlers["PUT /v2/acme/foo/manifests/sha256-"+subject.Digest.Encoded()] = answer(http.StatusForbidden, errorDocument("DENIED", "the tag is immutable"))
	s := serve(t, handlers)
	err := repo(t, s.host, Options{}).PushManifest(t.Context(), manifestOf(raw), []byte(raw))
	wantError(t, err, errdef.ErrUnauthorized, "the list of what refers to "+subject.Digest.String(), "the tag is immutable", "--no-referrers")
}
