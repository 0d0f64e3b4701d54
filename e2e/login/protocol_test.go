package login

import (
	"os"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// TestTheWholeOfTheProtocolOverTLS is one user's way through all that a registry
// with passwords or tokens is asked, of distribution 2, and with OCIPKG_SOAK=1
// of distribution 3, which takes long to build.
func TestTheWholeOfTheProtocolOverTLS(t *testing.T) {
	t.Parallel()
	programs := map[string]string{"distribution 2": ""}
	if os.Getenv("OCIPKG_SOAK") != "" {
		programs["distribution 3"] = registrytest.DistributionV3(t)
	}
	for name, path := range programs {
		t.Run(name+" with passwords", func(t *testing.T) {
			protocol(t, registrytest.Options{Program: path, TLS: true, Htpasswd: &alice})
		})
		t.Run(name+" with tokens", func(t *testing.T) {
			protocol(t, registrytest.Options{Program: path, TLS: true, Token: &registrytest.TokenOptions{
				Accounts: []registrytest.Account{alice}, Public: []string{"public/library"}, ExpiresIn: -1}})
		})
	}
}

func protocol(t *testing.T, options registrytest.Options) {
	registry := registrytest.StartDistribution(t, options)
	s := newUser(t, registry, program.Options{})
	private, public := registry.Host+"/private/library", registry.Host+"/public/library"
	s.Run("ocipkg", "push", "in", private+":1").Fails(4, "ocipkg login "+registry.Host)
	s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", "wrong").Fails(4, registry.Host)
	s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", alice.Password).OK()

	digest := s.Run("ocipkg", "push", "in", private+":1").Digest()
	s.Run("ocipkg", "copy", private+":1", public+":1").OK().Says("mounted")
	index := s.Run("ocipkg", "index", "create", private+":all", private+":1").Digest()
	for _, name := range []string{private + ":1", public + ":1", private + "@" + digest} {
		if got := s.Run("ocipkg", "get", "--overwrite", name).Digest(); got != digest {
			t.Errorf("%s: got %s, want %s", name, got, digest)
		}
	}
	if got := "\n" + s.Run("ocipkg", "tags", private).OK().Stdout; !strings.HasPrefix(got, "\n1\nall") {
		t.Errorf("the tags are %q", got)
	}
	s.Run("ocipkg", "inspect", "--verify", private+"@"+index).OK()
	s.Run("ocipkg", "get", private+":none").Fails(3, private+":none", "has the tags")

	anybody := newUser(t, registry, program.Options{})
	if options.Token != nil {
		if got := anybody.Run("ocipkg", "get", public+":1").Digest(); got != digest {
			t.Errorf("got %s, want %s", got, digest)
		}
	}
	anybody.Run("ocipkg", "get", private+":1").Fails(4, "ocipkg login "+registry.Host)
	s.Run("ocipkg", "logout", registry.Host).OK()
	s.Run("ocipkg", "get", "--overwrite", private+":1").Fails(4, "ocipkg login "+registry.Host)
}
