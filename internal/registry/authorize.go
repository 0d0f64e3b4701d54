package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// authorizer adds credentials to the requests for one repository. A read whose
// credentials are refused is tried without any: a login that has expired must
// not stand before a package that is public.
type authorizer struct {
	registry   string // as the user names it
	host       string // as it is found at
	repository string
	client     *Client
	http       *http.Client
	anonymous  *auth.Client
	tls        atomic.Bool // a registry on this machine has said that it wants TLS

	mu      sync.Mutex
	looked  bool         // for credentials
	known   *auth.Client // nil when there are none
	refused bool         // the credentials, for a read
}

func (c *Client) authorizer(name, repository string) *authorizer {
	a := &authorizer{registry: name, host: registry.Reference{Registry: name}.Host(), repository: repository, client: c}
	a.http = &http.Client{Transport: c.transport(a), CheckRedirect: a.checkRedirect}
	a.anonymous = a.with(auth.EmptyCredential, tokenFiles{c.options.Tokens})
	return a
}

// with gives a client that answers challenges with cred, and with the tokens
// that are kept.
func (a *authorizer) with(cred auth.Credential, kept tokenFiles) *auth.Client {
	secrets := &a.client.secrets
	secrets.addCredential(cred)
	client := &auth.Client{
		Client:     a.http,
		Cache:      newTokenCache(kept, a.registry, cred, secrets),
		ClientID:   "ocipkg",
		Credential: func(context.Context, string) (auth.Credential, error) { return cred, nil },
	}
	if isLoopback(a.registry) {
		// A registry on this machine may have its token server here too.
		client.BlockedRealmPrefixes = []netip.Prefix{}
	}
	client.SetUserAgent(a.client.options.UserAgent)
	return client
}

// credentialed gives the client with the user's credentials, nil without any,
// and whether those have been refused before.
func (a *authorizer) credentialed(ctx context.Context) (known *auth.Client, refused bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.looked {
		cred, err := a.client.options.Credentials.find(ctx, a.registry, a.repository, a.client.warn)
		if err != nil {
			return nil, false, err
		}
		a.looked = true
		if cred != auth.EmptyCredential {
			a.known = a.with(cred, tokenFiles{a.client.options.Tokens})
		}
	}
	return a.known, a.refused, nil
}

// Do sends a request.
func (a *authorizer) Do(req *http.Request) (*http.Response, error) {
	if a.client.options.Offline {
		return nil, errOffline
	}
	noteUpload(req)
	resp, err := a.overTLS(req)
	if err != nil {
		return nil, err
	}
	for _, line := range resp.Header.Values("Warning") {
		if text := oneLine(a.client.secrets.hide(warningText(line))); text != "" {
			a.client.warn(a.registry + " says: " + text)
		}
	}
	if req.Method == http.MethodPut && transientStatus(resp.StatusCode) {
		defer resp.Body.Close()
		return nil, &busyError{responseError(resp), retryAfter(resp)}
	}
	return resp, nil
}

// overTLS sends a request to a registry on this machine over TLS once that has
// said that it wants it, and other requests as they are.
func (a *authorizer) overTLS(req *http.Request) (*http.Response, error) {
	if !a.tls.Load() {
		resp, err := a.fromOrigin(req)
		if !errors.Is(err, errWantsTLS) {
			return resp, err
		}
		a.tls.Store(true)
	}
	if req.URL.Scheme == "http" && req.URL.Host == a.host {
		upgraded := req.Clone(req.Context())
		upgraded.URL.Scheme = "https"
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			upgraded.Body = body
		}
		req = upgraded
	}
	return a.fromOrigin(req)
}

// fromOrigin sends a request, with credentials only if it goes to the registry
// itself. What the answer says of other addresses is relative to where the
// request went, and not to where the registry sent it on to.
func (a *authorizer) fromOrigin(req *http.Request) (*http.Response, error) {
	send := a.fallingBack
	if !a.owns(req.URL) {
		req.Header.Set("User-Agent", a.client.options.UserAgent)
		send = a.http.Do
	}
	resp, err := send(req)
	if err == nil && origin(resp.Request.URL) != origin(req.URL) {
		resp.Request = req
	}
	return resp, err
}

// origin returns the scheme, host and port of an address.
func origin(at *url.URL) string {
	host := strings.ToLower(at.Host)
	switch at.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return at.Scheme + "://" + host
}

// owns reports whether an address is at the registry itself: its host and port,
// by TLS unless it is spoken to without.
func (a *authorizer) owns(at *url.URL) bool {
	secure := at.Scheme == "https" || at.Scheme == "http" && !a.tls.Load() && a.client.plain(a.registry)
	return secure && origin(at) == origin(&url.URL{Scheme: at.Scheme, Host: a.host})
}

