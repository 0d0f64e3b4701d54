package ocipkg_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg"
)

// trips is a registry behind a long way: no request of a round trip is answered
// before all of it have come. So a command comes to its end only when it asks
// for as much at once as it is to.
type trips struct {
	*memory
	host   string
	tokens bool // are wanted

	mu    sync.Mutex
	left  []int // requests of each round trip to come; nil is near
	come  int
	open  chan struct{} // closed when all have come
	given map[string]bool
	extra []string // what came after them
}

func (s *trips) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.wait(r)
	s.mu.Lock()
	refused := s.tokens && !s.given[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if s.tokens && r.URL.Path == "/token" {
		token := fmt.Sprintf("token-%d", len(s.given))
		s.given[token], refused = true, false
		_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	if refused {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+s.host+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors": [{"code": "UNAUTHORIZED"}]}`)
		return
	}
	s.memory.ServeHTTP(w, r)
}

func (s *trips) wait(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == nil {
		return
	}
	if len(s.left) == 0 {
		s.extra = append(s.extra, r.Method+" "+r.URL.Path)
		return
	}
	if s.come++; s.come == s.left[0] {
		close(s.open)
		s.open, s.come, s.left = make(chan struct{}), 0, s.left[1:]
		return
	}
	open := s.open
	s.mu.Unlock()
	select {
	case <-open:
	case <-r.Context().Done():
	}
	s.mu.Lock()
}

// expect begins to count, and gives what ends it.
func (s *trips) expect(t *testing.T, requests ...int) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.come, s.open = slices.Clone(requests), 0, make(chan struct{})
	return func() {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.left) > 0 || s.come > 0 || len(s.extra) > 0 {
			t.Errorf("of %v requests in each round trip %v are left, and there were %d, and then %q", requests, s.left, s.come, s.extra)
		}
		s.left, s.extra = nil, nil
	}
}

