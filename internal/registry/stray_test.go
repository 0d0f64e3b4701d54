package registry

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// stranger is a server that must not see credentials.
func stranger(t testing.TB, handler http.HandlerFunc) *server {
	return serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" || r.Form.Has("refresh_token") || r.Form.Has("password") {
			t.Errorf("the credentials went to another server: %s %s, %v, %v", r.Method, r.URL, r.Header, r.Form)
		}
		handler(w, r)
	}})
}

// shielded makes a registry that wants ann's credentials in one of two ways.
func eachScheme(t *testing.T, test func(t *testing.T, guard func(http.HandlerFunc) http.HandlerFunc)) {
	t.Run("basic", func(t *testing.T) {
		test(t, func(h http.HandlerFunc) http.HandlerFunc {
			return basic("Basic", ann.Username, ann.Password, h)
		})
	})
	t.Run("bearer", func(t *testing.T) {
		tokens := tokens(t, "token", nil)
		test(t, func(h http.HandlerFunc) http.HandlerFunc { return tokens.protected(`Bearer realm="REALM"`, h) })
	})
}

func TestCredentialsDoNotFollowARedirect(t *testing.T) {
	eachScheme(t, func(t *testing.T, protect func(http.HandlerFunc) http.HandlerFunc) {
		for _, status := range []int{301, 302, 303, 307, 308} {
			other := stranger(t, answer(http.StatusOK, "content"))
			s := serve(t, map[string]http.HandlerFunc{"/v2/": protect(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.URL+"/storage", status)
			})})
			r := repo(t, s.host, Options{Credentials: stored(t, s.host, ann)})
			wantFetched(t, r, "content")
			wantFetched(t, r, "content")
			other.wantTimes(t, "GET /storage", 2)
		}
	})
}

func TestCredentialsDoNotComeBackOnAChainOfRedirects(t *testing.T) {
	eachScheme(t, func(t *testing.T, protect func(http.HandlerFunc) http.HandlerFunc) {
		second := stranger(t, answer(http.StatusOK, "content"))
		first := stranger(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, second.URL+"/b", http.StatusTemporaryRedirect)
		})
		s := serve(t, map[string]http.HandlerFunc{"/v2/": protect(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, first.URL+"/a", http.StatusTemporaryRedirect)
		})})
		wantFetched(t, repo(t, s.host, Options{Credentials: stored(t, s.host, ann)}), "content")
	})
}

func TestAChallengeByAnotherServerIsNotAnswered(t *testing.T) {
	tokens := tokens(t, "token", nil)
	for _, challenge := range []string{`Basic realm="x"`, `Bearer realm="` + tokens.URL + `/token"`} {
		other := stranger(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
		})
		s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/storage", http.StatusTemporaryRedirect)
		}})
		_, err := fetch(t, repo(t, s.host, Options{Credentials: stored(t, s.host, ann)}), blobOf("content"))
		wantError(t, err, errdef.ErrUnauthorized)
		tokens.wantTimes(t, "/token", 0)
	}
}

func TestAnUploadIsNotSentToAnotherServer(t *testing.T) {
	eachScheme(t, func(t *testing.T, protect func(http.HandlerFunc) http.HandlerFunc) {
		other := stranger(t, answer(http.StatusCreated, ""))
		s := serve(t, map[string]http.HandlerFunc{
			"HEAD /v2/": protect(answer(http.StatusNotFound, "")),
			"POST /v2/": protect(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", other.URL+"/upload")
				w.WriteHeader(http.StatusAccepted)
			}),
		})
		_, err := repo(t, s.host, Options{Credentials: stored(t, s.host, ann)}).PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
		wantError(t, err, nil, "different host")
		other.wantTimes(t, "", 0)
	})
}

func TestAListOfTagsIsNotContinuedOnAnotherServer(t *testing.T) {
	eachScheme(t, func(t *testing.T, protect func(http.HandlerFunc) http.HandlerFunc) {
		other := stranger(t, answer(http.StatusOK, `{"tags": ["evil"]}`))
		s := serve(t, map[string]http.HandlerFunc{"/v2/": protect(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+other.URL+"/v2/acme/foo/tags/list>; rel=\"next\"")
			answer(http.StatusOK, `{"tags": ["1"]}`)(w, r)
		})})
		_, err := repo(t, s.host, Options{Credentials: stored(t, s.host, ann)}).Tags(t.Context())
		wantError(t, err, nil, "not the same origin")
		other.wantTimes(t, "", 0)
	})
}

// at makes name resolve to a server in the process: the network of a client is
// replaced by one that connects there.
func at(client *Client, name string, to *httptest.Server) {
	for _, transport := range []*http.Transport{client.secure.usual, client.secure.apart, client.insecure.usual, client.insecure.apart} {
		dial(transport, name, strings.TrimPrefix(strings.TrimPrefix(to.URL, "https://"), "http://"))
	}
}

