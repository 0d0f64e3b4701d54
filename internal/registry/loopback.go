package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// isLoopback tells whether a registry, written host or host:port, is on this
// machine by its name alone: localhost, NAME.localhost, 127.0.0.0/8 or ::1. What
// is so called is connected to there, see [dialLoopback].
func isLoopback(registry string) bool {
	host := registry
	if strings.HasPrefix(host, "[") {
		host, _, _ = strings.Cut(host[1:], "]")
	} else if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// dialLoopback connects by dial, and for names below localhost to this machine,
// whatever DNS says of them.
// https://www.rfc-editor.org/rfc/rfc6761#section-6.3
func dialLoopback(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if _, notNumbers := netip.ParseAddr(host); err != nil || notNumbers == nil || !isLoopback(address) {
			return dial(ctx, network, address)
		}
		conn, err := dial(ctx, network, net.JoinHostPort("127.0.0.1", port))
		if err != nil && ctx.Err() == nil {
			if other, otherErr := dial(ctx, network, net.JoinHostPort("::1", port)); otherErr == nil {
				return other, nil
			}
		}
		return conn, err
	}
}

// errWantsTLS says that http was spoken to a port that wants TLS.
var errWantsTLS = errors.New("the registry wants TLS")

// tlsProbe finds out that a registry on this machine wants TLS by how it takes
// http: [authorizer] then asks again.
type tlsProbe struct {
	next http.RoundTripper
	host string
}

func (p *tlsProbe) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.next.RoundTrip(req)
	if req.URL.Scheme != "http" || req.URL.Host != p.host {
		return resp, err
	}
	if err != nil {
		// OpenSSL's servers answer with a TLS alert.
		if strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`) {
			return nil, errWantsTLS
		}
		return nil, err
	}
	if resp.StatusCode != http.StatusBadRequest {
		return resp, nil
	}
	if req.Method == http.MethodHead {
		if err := p.look(req); err != nil {
			resp.Body.Close()
			return nil, err
		}
		return resp, nil
	}
	// Go's servers and nginx answer with a 400 that names HTTPS.
	start, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if bytes.Contains(start, []byte("HTTPS")) {
		resp.Body.Close()
		return nil, errWantsTLS
	}
	resp.Body = &prefixed{io.MultiReader(bytes.NewReader(start), resp.Body), resp.Body}
	return resp, nil
}

// look asks with a GET after a HEAD, whose answer has no text to go by.
func (p *tlsProbe) look(head *http.Request) error {
	req := head.Clone(head.Context())
	req.Method, req.URL.Path = http.MethodGet, "/v2/"
	req.Header.Del("Authorization")
	resp, err := p.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	if errors.Is(err, errWantsTLS) {
		return err
	}
	return nil
}

// prefixed is a body whose start was read ahead.
type prefixed struct {
	io.Reader
	io.Closer
}
