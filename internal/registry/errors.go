package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	orasdef "oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// explained is an error that says all there is to say: the registry is not to
// blame for it, or is named.
type explained struct{ error }

func (e *explained) Unwrap() error { return e.error }

// ErrLacks says that a registry refused a manifest since it does not have all
// that the manifest names.
var ErrLacks = errors.New("it does not have all that the manifest names")

// lacks tells whether that is why a manifest was refused.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
func lacks(err error) bool {
	var response *errcode.ErrorResponse
	return errors.As(err, &response) && slices.ContainsFunc(response.Errors, func(e errcode.Error) bool {
		return e.Code == errcode.ErrorCodeManifestBlobUnknown || e.Code == errcode.ErrorCodeBlobUnknown
	})
}

// statusOf gives the HTTP status that an error carries; 0 when it has none.
func statusOf(err error) int {
	var response *errcode.ErrorResponse
	if errors.As(err, &response) {
		return response.StatusCode
	}
	if errors.Is(err, orasdef.ErrNotFound) {
		return http.StatusNotFound
	}
	return 0
}

// explain turns an error of talking to host into one of a kind, that says what
// to do, and shows nothing secret.
func (c *Client) explain(host string, err error) error {
	return c.hide(c.reword(host, err))
}

func (c *Client) reword(host string, err error) error {
	var done *explained
	switch code := statusOf(err); {
	case err == nil:
		return nil
	case errors.As(err, &done):
		return done.error
	case code == http.StatusUnauthorized || errors.Is(err, auth.ErrBasicCredentialNotFound) || unfitForBasic(err):
		return errdef.Errorf(errdef.ErrUnauthorized, "%s refused the credentials, or wants some%s; check the name, or run: ocipkg login %s", host, c.words(err), host)
	case code == http.StatusForbidden:
		return errdef.Errorf(errdef.ErrUnauthorized, "%s forbids it%s; check that the name is right and that the account may do this, or run: ocipkg login %s", host, c.words(err), host)
	case code == http.StatusNotFound:
		return errdef.Errorf(errdef.ErrNotFound, "%s does not have it%s; check the name", host, c.words(err))
	case code == http.StatusProxyAuthRequired:
		return errdef.Errorf(errdef.ErrNetwork, "the proxy on the way to %s %s", host, proxyRefusal)
	case transientStatus(code):
		return errdef.Errorf(errdef.ErrNetwork, "%s kept answering %d %s%s; try again later", host, code, http.StatusText(code), c.words(err))
	case code != 0:
		return fmt.Errorf("%s answered %d %s%s", host, code, http.StatusText(code), c.words(err))
	}
	return c.explainNetwork(host, err)
}

// words gives what the registry wrote about an error.
func (c *Client) words(err error) string {
	var response *errcode.ErrorResponse
	if !errors.As(err, &response) || len(response.Errors) == 0 {
		return ""
	}
	said := response.Errors[0]
	message := cmp.Or(said.Message, said.Code)
	switch detail := said.Detail.(type) {
	case nil:
	case string:
		message += ": " + detail
	default:
		if raw, err := json.Marshal(detail); err == nil && len(raw) > 2 { // neither {} nor []
			message += ": " + string(raw)
		}
	}
	message = strings.TrimSuffix(message, ": ")
	// Before it is cut off, since a piece of a secret is not known for one.
	if message = oneLine(c.secrets.hide(message)); message == "" {
		return ""
	}
	return " (" + message + ")"
}

// oneLine makes a text from elsewhere fit to be shown: on one line, of bearable
// length, and with nothing that a terminal would obey.
func oneLine(text string) string {
	const most = 300
	line := []rune(strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " "))
	if len(line) > most {
		line = append(line[:most], '…')
	}
	return string(line)
}

// warningText reads a Warning header, whatever it says; empty when it is none
// for the user.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#warnings
func warningText(header string) string {
	quoted, ok := strings.CutPrefix(header, "299 - ")
	if !ok {
		return ""
	}
	text, err := strconv.Unquote(quoted)
	if err != nil {
		return ""
	}
	return text
}