func TestARealmElsewhereGetsCredentialsOnlyWhenItWasNamedOverTLS(t *testing.T) {
	for _, c := range []struct {
		name     string
		registry string // host:port
		overTLS  bool
		options  Options
		realm    string // the URL's start
		trusted  bool
	}{
		{"over plain http, at another host", "reg.example:5000", false, Options{PlainHTTP: Hosts{"reg.example:5000"}}, "http://auth.example:80", false},
		{"over plain http, at another port", "reg.example:5000", false, Options{PlainHTTP: Hosts{"reg.example:5000"}}, "http://reg.example:5001", false},
		{"over plain http, at a TLS host", "reg.example:5000", false, Options{PlainHTTP: Hosts{"reg.example:5000"}}, "https://auth.example", false},
		{"over plain http, at itself", "reg.example:5000", false, Options{PlainHTTP: Hosts{"reg.example:5000"}}, "http://reg.example:5000", true},
		{"over plain http, at a host that the user named", "reg.example:5000", false, Options{PlainHTTP: Hosts{"reg.example:5000", "auth.example"}}, "http://auth.example", true},
		{"over plain http, on this machine", "reg.example:5000", false, Options{PlainHTTP: Hosts{"reg.example:5000"}}, "http://127.0.0.1:5001", false},
		{"over TLS, at another host", "reg.example", true, Options{}, "https://auth.example", true},
		{"over TLS, at another host without", "reg.example", true, Options{}, "http://auth.example", false},
		{"over TLS, at itself without", "reg.example", true, Options{}, "http://reg.example", false},
		{"on this machine, at another port of it", "localhost:5000", false, Options{}, "http://127.0.0.1:5001", true},
		{"on this machine, elsewhere", "localhost:5000", false, Options{}, "https://auth.example", false},
		{"elsewhere over TLS, on this machine", "reg.example", true, Options{}, "https://127.0.0.1:5001", false},
	} {
		for scheme, cred := range map[string]auth.Credential{"password": ann, "identity token": {RefreshToken: "identity"}} {
			t.Run(c.name+", "+scheme, func(t *testing.T) {
				tokens := tokens(t, "access_token", nil)
				s := newServer(t, map[string]http.HandlerFunc{
					"/v2/":   tokens.protected(`Bearer realm="`+c.realm+`/token"`, answer(http.StatusOK, "content")),
					"/token": tokens.Config.Handler.ServeHTTP,
				})
				if c.overTLS {
					s.StartTLS()
				} else {
					s.Start()
				}
				tokensTLS := httptest.NewTLSServer(tokens.Config.Handler)
				defer tokensTLS.Close()
				c.options.Credentials = stored(t, c.registry, cred)
				r := repo(t, c.registry, c.options)
				trust(r.client, s.Server, tokensTLS)
				realm := strings.TrimPrefix(strings.TrimPrefix(c.realm, "https://"), "http://")
				if strings.HasPrefix(c.realm, "https://") {
					at(r.client, realm, tokensTLS)
				} else {
					at(r.client, realm, tokens.Server)
				}
				at(r.client, c.registry, s.Server)
				got, err := fetch(t, r, blobOf("content"))
				seen := false
				for _, user := range tokens.users {
					seen = seen || user != ""
				}
				if seen != c.trusted || c.trusted && (err != nil || got != "content") {
					t.Errorf("the token server saw %q, and the read gave %q, %v", tokens.users, got, err)
				}
				if !c.trusted {
					host, _, _ := strings.Cut(realm, ":")
					wantError(t, err, errdef.ErrUnauthorized, host)
				}
			})
		}
	}
}

func TestATokenRequestIsNotRedirectedWithItsSecret(t *testing.T) {
	for _, cred := range []auth.Credential{ann, {RefreshToken: "identity"}} {
		other := stranger(t, answer(http.StatusUnauthorized, ""))
		var s *server
		s = serve(t, map[string]http.HandlerFunc{
			"/token": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.URL+"/token", http.StatusTemporaryRedirect)
			},
			"/v2/": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("WWW-Authenticate", `Bearer realm="`+s.URL+`/token"`)
				w.WriteHeader(http.StatusUnauthorized)
			},
		})
		if _, err := fetch(t, repo(t, s.host, Options{Credentials: stored(t, s.host, cred)}), blobOf("content")); err == nil {
			t.Error("no error")
		}
	}
}

// trust makes a client accept the certificates of servers.
func trust(client *Client, servers ...*httptest.Server) {
	pool := x509.NewCertPool()
	for _, s := range servers {
		if cert := s.Certificate(); cert != nil {
			pool.AddCert(cert)
		}
	}
	client.secure.usual.TLSClientConfig = tlsConfig(pool)
}
