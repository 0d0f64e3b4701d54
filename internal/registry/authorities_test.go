package registry

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// certificateFile is a PEM file with the certificate of a server.
func certificateFile(t testing.TB, s *httptest.Server) string {
	return write(t, filepath.Join(t.TempDir(), "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
}

func TestAnAuthorityOfTheUsersIsTrusted(t *testing.T) {
	s := serveTLS(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusOK, "content")})
	r := repo(t, s.host, Options{CAFile: certificateFile(t, s.Server)})
	wantFetched(t, r, "content")
	// Also for the parts of a blob, which have connections of their own.
	apart := &http.Client{Transport: r.client.secure.apart}
	if resp, err := apart.Get(s.URL + "/v2/"); err != nil {
		t.Error(err)
	} else {
		resp.Body.Close()
	}
}

func TestAFileWithoutAuthoritiesIsAnErrorThatNamesIt(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"nothing there": filepath.Join(dir, "none.pem"),
		"a directory":   dir,
		"empty":         write(t, filepath.Join(dir, "empty.pem"), ""),
		"no PEM":        write(t, filepath.Join(dir, "der.pem"), "\x30\x82"),
		"a key":         write(t, filepath.Join(dir, "key.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		"broken":        write(t, filepath.Join(dir, "broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
	} {
		_, err := fetch(t, repo(t, "reg.example", Options{CAFile: path}), blobOf("content"))
		wantError(t, err, errdef.ErrUsage, path, "PEM form")
		// Go says nothing of a file that it cannot use.
		t.Setenv("SSL_CERT_FILE", path)
		if got := unreadableAuthorities(); !strings.Contains(got, "SSL_CERT_FILE") || !strings.Contains(got, path) {
			t.Errorf("%s: told %q", name, got)
		}
	}
	t.Setenv("SSL_CERT_FILE", "")
	if got := unreadableAuthorities(); got != "" {
		t.Errorf("told %q of nothing", got)
	}
}

func TestAProxyThatRefusesIsNamedWithWhatToDo(t *testing.T) {
	for status, words := range map[int]string{407: "before the host, as USER:PASSWORD@HOST:PORT", 403: "403 Forbidden", 502: "502 Bad Gateway"} {
		proxy := httptest.NewServer(answer(status, ""))
		defer proxy.Close()
		host := strings.TrimPrefix(proxy.URL, "http://")
		at, err := url.Parse("http://ann:marked-secret@" + host)
		if err != nil {
			t.Fatal(err)
		}
		for _, plain := range []Hosts{nil, {"reg.example"}} {
			client := New(Options{PlainHTTP: plain})
			client.secure.usual.Proxy = http.ProxyURL(at)
			err := client.Login(t.Context(), "reg.example", "ann", "secret")
			if plain == nil {
				wantError(t, err, errdef.ErrNetwork, "the proxy "+host, words, "HTTPS_PROXY")
			} else if status == 407 {
				wantError(t, err, errdef.ErrNetwork, "the proxy on the way to reg.example", words)
			}
			if err == nil || strings.Contains(err.Error(), "marked-secret") {
				t.Errorf("%v", err)
			}
		}
	}
	gone := listen(t, func(conn net.Conn) { conn.Close() })
	client := New(Options{})
	client.secure.usual.Proxy = http.ProxyURL(&url.URL{Scheme: "socks5", Host: gone, User: url.UserPassword("ann", "marked-secret")})
	err := client.Login(t.Context(), "reg.example", "ann", "secret")
	wantError(t, err, errdef.ErrNetwork, "proxy", "reg.example")
	if strings.Contains(err.Error(), "marked-secret") {
		t.Errorf("%v", err)
	}
}
