package registrytest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/ocipkg/ocipkg/e2e/internal/childproc"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
)

// startTime bounds the wait until docker-registry answers.
const startTime = 30 * time.Second

// Options say how StartDistribution's registry is reached. The zero value is a
// registry on 127.0.0.1, with plain http, open to everybody.
type Options struct {
	// Program is the registry's program; empty is Debian's docker-registry,
	// which is distribution 2. See DistributionV3.
	Program string
	// Address is the IP address to listen on; empty is 127.0.0.1. "::1" gives
	// a host such as "[::1]:40001".
	Address string
	// TLS makes it an https server, with a certificate for localhost,
	// 127.0.0.1 and ::1 of an authority of its own: see Registry.CAFile. A
	// token server, if any, uses the same authority.
	TLS bool
	// Htpasswd asks for this account, by HTTP Basic authentication, for every
	// request; nil asks for none. Not together with Token.
	Htpasswd *Account
	// Token makes the registry ask for tokens of a token server that is
	// started beside it; nil asks for none.
	Token *TokenOptions
}

// Account is a user name and a password.
type Account struct {
	User, Password string
}

// StartDistribution starts Debian's docker-registry with storage of its own,
// deletion enabled, and stops it when t ends. It fails the test when the
// program is not installed.
func StartDistribution(t testing.TB, options Options) *Registry {
	t.Helper()
	program := options.Program
	if program == "" {
		var err error
		if program, err = exec.LookPath("docker-registry"); err != nil {
			t.Fatalf("start a registry: %v; install it with: apt-get install docker-registry", err)
		}
	}
	dir := tempdir.New(t)
	r := &Registry{t: t, Storage: filepath.Join(dir, "storage")}
	if options.TLS {
		if err := r.useTLS(dir); err != nil {
			t.Fatal(err)
		}
	}
	if options.Token != nil {
		r.Tokens = startTokenServer(t, *options.Token, r.authority)
	}
	config, err := writeConfig(dir, r, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.run(program, config, filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	return r
}

// DistributionV3 builds distribution 3 from the Go module proxy, and gives its
// program, which is removed when t ends. That takes minutes the first time, and
// seconds when Go's caches have it: it is for make soak.
func DistributionV3(t testing.TB) string {
	t.Helper()
	const module = "github.com/distribution/distribution/v3/cmd/registry@v3.1.2"
	dir := tempdir.New(t)
	cmd := exec.Command("go", "install", module)
	cmd.Dir = dir // outside of any module
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v; the Go module proxy must be reachable\n%s", module, err, output)
	}
	return filepath.Join(dir, "registry")
}

// useTLS makes an authority and a server certificate in dir.
func (r *Registry) useTLS(dir string) error {
	a, err := newAuthority("ocipkg test authority")
	if err != nil {
		return err
	}
	certificate, key, err := a.issue()
	if err != nil {
		return err
	}
	r.authority = a
	r.CAFile = filepath.Join(dir, "ca.pem")
	if err := writeCertificate(r.CAFile, a.certificate); err != nil {
		return err
	}
	if err := writeCertificate(filepath.Join(dir, "server.pem"), certificate); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, "server.key"), key)
}

// section is a part of a configuration file.
type section map[string]any

// writeConfig writes the registry's configuration and returns its path. It is
// written as JSON, which is YAML too.
// https://distribution.github.io/distribution/about/configuration/
func writeConfig(dir string, r *Registry, options Options) (string, error) {
	address := options.Address
	if address == "" {
		address = "127.0.0.1"
	}
	// The registry logs the port that the system chose for port 0.
	server := section{"addr": net.JoinHostPort(address, "0"), "secret": "for one test"}
	if options.TLS {
		server["tls"] = section{
			"certificate": filepath.Join(dir, "server.pem"),
			"key":         filepath.Join(dir, "server.key"),
		}
	}
	config := section{
		"version": "0.1",
		// The level at which the beginning of a request is logged.
		"log": section{"level": "debug", "formatter": "json"},
		"storage": section{
			"filesystem": section{"rootdirectory": r.Storage},
			"delete":     section{"enabled": true},
		},
		"http": server,
	}
	auth, err := authSection(dir, r, options)
	if err != nil {
		return "", err
	}
	if auth != nil {
		config["auth"] = auth
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode the registry's configuration: %w", err)
	}
	path := filepath.Join(dir, "config.yml")
	return path, os.WriteFile(path, text, 0o600)
}

// authSection writes the files that authentication needs and returns its part
// of the configuration; nil when everybody may do everything.
func authSection(dir string, r *Registry, options Options) (section, error) {
	switch {
	case options.Htpasswd != nil && options.Token != nil:
		return nil, fmt.Errorf("configure a registry: it asks for a password or for tokens, not for both")
	case options.Htpasswd != nil:
		path := filepath.Join(dir, "htpasswd")
		hash, err := bcrypt.GenerateFromPassword([]byte(options.Htpasswd.Password), bcrypt.MinCost)
		if err != nil {
			return nil, fmt.Errorf("hash the password of %s: %w", options.Htpasswd.User, err)
		}
		line := options.Htpasswd.User + ":" + string(hash) + "\n"
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			return nil, err
		}
		return section{"htpasswd": section{"realm": "ocipkg test", "path": path}}, nil
	case options.Token != nil:
		path := filepath.Join(dir, "token.pem")
		if err := writeCertificate(path, r.Tokens.signer.certificate); err != nil {
			return nil, err
		}
		return section{"token": section{
			"realm":          r.Tokens.URL,
			"service":        tokenService,
			"issuer":         tokenIssuer,
			"rootcertbundle": path,
		}}, nil
	}
	return nil, nil
}

// run starts the program, waits until it answers, and has it stopped when the
// test ends.
func (r *Registry) run(program, config, logPath string) error {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, "serve", config)
	// None of the caller's: REGISTRY_* variables change the configuration.
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.Dir = filepath.Dir(config)
	cmd.Stdout, cmd.Stderr = log, log
	process, err := childproc.Start(cmd, nil)
	if err != nil {
		return err
	}
	r.stop = process.Kill
	r.t.Cleanup(process.Kill)
	r.log = &accessLog{path: logPath}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := r.ready(ctx, process, logPath); err != nil {
		text, _ := os.ReadFile(logPath)
		return fmt.Errorf("start %s: %w; its log:\n%s", program, err, text)
	}
	return r.log.clear()
}

// listeningLine is what the registry logs when its socket is open.
var listeningLine = regexp.MustCompile(`"msg":"listening on ([^",]+)`)

// ready waits for the address that the registry listens on, sets Host and URL
// to it, and waits for an answer.
func (r *Registry) ready(ctx context.Context, process *childproc.Process, logPath string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(logPath)
		if err != nil {
			return err
		}
		if m := listeningLine.FindSubmatch(text); m != nil {
			r.setHost(string(m[1]))
			if r.answers(ctx) {
				return nil
			}
		}
		select {
		case <-process.Done():
			_, err := process.Wait()
			return fmt.Errorf("it ended before it answered: %v", err)
		case <-ctx.Done():
			return fmt.Errorf("it did not answer within %v", startTime)
		case <-tick.C:
		}
	}
}

func (r *Registry) setHost(host string) {
	scheme := "http"
	if r.authority != nil {
		scheme = "https"
	}
	r.Host, r.URL = host, scheme+"://"+host
}

func (r *Registry) answers(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+"/v2/", nil)
	if err != nil {
		return false
	}
	response, err := r.Client().Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK || response.StatusCode == http.StatusUnauthorized
}
