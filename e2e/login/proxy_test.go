package login

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// forwardProxy is a proxy that wants a password, and leads every name to one
// registry.
type forwardProxy struct {
	*httptest.Server
	to string

	mu    sync.Mutex
	asked []string // method and host
}

const proxyPassword = "marked-proxy-password"

func startForwardProxy(t *testing.T, registry *registrytest.Registry) *forwardProxy {
	p := &forwardProxy{to: registry.Host}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// url is what HTTPS_PROXY is set to.
func (p *forwardProxy) url(password string) string {
	return "http://proxy-user:" + password + "@" + strings.TrimPrefix(p.URL, "http://")
}

func (p *forwardProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	p.mu.Unlock()
	if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("proxy-user:"+proxyPassword)) {
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: p.to})
			r.Out.Host = r.In.Host
		}}).ServeHTTP(w, r)
		return
	}
	back, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer back.Close()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		io.Copy(back, buffered)
		back.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(conn, back)
}

func (p *forwardProxy) hosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	hosts := slices.Clone(p.asked)
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func TestARegistryIsReachedThroughAProxy(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{true, false} {
		registry := registrytest.StartDistribution(t, registrytest.Options{TLS: tls, Htpasswd: &alice})
		proxy := startForwardProxy(t, registry)
		variable, plain, want := "HTTPS_PROXY", "--plain-http=other.test", "CONNECT "+registrytest.Name+":443"
		if !tls {
			variable, plain, want = "http_proxy", "--plain-http="+registrytest.Name, "" // each request names the host
		}
		s := newUser(t, registry, program.Options{Env: []string{variable + "=" + proxy.url(proxyPassword)}})
		name := registrytest.Name + "/acme/library:1"
		s.Run("ocipkg", "login", plain, registrytest.Name, "-u", alice.User, "-p", alice.Password).OK()
		digest := s.Run("ocipkg", "push", plain, "in", name).Digest()
		r := s.Run("ocipkg", "get", "-v", plain, name)
		if got := r.Digest(); got != digest {
			t.Errorf("got %s, want %s", got, digest)
		}
		if strings.Contains(r.Stderr, proxyPassword) || strings.Contains(r.Stderr, "proxy-user") {
			t.Errorf("the proxy's password is shown\n%s", r)
		}
		if hosts := proxy.hosts(); want != "" && !slices.Equal(hosts, []string{want}) || len(hosts) == 0 {
			t.Errorf("the proxy was asked %q, want %q", hosts, want)
		}

		checkWithoutProxy(t, s, proxy, registry, plain)
		if tls {
			checkBrokenProxies(t, proxy, registry)
		}
	}
}

// checkBrokenProxies checks that what is wrong with a proxy is said, and not
// what its password is.
func checkBrokenProxies(t *testing.T, proxy *forwardProxy, registry *registrytest.Registry) {
	for value, want := range map[string]struct {
		code  int
		words string
	}{
		proxy.url("wrong"): {8, "USER:PASSWORD@HOST:PORT"},
		"http://proxy-user:" + proxyPassword + "@127.0.0.1:1":  {8, "the proxy on the way to " + registrytest.Name + " cannot be reached"},
		"http://proxy-user:" + proxyPassword + "@127.0.0.1:x":  {2, "HTTPS_PROXY is no URL"},
		"http://proxy-user:" + proxyPassword + "%zz@127.0.0.1": {2, "HTTPS_PROXY is no URL"},
	} {
		s := newUser(t, registry, program.Options{Env: []string{"HTTPS_PROXY=" + value}})
		r := s.Run("ocipkg", "get", "-v", registrytest.Name+"/acme/library:1").Exit(want.code).Says(want.words)
		if strings.Contains(r.Stderr, proxyPassword) {
			t.Errorf("the proxy's password is shown\n%s", r)
		}
	}
}

// checkWithoutProxy checks that a proxy is not asked for what is excepted, nor
// for this machine.
func checkWithoutProxy(t *testing.T, s *program.Session, proxy *forwardProxy, registry *registrytest.Registry, plain string) {
	proxy.mu.Lock()
	proxy.asked = nil
	proxy.mu.Unlock()
	s.Env = append(s.Env, "NO_PROXY="+registrytest.Name)
	s.Run("ocipkg", "get", "--overwrite", plain, registrytest.Name+"/acme/library:1").Fails(8, registrytest.Name, "cannot be found")
	s.Run("ocipkg", "login", registry.Host, "-u", alice.User, "-p", alice.Password).OK()
	s.Run("ocipkg", "get", registry.Host+"/acme/library:1").OK()
	if hosts := proxy.hosts(); len(hosts) > 0 {
		t.Errorf("the proxy was asked %q", hosts)
	}
}

func TestAnAuthorityOfOnesOwnIsTrustedByFlagAndVariable(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{TLS: true})
	name := registry.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	s.WriteFile("in/include/a.h", "", 0o644)
	s.Run("ocipkg", "push", "in", name).Fails(8, registry.Host, "unknown authority", "--ca-file", "--insecure="+registry.Host)
	s.Run("ocipkg", "push", "--ca-file", registry.CAFile, "in", name).OK()
	text, err := os.ReadFile(registry.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	s.WriteFile("empty.pem", "", 0o644)
	s.WriteFile("certs/ca.pem", string(text), 0o644)
	for _, variable := range []string{"OCIPKG_CA_FILE=" + registry.CAFile, "SSL_CERT_FILE=" + registry.CAFile, "SSL_CERT_DIR=" + filepath.Join(s.Dir, "certs")} {
		user := program.New(t, program.Options{Env: []string{variable}})
		// What answers as pkg-config has it fetched in the same way.
		user.Run("ocipkg-pkg-config", "--exists", name).OK()
	}
	s.Run("ocipkg", "get", "--ca-file", "none.pem", name).Fails(2, "none.pem", "PEM form")
	user := program.New(t, program.Options{Env: []string{"SSL_CERT_FILE=" + filepath.Join(s.Dir, "empty.pem")}})
	user.Run("ocipkg", "get", name).Fails(8, "unknown authority", "SSL_CERT_FILE is of no use", "empty.pem")
	s.Env = append(s.Env, "OCIPKG_CA_FILE=empty.pem")
	s.Run("ocipkg", "get", name).Fails(2, "empty.pem", "PEM form")
	s.Run("ocipkg", "list").OK()                                    // which asks no registry
	s.Run("ocipkg", "get", "--ca-file", registry.CAFile, name).OK() // the flag counts first
}
