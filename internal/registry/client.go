// Package registry talks to one OCI registry at a time: it finds, fetches and
// sends manifests and blobs, with the credentials that the user has for it.
//
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
package registry

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// Hosts names registries, as host or host:port. "*" stands for all of them.
type Hosts []string

// Has tells whether registry is named.
func (h Hosts) Has(registry string) bool {
	for _, host := range h {
		if host == "*" || strings.EqualFold(host, registry) {
			return true
		}
	}
	return false
}

// Options say how registries are reached. The zero value is right for most.
type Options struct {
	// PlainHTTP names registries that are spoken to without TLS. Those on this
	// machine are, unless they answer that they want TLS.
	PlainHTTP Hosts
	// Insecure names registries whose certificate is not checked.
	Insecure Hosts
	// CAFile is a PEM file of authorities that are trusted beside the system's;
	// empty is none.
	CAFile string
	// Credentials finds what to log in with; nil is anonymous everywhere.
	Credentials *Credentials
	// Tokens is the directory in which the tokens that registries give are kept
	// for the next run; empty keeps none.
	Tokens string
	// UserAgent names the program to the registry; empty is "ocipkg".
	UserAgent string
	// Warn takes a line for the user about something that went on all the
	// same; nil drops it.
	Warn func(line string)
	// Trace takes a line for each request; nil drops it.
	Trace func(line string)
	// Connections is how many blobs, or parts of one, are moved at once from or
	// to registries at most; zero adapts it.
	Connections int
	// Offline refuses every request, before a host is looked up or credentials
	// are; the error is of kind [errdef.ErrNetwork].
	Offline bool
}

// errOffline says that a registry is not asked.
var errOffline = &explained{errdef.Errorf(errdef.ErrNetwork, "not asked, since this runs offline; run it without --offline and OCIPKG_OFFLINE, or name a mirror on this machine: OCIPKG_MIRROR=oci:DIR")}

// Client reaches registries. Make one for a process and share it: it keeps
// connections and tokens.
type Client struct {
	options  Options
	secure   pools
	insecure pools
	room     *Room
	trips    trips
	secrets  secrets

	trusted   sync.Once // the authorities of the options
	untrusted error     // why they are not

	mu    sync.Mutex
	repos map[string]*Repository
	said  map[string]bool
}

// New makes a client.
func New(options Options) *Client {
	if options.UserAgent == "" {
		options.UserAgent = "ocipkg"
	}
	c := &Client{options: options, repos: map[string]*Repository{}, said: map[string]bool{}}
	most := options.Connections
	if most <= 0 {
		most = maxDownloads
	}
	c.room = newRoom(most)
	pool := http.DefaultTransport.(*http.Transport).Clone()
	// Layers move in parallel, all of them from one host.
	pool.MaxIdleConnsPerHost = max(16, most)
	// Digests are of the bytes as they are stored: nothing may unpack them on
	// the way.
	pool.DisableCompression = true
	pool.Proxy, pool.OnProxyConnectResponse = c.proxy, proxyAnswered
	pool.DialContext = dialLoopback(pool.DialContext)
	c.secure = newPools(pool)
	lax := pool.Clone()
	lax.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // asked for by name
	c.insecure = newPools(lax)
	return c
}

// proxy gives the proxy that the environment names for a request. Go passes over
// a URL that it cannot read, or reads another in it.
func (c *Client) proxy(req *http.Request) (*url.URL, error) {
	if isLoopback(req.URL.Host) {
		return nil, nil // no proxy is on this machine's side of it
	}
	proxy, err := http.ProxyFromEnvironment(req)
	if upper := strings.ToUpper(req.URL.Scheme) + "_PROXY"; err != nil || !isProxy(cmp.Or(os.Getenv(upper), os.Getenv(strings.ToLower(upper)))) {
		// What it is may have a password in it.
		return nil, &explained{errdef.Errorf(errdef.ErrUsage, "the proxy for %s is not asked: %s is no URL; write it as http://HOST:PORT, or unset it", req.URL.Host, upper)}
	}
	if proxy != nil {
		password, _ := proxy.User.Password()
		c.secrets.addCredential(auth.Credential{Username: proxy.User.Username(), Password: password})
	}
	return proxy, nil
}

// isProxy tells whether the value of a variable can be read, or is empty.
func isProxy(value string) bool {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	_, err := url.Parse(value)
	return err == nil
}

