package registry

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// trustAuthorities trusts the authorities that the options name beside the
// system's, before the first connection: reading these takes a while.
func (c *Client) trustAuthorities() error {
	if c.options.CAFile == "" {
		return nil
	}
	c.trusted.Do(func() {
		pool, err := authorities(c.options.CAFile)
		if err != nil {
			c.untrusted = &explained{err}
			return
		}
		for _, transport := range []*http.Transport{c.secure.usual, c.secure.apart} {
			transport.TLSClientConfig = &tls.Config{RootCAs: pool}
		}
	})
	return c.untrusted
}

// authorities gives the system's authorities for TLS certificates together with
// those in a PEM file. The error is of kind [errdef.ErrUsage].
func authorities(path string) (*x509.CertPool, error) {
	pem, err := readAuthorities(path)
	if err != nil {
		return nil, errdef.Errorf(errdef.ErrUsage, "read the certificates of authorities: %w; give a file of certificates in PEM form", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil { // the system has none
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM(pem)
	return pool, nil
}

// readAuthorities reads a PEM file that has a certificate at least.
func readAuthorities(path string) ([]byte, error) {
	pem, err := os.ReadFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = fmt.Errorf("%s has none", path)
	}
	return pem, err
}

// unreadableAuthorities says what is wrong with the file that stands for the
// system's authorities, which Go passes over in silence; empty when nothing is.
func unreadableAuthorities() string {
	path := os.Getenv("SSL_CERT_FILE")
	if path == "" {
		return ""
	}
	if _, err := readAuthorities(path); err != nil {
		return fmt.Sprintf(", and SSL_CERT_FILE is of no use: %v", err)
	}
	return ""
}