// checkRedirect follows a redirect unless it leaves TLS for the network: what a
// tag stands for is the registry's word, and nobody's on the way.
func (a *authorizer) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	last := via[len(via)-1].URL
	if last.Scheme == "https" && req.URL.Scheme != "https" && !(isLoopback(last.Host) && isLoopback(req.URL.Host)) {
		return &explained{errdef.Errorf(errdef.ErrNetwork, "%s sends on from https to %s, and that is not followed; tell its operator", a.registry, origin(req.URL))}
	}
	return nil
}

const maxRedirects = 10

type writing struct{}

// forWriting marks what is asked in order to write: there, credentials that are
// refused are the end of it.
func forWriting(ctx context.Context, ref registry.Reference) context.Context {
	// One token serves for all of a push.
	ctx = auth.AppendRepositoryScope(ctx, ref, auth.ActionPull, auth.ActionPush)
	return context.WithValue(ctx, writing{}, true)
}

func (a *authorizer) fallingBack(req *http.Request) (*http.Response, error) {
	known, refused, err := a.credentialed(req.Context())
	if err != nil {
		return nil, err
	}
	read := (req.Method == http.MethodGet || req.Method == http.MethodHead) && req.Context().Value(writing{}) == nil
	if known == nil || refused && read {
		return a.sendAs(a.anonymous, req)
	}
	resp, err := a.sendAs(known, req)
	if !read || !isRefusal(resp, err) {
		return resp, err
	}
	retried, retriedErr := a.sendAs(a.anonymous, req)
	if retriedErr != nil || isRefusal(retried, nil) {
		if retriedErr == nil {
			retried.Body.Close()
		}
		return resp, err
	}
	if err == nil {
		resp.Body.Close()
	}
	a.mu.Lock()
	a.refused = true
	a.mu.Unlock()
	a.client.warn("the credentials stored for " + a.registry + " were refused; going on without them")
	return retried, nil
}

// sendAs sends a request with a client's credentials. Where a token that was kept
// is not enough, a new one may be: what the user may do may have changed.
func (a *authorizer) sendAs(client *auth.Client, req *http.Request) (*http.Response, error) {
	cache := client.Cache.(*tokenCache)
	req = cache.mark(req)
	resp, err := client.Do(req)
	again := req.Body == nil || req.GetBody != nil
	if err != nil || resp.StatusCode != http.StatusForbidden || !again || !cache.bar(req.Context(), req.URL.Host) {
		return resp, err
	}
	if req.Body != nil {
		body, err := req.GetBody()
		if err != nil {
			return resp, nil
		}
		req.Body = body
	}
	resp.Body.Close()
	return client.Do(req)
}

// isRefusal tells whether an answer, or the error of getting a token, says that
// the credentials are not good.
func isRefusal(resp *http.Response, err error) bool {
	if err == nil {
		return resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
	}
	switch statusOf(err) {
	// OAuth calls an identity token that has expired a bad request.
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return true
	}
	return unfitForBasic(err)
}

// unfitForBasic tells of a registry that wants a user name and a password,
// where the credentials are a token.
func unfitForBasic(err error) bool {
	return err != nil && strings.Contains(err.Error(), "missing username or password for")
}

// maxAddress is how long, in bytes, an address may be that a registry sends us
// on to. Signed ones have some kilobytes; pages of a list, each of which names
// the next one relative to itself, would grow without end.
const maxAddress = 16 << 10

// tokenRequest marks the context of what is asked of a token server.
type tokenRequest struct{}

// guard keeps credentials from others than the registry: they go to a token
// server elsewhere only when the registry named it over TLS, and is itself
// reached so, or when both are on this machine.
type guard struct {
	next http.RoundTripper
	of   *authorizer
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if n := len(req.URL.String()); n > maxAddress {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, &explained{errdef.Errorf(errdef.ErrNetwork, "%s sends on to an address of %d bytes, more than the %d that are taken; tell its operator", g.of.registry, n, maxAddress)}
	}
	// An identity token goes in a form.
	secret := req.Header.Get("Authorization") != "" || req.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
	if secret && !g.of.owns(req.URL) && !(req.Context().Value(tokenRequest{}) != nil && g.trusts(req.URL)) {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, &explained{errdef.Errorf(errdef.ErrUnauthorized,
			"%s, which is not reached over TLS, wants the credentials for it sent to %s://%s, and that is not done; if it is meant to be so, give --plain-http=%[3]s",
			g.of.registry, req.URL.Scheme, req.URL.Host)}
	}
	return g.next.RoundTrip(req)
}

func (g *guard) trusts(to *url.URL) bool {
	overTLS := g.of.tls.Load() || !g.of.client.plain(g.of.registry)
	return overTLS && to.Scheme == "https" ||
		isLoopback(g.of.registry) && isLoopback(to.Host) ||
		g.of.client.options.PlainHTTP.Has(to.Host)
}
