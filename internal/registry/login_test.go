package registry

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestARegistryIsNamedByItsHost(t *testing.T) {
	for name, want := range map[string]string{
		"ghcr.io": "ghcr.io", "GHCR.io": "ghcr.io", "ghcr.io/": "ghcr.io", "https://ghcr.io": "ghcr.io", "http://localhost:5000/": "localhost:5000",
		"localhost:5000": "localhost:5000", "127.0.0.1:5000": "127.0.0.1:5000", "[::1]:5000": "[::1]:5000", "[::1]": "[::1]",
		"docker.io": "docker.io", "index.docker.io": "docker.io", "registry-1.docker.io": "docker.io", "https://index.docker.io/v1/": "docker.io",
	} {
		if got, err := ParseHost(name); got != want || err != nil {
			t.Errorf("ParseHost(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "/", "https://", "ghcr.io/acme", "ann@ghcr.io", "gh cr.io", "::1", "host:", ":5000", "host:port", "host?x", "host#x", "ftp://x", "https://ann:secret@ghcr.io", "ann:sec@ret@ghcr.io"} {
		_, err := ParseHost(name)
		wantError(t, err, errdef.ErrUsage, "host:port")
		if strings.Contains(err.Error(), "ret@") {
			t.Errorf("%v shows a password", err)
		}
	}
}

func FuzzAParsedHostNamesItself(f *testing.F) {
	for _, seed := range []string{"ghcr.io", "[::1]:5000", "https://index.docker.io/v1/", "a:", "A%41"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		host, err := ParseHost(name)
		if err != nil {
			return
		}
		again, err := ParseHost(host)
		if err != nil || again != host || strings.ContainsAny(host, "/@?# ") {
			t.Errorf("ParseHost(%q) = %q, and that is %q, %v", name, host, again, err)
		}
	})
}

func TestALoginIsCheckedAndThenUsed(t *testing.T) {
	tokens := tokens(t, "token", func(user string) bool { return user != "ann" && user != "<token>" })
	for name, handler := range map[string]http.HandlerFunc{
		"basic": basic("Basic", ann.Username, ann.Password, answer(http.StatusOK, "content")),
		"token": tokens.protected(`Bearer realm="REALM",service="s"`, answer(http.StatusOK, "content")),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/v2/": handler})
			file := filepath.Join(t.TempDir(), "new", "config.json")
			client := New(Options{Credentials: &Credentials{paths: []string{file}}})
			err := client.Login(t.Context(), s.host, "bob", "wrong")
			wantError(t, err, errdef.ErrUnauthorized, "log in to "+s.host, "refused the user name or the password")
			if _, err := os.Stat(file); err == nil {
				t.Error("wrong credentials were kept")
			}
			if err := client.Login(t.Context(), s.host, ann.Username, ann.Password); err != nil {
				t.Fatal(err)
			}
			wantFetched(t, repo(t, s.host, client.options), "content")
			if err := client.Logout(t.Context(), s.host); err != nil {
				t.Error(err)
			}
			wantError(t, client.Logout(t.Context(), s.host), errdef.ErrNotFound, "log out of "+s.host, "no login")
			if got, _ := found(t, client.options.Credentials, s.host, "a"); got != "" {
				t.Errorf("%s is still known after the logout", got)
			}
		})
	}
}

func TestALoginWithoutAUserIsAnIdentityToken(t *testing.T) {
	tokens := tokens(t, "access_token", func(user string) bool { return user != "<token>" })
	s := serve(t, map[string]http.HandlerFunc{"/v2/": tokens.protected(`Bearer realm="REALM"`, answer(http.StatusOK, ""))})
	c := credentialsIn(t, "{}")
	if err := New(Options{Credentials: c}).Login(t.Context(), s.host, "", "identity"); err != nil {
		t.Fatal(err)
	}
	if got, _ := found(t, c, s.host, "a"); got != "identity" {
		t.Errorf("kept %q", got)
	}
}

func TestALoginSaysWhatIsWrong(t *testing.T) {
	noRegistry := serve(t, nil)
	forbidden := serve(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusForbidden, "")})
	wantsBasic := serve(t, map[string]http.HandlerFunc{"/v2/": basic("Basic", "ann", "p", answer(http.StatusOK, ""))})
	open := serve(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusOK, "")})
	for _, c := range []struct {
		host, user, password string
		credentials          *Credentials
		kind                 error
		words                string
	}{
		{noRegistry.host, "ann", "p", credentialsIn(t, ""), errdef.ErrNotFound, "no registry"},
		{forbidden.host, "ann", "p", credentialsIn(t, ""), errdef.ErrUnauthorized, "forbids it"},
		{wantsBasic.host, "", "identity", credentialsIn(t, ""), errdef.ErrUnauthorized, "user name"},
		{open.host, "ann", "", credentialsIn(t, ""), errdef.ErrUsage, "password is empty"},
		{open.host, "ann", "p", nil, nil, "set HOME"},
		{open.host, "ann", "p", credentialsIn(t, "{"), nil, "mend the file"},
		{open.host, "a:n", "p", credentialsIn(t, ""), nil, "colons"},
	} {
		wantError(t, New(Options{Credentials: c.credentials}).Login(t.Context(), c.host, c.user, c.password), c.kind, c.host, c.words)
	}
	wantError(t, New(Options{}).Logout(t.Context(), "r.example"), nil, "log out of r.example", "set HOME")
}

func TestLoginAndLogoutUseTheHelper(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept")
	helper(t, "kept", `case $1 in
store) cat >`+kept+` ;;
get) [ -f `+kept+` ] && cat `+kept+` || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm `+kept+` ;;
esac
`)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": basic("Basic", ann.Username, ann.Password, answer(http.StatusOK, "content"))})
	c := credentialsIn(t, `{"credsStore": "kept"}`)
	client := New(Options{Credentials: c})
	if err := client.Login(t.Context(), s.host, ann.Username, ann.Password); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(c.paths[0]); err != nil || strings.Contains(string(raw), s.host) {
		t.Errorf("the file is %s (%v)", raw, err)
	}
	wantFetched(t, repo(t, s.host, client.options), "content")
	if err := client.Logout(t.Context(), s.host); err != nil {
		t.Error(err)
	}
	wantError(t, client.Logout(t.Context(), s.host), errdef.ErrNotFound, "no login")
}

func TestALogoutForgetsOldEntriesToo(t *testing.T) {
	c := credentialsIn(t, `{"auths": {"https://r.example/v1/": `+entry("old", "p")+`, "r.example": `+entry("new", "p")+`, "r.example:1": `+entry("port", "p")+`}}`)
	if err := New(Options{Credentials: c}).Logout(t.Context(), "r.example"); err != nil {
		t.Fatal(err)
	}
	for registry, want := range map[string]string{"r.example": "", "r.example:1": "port"} {
		if got, _ := found(t, c, registry, "a"); got != want {
			t.Errorf("%s: found %q, want %q", registry, got, want)
		}
	}
}
