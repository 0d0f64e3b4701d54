package ocipkg_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

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

// A config is read through a decoder whose buffer is moved and written over while the list of files comes.
func TestAttributesOfALinkDescriptionThatAreNotKnownArriveUnchanged(t *testing.T) {
	server := httptest.NewServer(&memory{content: map[string][]byte{}, types: map[string]string{}})
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/acme/q"
	const unknown = `{"list":[1,2,3],"text":"here"}`
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("cps/q.cps", `{"name":"q","cps_version":"0.15.0","cps_path":"@prefix@/cps","x_all":`+unknown+`,"requires":{"z":{"x_wish":`+unknown+`}},
		"components":{"q":{"type":"interface","x_part":`+unknown+`}}}`)
	for _, files := range []int{0, 3, 20, 60} {
		for i := range files {
			write(fmt.Sprintf("include/header_%d.h", i), "")
		}
		client := &ocipkg.Client{Store: tempDir()}
		pushed, copied := fmt.Sprintf("%s:%d", repository, files), fmt.Sprintf("%s/copy:%d", repository, files)
		if _, err := client.Push(t.Context(), dir, []string{pushed}, ocipkg.PackOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Copy(t.Context(), pushed, copied, ocipkg.CopyOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Get(t.Context(), copied, ocipkg.GetOptions{}); err != nil {
			t.Fatalf("with %d files: %v", files, err)
		}
		links, err := filepath.Glob(filepath.Join(client.Store, "packages", "*", "*", "link.json"))
		if err != nil || len(links) != 1 {
			t.Fatalf("%q, %v", links, err)
		}
		link, err := os.ReadFile(links[0])
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(link, []byte(unknown)); n != 3 {
			t.Errorf("with %d files, %d of 3 attributes are in the store as they were: %s", files, n, link)
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
	registry.lose("acme/big")
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

// lose takes all layers away from a repository, and leaves its manifests.
func (m *memory) lose(repository string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for path, content := range m.content {
		if strings.HasPrefix(path, "/v2/"+repository+"/blobs/") && content[0] != '{' {
			delete(m.content, path)
		}
	}
}

func TestLayersThatASecondRepositoryHasLostAreSentAgain(t *testing.T) {
	registry := &memory{content: map[string][]byte{}, types: map[string]string{}, strict: true}
	server := httptest.NewServer(registry)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	names := []string{host + "/acme/first:1", host + "/acme/second:1"}
	client := &ocipkg.Client{Store: tempDir()}
	defer client.Close()
	dir := bigFiles(t, "a", "b")
	archive := filepath.Join(t.TempDir(), "big.tar")
	for i, push := range []func() ([]ocipkg.Pushed, error){
		func() ([]ocipkg.Pushed, error) { return client.Push(t.Context(), dir, names, ocipkg.PackOptions{}) },
		func() ([]ocipkg.Pushed, error) {
			if _, err := ocipkg.Pack(t.Context(), dir, archive, ocipkg.PackOptions{}); err != nil {
				return nil, err
			}
			return client.Push(t.Context(), archive, names, ocipkg.PackOptions{})
		},
	} {
		if _, err := client.Push(t.Context(), dir, names, ocipkg.PackOptions{}); err != nil {
			t.Fatal(err)
		}
		registry.lose("acme/second")
		if err := os.WriteFile(filepath.Join(dir, "b"), bytes.Repeat([]byte{byte('0' + i)}, 1<<20), 0o644); err != nil {
			t.Fatal(err)
		}
		pushed, err := push()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pushed {
			reader := &ocipkg.Client{Store: tempDir()} // which has nothing of it yet
			if _, err := reader.Get(t.Context(), p.Name, ocipkg.GetOptions{}); err != nil {
				t.Errorf("%d: %v", i, err)
			}
			reader.Close()
		}
	}
}

// Of a package whose libraries are of several megabytes together, a changed one
// moves by itself.
func TestAChangedLibraryMovesLittleMoreThanItsCompressedSize(t *testing.T) {
	const beside = 32 << 10 // bytes for the config, the manifest, and what was there before; of a gigabyte, 64 KiB
	registry := &memory{content: map[string][]byte{}, types: map[string]string{}}
	server := httptest.NewServer(registry)
	defer server.Close()
	name := strings.TrimPrefix(server.URL, "http://") + "/acme/libraries:"
	dir := t.TempDir()
	write := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	code := program(t)
	const libraries, size = 8, 1<<20 + 1<<16
	for i := range libraries {
		write(fmt.Sprintf("lib%d.a", i), append([]byte("library"), code[i*size:][:size]...)) // not a program itself
	}
	for i := range 150 {
		write(fmt.Sprintf("header%d.h", i), code[i*1000:][:1000])
	}
	producer, consumer := &ocipkg.Client{Store: tempDir()}, &ocipkg.Client{Store: tempDir()}
	defer producer.Close()
	defer consumer.Close()
	move := func(tag string) (pushed, got int64) {
		t.Helper()
		registry.traffic = 0
		if _, err := producer.Push(t.Context(), dir, []string{name + tag}, ocipkg.PackOptions{}); err != nil {
			t.Fatal(err)
		}
		pushed = registry.traffic
		registry.traffic = 0
		if _, err := consumer.Get(t.Context(), name+tag, ocipkg.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		return pushed, registry.traffic
	}
	firstPush, firstGet := move("1")
	last := append([]byte("library"), code[:size]...)
	copy(last[size/2:], code[len(code)-64<<10:])
	write("lib0.a", last)
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	most := int64(len(encoder.EncodeAll(last, nil))) + beside
	pushed, got := move("2")
	t.Logf("compressed it has %d bytes; a push moved %d, a get %d", most-beside, pushed, got)
	if pushed > most || got > most {
		t.Errorf("a push of the change moved %d bytes, and a get %d; want at most %d", pushed, got, most)
	}
	if firstPush < 4*most || firstGet < 4*most { // else it would tell nothing
		t.Errorf("all moved %d and %d bytes, of which %d may move", firstPush, firstGet, most)
	}
}

// program gives the bytes of this program, which compress as code does.
func program(t *testing.T) []byte {
	t.Helper()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return code
}
