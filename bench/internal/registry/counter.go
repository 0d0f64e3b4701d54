package registry

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// Traffic is what passed a [Counter].
type Traffic struct {
	Requests int64 `json:"requests"`
	Sent     int64 `json:"sent"`     // bytes to the registry, with all that HTTP adds
	Received int64 `json:"received"` // bytes from it
}

// Sub gives what was added since another count.
func (t Traffic) Sub(before Traffic) Traffic {
	return Traffic{t.Requests - before.Requests, t.Sent - before.Sent, t.Received - before.Received}
}

// Counter stands before a registry and counts. It is not for runs that are timed.
type Counter struct {
	Host                     string
	server                   *http.Server
	requests, sent, received atomic.Int64
}

// Count starts a counter before the registry.
func (r *Registry) Count() (*Counter, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Counter{Host: listener.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: r.Host})
			p.Out.Host = p.In.Host // the registry makes locations of it
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	c.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		c.requests.Add(1)
		proxy.ServeHTTP(w, request)
	})}
	go c.server.Serve(&countingListener{listener, c})
	return c, nil
}

// Traffic gives the count so far.
func (c *Counter) Traffic() Traffic {
	return Traffic{c.requests.Load(), c.sent.Load(), c.received.Load()}
}

// Close ends the counter.
func (c *Counter) Close() error { return c.server.Close() }

type countingListener struct {
	net.Listener
	counter *Counter
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{conn, l.counter}, nil
}

type countingConn struct {
	net.Conn
	counter *Counter
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.counter.sent.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.counter.received.Add(int64(n))
	return n, err
}
