package registry

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

var ann = auth.Credential{Username: "ann", Password: "pass:with:colons"}

func TestEveryFormOfBearerChallengeIsAnswered(t *testing.T) {
	for challenge, want := range map[string]struct {
		scope   string
		service string
	}{
		`Bearer realm="REALM",service="reg",scope="repository:acme/foo:pull"`:      {"repository:acme/foo:pull", "reg"},
		`Bearer realm="REALM",service="reg",scope="repository:acme/foo:pull,push"`: {"repository:acme/foo:pull,push", "reg"},
		`Bearer realm="REALM", service="reg", scope="repository:acme/foo:pull"`:    {"repository:acme/foo:pull", "reg"},
		`bearer realm="REALM",service="reg"`:                                       {"repository:acme/foo:pull", "reg"},
		`BEARER realm="REALM",scope="repository:acme/foo:pull"`:                    {"repository:acme/foo:pull", ""},
		`Bearer realm="REALM"`: {"repository:acme/foo:pull", ""},
		`Bearer scope="repository:acme/foo:pull repository:acme/bar:pull",realm="REALM",service="a,b"`: {"repository:acme/bar:pull repository:acme/foo:pull", "a,b"},
	} {
		tokens := tokens(t, "token", nil)
		s := serve(t, map[string]http.HandlerFunc{
			"/v2/": tokens.protected(challenge, answer(http.StatusOK, "content")),
		})
		wantFetched(t, repo(t, s.host, Options{}), "content")
		form := tokens.form(0)
		if got := strings.Join(form["scope"], " "); got != want.scope || form.Get("service") != want.service {
			t.Errorf("%s: asked for the scope %q of %q, want %q of %q", challenge, got, form.Get("service"), want.scope, want.service)
		}
	}
}

func TestATokenServerMayCallItsTokenEitherName(t *testing.T) {
	for _, field := range []string{"token", "access_token"} {
		tokens := tokens(t, field, nil)
		s := serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM"`, answer(http.StatusOK, "content"))})
		wantFetched(t, repo(t, s.host, Options{}), "content")
	}
}

func TestATokenServesForManyRequests(t *testing.T) {
	tokens := tokens(t, "token", nil)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM"`, answer(http.StatusOK, "content"))})
	r := repo(t, s.host, Options{Credentials: stored(t, s.host, ann)})
	for range 5 {
		wantFetched(t, r, "content")
	}
	tokens.wantTimes(t, "/token", 1)
	s.wantTimes(t, "GET", 6)
	if want := []string{"ann:pass:with:colons"}; !slices.Equal(tokens.users, want) {
		t.Errorf("the token server saw %q, want %q", tokens.users, want)
	}
}

func TestAnExpiredTokenIsRenewed(t *testing.T) {
	tokens := tokens(t, "token", nil)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM"`, answer(http.StatusOK, "content"))})
	r := repo(t, s.host, Options{})
	wantFetched(t, r, "content")
	tokens.expire()
	wantFetched(t, r, "content")
	tokens.wantTimes(t, "/token", 2)
}

func TestAnIdentityTokenIsExchangedByPost(t *testing.T) {
	tokens := tokens(t, "access_token", func(user string) bool { return user != "<token>" })
	s := serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM",service="reg"`, answer(http.StatusOK, "content"))})
	wantFetched(t, repo(t, s.host, Options{Credentials: stored(t, s.host, auth.Credential{RefreshToken: "identity"})}), "content")
	tokens.wantTimes(t, "POST /token", 1)
	form := tokens.form(0)
	for key, want := range map[string]string{"grant_type": "refresh_token", "refresh_token": "identity", "service": "reg", "scope": "repository:acme/foo:pull", "client_id": "ocipkg"} {
		if got := form.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestBasicIsKnownInAnyCaseAndKeepsColonsInPasswords(t *testing.T) {
	for _, scheme := range []string{"Basic", "basic", "BASIC"} {
		s := serve(t, map[string]http.HandlerFunc{"/v2/": basic(scheme, ann.Username, ann.Password, answer(http.StatusOK, "content"))})
		r := repo(t, s.host, Options{Credentials: stored(t, s.host, ann)})
		wantFetched(t, r, "content")
		wantFetched(t, r, "content")
		s.wantTimes(t, "GET", 3)
	}
}

func TestOneTokenServesForAPush(t *testing.T) {
	tokens := tokens(t, "token", nil)
	s := registryThatKeeps(t, func(h http.HandlerFunc) http.HandlerFunc {
		return tokens.protected(`Bearer realm="REALM"`, h)
	})
	r := repo(t, s.host, Options{Credentials: stored(t, s.host, ann)})
	for _, content := range []string{"one", "two"} {
		if how, err := r.PushBlob(t.Context(), blobOf(content), nil, opener(content)); how != Sent || err != nil {
			t.Errorf("sent %s: %v, %v", content, how, err)
		}
	}
	if err := r.PushManifest(t.Context(), manifestOf("{}"), []byte("{}"), "1"); err != nil {
		t.Error(err)
	}
	tokens.wantTimes(t, "/token", 1)
}

func TestATokenThatExpiresHalfWayThroughAPushIsRenewed(t *testing.T) {
	for _, at := range []string{"POST", "PUT /uploads", "PUT /v2/acme/foo/manifests"} {
		tokens := tokens(t, "token", nil)
		var once bool
		s := registryThatKeeps(t, func(h http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if !once && strings.HasPrefix(r.Method+" "+r.URL.Path, at) {
					once = true
					tokens.expire()
				}
				tokens.protected(`Bearer realm="REALM"`, h)(w, r)
			}
		})
		r := repo(t, s.host, Options{})
		if how, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content")); how != Sent || err != nil {
			t.Errorf("expiry at %s: sent %v, %v", at, how, err)
		}
		if err := r.PushManifest(t.Context(), manifestOf("{}"), []byte("{}"), "1"); err != nil {
			t.Errorf("expiry at %s: %v", at, err)
		}
		tokens.wantTimes(t, "/token", 2)
	}
}

func TestARegistryThatNeverAcceptsItsOwnTokensIsNotAskedForEver(t *testing.T) {
	tokens := tokens(t, "token", nil)
	s := registryThatKeeps(t, func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				tokens.expire()
			}
			tokens.protected(`Bearer realm="REALM"`, h)(w, r)
		}
	})
	_, err := repo(t, s.host, Options{}).PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
	wantError(t, err, errdef.ErrUnauthorized, "ocipkg login "+s.host)
	s.wantTimes(t, "PUT", 2)
}

func TestAWrongTokenAnswerIsAnErrorThatSaysSo(t *testing.T) {
	for _, body := range []string{``, `{}`, `{"token": ""}`, `{"token": 5}`, `<html>`} {
		var s *server
		s = serve(t, map[string]http.HandlerFunc{
			"/token": answer(http.StatusOK, body),
			"/v2/": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("WWW-Authenticate", `Bearer realm="`+s.URL+`/token"`)
				w.WriteHeader(http.StatusUnauthorized)
			},
		})
		_, err := fetch(t, repo(t, s.host, Options{}), blobOf("content"))
		wantError(t, err, nil, s.host, "token")
	}
}
