package registry

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestAReadFallsBackToAnonymousWhenTheTokenServerRefuses(t *testing.T) {
	for status, cred := range map[int]auth.Credential{
		http.StatusUnauthorized: ann,
		http.StatusForbidden:    ann,
		http.StatusBadRequest:   {RefreshToken: "expired"},
	} {
		var s *server
		s = serve(t, map[string]http.HandlerFunc{
			"/token": func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost || r.Header.Get("Authorization") != "" {
					answer(status, errorDocument("DENIED", "expired"))(w, r)
					return
				}
				fmt.Fprint(w, `{"token": "anonymous"}`)
			},
			"/v2/": func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer anonymous" {
					w.Header().Set("WWW-Authenticate", `Bearer realm="`+s.URL+`/token"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				answer(http.StatusOK, "content")(w, r)
			},
		})
		told := &lines{}
		r := repo(t, s.host, Options{Credentials: stored(t, s.host, cred), Warn: told.add})
		for range 3 {
			wantFetched(t, r, "content")
		}
		told.want(t, "the credentials stored for "+s.host+" were refused")
		s.wantTimes(t, "/token", 2)
	}
}

func TestAReadFallsBackToAnonymousWhenTheRegistryRefuses(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		private := blobOf("private")
		s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
			switch _, _, known := r.BasicAuth(); {
			case !known && strings.HasSuffix(r.URL.Path, private.Digest.String()):
				w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
				w.WriteHeader(http.StatusUnauthorized)
			case known:
				w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
				w.WriteHeader(status)
			default:
				answer(http.StatusOK, "public")(w, r)
			}
		}})
		told := &lines{}
		r := repo(t, s.host, Options{Credentials: stored(t, s.host, ann), Warn: told.add})
		_, err := fetch(t, r, private)
		wantError(t, err, errdef.ErrUnauthorized, s.host, "ocipkg login")
		told.want(t)
		wantFetched(t, r, "public")
		wantFetched(t, r, "public")
		told.want(t, "were refused")
	}
}

func TestAWriteDoesNotFallBack(t *testing.T) {
	tokens := tokens(t, "token", func(user string) bool { return user != "" })
	s := registryThatKeeps(t, func(h http.HandlerFunc) http.HandlerFunc { return tokens.protected(`Bearer realm="REALM"`, h) })
	told := &lines{}
	r := repo(t, s.host, Options{Credentials: stored(t, s.host, ann), Warn: told.add})
	_, err := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
	wantError(t, err, errdef.ErrUnauthorized, s.host+" refused the credentials")
	wantError(t, r.PushManifest(t.Context(), manifestOf("{}"), []byte("{}"), "1"), errdef.ErrUnauthorized)
	told.want(t)
	s.wantTimes(t, "POST", 0)
	if slices.Contains(tokens.users, "") {
		t.Error("a token was asked for without credentials")
	}
}

func TestCredentialsThatFailInBothWaysGiveTheRegistrysAnswer(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
		answer(http.StatusUnauthorized, errorDocument("UNAUTHORIZED", "account locked\n\x1b[31m"))(w, r)
	}})
	told := &lines{}
	_, err := fetch(t, repo(t, s.host, Options{Credentials: stored(t, s.host, ann), Warn: told.add}), blobOf("content"))
	wantError(t, err, errdef.ErrUnauthorized, "(account locked [31m)", "ocipkg login "+s.host)
	told.want(t)
}

func TestAHelperIsAskedOnceForARepository(t *testing.T) {
	count := t.TempDir() + "/count"
	helper(t, "counting", `echo x >>`+count+`; echo '{"Username":"ann","Secret":"pass:with:colons"}'`)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": basic("Basic", ann.Username, ann.Password, answer(http.StatusOK, "content"))})
	r := repo(t, s.host, Options{Credentials: credentialsIn(t, `{"credsStore": "counting"}`)})
	for range 3 {
		wantFetched(t, r, "content")
	}
	if asked, err := os.ReadFile(count); string(asked) != "x\n" {
		t.Errorf("the helper was asked %q (%v)", asked, err)
	}
}
