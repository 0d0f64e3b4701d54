package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
)

func TestLoopbackIsToldByName(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:1": true, "127.9.9.9": true, "[::1]:5000": true, "[::1]": true, "x.localhost:1": true,
		"ghcr.io": false, "localhost.example:5000": false, "10.0.0.1:5000": false, "[::2]:5000": false, "127.0.0.1.example": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("isLoopback(%q) = %t", host, got)
		}
	}
}

func TestWhatIsCalledLoopbackIsConnectedToThere(t *testing.T) {
	refused := errors.New("refused")
	for address, want := range map[string][]string{
		"evil.localhost:80": {"127.0.0.1:80", "[::1]:80"}, "localhost:80": {"127.0.0.1:80", "[::1]:80"},
		"127.9.9.9:80": {"127.9.9.9:80"}, "ghcr.io:443": {"ghcr.io:443"},
	} {
		var dialed []string
		_, err := dialLoopback(func(_ context.Context, _, address string) (net.Conn, error) {
			dialed = append(dialed, address)
			return nil, refused
		})(t.Context(), "tcp", address)
		if !slices.Equal(dialed, want) || err != refused {
			t.Errorf("%s: connected to %q, %v", address, dialed, err)
		}
	}
}

func TestWhatIsCalledLoopbackIsAskedThroughNoProxy(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		t.Setenv(name, "http://proxy.example:1")
	}
	for _, host := range []string{"evil.localhost:5000", "localhost", "127.0.0.1:80"} {
		for _, scheme := range []string{"http", "https"} {
			if proxy, err := New(Options{}).proxy(&http.Request{URL: &url.URL{Scheme: scheme, Host: host}}); proxy != nil || err != nil {
				t.Errorf("%s://%s: %v, %v", scheme, host, proxy, err)
			}
		}
	}
}
