package mirror

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/registry"
)

// A registry may refuse what does not exist: that says nothing of its other
// repositories.
func TestAMirrorThatRefusesARepositoryIsAskedForOthers(t *testing.T) {
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path]++
		w.WriteHeader(map[bool]int{true: http.StatusForbidden, false: http.StatusNotFound}[strings.Contains(r.URL.Path, "/closed/")])
	}))
	defer server.Close()
	rules, err := Parse(strings.TrimPrefix(server.URL, "http://") + ",off")
	if err != nil {
		t.Fatal(err)
	}
	var warned []string
	m := New(rules, registry.New(registry.Options{}), false, func(line string) { warned = append(warned, line) })
	for _, test := range []struct {
		repository string
		kind       error
	}{{"closed/a", errdef.ErrUnauthorized}, {"closed/a", errdef.ErrUnauthorized}, {"open/b", errdef.ErrNotFound}} {
		source := m.Source(reference.Reference{Registry: "registry.example", Repository: test.repository, Tag: "1"}, nil)
		if _, _, err := source.Manifest(t.Context(), "1"); !errors.Is(err, test.kind) {
			t.Errorf("%s: %v", test.repository, err)
		}
	}
	if len(asked) != 2 || len(warned) != 1 {
		t.Errorf("asked %v, warned %q", asked, warned)
	}
	for path, times := range asked {
		if times != 1 {
			t.Errorf("%s was asked for %d times", path, times)
		}
	}
}
