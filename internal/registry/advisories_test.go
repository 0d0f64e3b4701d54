package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// What other clients of registries were found to do with credentials; each test
// has the names of the advisories. A spy is where they would go.

// spies listens at every name and port but the registry's own, with TLS and
// without, and knows all that is secret.
type spies struct {
	secure, plain *httptest.Server
	answer        http.HandlerFunc

	mu   sync.Mutex
	seen []string
}

var secretsOfSpied = []string{ann.Password, base64.StdEncoding.EncodeToString([]byte(ann.Username + ":" + ann.Password)), "marked-identity", "marked-token"}

func listenIn(t *testing.T) *spies {
	s := &spies{answer: answer(http.StatusOK, "content")}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := httputil.DumpRequest(r, true)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.Host+r.URL.Path)
		s.mu.Unlock()
		for _, secret := range secretsOfSpied {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%s saw %q in\n%s", r.Host, secret, raw)
			}
		}
		s.answer(w, r)
	})
	s.secure, s.plain = httptest.NewTLSServer(handler), httptest.NewServer(handler)
	t.Cleanup(s.secure.Close)
	t.Cleanup(s.plain.Close)
	return s
}

// elsewhere are origins that are not https://reg.example, where spies listen.
var elsewhere = []string{"https://evil.example", "https://reg.example:8443", "https://reg.example.evil.example", "http://evil.example", "http://reg.example", "http://reg.example:8080"}

// spied is a registry at https://reg.example that answers with what content
// does to whoever is known, and a user of it.
func spied(t *testing.T, spies *spies, cred auth.Credential, challenge string, content http.HandlerFunc) (*Repository, *lines) {
	s := newServer(t, map[string]http.HandlerFunc{
		"/v2/": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			content(w, r)
		},
		"/token": func(w http.ResponseWriter, r *http.Request) {
			if to := r.URL.Query().Get("to"); to != "" {
				http.Redirect(w, r, to, http.StatusTemporaryRedirect)
				return
			}
			answer(http.StatusOK, `{"token": "marked-token", "access_token": "marked-token"}`)(w, r)
		},
	})
	s.StartTLS()
	told := &lines{}
	client := New(Options{Credentials: stored(t, "reg.example", cred), Trace: told.add})
	t.Cleanup(client.Close)
	for _, transport := range []*http.Transport{client.secure.usual, client.secure.apart} {
		transport.Proxy = nil
		transport.DialContext = func(_ context.Context, network, to string) (net.Conn, error) {
			for _, known := range []*httptest.Server{s.Server, spies.secure, spies.plain} {
				if to == known.Listener.Addr().String() {
					return net.Dial(network, to)
				}
			}
			told.add("dial " + to)
			return nil, errors.New("there is no network")
		}
	}
	trust(client, s.Server, spies.secure)
	at(client, "reg.example:443", s.Server)
	for _, origin := range elsewhere {
		scheme, host, _ := strings.Cut(origin, "://")
		to, port := spies.secure, ":443"
		if scheme == "http" {
			to, port = spies.plain, ":80"
		}
		if !strings.Contains(host, ":") {
			host += port
		}
		at(client, host, to)
	}
	return client.Repository(reference.Reference{Registry: "reg.example", Repository: repository}), told
}

// eachSecret runs a test with each kind of credentials.
func eachSecret(t *testing.T, test func(t *testing.T, cred auth.Credential, challenge string)) {
	t.Run("a password", func(t *testing.T) { test(t, ann, `Basic realm="x"`) })
	eachToken(t, test)
}

func eachToken(t *testing.T, test func(t *testing.T, cred auth.Credential, challenge string)) {
	bearer := `Bearer realm="https://reg.example/token",service="reg"`
	t.Run("a token for a password", func(t *testing.T) { test(t, ann, bearer) })
	t.Run("a token for an identity token", func(t *testing.T) { test(t, auth.Credential{RefreshToken: "marked-identity"}, bearer) })
}

// all does everything with a repository that can be done.
func all(t *testing.T, r *Repository) (errs []error) {
	ctx := t.Context()
	_, err := fetch(t, r, blobOf("content"))
	errs = append(errs, err)
	_, err = r.Resolve(ctx, "1")
	errs = append(errs, err)
	_, _, err = r.Find(ctx, "1")
	errs = append(errs, err)
	_, err = r.Tags(ctx)
	errs = append(errs, err)
	_, err = r.Referrers(ctx, manifestOf("{}"))
	errs = append(errs, err)
	_, err = r.PushBlob(ctx, blobOf("other"), sibling(r), opener("other"))
	errs = append(errs, err)
	return append(errs, r.PushManifest(ctx, manifestOf("{}"), []byte("{}"), "1"))
}

