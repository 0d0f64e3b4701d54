package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// failing answers with failure until it has done so n times.
func failing(n int, failure, then http.HandlerFunc) http.HandlerFunc {
	var count atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if int(count.Add(1)) <= n {
			failure(w, r)
			return
		}
		then(w, r)
	}
}

func broken(w http.ResponseWriter, _ *http.Request) { reset(w) }

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	for name, failure := range map[string]http.HandlerFunc{
		"429": answer(429, ""), "408": answer(408, ""), "500": answer(500, ""), "502": answer(502, ""), "503": answer(503, ""), "504": answer(504, ""),
		"reset":  broken,
		"closed": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/v2/": failing(2, failure, answer(http.StatusOK, "content"))})
			wantFetched(t, repo(t, s.host, Options{}), "content")
			s.wantTimes(t, "GET", 3)
		})
	}
}

func TestTriesAreCounted(t *testing.T) {
	t.Parallel()
	// Of each kind of request, and with nothing that multiplies them.
	for name, failure := range map[string]http.HandlerFunc{"503": answer(503, ""), "reset": broken} {
		s := serve(t, map[string]http.HandlerFunc{"/v2/": failure})
		for request, send := range map[string]func(*Repository) error{
			"GET /v2/acme/foo/blobs": func(r *Repository) error { _, err := fetch(t, r, blobOf("content")); return err },
			"HEAD /v2/acme/foo/blobs": func(r *Repository) error {
				_, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
				return err
			},
			"GET /v2/acme/foo/manifests":  func(r *Repository) error { _, _, err := r.Manifest(t.Context(), "1"); return err },
			"HEAD /v2/acme/foo/manifests": func(r *Repository) error { _, err := r.Resolve(t.Context(), "1"); return err },
			"GET /v2/acme/foo/tags":       func(r *Repository) error { _, err := r.Tags(t.Context()); return err },
			"PUT /v2/acme/foo/manifests": func(r *Repository) error {
				return r.PushManifest(t.Context(), manifestOf("{}"), []byte("{}"), "1")
			},
		} {
			t.Run(request+" "+name, func(t *testing.T) {
				before := s.times("")
				wantError(t, send(repo(t, s.host, Options{})), errdef.ErrNetwork, s.host, "again later")
				s.wantTimes(t, request, maxRetries+1)
				if all := s.times("") - before; all != maxRetries+1 {
					t.Errorf("%d requests, want %d", all, maxRetries+1)
				}
			})
		}
	}
}

func TestWhatWillNotPassIsTriedOnce(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 501} {
		s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(status, "")})
		if _, err := fetch(t, repo(t, s.host, Options{}), blobOf("content")); err == nil {
			t.Errorf("%d gives no error", status)
		}
		s.wantTimes(t, "", 1)
	}
}

func TestAHostThatIsNotKnownOrDoesNotListenIsTriedOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	for host, words := range map[string]string{"nowhere.invalid": "cannot be found", listener.Addr().String(): "cannot be reached"} {
		traced := &lines{}
		r := repo(t, host, Options{Trace: traced.add})
		_, err := fetch(t, r, blobOf("content"))
		wantError(t, err, errdef.ErrNetwork, host, words, "check the name")
		traced.want(t, "GET http")
	}
}

func TestARegistrySaysHowLongToWait(t *testing.T) {
	in := func(wait time.Duration) string { return time.Now().Add(wait).UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		status     int
		after      string
		least, end time.Duration
	}{
		{429, "7", 7 * time.Second, 7 * time.Second},
		{503, "7", 7 * time.Second, 7 * time.Second},
		{503, in(30 * time.Second), 20 * time.Second, 30 * time.Second},
		{429, in(-time.Hour), 0, time.Second},
		{429, "0", 0, time.Second},
		{429, "", 0, time.Second},
		{429, "soon", 0, time.Second},
		{429, "-5", 0, time.Second},
		{429, "3600", -1, -1},
		{429, "99999999999999999999", 0, time.Second},
		{404, "7", -1, -1},
	} {
		got, err := policy{}.Retry(0, &http.Response{StatusCode: c.status, Header: http.Header{"Retry-After": {c.after}}}, nil)
		if err != nil || got < c.least || got > c.end {
			t.Errorf("%d with Retry-After %q waits %v (%v), want %v to %v", c.status, c.after, got, err, c.least, c.end)
		}
	}
}

