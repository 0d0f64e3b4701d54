package badinput

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestRegistryThatAnswersWithOtherBytesIsNotBelieved(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	proxy := registrytest.StartProxy(t, registry)
	producer := program.New(t, program.Options{})
	producer.WriteFile("in/include/a.h", strings.Repeat("#define A\n", 100), 0o644)
	tree.WriteRandom(t, filepath.Join(producer.Dir, "in/lib/large"), 2<<20, 1)
	want := tree.Content(t, filepath.Join(producer.Dir, "in"))
	producer.Own(filepath.Join(producer.Dir, "in"))
	name := proxy.Host + "/acme/a:1"
	digest := producer.Run("ocipkg", "push", "in", name).Digest()
	blobs := map[string]bool{}
	for _, request := range proxy.Requests() {
		if _, blob, ok := strings.Cut(request.Path, "/blobs/sha256:"); ok {
			blobs["sha256:"+blob] = true
		}
	}
	if len(blobs) < 3 {
		t.Fatalf("the package has the blobs %v, fewer than a config and two layers", blobs)
	}

	s := program.New(t, program.Options{})
	s.WriteFile("other/file", "other", 0o644)
	s.Run("ocipkg", "push", "other", proxy.Host+"/acme/other:1").OK()
	s.Run("ocipkg", "get", proxy.Host+"/acme/other:1").OK()
	byDigest := strings.TrimSuffix(name, ":1") + "@" + digest
	refusesAll := func(what string, intercept registrytest.Intercept) {
		t.Helper()
		t.Log(what)
		proxy.SetIntercept(intercept)
		refuses(t, s, verification, []string{name}, "get", name)
		refuses(t, s, verification, []string{digest}, "get", byDigest)
		refuses(t, s, verification, []string{name}, "link", name)
	}
	for blob := range blobs {
		for _, offset := range []int64{0, 60} {
			refusesAll("blob "+blob, registrytest.CorruptBlob(blob, offset))
		}
	}
	for _, offset := range []int64{0, 100} {
		refusesAll("manifest", registrytest.CorruptManifest("", offset))
	}
	// More and fewer bytes than the size says, with an honest Content-Length.
	for what, change := range map[string]func([]byte) []byte{
		"more":  func(b []byte) []byte { return append(b, 0) },
		"fewer": func(b []byte) []byte { return b[:len(b)-1] },
		"none":  func([]byte) []byte { return nil },
	} {
		refusesAll(what+" bytes", registrytest.When(registrytest.BlobGet(""), rewrite(change)))
		refusesAll(what+" bytes of a manifest", registrytest.When(registrytest.ManifestGet(""), rewrite(change)))
	}

	proxy.SetIntercept(nil)
	if got := s.Run("ocipkg", "get", name).Digest(); got != digest {
		t.Errorf("got %s, want %s", got, digest)
	}
	root := s.Run("ocipkg", "image-directory", name).OK().Stdout
	tree.Check(t, "the package", tree.Content(t, strings.TrimSpace(root)), want)
	storetest.CheckTmpEmpty(t, storetest.Dir(s))
}

// rewrite changes the whole body of an answer.
func rewrite(change func([]byte) []byte) registrytest.Intercept {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		var b body
		b.header = w.Header()
		next.ServeHTTP(&b, r)
		content := change(b.content)
		w.Header().Del("Content-Length")
		if b.status != 0 {
			w.WriteHeader(b.status)
		}
		// A client that has gone is no concern of the server's.
		_, _ = w.Write(content)
	}
}

// body keeps an answer.
type body struct {
	header  http.Header
	status  int
	content []byte
}

func (b *body) Header() http.Header         { return b.header }
func (b *body) WriteHeader(status int)      { b.status = status }
func (b *body) Write(p []byte) (int, error) { b.content = append(b.content, p...); return len(p), nil }