func TestAdvisoryGHSA_vh4v_2xq2_g5cgCredentialsAlongARedirect(t *testing.T) {
	for _, origin := range elsewhere {
		for _, status := range []int{http.StatusMovedPermanently, http.StatusTemporaryRedirect} {
			eachSecret(t, func(t *testing.T, cred auth.Credential, challenge string) {
				spies := listenIn(t)
				r, _ := spied(t, spies, cred, challenge, func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, origin+r.URL.Path, status)
				})
				errs := all(t, r)
				if strings.HasPrefix(origin, "http:") {
					if len(spies.seen) > 0 || slices.Contains(errs, nil) {
						t.Errorf("%s: TLS was left for %q: %v", origin, spies.seen, errs)
					}
				} else if len(spies.seen) < 5 {
					t.Errorf("%s: the spies were asked %q only", origin, spies.seen)
				}
			})
		}
	}
}

// Each redirect begins with the headers of the first request, so that what was
// dropped at one is back at the next.
func TestAdvisoryGHSA_xc97_9f2f_9hrxCredentialsAlongAChainOfRedirects(t *testing.T) {
	for _, next := range []string{"https://evil.example/again", "https://reg.example:8443/again", "https://reg.example/v2/back"} {
		eachSecret(t, func(t *testing.T, cred auth.Credential, challenge string) {
			spies := listenIn(t)
			spies.answer = func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/v2/") {
					http.Redirect(w, r, next, http.StatusTemporaryRedirect)
				}
			}
			r, _ := spied(t, spies, cred, challenge, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/back" {
					t.Error("credentials came back by way of another")
				}
				// Go itself drops them where the name is another.
				http.Redirect(w, r, "https://reg.example:8443"+r.URL.Path, http.StatusTemporaryRedirect)
			})
			all(t, r)
			if n := len(spies.seen); n < 5 {
				t.Errorf("the spies were asked %q only", spies.seen)
			}
		})
	}
}

// The body of a request for a token has the secret, and is not sent on.
func TestAdvisoryGHSA_xc97_9f2f_9hrxASecretInTheBodyOfARedirectedTokenRequest(t *testing.T) {
	for _, origin := range elsewhere {
		eachToken(t, func(t *testing.T, cred auth.Credential, challenge string) {
			spies := listenIn(t)
			spies.answer = answer(http.StatusUnauthorized, "")
			r, told := spied(t, spies, cred, strings.Replace(challenge, "/token", "/token?to="+origin+"/token", 1), answer(http.StatusOK, "content"))
			for _, err := range all(t, r) {
				if err == nil {
					t.Error("no error")
				}
			}
			if trace := strings.Join(told.all, "\n"); !strings.Contains(trace, "307") {
				t.Errorf("nothing was sent on:\n%s", trace)
			}
		})
	}
}

func TestAdvisoryGHSA_jxpm_75mh_9fp7CredentialsAlongAnUploadLocation(t *testing.T) {
	for _, origin := range append([]string{"http://reg.example:443"}, elsewhere...) {
		eachSecret(t, func(t *testing.T, cred auth.Credential, challenge string) {
			spies := listenIn(t)
			r, told := spied(t, spies, cred, challenge, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				w.Header().Set("Location", origin+"/upload?digest=")
				w.WriteHeader(http.StatusAccepted)
			})
			how, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
			if how != Had || err == nil || len(spies.seen) > 0 {
				t.Errorf("%s: it arrived by %v, %v; the spies were asked %q", origin, how, err, spies.seen)
			}
			how, err = r.PushBlob(t.Context(), blobOf("content"), sibling(r), opener("content"))
			if how != Had || err == nil || len(spies.seen) > 0 {
				t.Errorf("%s: with a mount it arrived by %v, %v; the spies were asked %q", origin, how, err, spies.seen)
			}
			if trace := strings.Join(told.all, "\n"); strings.Contains(trace, "PUT ") {
				t.Errorf("%s: something was sent:\n%s", origin, trace)
			}
		})
	}
}

