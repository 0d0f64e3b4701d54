package login

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

func TestLoginIsKeptForPushAndGetUntilLogout(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{TLS: true, Htpasswd: &alice})
	_, port, _ := strings.Cut(registry.Host, ":")
	for _, host := range []string{registry.Host, "localhost:" + port} {
		t.Run(host, func(t *testing.T) {
			name := host + "/acme/library:1"
			s := newUser(t, registry, program.Options{})
			s.Run("ocipkg", "push", "in", name).Fails(4, name, "ocipkg login "+host)

			r := s.Run("ocipkg", "login", host, "-u", alice.User, "-p", alice.Password).OK()
			if r.Stdout != "" || r.Stderr != "logged in to "+host+"\n" {
				t.Errorf("login printed\n%s", r)
			}
			if got := stored(t, s); len(got) != 1 || got[host] != basic(alice) {
				t.Errorf("docker's configuration has %v", got)
			}
			if info, err := os.Stat(configFile(s)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("docker's configuration has the mode %v (%v)", info.Mode(), err)
			}
			digest := s.Run("ocipkg", "push", "in", name).Digest()

			reader := newUser(t, registry, program.Options{})
			reader.Run("ocipkg", "get", name).Fails(4, name, "ocipkg login "+host)
			reader.Run("ocipkg", "tags", host+"/acme/library").Fails(4, "ocipkg login "+host)
			for _, input := range []string{alice.Password, alice.Password + "\n", alice.Password + "\r\n"} {
				reader.RunInput(input, "ocipkg", "login", host, "-u", alice.User, "--password-stdin").OK()
			}
			if got := reader.Run("ocipkg", "get", name).Digest(); got != digest {
				t.Errorf("got %s, want %s", got, digest)
			}

			if r := reader.Run("ocipkg", "logout", host).OK(); r.Stdout != "" || r.Stderr != "logged out of "+host+"\n" {
				t.Errorf("logout printed\n%s", r)
			}
			if got := stored(t, reader); len(got) != 0 {
				t.Errorf("after the logout docker's configuration has %v", got)
			}
			reader.Run("ocipkg", "get", "--overwrite", name).Fails(4, "ocipkg login "+host)
			reader.Run("ocipkg", "logout", host).Fails(3, host)
		})
	}
}

func TestLoginToARegistryByItsIPv6Address(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		registry := registrytest.StartDistribution(t, registrytest.Options{Address: "::1", TLS: tls, Htpasswd: &alice})
		name := registry.Host + "/acme/library:1"
		s := newUser(t, registry, program.Options{})
		s.WriteFile("in/include/six.h", "", 0o644)
		s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", alice.Password).OK()
		digest := s.Run("ocipkg", "push", "in", name).Digest()
		if got := s.Run("ocipkg", "get", name).Digest(); got != digest {
			t.Errorf("got %s, want %s", got, digest)
		}
		if !tls {
			continue
		}
		// Its name has brackets and colons, wherever it is written.
		s.WriteFile("ocipkg.toml", "", 0o644)
		s.Run("ocipkg", "add", "--as", "six", name).OK()
		s.Run("ocipkg", "lock").OK()
		for _, arguments := range [][]string{{"link", name}, {"link", "six"}, {"--locked", "restore"}, {"tree"}, {"vendor", "vendored"}, {"copy", name, registry.Host + "/acme/copy:2"}} {
			s.Run("ocipkg", arguments...).OK()
		}
		for _, name := range []string{name, "six"} {
			s.Run("ocipkg-pkg-config", "--exists", name).OK()
		}
		mirrored := newUser(t, registry, program.Options{Env: []string{"OCIPKG_MIRROR=oci:" + s.Dir + "/vendored,off"}})
		if got := mirrored.Run("ocipkg", "get", name).Digest(); got != digest {
			t.Errorf("got %s of what was vendored, want %s", got, digest)
		}
	}
}

func TestWrongPasswordIsRefusedAndNotKept(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{TLS: true, Htpasswd: &alice})
	s := newUser(t, registry, program.Options{})
	s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", "wrong").Fails(4, registry.Host)
	s.RunInput("wrong", "ocipkg", "login", registry.Host, "-u", alice.User, "--password-stdin").Fails(4, registry.Host)
	if got := stored(t, s); len(got) != 0 {
		t.Errorf("docker's configuration has %v", got)
	}
	s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", alice.Password).OK()
	s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", "wrong").Fails(4, registry.Host)
	if got := stored(t, s)[registry.Host]; got != basic(alice) {
		t.Errorf("a failed login changed docker's configuration to %v", got)
	}
}

