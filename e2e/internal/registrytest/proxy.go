package registrytest

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// forward returns a handler that has requests answered by another registry.
func forward(to *Registry) http.Handler {
	target := &url.URL{Host: to.Host, Scheme: "http"}
	if to.authority != nil {
		target.Scheme = "https"
	}
	transport := to.transport()
	// One connection a request would use up the ports in a long test.
	transport.DisableKeepAlives = false
	to.t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// The registry makes the Location of its answers from these.
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: transport,
		// Clients that break off are what tests are about, not news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}
