package ocipkg_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ocipkg/ocipkg"
)

func TestAnUploadThatStartsAgainIsCountedOnce(t *testing.T) {
	server := httptest.NewServer(&memory{content: map[string][]byte{}, types: map[string]string{}, failing: 1})
	defer server.Close()
	name := strings.TrimPrefix(server.URL, "http://") + "/acme/greet:1"
	var mu sync.Mutex
	var most, total int64
	client := &ocipkg.Client{Store: tempDir(), Progress: func(done, all int64) {
		mu.Lock()
		defer mu.Unlock()
		most, total = max(most, done), all
	}}
	pushed, err := client.Push(context.Background(), exampleFiles(), []string{name}, ocipkg.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pushed[0].Sent != total || most != total {
		t.Errorf("sent %d, progress up to %d, of %d bytes", pushed[0].Sent, most, total)
	}
	again, err := client.Push(context.Background(), exampleFiles(), []string{name}, ocipkg.PackOptions{})
	if err != nil || again[0].Sent != 0 {
		t.Errorf("pushed again: %+v, %v", again, err)
	}
}

func TestWhatATagStandsForAlreadyIsPushedWithOneRequest(t *testing.T) {
	server := httptest.NewServer(&memory{content: map[string][]byte{}, types: map[string]string{}})
	defer server.Close()
	name := strings.TrimPrefix(server.URL, "http://") + "/acme/greet:1"
	var mu sync.Mutex
	var requests []string
	client := &ocipkg.Client{Store: tempDir(), Trace: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, line)
	}}
	push := func(source string) {
		t.Helper()
		requests = nil
		if _, err := client.Push(context.Background(), source, []string{name}, ocipkg.PackOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	push(exampleFiles())
	if len(requests) < 5 {
		t.Errorf("the first push took %q", requests)
	}
	archive := filepath.Join(t.TempDir(), "greet.tar")
	if _, err := ocipkg.Pack(context.Background(), exampleFiles(), archive, ocipkg.PackOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{exampleFiles(), archive} {
		if push(source); len(requests) != 1 || !strings.HasPrefix(requests[0], "GET ") {
			t.Errorf("the push of %s, which is there, took %q", source, requests)
		}
	}
}

// bigFiles makes a directory whose files are a layer each.
func bigFiles(t *testing.T, names ...string) string {
	dir := t.TempDir()
	for i, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte{byte('a' + i)}, 1<<20), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAPushAfterAChangeAsksAndSendsForThatAlone(t *testing.T) {
	registry := &memory{content: map[string][]byte{}, types: map[string]string{}}
	server := httptest.NewServer(registry)
	defer server.Close()
	name := strings.TrimPrefix(server.URL, "http://") + "/acme/big:"
	var mu sync.Mutex
	var requests []string
	home := tempDir()
	push := func(store, dir, tag string) string {
		t.Helper()
		client := &ocipkg.Client{Store: store, Trace: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			method, rest, _ := strings.Cut(line, " ")
			_, rest, _ = strings.Cut(rest, "/v2/acme/big/")
			requests = append(requests, method+" "+rest[:strings.IndexByte(rest, '/')])
		}}
		defer client.Close()
		requests = nil
		pushed, err := client.Push(context.Background(), dir, []string{name + tag}, ocipkg.PackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(requests)
		return pushed[0].Descriptor.Digest.String()
	}
	dir := bigFiles(t, "a", "b", "c", "d")
	first := push(home, dir, "1")
	if err := os.WriteFile(filepath.Join(dir, "b"), bytes.Repeat([]byte("z"), 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	second := push(home, dir, "2")
	// The tag, what was pushed before, and the file's layer and the config.
	if want := []string{"GET manifests", "GET manifests", "HEAD blobs", "HEAD blobs", "POST blobs", "POST blobs", "PUT blobs", "PUT blobs", "PUT manifests"}; !slices.Equal(requests, want) {
		t.Errorf("the push of a change took %q, want %q", requests, want)
	}
	if other := push(tempDir(), dir, "3"); first == second || other != second {
		t.Errorf("%s was pushed first, %s then, and %s by who remembers nothing", first, second, other)
	}
	// A registry that was emptied gets all again, whatever is remembered.
	mu.Lock()
	registry.content = map[string][]byte{}
	mu.Unlock()
	if push(home, dir, "4"); !slices.Contains(requests, "PUT blobs") || len(registry.content) < 7 {
		t.Errorf("the registry has %d documents after %q", len(registry.content), requests)
	}
}

// A registry may have a manifest still, and not its layers.
func TestLayersThatARegistryHasLostArePackedAgain(t *testing.T) {
	registry := &memory{content: map[string][]byte{}, types: map[string]string{}, strict: true}
	server := httptest.NewServer(registry)
	defer server.Close()
	name := strings.TrimPrefix(server.URL, "http://") + "/acme/big:"
	client := &ocipkg.Client{Store: tempDir()}
	defer client.Close()
	dir := bigFiles(t, "a", "b")
	push := func(tag string) {
		t.Helper()
		if _, err := client.Push(context.Background(), dir, []string{name + tag}, ocipkg.PackOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	push("1")
	for path, content := range registry.content {
		if strings.Contains(path, "/blobs/") && content[0] != '{' {
			delete(registry.content, path)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("small now"), 0o644); err != nil {
		t.Fatal(err)
	}
	push("2")
	// Under another name in the same repository nothing is sent but that.
	if _, err := client.Push(context.Background(), dir, []string{name + "3", name + "4"}, ocipkg.PackOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"2", "3", "4"} {
		if _, err := client.Get(context.Background(), name+tag, ocipkg.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
}
