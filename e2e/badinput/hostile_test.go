package badinput

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/internal/hostile"
)

// What comes of each case in detail is tested in internal/cli; here the programs
// themselves meet the whole corpus, as a user without privileges: every other case
// from a registry, the rest in an archive.
func TestHostilePackagesAreRefusedByThePrograms(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{Env: []string{"OCIPKG_TARGET=linux/amd64"}})
	s.WriteFile("of-the-user", "secret", 0o600)
	s.WriteFile("outside/canary", "alive", 0o644)
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	place := hostile.Place{Outside: filepath.Join(s.Dir, "outside"), URL: elsewhere.URL}
	var now atomic.Pointer[hostile.Content]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) }))
	defer server.Close()

	for i, c := range hostile.Corpus() {
		content := c.Make(place)
		now.Store(content)
		name := fmt.Sprintf("%s/acme/p%d:1", strings.TrimPrefix(server.URL, "http://"), i)
		if err := content.WriteArchive(filepath.Join(s.Dir, "a.tar"), name); err != nil {
			t.Fatal(err)
		}
		registry := c.RegistryOnly || i%2 == 0
		arguments := []string{"load", "a.tar"}
		if registry {
			arguments = []string{"get", name}
		}
		t.Log(c.Name + ": " + arguments[0])
		if c.Limit != "" {
			arguments = append(arguments, "--limit="+c.Limit)
		}
		if code := c.ExitCode(registry); code != 0 {
			refuses(t, s, code, append([]string{arguments[1]}, c.Refused...), arguments...)
		} else {
			s.Run("ocipkg", arguments...).Digest()
		}
		storetest.CheckTmpEmpty(t, storetest.Dir(s))
		if err := tempdir.Remove(storetest.Dir(s)); err != nil {
			t.Fatal(err)
		}
	}
	if canary, err := os.ReadFile(filepath.Join(place.Outside, "canary")); err != nil || string(canary) != "alive" {
		t.Errorf("outside there is %q, %v", canary, err)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("%d requests went where a package says", n)
	}
}
