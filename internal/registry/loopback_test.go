package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// dial makes a transport connect to address when it wants to go to name.
func dial(transport *http.Transport, name, address string) {
	if !strings.Contains(strings.TrimSuffix(name, "]"), ":") {
		name += ":"
	}
	next := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		if strings.HasPrefix(to, name) {
			to = address
		}
		return next(ctx, network, to)
	}
}

// tlsConfig trusts pool for any name.
func tlsConfig(pool *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: pool, ServerName: "example.com"}
}

func serveTLS(t testing.TB, handlers map[string]http.HandlerFunc) *server {
	s := newServer(t, handlers)
	s.EnableHTTP2 = true
	s.StartTLS()
	s.host = strings.TrimPrefix(s.URL, "https://")
	return s
}

func TestTLSOnThisMachineIsFoundOut(t *testing.T) {
	tokens := tokens(t, "token", nil)
	secure := httptest.NewTLSServer(tokens.Config.Handler)
	defer secure.Close()
	tokens.URL = secure.URL
	for name, protect := range map[string]func(http.HandlerFunc) http.HandlerFunc{
		"open":   unprotected,
		"basic":  func(h http.HandlerFunc) http.HandlerFunc { return basic("Basic", ann.Username, ann.Password, h) },
		"bearer": func(h http.HandlerFunc) http.HandlerFunc { return tokens.protected(`Bearer realm="REALM"`, h) },
	} {
		t.Run(name, func(t *testing.T) {
			var s *server
			handlers := keeper(protect)
			handlers["GET /v2/{$}"] = protect(answer(http.StatusOK, ""))
			handlers["GET /v2/acme/foo/tags/list"] = protect(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery == "" {
					w.Header().Set("Link", "<"+s.URL+"/v2/acme/foo/tags/list?last=1>; rel=\"next\"")
				}
				answer(http.StatusOK, `{"tags": ["1"]}`)(w, r)
			})
			s = serveTLS(t, handlers)
			r := repo(t, s.host, Options{Insecure: Hosts{s.host, strings.TrimPrefix(secure.URL, "https://")}, Credentials: stored(t, s.host, ann)})
			if how, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content")); how != Sent || err != nil {
				t.Errorf("sent %v, %v", how, err)
			}
			wantFetched(t, r, "content")
			first := New(r.client.options).Repository(reference.Reference{Registry: s.host, Repository: repository})
			if err := first.PushManifest(t.Context(), manifestOf(odd), []byte(odd), "1"); err != nil {
				t.Error(err)
			}
			if tags, err := r.Tags(t.Context()); len(tags) != 1 || err != nil {
				t.Errorf("the tags are %q, %v", tags, err)
			}
			if err := New(r.client.options).Login(t.Context(), s.host, ann.Username, ann.Password); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTLSIsFoundOutByTheAlertOfAnOpenSSLServer(t *testing.T) {
	s := serveTLS(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusOK, "content")})
	front := listen(t, func(conn net.Conn) {
		defer conn.Close()
		first := make([]byte, 1)
		conn.Read(first)
		if first[0] != 0x16 { // no handshake: an alert that the version is wrong
			conn.Write([]byte{0x15, 3, 1, 0, 2, 2, 70})
			return
		}
		relay(conn, first, s.host)
	})
	wantFetched(t, repo(t, front, Options{Insecure: Hosts{front}}), "content")
}

func TestABadRequestOnThisMachineIsNotTakenForTLS(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusBadRequest, errorDocument("NAME_INVALID", "no such name"))})
	_, err := fetch(t, repo(t, s.host, Options{}), blobOf("content"))
	wantError(t, err, nil, "400", "no such name")
	s.wantTimes(t, "", 1)
	_, err = repo(t, s.host, Options{}).Exists(t.Context(), blobOf("content"))
	wantError(t, err, nil, "400")
}

