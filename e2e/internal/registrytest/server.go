package registrytest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// server is an HTTP server in this process.
type server struct {
	host, url string
	stop      func()
}

// serve answers on a loopback port with handler until t ends; with an
// authority it speaks TLS. When it has stopped, no handler runs any more.
func serve(t testing.TB, handler http.Handler, a *authority) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen on loopback: %v", err)
	}
	s := &server{host: listener.Addr().String()}
	s.url = "http://" + s.host
	if a != nil {
		config, err := a.serverConfig()
		if err != nil {
			t.Fatal(err)
		}
		listener = tls.NewListener(listener, config)
		s.url = "https://" + s.host
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &gate{next: handler}
	httpServer := &http.Server{
		Handler:           g,
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// Clients that break off are what tests are about, not news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		// It always ends with an error: that the server was closed.
		_ = httpServer.Serve(listener)
	}()
	s.stop = sync.OnceFunc(func() {
		cancel()
		// The listener is closed whatever the error.
		_ = httpServer.Close()
		<-stopped
		g.close()
	})
	t.Cleanup(s.stop)
	return s
}

// gate is a handler that can be closed: from then on next does not run.
type gate struct {
	next http.Handler

	// mu is held for reading by each request that is being answered.
	mu     sync.RWMutex
	closed bool
}

// ServeHTTP hands r on, or breaks the connection off.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		panic(http.ErrAbortHandler)
	}
	g.next.ServeHTTP(w, r)
}

// close closes the gate and waits for the requests being answered.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// writeError answers with an error document of the distribution specification.
func writeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that has gone is no concern of the server's.
	_ = json.NewEncoder(w).Encode(map[string]any{
		"errors": []map[string]string{{"code": code, "message": message}},
	})
}
