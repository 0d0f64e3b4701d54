// Package registrytest starts OCI registries for tests and records what they
// are asked for.
//
// [StartDistribution] runs Debian's docker-registry, the distribution project's
// own server, for the real protocol: TLS, Basic authentication, tokens, a disk.
// [StartMemory] serves a registry from this process, for speed, and
// [StartProxy] forwards to another one; both let a test put faults in the way
// with [Registry.SetIntercept]. All of them listen on loopback on a port that
// the system chose, and end with the test.
//
// The protocol: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
package registrytest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Registry is a running registry. Its methods may be called from several
// goroutines.
type Registry struct {
	// Host is the name that references begin with, such as "127.0.0.1:40001".
	Host string
	// URL is "http://" or "https://" and Host.
	URL string
	// CAFile is a PEM file, readable by every account, of the authority that
	// signed the registry's certificate; empty without TLS.
	CAFile string
	// Storage is the directory in which StartDistribution's registry keeps
	// its content; empty for the others.
	Storage string
	// Tokens is the token server that the registry trusts; nil unless
	// Options.Token was given.
	Tokens *TokenServer

	t         testing.TB
	authority *authority
	log       requestLog
	intercept *interceptSlot
	stop      func()
}

// Request is a request that a registry answered, or is answering.
type Request struct {
	Method string
	// Path is as it was sent, without the query.
	Path string
	// Query is what followed the "?", as it was sent.
	Query string
	// Status is the HTTP status of the answer; 0 when there was none.
	Status int
	// UserAgent is the client's name for itself.
	UserAgent string
	// Bytes is the size of the answer's body, as far as it was sent.
	Bytes int64
	// Header holds the headers of the request; nil from StartDistribution,
	// whose access log has none.
	Header http.Header
	// Received is the size of the request's body, as far as it was read; 0
	// from StartDistribution.
	Received int64
}

// requestLog is where a registry's requests are found.
type requestLog interface {
	requests() ([]Request, error)
	clear() error
}

// Requests returns the requests so far, in the order in which they were
// answered (StartDistribution) or came (the others). Every request whose
// client has seen any of its answer is among them.
func (r *Registry) Requests() []Request {
	r.t.Helper()
	all, err := r.log.requests()
	if err != nil {
		r.t.Errorf("read the requests of registry %s: %v", r.Host, err)
	}
	return all
}

// Count counts the requests with the given method, or any when it is empty,
// whose path contains the given text, and whose status is among statuses, or
// any when none is given.
func (r *Registry) Count(method, pathContains string, statuses ...int) int {
	r.t.Helper()
	n := 0
	for _, request := range r.Requests() {
		if (method == "" || request.Method == method) &&
			strings.Contains(request.Path, pathContains) &&
			(len(statuses) == 0 || slices.Contains(statuses, request.Status)) {
			n++
		}
	}
	return n
}

// ClearRequests forgets the requests so far.
func (r *Registry) ClearRequests() {
	r.t.Helper()
	if err := r.log.clear(); err != nil {
		r.t.Errorf("clear the requests of registry %s: %v", r.Host, err)
	}
}

// SetIntercept puts f in front of the registry, in place of what was there
// before; nil removes it. Requests are recorded whatever f does with them. It
// fails the test on a registry of StartDistribution: give that to StartProxy.
func (r *Registry) SetIntercept(f Intercept) {
	r.t.Helper()
	if r.intercept == nil {
		r.t.Fatalf("intercept requests to registry %s: it is a program of its own; use StartProxy", r.Host)
	}
	r.intercept.set(f)
}

// Stop stops the registry, as the end of the test does; connections to it are
// refused from then on. It may be called more than once.
func (r *Registry) Stop() { r.stop() }

// Client returns a client that trusts the registry's certificate and keeps no
// connection open. It follows redirects as http.Client does.
func (r *Registry) Client() *http.Client {
	return &http.Client{Transport: r.transport()}
}

func (r *Registry) transport() *http.Transport {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	if r.authority != nil {
		pool := x509.NewCertPool()
		pool.AddCert(r.authority.certificate)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return transport
}
