package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// What a far registry is like: half of the round trip is spent on each way, and
// each connection brings no more than its rate, in bytes a second.
const (
	FarTrip = 50 * time.Millisecond
	FarRate = 10e6
)

// Far is a registry that is reached over a long way. What it was asked is noted
// at its door.
type Far struct {
	Host   string
	server *http.Server
	proxy  *toxiproxy.Proxy
	tokens bool

	mu    sync.Mutex
	asked []span
	given map[string]bool // tokens

	connections atomic.Int64
}

// span is a request from its arrival until its answer has gone.
type span struct{ start, end time.Time }

// Way is what a command asked for.
type Way struct {
	Requests    int `json:"requests"`
	Trips       int `json:"trips"` // the longest chain of requests that waited for each other
	Connections int `json:"connections"`
}

// Line is a way to a registry.
type Line struct {
	Trip time.Duration // of a request and its answer
	Rate float64       // bytes a second of each connection
}

// Long is the line to a registry that is far.
var Long = Line{FarTrip, FarRate}

// Far puts the registry at the end of a line. With tokens it wants one for
// everything, which it gives to everybody for five minutes.
func (r *Registry) Far(line Line, tokens bool) (*Far, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Far{tokens: tokens, given: map[string]bool{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: r.Host})
			p.Out.Host = p.In.Host // the registry makes locations of it
			p.Out.Header.Del("Authorization")
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	f.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			start := time.Now()
			defer func() { f.note(span{start, time.Now()}) }()
			if f.admits(w, request) {
				proxy.ServeHTTP(w, request)
			}
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				f.connections.Add(1)
			}
		},
	}
	go f.server.Serve(listener)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	zerolog.SetGlobalLevel(zerolog.Disabled)
	f.proxy = toxiproxy.NewProxy(server, "far", "127.0.0.1:0", listener.Addr().String())
	for _, way := range []string{"upstream", "downstream"} {
		for toxic, attributes := range map[string]string{
			"latency":   fmt.Sprintf(`{"latency": %d}`, line.Trip.Milliseconds()/2),
			"bandwidth": fmt.Sprintf(`{"rate": %d}`, int(line.Rate/1000)),
		} {
			_, addErr := f.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"name": "%s-%s", "type": %[2]q, "stream": %[1]q, "attributes": %[3]s}`, way, toxic, attributes)))
			err = errors.Join(err, addErr)
		}
	}
	if err = errors.Join(err, f.proxy.Start()); err != nil {
		return nil, errors.Join(err, f.server.Close())
	}
	f.Host = f.proxy.Listen
	return f, nil
}

// Close takes the way to the registry away.
func (f *Far) Close() error {
	f.proxy.Stop()
	return f.server.Close()
}

// admits answers a request that has no token, and one for a token.
func (f *Far) admits(w http.ResponseWriter, request *http.Request) bool {
	if !f.tokens {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if request.URL.Path == "/token" {
		claims := fmt.Sprintf(`{"exp": %d, "n": %d}`, time.Now().Add(5*time.Minute).Unix(), len(f.given))
		token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".none"
		f.given[token] = true
		_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "access_token": token, "expires_in": 300})
		return false
	}
	if f.given[strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer ")] {
		return true
	}
	scope := "registry:catalog:*"
	if repository, ok := strings.CutPrefix(request.URL.Path, "/v2/"); ok && repository != "" {
		for _, end := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
			repository, _, _ = strings.Cut(repository, end)
		}
		scope = "repository:" + repository + ":pull,push"
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="far",scope="%s"`, f.Host, scope))
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

func (f *Far) note(s span) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, s)
}

// Way gives what was asked since the last time.
func (f *Far) Way() Way {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := Way{Requests: len(f.asked), Trips: chain(f.asked), Connections: int(f.connections.Swap(0))}
	f.asked = nil
	return w
}

// chain gives the length of the longest chain of requests in which each came
// after the answer to the one before can have arrived.
func chain(asked []span) int {
	slices.SortFunc(asked, func(a, b span) int { return a.start.Compare(b.start) })
	longest := 0
	depth := make([]int, len(asked))
	for i, s := range asked {
		depth[i] = 1
		for j := range i {
			if s.start.Sub(asked[j].end) >= FarTrip*9/10 {
				depth[i] = max(depth[i], depth[j]+1)
			}
		}
		longest = max(longest, depth[i])
	}
	return longest
}
