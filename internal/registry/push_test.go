package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// pushing gives the handlers of a registry that keeps, with those of one
// request replaced.
func pushing(pattern string, with func(http.HandlerFunc) http.HandlerFunc) map[string]http.HandlerFunc {
	handlers := keeper(unprotected)
	handlers[pattern] = with(handlers[pattern])
	return handlers
}

const upload = "PUT /uploads/1"

func TestABlobThatIsThereIsNotSent(t *testing.T) {
	s := registryThatKeeps(t, unprotected)
	r := repo(t, s.host, Options{})
	for _, want := range []Arrival{Sent, Had} {
		how, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
		if how != want || err != nil {
			t.Errorf("sent %v, %v; want %v", how, err, want)
		}
	}
	s.wantTimes(t, "POST", 1)
	s.wantTimes(t, "PUT", 1)
	wantFetched(t, r, "content")
}

func TestAnUploadGoesWhereTheRegistrySays(t *testing.T) {
	for _, location := range []string{"/uploads/1?state=a%20b", "URL/uploads/1?state=a%20b", "../../../../../uploads/1?state=a%20b"} {
		var s *server
		s = serve(t, pushing("POST /v2/acme/foo/blobs/uploads/", func(http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", strings.Replace(location, "URL", s.URL, 1))
				w.WriteHeader(http.StatusAccepted)
			}
		}))
		if how, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, opener("content")); how != Sent || err != nil {
			t.Errorf("%s: sent %v, %v", location, how, err)
		}
	}
}

func TestAnEmptyBlobIsSent(t *testing.T) {
	s := registryThatKeeps(t, unprotected)
	if how, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf(""), nil, opener("")); how != Sent || err != nil {
		t.Errorf("sent %v, %v", how, err)
	}
}

func TestAnUploadThatBreaksStartsAgain(t *testing.T) {
	t.Parallel()
	content := noise(200 << 10)
	middle := func(w http.ResponseWriter, r *http.Request) {
		io.CopyN(io.Discard, r.Body, 100<<10)
		reset(w)
	}
	for name, failure := range map[string]http.HandlerFunc{
		"reset in the middle": middle, "reset at once": broken, "503": answer(503, ""), "429": answer(429, ""),
		"500 after the content": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(500)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, pushing(upload, func(h http.HandlerFunc) http.HandlerFunc { return failing(2, failure, h) }))
			opened := 0
			r := repo(t, s.host, Options{})
			how, err := r.PushBlob(t.Context(), blobOf(content), nil, func() (io.ReadCloser, error) {
				opened++
				return opener(content)()
			})
			if how != Sent || err != nil || opened != 3 {
				t.Errorf("sent %v, %v, opened %d times", how, err, opened)
			}
			s.wantTimes(t, "POST", 3)
			s.wantTimes(t, "PUT", 3)
			wantFetched(t, r, content)
		})
	}
}

func TestUploadsThatKeepBreakingEnd(t *testing.T) {
	for name, failure := range map[string]http.HandlerFunc{"reset": broken, "503": answer(503, errorDocument("BUSY", "maintenance"))} {
		s := serve(t, pushing(upload, func(http.HandlerFunc) http.HandlerFunc { return failure }))
		how, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
		wantError(t, err, errdef.ErrNetwork, "push "+blobOf("content").Digest.String(), s.host, "try again later")
		if how != Had {
			t.Errorf("%s: sent", name)
		}
		for _, method := range []string{"HEAD", "POST", "PUT"} {
			s.wantTimes(t, method, maxRetries+1)
		}
	}
}

func TestAnUploadThatWasWholeIsNotSentAgainWhenItsAnswerIsLost(t *testing.T) {
	s := serve(t, pushing(upload, func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			h(nowhere{}, r)
			reset(w)
		}
	}))
	if how, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, opener("content")); how != Sent || err != nil {
		t.Errorf("sent %v, %v", how, err)
	}
	s.wantTimes(t, "PUT", 1)
}

// nowhere takes an answer that is not to be given.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}

func TestARefusedUploadIsFinal(t *testing.T) {
	for status, kind := range map[int]error{403: errdef.ErrUnauthorized, 400: nil, 413: nil} {
		s := serve(t, pushing(upload, func(http.HandlerFunc) http.HandlerFunc {
			return answer(status, errorDocument("DENIED", "quota exceeded"))
		}))
		_, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
		wantError(t, err, kind, s.host, "quota exceeded")
		s.wantTimes(t, "PUT", 1)
	}
}

func TestAnUploadThatTheRegistryForgotIsStartedOnceMore(t *testing.T) {
	for _, status := range []int{404, 416} {
		s := serve(t, pushing(upload, func(h http.HandlerFunc) http.HandlerFunc { return failing(1, answer(status, ""), h) }))
		if how, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, opener("content")); how != Sent || err != nil {
			t.Errorf("%d: sent %v, %v", status, how, err)
		}
		s = serve(t, pushing(upload, func(h http.HandlerFunc) http.HandlerFunc { return failing(2, answer(status, ""), h) }))
		if _, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, opener("content")); err == nil {
			t.Errorf("%d: no error", status)
		}
		s.wantTimes(t, "PUT", 2)
	}
}