func TestACertificateThatIsNotKnownIsNamedWithTheFlagForIt(t *testing.T) {
	s := serveTLS(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusOK, "content")})
	_, err := fetch(t, repo(t, s.host, Options{}), blobOf("content"))
	wantError(t, err, errdef.ErrNetwork, "certificate of "+s.host, "unknown authority", "--insecure="+s.host)
	r := repo(t, s.host, Options{})
	trust(r.client, s.Server)
	wantFetched(t, r, "content")
	r = repo(t, s.host, Options{})
	trust(r.client, s.Server)
	r.client.secure.usual.TLSClientConfig.ServerName = "other.test"
	_, err = fetch(t, r, blobOf("content"))
	wantError(t, err, errdef.ErrNetwork, "certificate of "+s.host+" is not good", "other.test", "--insecure="+s.host)
}

func TestRegistriesElsewhereAreReachedOverTLS(t *testing.T) {
	s := serveTLS(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusOK, "content")})
	r := repo(t, "reg.example", Options{})
	trust(r.client, s.Server)
	at(r.client, "reg.example", s.Server)
	wantFetched(t, r, "content")

	plain := serve(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusOK, "content")})
	r = repo(t, "reg.example", Options{})
	at(r.client, "reg.example", plain.Server)
	_, err := fetch(t, r, blobOf("content"))
	wantError(t, err, errdef.ErrNetwork, "reg.example does not speak TLS", "--plain-http=reg.example")
	plain.wantTimes(t, "", 0)
	for _, named := range []string{"reg.example", "REG.example", "*"} {
		r = repo(t, "reg.example", Options{PlainHTTP: Hosts{"other.example", named}})
		at(r.client, "reg.example", plain.Server)
		wantFetched(t, r, "content")
	}
}

func TestDockerHubIsReachedWhereItIsAndCalledByItsName(t *testing.T) {
	s := serveTLS(t, map[string]http.HandlerFunc{
		"/v2/acme/foo/blobs/": basic("Basic", ann.Username, ann.Password, answer(http.StatusOK, "content")),
	})
	r := repo(t, "docker.io", Options{Insecure: Hosts{"docker.io"}, Credentials: stored(t, "docker.io", ann)})
	at(r.client, "registry-1.docker.io", s.Server)
	wantFetched(t, r, "content")
	_, _, err := r.Manifest(t.Context(), "1")
	wantError(t, err, errdef.ErrNotFound, "fetch docker.io/acme/foo:1", "ocipkg login docker.io")

	r = repo(t, "docker.io", Options{})
	at(r.client, "registry-1.docker.io", s.Server)
	_, err = fetch(t, r, blobOf("content"))
	wantError(t, err, errdef.ErrNetwork, "certificate of docker.io", "--insecure=docker.io")
}

func TestAFlagForOneHostIsNotForAnother(t *testing.T) {
	other := serveTLS(t, map[string]http.HandlerFunc{"/": answer(http.StatusOK, "content")})
	s := serveTLS(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/storage", http.StatusTemporaryRedirect)
	}})
	_, err := fetch(t, repo(t, s.host, Options{Insecure: Hosts{s.host}}), blobOf("content"))
	wantError(t, err, errdef.ErrNetwork, "certificate of "+other.host, "--insecure="+other.host)
	other.wantTimes(t, "", 0)
	wantFetched(t, repo(t, s.host, Options{Insecure: Hosts{s.host, other.host}}), "content")
	_, err = fetch(t, repo(t, s.host, Options{Insecure: Hosts{"localhost", "127.0.0.1"}}), blobOf("content"))
	wantError(t, err, errdef.ErrNetwork, "certificate of "+s.host)
}

func TestARedirectToPlainHTTPStaysPlainAfterTLSWasFoundOut(t *testing.T) {
	other := serve(t, map[string]http.HandlerFunc{"/": answer(http.StatusOK, "content")})
	s := serveTLS(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/storage", http.StatusTemporaryRedirect)
	}})
	r := repo(t, s.host, Options{Insecure: Hosts{s.host}})
	wantFetched(t, r, "content")
	wantFetched(t, r, "content")
}

func TestARegistryMayHaveAnIPv6Address(t *testing.T) {
	s := newServer(t, keeper(unprotected))
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener.Close()
	s.Listener = listener
	s.Start()
	r := repo(t, strings.TrimPrefix(s.URL, "http://"), Options{})
	if how, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content")); how != Sent || err != nil {
		t.Errorf("sent %v, %v", how, err)
	}
	wantFetched(t, r, "content")
}
