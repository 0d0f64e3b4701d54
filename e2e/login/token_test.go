package login

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// startWithTokens starts a registry that asks for tokens; everybody may pull
// public/library.
func startWithTokens(t *testing.T, tls bool, field string) *registrytest.Registry {
	t.Helper()
	return registrytest.StartDistribution(t, registrytest.Options{
		TLS: tls,
		Token: &registrytest.TokenOptions{
			Accounts: []registrytest.Account{alice},
			Public:   []string{"public/library"},
			Field:    field,
		},
	})
}

func TestTokensArePushedAndGotWith(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"", "token", "access_token"} {
		t.Run("field "+field, func(t *testing.T) {
			registry := startWithTokens(t, true, field)
			s := newUser(t, registry, program.Options{})
			name := registry.Host + "/private/library:1"
			s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", "wrong").Fails(4, registry.Host)
			s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", alice.Password).OK()
			digest := s.Run("ocipkg", "push", "in", name).Digest()
			issued := registry.Tokens.Issued("")
			if got := s.Run("ocipkg", "get", name).Digest(); got != digest {
				t.Errorf("got %s, want %s", got, digest)
			}
			if n := registry.Tokens.Issued("") - issued; n != 1 {
				t.Errorf("a get asked for %d tokens", n)
			}
			issued = registry.Tokens.Issued("")
			s.Run("ocipkg", "get", "--overwrite", name).OK()
			if n := registry.Tokens.Issued("") - issued; n != 0 {
				t.Errorf("the next get asked for %d tokens", n)
			}
			s.Run("ocipkg", "logout", registry.Host).OK()
			s.Run("ocipkg", "get", "--overwrite", name).Fails(4, "ocipkg login "+registry.Host)
		})
	}
}

// publishPublic pushes a package that everybody may get.
func publishPublic(t *testing.T, registry *registrytest.Registry) (name, digest string) {
	t.Helper()
	s := newUser(t, registry, program.Options{})
	s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", alice.Password).OK()
	name = registry.Host + "/public/library:1"
	return name, s.Run("ocipkg", "push", "in", name).Digest()
}

func TestPublicRepositoriesAreGotWithoutALoginAndNotPushedTo(t *testing.T) {
	t.Parallel()
	registry := startWithTokens(t, false, "")
	name, digest := publishPublic(t, registry)
	s := newUser(t, registry, program.Options{})
	if got := s.Run("ocipkg", "get", name).Digest(); got != digest {
		t.Errorf("got %s, want %s", got, digest)
	}
	if tags := s.Run("ocipkg", "tags", name).OK().Stdout; tags != "1\n" {
		t.Errorf("the tags are %q", tags)
	}
	if n := registry.Tokens.Issued(registrytest.GrantAnonymous); n == 0 {
		t.Error("no anonymous token was asked for")
	}
	s.WriteFile("in/new", "new", 0o644)
	s.Run("ocipkg", "push", "in", name).Fails(4, name, "ocipkg login "+registry.Host)
	s.Run("ocipkg", "get", registry.Host+"/private/library:1").Fails(4, "ocipkg login "+registry.Host)
}

func TestCredentialThatHasExpiredStandsBeforeAPushAndNotBeforeAPublicPackage(t *testing.T) {
	t.Parallel()
	registry := startWithTokens(t, false, "")
	name, digest := publishPublic(t, registry)
	expired := registry.Tokens.IdentityToken(alice.User)
	registry.Tokens.RevokeIdentityTokens()
	credentials := map[string]credential{
		"password":       basic(registrytest.Account{User: alice.User, Password: "last year's"}),
		"identity token": {IdentityToken: expired},
	}
	for what, c := range credentials {
		t.Run(what, func(t *testing.T) {
			s := newUser(t, registry, program.Options{})
			s.WriteFile(configFile(s), authFile(t, registry.Host, c), 0o600)
			s.WriteFile("in/new", what, 0o644)
			s.Run("ocipkg", "push", "in", name).Fails(4, name, "ocipkg login "+registry.Host)
			r := s.Run("ocipkg", "get", name)
			if got := r.Digest(); got != digest {
				t.Errorf("got %s, want %s", got, digest)
			}
			if strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, "credentials stored for "+registry.Host) {
				t.Errorf("there is no warning about the credentials\n%s", r)
			}
			s.Run("ocipkg", "get", registry.Host+"/private/library:1").Fails(4, "ocipkg login "+registry.Host)
		})
	}
}

func TestIdentityTokenIsExchangedForTokens(t *testing.T) {
	t.Parallel()
	registry := startWithTokens(t, true, "")
	s := newUser(t, registry, program.Options{})
	s.WriteFile(configFile(s), authFile(t, registry.Host, credential{IdentityToken: registry.Tokens.IdentityToken(alice.User)}), 0o600)
	name := registry.Host + "/private/library:1"
	digest := s.Run("ocipkg", "push", "in", name).Digest()
	if got := s.Run("ocipkg", "get", name).Digest(); got != digest {
		t.Errorf("got %s, want %s", got, digest)
	}
	if n := registry.Tokens.Issued(registrytest.GrantRefresh); n == 0 || n != registry.Tokens.Issued("") {
		t.Errorf("of %d tokens %d were for the identity token", registry.Tokens.Issued(""), n)
	}
}

func TestTokenThatRunsOutDuringATransferIsRenewed(t *testing.T) {
	t.Parallel()
	registry := startWithTokens(t, false, "")
	proxy := registrytest.StartProxy(t, registry)
	response, err := registry.Client().Get(registry.URL + "/v2/private/library/manifests/1")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	// Once for each kind of request the token counts as expired.
	expired := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("WWW-Authenticate", response.Header.Get("WWW-Authenticate"))
		w.WriteHeader(http.StatusUnauthorized)
	}
	var faults []registrytest.Intercept
	for method, path := range map[string]string{"PUT": "/blobs/uploads/", "GET": "/blobs/", "HEAD": "/blobs/"} {
		faults = append(faults, registrytest.When(registrytest.Path(method, path), registrytest.Times(1, expired)))
	}
	faults = append(faults, registrytest.When(registrytest.Path("PUT", "/manifests/"), registrytest.Times(1, expired)))
	proxy.SetIntercept(registrytest.Chain(faults...))

	s := newUser(t, registry, program.Options{})
	s.WriteFile(configFile(s), authFile(t, proxy.Host, basic(alice)), 0o600)
	name := proxy.Host + "/private/library:1"
	digest := s.Run("ocipkg", "push", "in", name).Digest()
	if got := s.Run("ocipkg", "get", name).Digest(); got != digest {
		t.Errorf("got %s, want %s", got, digest)
	}
	if n := proxy.Count("", "", http.StatusUnauthorized); n < len(faults) {
		t.Errorf("only %d requests were refused", n)
	}
}