// explainNetwork is [Client.explain] for errors below HTTP.
func (c *Client) explainNetwork(host string, err error) error {
	if errors.Is(err, context.Canceled) || pastDeadline(err) {
		return err
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // without the method and the whole URL
		// The registry may have sent us to another host.
		if at, parseErr := url.Parse(request.URL); parseErr == nil && at.Host != "" {
			host = registryOf(at.Host)
		}
	}
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		record  tls.RecordHeaderError
		cert    *tls.CertificateVerificationError
		expired x509.CertificateInvalidError
		alert   tls.AlertError
		op      *net.OpError
	)
	_, realm, refused := strings.Cut(err.Error(), "bearer realm ")
	switch {
	case refused:
		return errdef.Errorf(errdef.ErrUnauthorized, "%s names a token server that credentials are not sent to: %s; tell its operator", host, realm)
	case errors.As(err, &op) && (op.Op == "proxyconnect" || op.Op == "socks connect"):
		return errdef.Errorf(errdef.ErrNetwork, "the proxy on the way to %s cannot be reached: %w; check HTTPS_PROXY and HTTP_PROXY, or except the host with NO_PROXY", host, op.Err)
	case errors.As(err, &dns):
		return errdef.Errorf(errdef.ErrNetwork, "the host of %s cannot be found (%w); check the name and the connection", host, err)
	case errors.As(err, &unknown):
		return errdef.Errorf(errdef.ErrNetwork, "the certificate of %s is by an unknown authority%s; give that authority's certificate with --ca-file or OCIPKG_CA_FILE, add it to the system's, or give --insecure=%s", host, unreadableAuthorities(), host)
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		return errdef.Errorf(errdef.ErrNetwork, "the certificate of %s is not good: %w; check this machine's clock, have it renewed, or give --insecure=%s", host, expired, host)
	case errors.As(err, &cert):
		return errdef.Errorf(errdef.ErrNetwork, "the certificate of %s is not good: %w; have it mended, or give --insecure=%s", host, cert.Err, host)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return errdef.Errorf(errdef.ErrNetwork, "%s does not speak TLS; if it is meant to be so, give --plain-http=%s", host, host)
	case strings.Contains(err.Error(), "stopped after 10 redirects"):
		return errdef.Errorf(errdef.ErrNetwork, "%s sends from one place to another without end (%w); try again later, or tell its operator", host, err)
	case errors.As(err, &alert):
		return errdef.Errorf(errdef.ErrNetwork, "%s ended the TLS handshake: %w; check the name, and ask its operator whether it wants a client's certificate, which cannot be given, or has an old TLS", host, alert)
	case strings.Contains(err.Error(), "tls: "):
		return errdef.Errorf(errdef.ErrNetwork, "TLS with %s failed: %w; ask its operator", host, err)
	case errors.Is(err, errStalled):
		return errdef.Errorf(errdef.ErrNetwork, "%s fell silent; try again later", host)
	case errors.As(err, &op) && op.Op == "dial":
		return errdef.Errorf(errdef.ErrNetwork, "%s cannot be reached: %w; check the name and the connection", host, err)
	case transient(err):
		return errdef.Errorf(errdef.ErrNetwork, "the connection to %s kept breaking: %w; check the connection, or try again later", host, err)
	}
	return fmt.Errorf("%s: %w", host, err)
}

// responseError reads the error document of an answer:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
func responseError(resp *http.Response) error {
	response := &errcode.ErrorResponse{Method: resp.Request.Method, URL: resp.Request.URL, StatusCode: resp.StatusCode}
	var doc struct {
		Errors errcode.Errors `json:"errors"`
	}
	if raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<10)); err == nil && json.Unmarshal(raw, &doc) == nil {
		response.Errors = doc.Errors
	}
	return response
}