func TestAdvisoryCVE_2026_85732_GHSA_h7vf_4x9w_h99vCredentialsAlongALinkToTheNextPage(t *testing.T) {
	for _, origin := range append([]string{"//evil.example"}, elsewhere...) {
		eachSecret(t, func(t *testing.T, cred auth.Credential, challenge string) {
			spies := listenIn(t)
			spies.answer = answer(http.StatusOK, `{"tags": ["evil"]}`)
			r, _ := spied(t, spies, cred, challenge, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", fmt.Sprintf(`<%s%s?last=1>; rel="next"`, origin, r.URL.Path))
				if strings.Contains(r.URL.Path, "/referrers/") {
					asIndex(listOf(t))(w, r)
					return
				}
				answer(http.StatusOK, `{"tags": ["1"]}`)(w, r)
			})
			_, tags := r.Tags(t.Context())
			_, referrers := r.Referrers(t.Context(), manifestOf("{}"))
			if tags == nil || referrers == nil || len(spies.seen) > 0 {
				t.Errorf("%s: %v, %v; the spies were asked %q", origin, tags, referrers, spies.seen)
			}
		})
	}
}

// A list that is sent on to another origin may name its next page as if it had
// been asked there, and want credentials for it.
func TestAListThatIsSentOnGoesOnAtTheRegistryItself(t *testing.T) {
	for _, challenged := range []string{`Basic realm="x"`, `Bearer realm="https://evil.example/token"`} {
		for _, origin := range elsewhere {
			eachSecret(t, func(t *testing.T, cred auth.Credential, challenge string) {
				spies := listenIn(t)
				spies.answer = func(w http.ResponseWriter, r *http.Request) {
					if r.URL.RawQuery != "" {
						w.Header().Set("WWW-Authenticate", challenged)
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					w.Header().Set("Link", fmt.Sprintf(`<%s?last=1>; rel="next"`, r.URL.Path))
					if strings.Contains(r.URL.Path, "/referrers/") {
						asIndex(listOf(t))(w, r)
						return
					}
					answer(http.StatusOK, `{"tags": ["1"]}`)(w, r)
				}
				var again atomic.Int32
				r, _ := spied(t, spies, cred, challenge, func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.RawQuery == "":
						http.Redirect(w, r, origin+r.URL.Path, http.StatusTemporaryRedirect)
					case strings.Contains(r.URL.Path, "/referrers/"):
						again.Add(1)
						asIndex(listOf(t))(w, r)
					default:
						again.Add(1)
						answer(http.StatusOK, `{"tags": ["2"]}`)(w, r)
					}
				})
				tags, err := r.Tags(t.Context())
				_, referrers := r.Referrers(t.Context(), manifestOf("{}"))
				if strings.HasPrefix(origin, "http:") {
					if err == nil || referrers == nil || len(spies.seen) > 0 {
						t.Errorf("%s: TLS was left for %q: %v, %v", origin, spies.seen, err, referrers)
					}
				} else if err != nil || referrers != nil || !slices.Equal(tags, []string{"1", "2"}) || again.Load() != 2 || len(spies.seen) != 2 {
					t.Errorf("%s: the tags %q, %v, %v; %d pages of the registry; the spies were asked %q", origin, tags, err, referrers, again.Load(), spies.seen)
				}
			})
		}
	}
}

// Whatever leads there, nothing is said to another origin but that which a
// registry named as its token server, and that only in order to get a token.
func TestAChallengeIsAnsweredByTheRegistryAlone(t *testing.T) {
	for _, origin := range elsewhere {
		eachSecret(t, func(t *testing.T, cred auth.Credential, challenge string) {
			spies := listenIn(t)
			spies.answer = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(http.StatusUnauthorized)
			}
			r, _ := spied(t, spies, cred, challenge, answer(http.StatusOK, "content"))
			wantFetched(t, r, "content") // the registry's own is answered, and kept
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+"/v2/acme/foo/tags/list", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := r.remote.Client.Do(req)
			if err != nil || resp.StatusCode != http.StatusUnauthorized || len(spies.seen) != 1 {
				t.Fatalf("%s: %v, %v; the spies were asked %q", origin, resp, err, spies.seen)
			}
			resp.Body.Close()
			req.Header.Set("Authorization", "Basic "+secretsOfSpied[1])
			if resp, err := r.remote.Client.Do(req); err == nil || len(spies.seen) != 1 {
				t.Errorf("%s: a header was sent: %v; the spies were asked %q", origin, resp, spies.seen)
			}
		})
	}
}

