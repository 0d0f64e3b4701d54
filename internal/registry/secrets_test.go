package registry

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestWhatARegistryRepeatsOfSecretsIsNotShown(t *testing.T) {
	password, identity := "marked-password", "marked-identity"
	marked := []string{password, identity, "marked-token", base64.StdEncoding.EncodeToString([]byte("ann:" + password))}
	var s *server
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Warning", fmt.Sprintf("299 - %q", "you sent "+r.Header.Get("Authorization")))
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, errorDocument("DENIED", fmt.Sprintf("not with %s %s %s", r.Header.Get("Authorization"), body, r.URL)))
	}
	for name, handlers := range map[string]map[string]http.HandlerFunc{
		"basic":          {"/v2/": shield(`Basic realm="x"`, echo)},
		"bearer":         {"/v2/": shield(`Bearer realm="REALM"`, echo), "/token": answer(200, `{"token": "marked-token", "access_token": "marked-token"}`)},
		"a token server": {"/v2/": shield(`Bearer realm="REALM"`, echo), "/token": echo},
		"a redirect": {"/v2/": shield(`Bearer realm="REALM"`, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?signature=marked-token", http.StatusTemporaryRedirect)
		}), "/token": answer(200, `{"token": "marked-token", "access_token": "marked-token"}`), "/elsewhere": func(w http.ResponseWriter, r *http.Request) {
			reset(w)
		}},
	} {
		for _, cred := range []auth.Credential{{Username: "ann", Password: password}, {RefreshToken: identity}, {AccessToken: "marked-token"}} {
			t.Run(name, func(t *testing.T) {
				s = serve(t, handlers)
				told := &lines{}
				options := Options{Credentials: credentialsIn(t, "{}"), Warn: told.add, Trace: told.add, Tokens: t.TempDir()}
				options.Credentials.inline = fmt.Sprintf(`{"auths": {%q: {"auth": %q, "identitytoken": %q, "registrytoken": %q}}}`, s.host,
					base64.StdEncoding.EncodeToString([]byte(cred.Username+":"+cred.Password)), cred.RefreshToken, cred.AccessToken)
				r := repo(t, s.host, options)
				_, fetched := fetch(t, r, blobOf("content"))
				_, listed := r.Tags(t.Context())
				_, pushed := r.PushBlob(t.Context(), blobOf("content"), nil, opener("content"))
				_, _, found := r.Manifest(t.Context(), "1")
				login := r.client.Login(t.Context(), s.host, cred.Username, cred.Password+cred.RefreshToken+cred.AccessToken)
				for _, err := range []error{fetched, listed, pushed, found, login} {
					if err == nil {
						t.Error("no error")
						continue
					}
					told.add(err.Error())
				}
				for _, line := range told.all {
					for _, secret := range marked {
						if strings.Contains(line, secret) {
							t.Errorf("%q shows %q", line, secret)
						}
					}
				}
				shown := cred.Username != "" && (name == "basic" || name == "bearer")
				if text := strings.Join(told.all, "\n"); shown && (!strings.Contains(text, "(not with B") || !strings.Contains(text, "says: you sent B")) {
					t.Errorf("what the registry says was not shown: %q", told.all)
				}
			})
		}
	}
}

func TestASecretThatIsCutOffIsNotShown(t *testing.T) {
	secret := strings.Repeat("marked ", 100) + "end"
	s := serve(t, map[string]http.HandlerFunc{"/v2/": shield(`Basic realm="x"`, func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		w.Header().Set("Warning", fmt.Sprintf("299 - %q", "you sent "+password+" or "+url.QueryEscape(password)))
		answer(http.StatusForbidden, errorDocument("DENIED", "not with "+password+" or "+url.QueryEscape(password)))(w, r)
	})})
	told := &lines{}
	r := repo(t, s.host, Options{Credentials: stored(t, s.host, auth.Credential{Username: "ann", Password: secret}), Warn: told.add})
	_, err := fetch(t, r, blobOf("content"))
	wantError(t, err, errdef.ErrUnauthorized, "not with [hidden] or [hidden]")
	told.want(t, "you sent [hidden] or [hidden]")
	if all := err.Error() + told.all[0]; strings.Contains(all, "marked") {
		t.Errorf("%s shows a piece", all)
	}
	login := r.client.Login(t.Context(), s.host, "ann", secret)
	if wantError(t, login, errdef.ErrUnauthorized, "not with [hidden]"); strings.Contains(login.Error(), "marked") {
		t.Errorf("%s shows a piece", login)
	}
}

// shield challenges whoever comes without credentials.
func shield(challenge string, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", strings.ReplaceAll(challenge, "REALM", "http://"+r.Host+"/token"))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler(w, r)
	}
}

func TestURLsAreShownWithoutWhatMayBeSecret(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                            "plain",
		`Get "https://a:b@h:1/p?q=s": EOF`: `Get "https://h:1/p?…": EOF`,
		"https://h":                        "https://h",
		`failed to parse Location header "/x?sig=%zz": invalid`: `failed to parse Location header "/x?…": invalid`,
		"what? a@b":                           "what? a@b",
		"https://h?x and http://u@i/?y, then": "https://h?… and http://i/?… then",
		"proxy socks5://u:p@h/a@b":            "proxy socks5://h/a@b",
	} {
		if got := bareURLs(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