func TestLoginThatCannotWorkIsAUsageError(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.Run("ocipkg", "login", "127.0.0.1:1", "-u", "alice").Fails(2, "--password-stdin")
	s.RunInput("", "ocipkg", "login", "127.0.0.1:1", "-u", "alice", "--password-stdin").Fails(2, "empty")
	s.RunInput("x", "ocipkg", "login", "127.0.0.1:1", "-u", "alice", "-p", "y", "--password-stdin").Fails(2, "password-stdin")
	s.Run("ocipkg", "login", "ghcr.io/acme", "-u", "alice", "-p", "x").Fails(2, "ghcr.io/acme")
	s.Run("ocipkg", "login", "127.0.0.1:1", "-u", "alice", "-p", "x").Fails(8, "127.0.0.1:1")
}

func TestLoginKeepsWhatElseDockersConfigurationHas(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{Htpasswd: &alice})
	s := newUser(t, registry, program.Options{})
	s.WriteFile(configFile(s), `{"psFormat":"table {{.ID}}","auths":{"other.example":{"auth":"YTpi"}}}`, 0o600)
	s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", alice.Password).OK()
	text, err := os.ReadFile(configFile(s))
	if err != nil || !strings.Contains(string(text), "table {{.ID}}") {
		t.Errorf("docker's configuration is now %s (%v)", text, err)
	}
	if got := stored(t, s); got["other.example"].Auth != "YTpi" || got[registry.Host] != basic(alice) {
		t.Errorf("docker's configuration has %v", got)
	}
}

func TestCredentialsOfPodmanAndOfHelpersAreUsed(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{Htpasswd: &alice})
	name := registry.Host + "/acme/library:1"
	cases := map[string]func(s *program.Session){
		"REGISTRY_AUTH_FILE": func(s *program.Session) {
			s.Env = append(s.Env, "REGISTRY_AUTH_FILE="+s.WriteFile("auth.json", authFile(t, registry.Host, basic(alice)), 0o600))
		},
		"DOCKER_CONFIG": func(s *program.Session) {
			s.WriteFile("docker/config.json", authFile(t, registry.Host, basic(alice)), 0o600)
			s.Env = append(s.Env, "DOCKER_CONFIG="+s.Dir+"/docker")
		},
		"DOCKER_AUTH_CONFIG": func(s *program.Session) {
			s.WriteFile(configFile(s), authFile(t, registry.Host, basic(registrytest.Account{User: "bob", Password: "x"})), 0o600)
			s.Env = append(s.Env, "DOCKER_AUTH_CONFIG="+authFile(t, registry.Host, basic(alice)))
		},
		"REGISTRY_AUTH_FILE before DOCKER_AUTH_CONFIG": func(s *program.Session) {
			s.Env = append(s.Env, "REGISTRY_AUTH_FILE="+s.WriteFile("auth.json", authFile(t, registry.Host, basic(alice)), 0o600),
				"DOCKER_AUTH_CONFIG="+authFile(t, registry.Host, basic(registrytest.Account{User: "bob", Password: "x"})))
		},
		"an old key": func(s *program.Session) {
			s.WriteFile(configFile(s), authFile(t, "https://"+registry.Host+"/v2/", basic(alice)), 0o600)
		},
		"a file with a byte order mark": func(s *program.Session) {
			s.WriteFile(configFile(s), "\uFEFF"+authFile(t, registry.Host, basic(alice)), 0o600)
		},
		"podman's file at run time": func(s *program.Session) {
			s.WriteFile("run/containers/auth.json", authFile(t, registry.Host, basic(alice)), 0o600)
			s.Env = append(s.Env, "XDG_RUNTIME_DIR="+s.Dir+"/run")
		},
		"podman's file of the user": func(s *program.Session) {
			s.WriteFile(s.Home+"/.config/containers/auth.json", authFile(t, registry.Host, basic(alice)), 0o600)
		},
		"a part of the registry": func(s *program.Session) {
			s.WriteFile(s.Home+"/.config/containers/auth.json", authFile(t, registry.Host+"/acme", basic(alice)), 0o600)
		},
		"credHelpers": func(s *program.Session) {
			s.WriteFile(configFile(s), fmt.Sprintf(`{"credHelpers":{%q:"e2e"}}`, registry.Host), 0o600)
		},
		"credsStore with empty entries": func(s *program.Session) {
			s.WriteFile(configFile(s), fmt.Sprintf(`{"credsStore":"e2e","auths":{%q:{}}}`, registry.Host), 0o600)
		},
	}
	for what, prepare := range cases {
		t.Run(what, func(t *testing.T) {
			s := newUser(t, registry, program.Options{Path: []string{helper(t)}})
			prepare(s)
			digest := s.Run("ocipkg", "push", "in", name).Digest()
			if got := s.Run("ocipkg", "get", name).Digest(); got != digest {
				t.Errorf("got %s, want %s", got, digest)
			}
		})
	}
}

