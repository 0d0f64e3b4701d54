package ocipkg_test

import (
	"context"
	"net/http/httptest"
	"path/filepath"
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