// proxyAnswered makes an error of a proxy's refusal to connect.
func proxyAnswered(_ context.Context, proxy *url.URL, asked *http.Request, answer *http.Response) error {
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusProxyAuthRequired:
		return &explained{errdef.Errorf(errdef.ErrNetwork, "the proxy %s %s", proxy.Host, proxyRefusal)}
	}
	return &explained{errdef.Errorf(errdef.ErrNetwork, "the proxy %s answered %s to a connection to %s; check HTTPS_PROXY, or except the host with NO_PROXY", proxy.Host, oneLine(answer.Status), asked.Host)}
}

const proxyRefusal = "wants a user name and a password, or others; write them before the host, as USER:PASSWORD@HOST:PORT, in HTTPS_PROXY, and in HTTP_PROXY for registries without TLS"

// pools keep connections: usual ones, and such as carry one answer at a time.
// HTTP/2 has one for all, which may be slower than several are together.
type pools struct{ usual, apart *http.Transport }

func newPools(usual *http.Transport) pools {
	apart := usual.Clone()
	apart.Protocols = new(http.Protocols)
	apart.Protocols.SetHTTP1(true)
	apart.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	if apart.TLSClientConfig != nil {
		apart.TLSClientConfig.NextProtos = nil // usual may have put HTTP/2 there
	}
	return pools{usual, apart}
}

func (p pools) close() {
	p.usual.CloseIdleConnections()
	p.apart.CloseIdleConnections()
}

// Close drops the connections that are idle.
func (c *Client) Close() {
	c.secure.close()
	c.insecure.close()
}

// warn tells the user something once.
func (c *Client) warn(line string) {
	line = c.secrets.hide(line)
	c.mu.Lock()
	again := c.said[line]
	c.said[line] = true
	c.mu.Unlock()
	if !again && c.options.Warn != nil {
		c.options.Warn(line)
	}
}

// Repository gives the repository that ref names, whatever its tag and digest.
func (c *Client) Repository(ref reference.Reference) *Repository {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.repos[ref.Name()]; ok {
		return r
	}
	r := &Repository{
		name:   ref.Name(),
		client: c,
		remote: &remote.Repository{
			Client:    c.authorizer(ref.Registry, ref.Repository),
			Reference: registry.Reference{Registry: ref.Registry, Repository: ref.Repository},
			PlainHTTP: c.plain(ref.Registry),
		},
	}
	c.repos[ref.Name()] = r
	return r
}

// plain tells whether a registry is first spoken to without TLS.
func (c *Client) plain(host string) bool {
	return c.options.PlainHTTP.Has(host) || isLoopback(host)
}

// transport makes what sends the requests for one registry: time limits and the
// trace above the network, retries above all.
func (c *Client) transport(a *authorizer) http.RoundTripper {
	var t http.RoundTripper = &patience{roundTripper(c.send)}
	if c.options.Trace != nil {
		t = &tracer{t, func(line string) { c.options.Trace(c.secrets.hide(line)) }}
	}
	if isLoopback(a.registry) && !c.options.PlainHTTP.Has(a.registry) {
		t = &tlsProbe{t, a.host}
	}
	return retrying(&guard{&reusing{t}, a})
}

// reusing reads what a registry says with a refusal before it gives the answer:
// who has no use for that closes it unread, and with it the connection.
type reusing struct{ next http.RoundTripper }

const maxSaid = 16 << 10 // bytes of what is said with a refusal

func (r *reusing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxSaid))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(said))
	return resp, nil
}

// send is the network. The certificate of one host may be left unchecked, and
// not that of another to which it sends us on.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	if c.options.Offline {
		return nil, errOffline // as a last resort: it is refused before
	}
	if err := c.trustAuthorities(); err != nil {
		return nil, err
	}
	pools := c.secure
	if c.options.Insecure.Has(registryOf(req.URL.Host)) {
		pools = c.insecure
	}
	pool := pools.usual
	if req.Context().Value(apart{}) != nil && c.trips.share(req.URL.Host) {
		pool = pools.apart
	}
	start := time.Now()
	resp, err := pool.RoundTrip(req)
	if err == nil && (req.Body == nil || req.Body == http.NoBody) {
		c.trips.note(resp, time.Since(start))
	}
	return resp, err
}

// Docker Hub's registry is called one thing and found at another.
const (
	dockerHub     = "docker.io"
	dockerHubHost = "registry-1.docker.io"
)

// registryOf gives the name of the registry at host.
func registryOf(host string) string {
	if host == dockerHubHost {
		return dockerHub
	}
	return host
}

// roundTripper is a function as an [http.RoundTripper].
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
