package robustness

import (
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
)

func TestTwentyGetsAtOnceFetchEachBlobOnce(t *testing.T) {
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/library:1"
	producer := program.New(t, program.Options{})
	want := makePackage(t, producer, 16*megabyte) // none of whose files is large enough to come in parts
	digest := producer.Run("ocipkg", "push", "in", name).Digest()
	registry.ClearRequests()

	user := program.New(t, program.Options{})
	var all []*program.Process
	for range 20 {
		all = append(all, user.Start("ocipkg", "get", name))
	}
	for _, p := range all {
		if got := p.Wait().Digest(); got != digest {
			t.Errorf("got %s, want %s", got, digest)
		}
	}

	gets := map[string]int{}
	for _, request := range registry.Requests() {
		if _, blob, ok := strings.Cut(request.Path, "/blobs/"); ok && request.Method == "GET" {
			gets[blob]++
		}
	}
	// A config, the large files, and what is left of small ones.
	if len(gets) < 7 {
		t.Errorf("the registry was asked for %d blobs only", len(gets))
	}
	for blob, n := range gets {
		if n != 1 {
			t.Errorf("the registry was asked for %s %d times", blob, n)
		}
	}
	store := storetest.Dir(user)
	storetest.CheckTmpEmpty(t, store)
	if n := storetest.CheckPackages(t, store, want); n != 1 {
		t.Errorf("the store has %d packages", n)
	}
}

func TestGetsOfDifferentPackagesWithCommonLayersAllSucceed(t *testing.T) {
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	producer := program.New(t, program.Options{})
	want := makePackage(t, producer, 16*megabyte)
	user := program.New(t, program.Options{})
	names := []string{"1", "2", "3", "4"}
	for i, tag := range names {
		names[i] = registry.Host + "/acme/library:" + tag
		producer.WriteFile("in/version", tag, 0o644)
		producer.Run("ocipkg", "push", "in", names[i]).OK()
	}
	var all []*program.Process
	for _, name := range names {
		for range 3 {
			all = append(all, user.Start("ocipkg", "get", name), user.Start("ocipkg", "get", "--overwrite", name))
		}
	}
	for _, p := range all {
		p.Wait().OK()
	}
	store := storetest.Dir(user)
	storetest.CheckTmpEmpty(t, store)
	roots := storetest.Roots(t, store)
	if len(roots) != len(names) {
		t.Errorf("the store has %d packages, want %d", len(roots), len(names))
	}
	for _, name := range names {
		dir := strings.TrimSpace(user.Run("ocipkg", "image-directory", name).OK().Stdout)
		checkVersion(t, dir, name[strings.LastIndexByte(name, ':')+1:], want)
	}
}
