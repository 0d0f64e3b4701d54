package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func response(status int, message string) error {
	err := &errcode.ErrorResponse{StatusCode: status}
	if message != "" {
		err.Errors = errcode.Errors{{Code: "CODE", Message: message}}
	}
	return fmt.Errorf("wrapped: %w", err)
}

func detailed(message string, detail any) error {
	return &errcode.ErrorResponse{StatusCode: 400, Errors: errcode.Errors{{Code: "CODE", Message: message, Detail: detail}}}
}

func request(err error) error {
	return &url.Error{Op: "Get", URL: "https://reg.example/v2/?secret", Err: err}
}

func TestErrorsSayWhatAndWhyAndWhatToDo(t *testing.T) {
	other := &url.Error{Op: "Get", URL: "https://storage.example/x?secret", Err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}
	for _, c := range []struct {
		err  error
		kind error
		want string
	}{
		{response(401, ""), errdef.ErrUnauthorized, "reg.example refused the credentials, or wants some; check the name, or run: ocipkg login reg.example"},
		{response(401, "expired"), errdef.ErrUnauthorized, "refused the credentials, or wants some (expired); check the name, or run"},
		{request(auth.ErrBasicCredentialNotFound), errdef.ErrUnauthorized, "run: ocipkg login reg.example"},
		{errors.New("missing username or password for basic auth"), errdef.ErrUnauthorized, "run: ocipkg login reg.example"},
		{response(403, "denied"), errdef.ErrUnauthorized, "reg.example forbids it (denied); check that the name is right"},
		{response(404, ""), errdef.ErrNotFound, "reg.example does not have it; check the name"},
		{response(429, "slow down"), errdef.ErrNetwork, "reg.example kept answering 429 Too Many Requests (slow down); try again later"},
		{response(408, ""), errdef.ErrNetwork, "kept answering 408 Request Timeout; try again later"},
		{response(503, ""), errdef.ErrNetwork, "kept answering 503 Service Unavailable; try again later"},
		{response(400, "bad name"), nil, "reg.example answered 400 Bad Request (bad name)"},
		{detailed("manifest invalid", "unknown media type: x/y\x1b[31m"), nil, "reg.example answered 400 Bad Request (manifest invalid: unknown media type: x/y [31m)"},
		{detailed("", map[string]any{"name": "a"}), nil, `reg.example answered 400 Bad Request (CODE: {"name":"a"})`},
		{detailed("odd", map[string]any{}), nil, "reg.example answered 400 Bad Request (odd)"},
		{response(501, ""), nil, "reg.example answered 501 Not Implemented"},
		{request(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "reg.example"}}), errdef.ErrNetwork, "the host of reg.example cannot be found (dial: lookup reg.example: no such host); check the name and the connection"},
		{request(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}), errdef.ErrNetwork, "reg.example cannot be reached: dial tcp: connection refused; check the name and the connection"},
		{request(&net.OpError{Op: "dial", Net: "tcp", Err: timeoutError{}}), errdef.ErrNetwork, "cannot be reached: dial tcp: i/o timeout; check"},
		{request(syscall.ECONNRESET), errdef.ErrNetwork, "the connection to reg.example kept breaking: connection reset by peer; check"},
		{request(io.EOF), errdef.ErrNetwork, "kept breaking: EOF"},
		{io.ErrUnexpectedEOF, errdef.ErrNetwork, "the connection to reg.example kept breaking: unexpected EOF"},
		{request(errStalled), errdef.ErrNetwork, "reg.example fell silent; try again later"},
		{other, errdef.ErrNetwork, "storage.example cannot be reached: dial tcp: connection refused"},
		{request(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), errdef.ErrNetwork, "the certificate of reg.example is by an unknown authority; give that authority's certificate with --ca-file or OCIPKG_CA_FILE, add it to the system's, or give --insecure=reg.example"},
		{request(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}), errdef.ErrNetwork, "the certificate of reg.example is not good: x509: certificate has expired or is not yet valid: ; check this machine's clock, have it renewed"},
		{request(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}}), errdef.ErrNetwork, "not authorized to sign other certificates; have it mended, or give --insecure"},
		{request(&net.OpError{Op: "remote error", Err: tls.AlertError(116)}), errdef.ErrNetwork, "reg.example ended the TLS handshake: tls: certificate required; check the name, and ask its operator"},
		{request(errors.New("tls: server selected unsupported protocol version 301")), errdef.ErrNetwork, "TLS with reg.example failed: tls: server selected unsupported protocol version 301; ask its operator"},
		{request(&net.OpError{Op: "proxyconnect", Net: "tcp", Err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}), errdef.ErrNetwork, "the proxy on the way to reg.example cannot be reached: dial tcp: connection refused; check HTTPS_PROXY"},
		{request(&net.OpError{Op: "proxyconnect", Net: "tcp", Err: x509.UnknownAuthorityError{}}), errdef.ErrNetwork, "the proxy on the way to reg.example"},
		{response(407, ""), errdef.ErrNetwork, "the proxy on the way to reg.example wants a user name and a password, or others; write them before the host, as USER:PASSWORD@HOST:PORT, in HTTPS_PROXY"},
		{errors.New(`GET "https://user:secret@reg.example/token?secret=secret": failed to decode response: EOF (http://a:secret@b/?secret)`), nil, `reg.example: GET "https://reg.example/token?…": failed to decode response: EOF (http://b/?…)`},
		{request(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), errdef.ErrNetwork, "reg.example does not speak TLS; if it is meant to be so, give --plain-http=reg.example"},
		{request(errors.New("http: server gave HTTP response to HTTPS client")), errdef.ErrNetwork, "does not speak TLS"},
		{&explained{errdef.Errorf(errdef.ErrVerification, "all is said")}, errdef.ErrVerification, "all is said"},
		{request(&explained{errors.New("all is said")}), nil, "all is said"},
		{errors.New(`GET "https://reg.example/v2/": bearer realm "http://x/" uses http but registry was contacted over https`), errdef.ErrUnauthorized, `reg.example names a token server that credentials are not sent to: "http://x/" uses http but registry was contacted over https; tell`},
		{errors.New("odd"), nil, "reg.example: odd"},
	} {
		got := New(Options{}).explain("reg.example", c.err)
		wantError(t, got, c.kind, c.want)
		if strings.Contains(got.Error(), "secret") {
			t.Errorf("%v shows a query", got)
		}
		for _, kind := range []error{errdef.ErrUnauthorized, errdef.ErrNotFound, errdef.ErrNetwork, errdef.ErrVerification} {
			if kind != c.kind && errors.Is(got, kind) {
				t.Errorf("%v is of the kind %q", got, kind)
			}
		}
	}
	for _, err := range []error{context.Canceled, request(context.Canceled), request(context.DeadlineExceeded), nil} {
		if got := New(Options{}).explain("reg.example", err); !errors.Is(got, errors.Unwrap(err)) && got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestAnErrorDocumentIsReadWithinBounds(t *testing.T) {
	for body, words := range map[string]string{
		"":                              "answered 400 Bad Request",
		"<html>":                        "answered 400 Bad Request",
		`{"errors": []}`:                "answered 400 Bad Request",
		`{"errors": [{"code": "ODD"}]}`: "(ODD)",
		errorDocument("X", strings.Repeat("long ", 1000)):  strings.Repeat("long ", 60) + "…)",
		errorDocument("X", strings.Repeat("long ", 10000)): "answered 400 Bad Request",
	} {
		s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(400, body)})
		_, err := fetch(t, repo(t, s.host, Options{}), blobOf("content"))
		wantError(t, err, nil, words)
	}
}
