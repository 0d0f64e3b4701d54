package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/reference"
)

func TestMain(m *testing.M) {
	firstWait = time.Millisecond
	// What the user of this machine has is not for tests to see.
	for _, name := range []string{"HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_AUTH_CONFIG"} {
		os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

const repository = "acme/foo"

// server is a registry that answers as a test wants, and remembers what it was
// asked.
type server struct {
	*httptest.Server
	host string

	mu    sync.Mutex
	asked []string // method and path
}

// serve starts a registry on loopback with the given handlers, by pattern.
func serve(t testing.TB, handlers map[string]http.HandlerFunc) *server {
	s := newServer(t, handlers)
	s.Start()
	s.host = strings.TrimPrefix(s.URL, "http://")
	return s
}

func newServer(t testing.TB, handlers map[string]http.HandlerFunc) *server {
	mux := http.NewServeMux()
	for pattern, handler := range handlers {
		mux.HandleFunc(pattern, handler)
	}
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // connections that break are meant to
	t.Cleanup(s.Close)
	return s
}

// times counts the requests that contain part.
func (s *server) times(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, asked := range s.asked {
		if strings.Contains(asked, part) {
			n++
		}
	}
	return n
}

func (s *server) wantTimes(t testing.TB, part string, want int) {
	t.Helper()
	if got := s.times(part); got != want {
		t.Errorf("%d requests of %q, want %d; all: %q", got, part, want, s.asked)
	}
}

// repo gives the test's repository at host.
func repo(t testing.TB, host string, options Options) *Repository {
	client := New(options)
	t.Cleanup(client.Close)
	return repoOf(client, host)
}

func repoOf(client *Client, host string) *Repository {
	return client.Repository(reference.Reference{Registry: host, Repository: repository})
}

// lines collects what a user is told.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) want(t testing.TB, parts ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) != len(parts) {
		t.Errorf("told %q, want %d lines", l.all, len(parts))
		return
	}
	for i, part := range parts {
		if !strings.Contains(l.all[i], part) {
			t.Errorf("told %q, want %q in it", l.all[i], part)
		}
	}
}

func blobOf(content string) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromString(content), Size: int64(len(content))}
}

func manifestOf(content string) ocispec.Descriptor {
	desc := blobOf(content)
	desc.MediaType = ocispec.MediaTypeImageManifest
	return desc
}

// fetch reads a blob to its end.
func fetch(t testing.TB, r *Repository, desc ocispec.Descriptor) (string, error) {
	body, err := r.Fetch(t.Context(), desc)
	if err != nil {
		return "", err
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	return string(raw), err
}

func wantFetched(t testing.TB, r *Repository, content string) {
	t.Helper()
	got, err := fetch(t, r, blobOf(content))
	if err != nil || got != content {
		t.Errorf("fetched %.60q (%v), want %.60q", got, err, content)
	}
}

// wantError checks the kind of an error, and words that its text must have.
func wantError(t testing.TB, err, kind error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("%v is not of the kind %q", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than a line", err)
	}
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func errorDocument(code, message string) string {
	doc, _ := json.Marshal(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
	return string(doc)
}

// tokenServer gives out tokens, and says which are good.
type tokenServer struct {
	*server
	mu     sync.Mutex
	issued int
	good   map[string]bool
	forms  []url.Values
	users  []string // user:password, empty for none
}

// tokens starts a token server. refuse, which may be nil, tells for which user
// names it refuses a token.
func tokens(t testing.TB, field string, refuse func(user string) bool) *tokenServer {
	s := &tokenServer{good: map[string]bool{}}
	s.server = serve(t, map[string]http.HandlerFunc{"/token": func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		user, password, _ := r.BasicAuth()
		if token := r.Form.Get("refresh_token"); token != "" {
			user, password = "<token>", token
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forms = append(s.forms, r.Form)
		s.users = append(s.users, strings.Trim(user+":"+password, ":"))
		if refuse != nil && refuse(user) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.issued++
		token := fmt.Sprintf("token-%d", s.issued)
		s.good[token] = true
		fmt.Fprintf(w, `{%q: %q}`, field, token)
	}})
	return s
}

func (s *tokenServer) accepts(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.good[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
}

func (s *tokenServer) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.good)
}

func (s *tokenServer) form(i int) url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forms[i]
}

// protected demands a token before it lets handler answer.
func (s *tokenServer) protected(challenge string, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.accepts(r) {
			w.Header().Set("WWW-Authenticate", strings.ReplaceAll(challenge, "REALM", s.URL+"/token"))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler(w, r)
	}
}

// basic demands a user name and a password.
func basic(scheme, user, password string, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", scheme+` realm="here"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler(w, r)
	}
}

// stored keeps credentials in a file of docker's format, and gives what reads
// that.
func stored(t testing.TB, host string, cred auth.Credential) *Credentials {
	c := credentialsIn(t, "{}")
	if err := c.keep(t.Context(), host, cred, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// opener gives content as often as it is asked for.
func opener(content string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
}

// keeper gives the handlers of a registry that keeps what it is sent, each
// behind protect.
func keeper(protect func(http.HandlerFunc) http.HandlerFunc) map[string]http.HandlerFunc {
	var mu sync.Mutex
	kept := map[string][]byte{}
	get := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		content, ok := kept[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Write(content)
	}
	put := func(w http.ResponseWriter, path string, content []byte) {
		mu.Lock()
		defer mu.Unlock()
		kept[path] = content
		w.WriteHeader(http.StatusCreated)
	}
	handlers := map[string]http.HandlerFunc{
		"GET /v2/": get,
		"POST /v2/acme/foo/blobs/uploads/": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/uploads/1?state=a%20b")
			w.WriteHeader(http.StatusAccepted)
		},
		"PUT /uploads/1": func(w http.ResponseWriter, r *http.Request) {
			content, err := io.ReadAll(r.Body)
			if digest := digest.FromBytes(content).String(); err != nil || r.URL.Query().Get("digest") != digest || r.URL.Query().Get("state") != "a b" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			put(w, "/v2/acme/foo/blobs/"+r.URL.Query().Get("digest"), content)
		},
		"PUT /v2/acme/foo/manifests/{tag}": func(w http.ResponseWriter, r *http.Request) {
			content, _ := io.ReadAll(r.Body)
			put(w, r.URL.Path, content)
		},
	}
	for pattern, handler := range handlers {
		handlers[pattern] = protect(handler)
	}
	return handlers
}

// registryThatKeeps is a registry of [keeper]'s handlers.
func registryThatKeeps(t testing.TB, protect func(http.HandlerFunc) http.HandlerFunc) *server {
	return serve(t, keeper(protect))
}

func unprotected(h http.HandlerFunc) http.HandlerFunc { return h }

// listen hands each connection to handle.
func listen(t testing.TB, handle func(net.Conn)) (host string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go handle(conn)
		}
	}()
	return listener.Addr().String()
}

// relay connects conn, of which first has been read, to the server at host.
func relay(conn net.Conn, first []byte, host string) {
	back, err := net.Dial("tcp", host)
	if err != nil {
		return
	}
	defer back.Close()
	back.Write(first)
	go io.Copy(back, conn)
	io.Copy(conn, back)
}

// reset breaks a connection off as a crash or a firewall does.
func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// setFor sets a variable until the test ends.
func setFor[T any](t testing.TB, variable *T, value T) {
	before := *variable
	*variable = value
	t.Cleanup(func() { *variable = before })
}

// shortly is long for a computer and short for somebody who waits for tests.
const shortly = 100 * time.Millisecond