// helper gives a directory with the credential helper docker-credential-e2e,
// which knows alice.
// https://github.com/docker/docker-credential-helpers#development
func helper(t *testing.T) string {
	t.Helper()
	s := program.New(t, program.Options{})
	s.WriteFile("answer", fmt.Sprintf("{\"Username\":%q,\"Secret\":%q}", alice.User, alice.Password), 0o644)
	s.WriteFile("docker-credential-e2e", "#!/bin/sh\ntest \"$1\" = get && cat "+s.Dir+"/answer\n", 0o755)
	return s.Dir
}

func TestHelperThatFailsDoesNotStandBeforeAPublicPackage(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/library:1"
	s := newUser(t, registry, program.Options{})
	digest := s.Run("ocipkg", "push", "in", name).Digest()
	s.WriteFile(configFile(s), `{"credsStore":"missing"}`, 0o600)
	r := s.Run("ocipkg", "get", name)
	if got := r.Digest(); got != digest {
		t.Errorf("got %s, want %s", got, digest)
	}
	if !strings.Contains(r.Stderr, "docker-credential-missing") {
		t.Errorf("there is no warning about the helper\n%s", r)
	}
	s.WriteFile(configFile(s), `{"auths":`, 0o600)
	s.Run("ocipkg", "get", "--overwrite", name).Fails(1, configFile(s))
}

func TestHelperThatHangsIsLeftAtOnceWithCtrlC(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	s := newUser(t, registry, program.Options{Path: []string{hangingHelper(t)}})
	s.WriteFile(configFile(s), `{"credsStore":"hangs"}`, 0o600)
	begun := s.Dir + "/begun"
	for _, arguments := range [][]string{{"get", registry.Host + "/acme/library:1"}, {"logout", registry.Host}} {
		_ = os.Remove(begun)
		p := s.Start("ocipkg", arguments...)
		p.When(func() bool { _, err := os.Stat(begun); return err == nil })
		at := time.Now()
		p.Signal(os.Interrupt)
		p.Wait().Fails(130, "interrupted")
		// It has a minute; a busy machine needs some seconds.
		if took := time.Since(at); took > 20*time.Second {
			t.Errorf("%q took %v to end", arguments, took)
		}
	}
}

// hangingHelper gives a directory with a credential helper that says in the
// file begun that it runs, and hangs, whatever it is told.
func hangingHelper(t *testing.T) string {
	t.Helper()
	s := program.New(t, program.Options{})
	s.WriteFile("docker-credential-hangs", "#!/bin/sh\ntrap '' INT\necho >begun\nexec sleep 300\n", 0o755)
	return s.Dir
}

func TestCredentialFileThatOthersCanReadIsToldOfAndOneThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{Htpasswd: &alice})
	name := registry.Host + "/acme/library:1"
	s := newUser(t, registry, program.Options{})
	s.WriteFile(configFile(s), authFile(t, registry.Host, basic(alice)), 0o644)
	s.WriteFile("in/include/a.h", "", 0o644)
	r := s.Run("ocipkg", "push", "in", name)
	r.Digest()
	if want := "ocipkg: warning: " + configFile(s) + " holds what to log in to " + registry.Host + " with, and others on this machine can read it; run: chmod 600 " + configFile(s) + "\n"; !strings.Contains(r.Stderr, want) || strings.Count(r.Stderr, "chmod") != 1 {
		t.Errorf("there is no one warning %q\n%s", want, r)
	}
	// As pkg-config nothing is said, since build systems take it for flags.
	if r := s.Run("ocipkg-pkg-config", "--exists", name).OK(); r.Stderr != "" {
		t.Errorf("something is said\n%s", r)
	}
	s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", alice.Password).OK()
	if r := s.Run("ocipkg", "get", "--overwrite", name).OK(); strings.Contains(r.Stderr, "chmod") {
		t.Errorf("a login did not mend it\n%s", r)
	}
	if err := os.Chmod(configFile(s), 0); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"get", "--overwrite", name}, {"login", registry.Host, "-u", alice.User, "-p", alice.Password}, {"logout", registry.Host}} {
		s.Run("ocipkg", arguments...).Fails(1, configFile(s), "permission denied", "make the file readable")
	}
}

func TestCertificateOfAnUnknownAuthorityIsRefusedUnlessAskedFor(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{TLS: true})
	name := registry.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	s.WriteFile("in/lib/data", "content", 0o644)
	s.Run("ocipkg", "push", "in", name).Fails(8, registry.Host, "certificate", "--insecure")
	s.Run("ocipkg", "push", "--insecure=other.example", "in", name).Fails(8, "certificate")
	s.Run("ocipkg", "push", "--insecure="+registry.Host, "in", name).OK()
	s.Run("ocipkg", "get", "--insecure", name).OK()
	trusting := newUser(t, registry, program.Options{})
	trusting.Run("ocipkg", "get", name).OK()
}
