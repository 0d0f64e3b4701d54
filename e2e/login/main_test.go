// Package login tests how the programs identify themselves to registries: with
// passwords, tokens, identity tokens and credential helpers, or not at all.
package login

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

func TestMain(m *testing.M) { program.Main(m) }

// alice's password has the characters that careless programs fall over.
var alice = registrytest.Account{User: "alice", Password: `pa:ss"wörd $HOME`}

// newUser gives a user with a directory "in" to pack, who trusts the
// certificates of the given registry.
func newUser(t *testing.T, registry *registrytest.Registry, options program.Options) *program.Session {
	t.Helper()
	if registry.CAFile != "" {
		options.Env = append(options.Env, "SSL_CERT_FILE="+registry.CAFile)
	}
	s := program.New(t, options)
	s.WriteFile("in/lib/data", "content", 0o644)
	return s
}

// configFile is where docker keeps credentials.
func configFile(s *program.Session) string { return filepath.Join(s.Home, ".docker", "config.json") }

// credential is an entry of docker's configuration.
type credential struct {
	Auth          string `json:"auth,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
}

func basic(a registrytest.Account) credential {
	return credential{Auth: base64.StdEncoding.EncodeToString([]byte(a.User + ":" + a.Password))}
}

// authFile is a credential file with one entry.
func authFile(t *testing.T, host string, c credential) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"auths": map[string]credential{host: c}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// stored gives the entries of docker's configuration; none when it is missing.
func stored(t *testing.T, s *program.Session) map[string]credential {
	t.Helper()
	text, err := os.ReadFile(configFile(s))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Auths map[string]credential `json:"auths"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	return config.Auths
}