// failingReader gives some content and then an error.
type failingReader struct {
	io.Reader
	err error
}

func (f *failingReader) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

func TestAnErrorOfReadingTheContentIsFinalAndNotTheRegistrys(t *testing.T) {
	t.Parallel()
	wrong := errdef.Errorf(errdef.ErrVerification, "the archive is damaged")
	content := noise(512 << 10)
	for _, cause := range []error{wrong, io.ErrUnexpectedEOF, errors.New("disk error")} {
		for _, given := range []string{"", "cont", content[:400<<10]} {
			s := registryThatKeeps(t, unprotected)
			desc := blobOf(content)
			_, err := repo(t, s.host, Options{}).PushBlob(t.Context(), desc, nil, func() (io.ReadCloser, error) {
				return io.NopCloser(&failingReader{strings.NewReader(given), cause}), nil
			})
			if !errors.Is(err, cause) || err.Error() != fmt.Sprintf("push %s to %s/acme/foo: %v", desc.Digest, s.host, cause) {
				t.Errorf("after %d bytes: %v, want that of the reader", len(given), err)
			}
			s.wantTimes(t, "POST", 1)
		}
	}
	s := registryThatKeeps(t, unprotected)
	_, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, func() (io.ReadCloser, error) { return nil, wrong })
	wantError(t, err, errdef.ErrVerification, "the archive is damaged")
	s.wantTimes(t, "POST", 0)
}

func TestContentOfAnotherLengthIsAnError(t *testing.T) {
	for _, content := range []string{"", "cont", "content and more"} {
		s := registryThatKeeps(t, unprotected)
		how, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, opener(content))
		if how != Had && err == nil {
			t.Errorf("%q was sent: %v, %v", content, how, err)
		}
		s.wantTimes(t, "POST", 1)
	}
}

func TestALongWaitForTheAnswerToAnUploadIsNoStall(t *testing.T) {
	setFor(t, &stallWait, shortly)
	setFor(t, &answerWait, shortly)
	s := serve(t, pushing(upload, func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			h(nowhere{}, r)
			if err := pause(r.Context(), 3*shortly); err == nil {
				w.WriteHeader(http.StatusCreated)
			}
		}
	}))
	if how, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, opener("content")); how != Sent || err != nil {
		t.Errorf("sent %v, %v", how, err)
	}
	s.wantTimes(t, "PUT", 1)
	s.wantTimes(t, "HEAD", 1)
}

func TestAnUploadThatIsNotTakenIsGivenUp(t *testing.T) {
	setFor(t, &stallWait, 3*shortly)
	content := noise(12 << 20) // more than the buffers between hold
	done := make(chan struct{})
	s := serve(t, pushing(upload, func(h http.HandlerFunc) http.HandlerFunc {
		return failing(1, func(w http.ResponseWriter, r *http.Request) { <-done }, h)
	}))
	defer close(done)
	if how, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf(content), nil, opener(content)); how != Sent || err != nil {
		t.Errorf("sent %v, %v", how, err)
	}
	s.wantTimes(t, "PUT", 2)
}

func TestAManifestThatTheRegistryKeepsAsAnotherIsAnError(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Content-Digest", blobOf("other").Digest.String())
		w.WriteHeader(http.StatusCreated)
	}})
	err := repo(t, s.host, Options{}).PushManifest(t.Context(), manifestOf(odd), []byte(odd), "1")
	wantError(t, err, nil, "push the manifest to "+s.host+"/acme/foo:1", "stored it as")
}

func TestARefusedManifestSaysWhy(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(400, errorDocument("MANIFEST_INVALID", "no\nsuch  blob"))})
	err := repo(t, s.host, Options{}).PushManifest(t.Context(), manifestOf(odd), []byte(odd))
	wantError(t, err, nil, "push the manifest to "+s.host+"/acme/foo@sha256:", "400", "(no such blob)")
}

func TestARegistryThatTakesTypesThatItKnowsAloneIsSaidToDoSo(t *testing.T) {
	for raw, want := range map[string]bool{
		`{"artifactType": "x/package", "config": {"mediaType": "x/config"}}`:        true,
		`{"config": {"mediaType": "x/config"}}`:                                     true,
		`{"config": {"mediaType": "application/vnd.oci.image.config.v1+json"}}`:     false,
		`{"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}`: false,
	} {
		s := serve(t, map[string]http.HandlerFunc{"PUT /v2/": answer(http.StatusBadRequest, `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":"unknown media type: x"}]}`)})
		err := repo(t, s.host, Options{}).PushManifest(t.Context(), manifestOf(raw), []byte(raw), "1")
		wantError(t, err, nil, "manifest invalid: unknown media type: x")
		if got := strings.Contains(err.Error(), "takes no artifacts of the type x/"); got != want {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
