package transfer

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// What is remembered of a push serves the next one, and the registry has the last
// word on it.
func TestADirectoryIsPushedAgainAsFarAsItChanged(t *testing.T) {
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/z:"
	s := program.New(t, program.Options{})
	library := func(letter string) string { return strings.Repeat(letter, 1<<20) }
	for _, letter := range []string{"a", "b", "c"} {
		s.WriteFile("in/lib/"+letter, library(letter), 0o644)
	}
	s.WriteFile("in/include/z.h", "int z(void);\n", 0o644)
	s.Run("ocipkg", "push", "in", name+"1").OK()

	registry.ClearRequests()
	s.WriteFile("in/lib/b", library("x"), 0o644)
	second := s.Run("ocipkg", "push", "in", name+"2").Digest()
	// The layer of the file, and the config.
	for method, want := range map[string]int{"HEAD": 2, "POST": 2, "PUT": 3, "GET": 2} {
		if got := registry.Count(method, "/acme/z/"); got != want {
			t.Errorf("%d requests to %s: %+v", got, method, registry.Requests())
		}
	}
	if all := s.Run("ocipkg", "push", "--reread", "in", name+"2").Digest(); all != second {
		t.Errorf("with all files read it is %s, and was %s", all, second)
	}
	other := program.New(t, program.Options{})
	other.CopyTree(filepath.Join(s.Dir, "in"), "in")
	if fresh := other.Run("ocipkg", "push", "in", name+"fresh").Digest(); fresh != second {
		t.Errorf("who remembers nothing makes %s, and not %s", fresh, second)
	}

	// A layer goes from under the manifests.
	repo := repository(t, registry.Host+"/acme/z")
	desc, err := repo.Blobs().Resolve(context.Background(), layersOf(t, s, name+"2")[1]) // of lib/a
	if err == nil {
		err = repo.Blobs().Delete(context.Background(), desc)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.WriteFile("in/lib/c", library("y"), 0o644)
	s.Run("ocipkg", "push", "in", name+"3").OK()
	consumer := program.New(t, program.Options{})
	consumer.Run("ocipkg", "get", name+"3").OK()
	root := strings.TrimSpace(consumer.Run("ocipkg", "image-directory", name+"3").OK().Stdout)
	for file, letter := range map[string]string{"a": "a", "b": "x", "c": "y"} {
		if raw, err := os.ReadFile(filepath.Join(root, "lib", file)); err != nil || string(raw) != library(letter) {
			t.Errorf("lib/%s is not what was pushed (%d bytes, %v)", file, len(raw), err)
		}
	}
}

// layersOf gives the digests of the layers of a package: those of small files
// first, then one for each large file, in order.
func layersOf(t *testing.T, s *program.Session, name string) []string {
	t.Helper()
	var in struct {
		Layers []struct {
			Digest string `json:"digest"`
		} `json:"layers"`
	}
	if err := json.Unmarshal([]byte(s.Run("ocipkg", "inspect", "--json", name).OK().Stdout), &in); err != nil {
		t.Fatal(err)
	}
	var digests []string
	for _, l := range in.Layers {
		digests = append(digests, l.Digest)
	}
	return digests
}