func TestARegistrysWaitIsKept(t *testing.T) {
	t.Parallel()
	slow := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	for request, run := range map[string]func(r *Repository) error{
		"PUT /uploads": func(r *Repository) error {
			_, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
			return err
		},
		"PUT /v2": func(r *Repository) error {
			return r.PushManifest(t.Context(), manifestOf("{}"), []byte("{}"), "1")
		},
	} {
		t.Run(request, func(t *testing.T) {
			t.Parallel()
			handlers := keeper(unprotected)
			for pattern, handler := range handlers {
				if strings.HasPrefix(pattern, request) {
					handlers[pattern] = failing(1, slow, handler)
				}
			}
			s := serve(t, handlers)
			start := time.Now()
			if err := run(repo(t, s.host, Options{})); err != nil {
				t.Error(err)
			}
			if waited := time.Since(start); waited < time.Second {
				t.Errorf("waited %v, want a second", waited)
			}
			s.wantTimes(t, request, 2)
		})
	}
}

func TestACancelledContextStopsAtOnce(t *testing.T) {
	setFor(t, &firstWait, 30*time.Second)
	for name, failure := range map[string]http.HandlerFunc{
		"during a wait":    answer(http.StatusServiceUnavailable, ""),
		"during an answer": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"during a body": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("con"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"after a break": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "7")
			w.Write([]byte("con"))
			w.(http.Flusher).Flush()
			reset(w)
		},
	} {
		for _, request := range []string{"blob", "manifest", "push"} {
			t.Run(name+" of a "+request, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
					time.AfterFunc(shortly/2, cancel)
					failure(w, r)
				}})
				r := repo(t, s.host, Options{})
				var err error
				switch request {
				case "blob":
					var body io.ReadCloser
					if body, err = r.Fetch(ctx, blobOf("content")); err == nil {
						_, err = io.ReadAll(body)
						body.Close()
					}
				case "manifest":
					_, _, err = r.Manifest(ctx, "1")
				case "push":
					if name == "during a body" || name == "after a break" {
						return // a HEAD has none
					}
					_, err = r.PushBlob(ctx, blobOf("content"), nil, opener("content"))
				}
				if !errors.Is(err, context.Canceled) {
					t.Errorf("the error is %v", err)
				}
			})
		}
	}
}

func TestTransientErrorsAreToldFromFinalOnes(t *testing.T) {
	dialTimeout := &net.OpError{Op: "dial", Err: timeoutError{}}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{syscall.ECONNRESET, true},
		{&url.Error{Op: "Get", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}, true},
		{fmt.Errorf("x: %w", io.ErrUnexpectedEOF), true},
		{io.EOF, true},
		{syscall.EPIPE, true},
		{net.ErrClosed, true},
		{syscall.Errno(10054), true},
		{dialTimeout, true},
		{errStalled, true},
		{errors.New("http2: server sent GOAWAY and closed the connection; LastStreamID=1"), true},
		{errors.New("stream error: stream ID 1; INTERNAL_ERROR; received from peer"), true},
		{&net.DNSError{Err: "server misbehaving", IsTemporary: true}, true},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, false},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false},
		{context.Canceled, false},
		{context.DeadlineExceeded, false},
		{&url.Error{Op: "Get", Err: context.DeadlineExceeded}, false},
		{errWantsTLS, false},
		{&errcode.ErrorResponse{StatusCode: 503}, true},
		{&errcode.ErrorResponse{StatusCode: 404}, false},
		{errors.New("x"), false},
	} {
		if got := transient(c.err); got != c.want {
			t.Errorf("transient(%v) = %v", c.err, got)
		}
	}
}

// timeoutError is as the network's own: it passes for that of a context.
type timeoutError struct{}

func (timeoutError) Error() string        { return "i/o timeout" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Temporary() bool      { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

func TestATraceNamesNoSecret(t *testing.T) {
	traced := &lines{}
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/storage?signature=secret", http.StatusTemporaryRedirect)
	}, "/storage": basic("Basic", ann.Username, ann.Password, answer(http.StatusOK, "content"))})
	wantFetched(t, repo(t, s.host, Options{Trace: traced.add, Credentials: stored(t, s.host, ann)}), "content")
	traced.want(t, "307", "GET http://"+s.host+"/storage: 401", "307", "GET http://"+s.host+"/storage: 200")
	for _, line := range traced.all {
		if strings.Contains(line, "secret") || strings.Contains(line, "pass") {
			t.Errorf("%q names a secret", line)
		}
	}
}
