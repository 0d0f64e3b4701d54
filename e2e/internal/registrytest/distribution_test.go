package registrytest

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestDistributionOpenToAll(t *testing.T) {
	for name, options := range map[string]Options{
		"http on IPv4": {},
		"http on IPv6": {Address: "::1"},
		"https":        {TLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := StartDistribution(t, options)
			c := &client{t: t, r: r}
			c.roundTrip("acme/zlib")
			expectCounts(t, r, roundTripCounts)
			if wantTLS := strings.HasPrefix(r.URL, "https:"); wantTLS != options.TLS || (r.CAFile != "") != options.TLS {
				t.Errorf("URL %s and CA file %q do not fit %+v", r.URL, r.CAFile, options)
			}
		})
	}
}

func TestDistributionAsksForAPassword(t *testing.T) {
	for name, options := range map[string]Options{
		"http":  {Htpasswd: &Account{User: "alice", Password: "pass:word"}},
		"https": {Htpasswd: &Account{User: "alice", Password: "pass:word"}, TLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := StartDistribution(t, options)
			c := &client{t: t, r: r}
			c.refused("Basic")
			c.by = basic("alice", "wrong")
			c.refused("Basic")
			c.by = basic("alice", "pass:word")
			c.roundTrip("acme/zlib")
			expectCounts(t, r, roundTripCounts)
			if n := r.Count("GET", "/v2/", http.StatusUnauthorized); n != 2 {
				t.Errorf("%d requests were refused, want 2", n)
			}
		})
	}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestRequestsTellWhatWasAskedAndAnswered(t *testing.T) {
	for name, r := range map[string]*Registry{
		"distribution": StartDistribution(t, Options{}),
		"memory":       StartMemory(t),
		"proxy":        StartProxy(t, StartDistribution(t, Options{TLS: true})),
	} {
		t.Run(name, func(t *testing.T) {
			c := &client{t: t, r: r}
			path := c.push("acme/zlib", []byte("content"))
			r.ClearRequests()
			c.do(http.MethodGet, path+"?a=b", nil)
			c.do(http.MethodGet, "/v2/acme/none/manifests/latest", nil)
			got := r.Requests()
			if len(got) != 2 {
				t.Fatalf("%d requests, want 2: %+v", len(got), got)
			}
			first := Request{Method: "GET", Path: path, Query: "a=b", Status: 200, UserAgent: `self test "1"`, Bytes: 7}
			got[0].Header = nil
			if !equal(got[0], first) {
				t.Errorf("recorded %+v, want %+v", got[0], first)
			}
			if got[1].Status != 404 {
				t.Errorf("a missing manifest is recorded with status %d", got[1].Status)
			}
		})
	}
}

func equal(a, b Request) bool {
	return a.key() == b.key() && a.Status == b.Status && a.UserAgent == b.UserAgent && a.Bytes == b.Bytes
}

func TestAccessLogIsCompleteUnderLoad(t *testing.T) {
	r := StartDistribution(t, Options{})
	c := &client{t: t, r: r}
	path := c.push("acme/zlib", make([]byte, 1<<20))
	for round := range 20 {
		r.ClearRequests()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if a, err := c.try(http.MethodGet, path, nil); err != nil || len(a.body) != 1<<20 {
					t.Errorf("GET: %d bytes, %v", len(a.body), err)
				}
			})
		}
		all.Wait()
		if n := r.Count("GET", path, http.StatusOK); n != 20 {
			t.Fatalf("round %d: %d requests in the log, want 20", round, n)
		}
	}
}

func TestStoppedRegistryRefusesConnectionsAndLeavesNothing(t *testing.T) {
	var registries []*Registry
	t.Run("use", func(t *testing.T) {
		memory := StartMemory(t)
		registries = append(registries, StartDistribution(t, Options{TLS: true}), memory, StartProxy(t, memory))
		registries[0].Stop()
		if _, err := (&client{t: t, r: registries[0]}).try(http.MethodGet, "/v2/", nil); err == nil {
			t.Error("a stopped registry answers")
		}
	})
	for _, r := range registries {
		if _, err := (&client{t: t, r: r}).try(http.MethodGet, "/v2/", nil); err == nil {
			t.Errorf("registry %s answers after its test", r.Host)
		}
	}
	dir := filepath.Dir(registries[0].Storage)
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there after the test (%v)", dir, err)
	}
}

func TestParseAccessLog(t *testing.T) {
	const begun = `{"msg":"authorizing request","http.request.method":"GET","http.request.uri":"/v2/a/blobs/x?b=c"}` + "\n"
	const ended = `127.0.0.1 - - [23/Nov/2026:12:30:32 +0000] "GET /v2/a/blobs/x?b=c HTTP/1.1" 206 19 "" "x \"y\""` + "\n"
	tests := map[string]struct {
		text              string
		answered, pending int
	}{
		"nothing":                           {},
		"answered":                          {begun + ended, 1, 0},
		"still being answered":              {begun + ended + begun, 1, 1},
		"refused before it had begun":       {ended, 1, 0},
		"a line that is being written":      {begun + ended[:40], 0, 1},
		"a JSON line that is being written": {begun + ended + begun[:40], 1, 0},
		"foreign lines":                     {"panic: no\n" + begun + ended, 1, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answered, pending, err := parseAccessLog(test.text)
			if err != nil || len(answered) != test.answered || len(pending) != test.pending {
				t.Errorf("got %v, %v, %v, want %d and %d", answered, pending, err, test.answered, test.pending)
			}
			want := Request{Method: "GET", Path: "/v2/a/blobs/x", Query: "b=c", Status: 206, UserAgent: `x "y"`, Bytes: 19}
			if len(answered) > 0 && !equal(answered[0], want) {
				t.Errorf("got %+v, want %+v", answered[0], want)
			}
		})
	}
}