// distant starts a registry with a package for two platforms under a name, and
// tells how many blobs each has.
func distant(t *testing.T) (s *trips, server *httptest.Server, name string, blobs int) {
	s = &trips{memory: &memory{content: map[string][]byte{}, types: map[string]string{}}, given: map[string]bool{}}
	server = httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	name = s.host + "/acme/greet:1"
	var archives []string
	for _, of := range []string{"linux/amd64", "windows/amd64"} {
		dir := exampleFiles()
		random := rand.NewChaCha8([32]byte{1})
		for i := range 3 {
			raw := make([]byte, 1<<20)
			random.Read(raw)
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		archive := filepath.Join(t.TempDir(), "a.tar")
		if _, err := ocipkg.Pack(t.Context(), dir, archive, ocipkg.PackOptions{Platform: of}); err != nil {
			t.Fatal(err)
		}
		archives = append(archives, archive)
	}
	client := &ocipkg.Client{Store: tempDir()}
	pushed, err := client.PushIndex(t.Context(), name, archives, ocipkg.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	var manifest ocispec.Manifest
	err = json.Unmarshal(s.content["/v2/acme/greet/manifests/"+pushed.Descriptor.Digest.String()], &index)
	if err == nil {
		err = json.Unmarshal(s.content["/v2/acme/greet/manifests/"+index.Manifests[0].Digest.String()], &manifest)
	}
	if err != nil || len(manifest.Layers) < 2 || len(manifest.Layers) > 5 {
		t.Fatalf("the package is %+v, %v", manifest, err)
	}
	return s, server, name, 1 + len(manifest.Layers)
}

// userOf gives a client with an empty store, as in a run of its own.
func userOf(t *testing.T, server *httptest.Server) *ocipkg.Client {
	server.CloseClientConnections()
	client := &ocipkg.Client{Store: tempDir()}
	t.Cleanup(client.Close)
	return client
}

func TestAPackageThatIsFarAwayTakesFewRoundTrips(t *testing.T) {
	for _, tokens := range []bool{false, true} {
		t.Run(fmt.Sprintf("tokens %v", tokens), func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			s, server, name, blobs := distant(t)
			s.tokens = tokens
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // of one that waits in vain
			defer cancel()
			get := func(requests ...int) {
				t.Helper()
				end := s.expect(t, requests...)
				if _, err := userOf(t, server).Get(ctx, name, ocipkg.GetOptions{Platform: "linux/amd64"}); err != nil {
					t.Fatal(err)
				}
				end()
			}
			first := []int{1, 1, blobs} // index, manifest, config and layers
			if tokens {
				get(append([]int{1, 1}, first...)...) // refused, and a token
			}
			get(first...)

			dir := t.TempDir()
			t.Chdir(dir)
			if err := os.WriteFile("ocipkg.toml", fmt.Appendf(nil, "[dependencies]\ngreet = %q\n", name), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := userOf(t, server).Lock(ctx, ocipkg.LockOptions{}); err != nil {
				t.Fatal(err)
			}
			all := 3 + blobs // also what the tag stands for by now
			get(all)
			if tokens {
				t.Setenv("XDG_CACHE_HOME", t.TempDir())
				get(all, 1, all)
			}
		})
	}
}

func TestOneConnectionIsEnough(t *testing.T) {
	_, _, name, _ := distant(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // of one that waits in vain
	defer cancel()
	one := &ocipkg.Client{Store: tempDir(), Connections: 1}
	host, _, _ := strings.Cut(name, "/")
	p, err := one.Get(ctx, name, ocipkg.GetOptions{Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Push(ctx, p.Directory, []string{host + "/acme/other:1"}, ocipkg.PackOptions{}); err != nil {
		t.Error(err)
	}
	for _, to := range []string{host + "/acme/copy:1", host + "/acme/copy@", filepath.Join(t.TempDir(), "a.tar")} {
		if _, err := one.Copy(ctx, name, to, ocipkg.CopyOptions{NoReferrers: true}); err != nil {
			t.Error(err)
		}
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("ocipkg.toml", fmt.Appendf(nil, "[dependencies]\na = %q\nb = %q\nc = %q\n", name, host+"/acme/copy:1", host+"/acme/other:1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Lock(ctx, ocipkg.LockOptions{}); err != nil {
		t.Fatal(err)
	}
	one = &ocipkg.Client{Store: tempDir(), Connections: 1}
	if restored, err := one.Restore(ctx, nil, ocipkg.RestoreOptions{Platform: "linux/amd64"}); err != nil || len(restored) != 3 {
		t.Errorf("restored %+v, %v", restored, err)
	}
}

func TestGetsAtTheSameTimeShareTheRoom(t *testing.T) {
	_, _, name, _ := distant(t)
	for _, connections := range []int{0, 1, 2} {
		client := &ocipkg.Client{Store: tempDir(), Connections: connections}
		var all sync.WaitGroup
		for _, of := range []string{"linux/amd64", "windows/amd64", "linux/amd64"} {
			all.Go(func() {
				if _, err := client.Get(t.Context(), name, ocipkg.GetOptions{Platform: of, Force: true}); err != nil {
					t.Errorf("with %d connections: %v", connections, err)
				}
			})
		}
		all.Wait()
	}
}

func TestALayerThatIsTamperedWithIsRefusedWhenItWasAskedForAhead(t *testing.T) {
	s, _, name, _ := distant(t)
	for path, raw := range s.content {
		if strings.Contains(path, "/blobs/sha256:") && len(raw) > 1<<19 {
			s.content[path] = append(bytes.Clone(raw[:len(raw)-1]), raw[len(raw)-1]^1)
		}
	}
	_, err := (&ocipkg.Client{Store: tempDir()}).Get(t.Context(), name, ocipkg.GetOptions{Platform: "linux/amd64"})
	if !errors.Is(err, ocipkg.ErrVerification) {
		t.Errorf("the error is %v", err)
	}
}

func TestTheNumberOfConnectionsIsChecked(t *testing.T) {
	for _, n := range []int{-1, 1000} {
		_, err := (&ocipkg.Client{Connections: n}).Tags(t.Context(), "localhost:1/a")
		if !errors.Is(err, ocipkg.ErrUsage) {
			t.Errorf("%d: %v", n, err)
		}
	}
	for _, text := range []string{"-1", "many", "1000", "1.5"} {
		t.Setenv("OCIPKG_CONNECTIONS", text)
		_, err := (&ocipkg.Client{}).Tags(t.Context(), "localhost:1/a")
		if !errors.Is(err, ocipkg.ErrUsage) || !strings.Contains(err.Error(), "OCIPKG_CONNECTIONS is \""+text+"\"") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