func TestTLSIsNotLeftAndTheErrorNamesWhereTo(t *testing.T) {
	spies := listenIn(t)
	r, _ := spied(t, spies, ann, `Basic realm="x"`, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://evil.example"+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, _, err := r.Find(t.Context(), "1")
	wantError(t, err, errdef.ErrNetwork, "reg.example sends on from https to http://evil.example, and that is not followed")
	_, err = fetch(t, r, blobOf("content"))
	wantError(t, err, errdef.ErrNetwork, "http://evil.example")
	if len(spies.seen) > 0 {
		t.Errorf("the spies were asked %q", spies.seen)
	}
}

func TestAdvisoryCVE_2026_48978_GHSA_xf85_363p_868w_GHSA_28r5_37g7_p6mpCredentialsToATokenRealm(t *testing.T) {
	for _, realm := range []string{
		"http://evil.example/token", "http://reg.example/token", "http://reg.example:8080/token",
		"https://127.0.0.1/token", "https://localhost/token", "https://[::1]/token", "https://169.254.169.254/latest", "http://169.254.169.254/latest",
		"https://[::ffff:169.254.169.254]/", "https://0.0.0.0/", "https://[fd00:ec2::254]/", "https://100.100.100.200/",
		"file:///etc/passwd", "ftp://evil.example/", "//evil.example/token", "evil.example/token", ":",
	} {
		for name, cred := range map[string]auth.Credential{"a password": ann, "an identity token": {RefreshToken: "marked-identity"}} {
			t.Run(realm+" "+name, func(t *testing.T) {
				spies := listenIn(t)
				r, told := spied(t, spies, cred, fmt.Sprintf(`Bearer realm=%q,service="reg"`, realm), answer(http.StatusOK, "content"))
				for _, err := range all(t, r) {
					if err == nil {
						t.Error("no error")
					}
				}
				_, err := fetch(t, r, blobOf("content"))
				wantError(t, err, nil, "reg.example")
				if trace := strings.Join(told.all, "\n"); len(spies.seen) > 0 || strings.Contains(trace, "/token") || strings.Contains(trace, "dial") {
					t.Errorf("the spies were asked %q: %q", spies.seen, told.all)
				}
			})
		}
	}
}

// A token server that was named is no way on to where none may be.
func TestAdvisoryGHSA_mm27_wq9c_mxxrATokenRealmThatSendsOn(t *testing.T) {
	for _, to := range []string{"http://169.254.169.254/latest", "https://127.0.0.1/token", "http://evil.example/token", "http://reg.example/token"} {
		eachToken(t, func(t *testing.T, cred auth.Credential, challenge string) {
			spies := listenIn(t)
			r, told := spied(t, spies, cred, strings.Replace(challenge, "/token", "/token?to="+to, 1), answer(http.StatusOK, "content"))
			_, err := fetch(t, r, blobOf("content"))
			if trace := strings.Join(told.all, "\n"); err == nil || len(spies.seen) > 0 || !strings.Contains(trace, "307") || strings.Contains(trace, "169.254") || strings.Contains(trace, "dial") {
				t.Errorf("%v: %q", err, told.all)
			}
		})
	}
}

// The Rust project sent a token that it got at a realm to any Location.
func TestDefectA7OfTheRustProjectATokenToAnyLocation(t *testing.T) {
	eachSecret(t, func(t *testing.T, cred auth.Credential, challenge string) {
		spies := listenIn(t)
		r, _ := spied(t, spies, cred, challenge, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://evil.example/upload")
			w.WriteHeader(map[bool]int{true: http.StatusAccepted, false: http.StatusNotFound}[r.Method == http.MethodPost])
		})
		_, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
		wantError(t, err, nil, "different host")
		if len(spies.seen) > 0 {
			t.Errorf("the spies were asked %q", spies.seen)
		}
	})
}

func TestARealmThatIsRefusedIsNamed(t *testing.T) {
	spies := listenIn(t)
	r, _ := spied(t, spies, ann, `Bearer realm="http://evil.example/token"`, answer(http.StatusOK, "content"))
	_, err := fetch(t, r, blobOf("content"))
	wantError(t, err, errdef.ErrUnauthorized, "reg.example names a token server that credentials are not sent to", "evil.example")
}
