package cgo

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
)

func TestRestoreReachesTheModulesThatAreImported(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name, tagged := registry.Host+"/acme/answer:1", registry.Host+"/acme/other:1"
	publish(t, name, 51, nil)
	other := publish(t, tagged, 52, nil)
	s := goUser(t)
	source := releaseAnswer(t, s, name, true)
	release(t, s, "example.com/answer", "v1.1.0", map[string]string{
		"go.mod":    "module example.com/answer\n\ngo 1.24\n",
		"answer.go": source,
		"other.go":  "//go:build special\n\npackage answer\n\n// #cgo pkg-config: " + tagged + "@" + other + " zlib\nimport \"C\"\n",
		"off.go":    "//go:build windows\n\npackage answer\n\n// #cgo pkg-config: " + registry.Host + "/acme/missing@" + someDigest + "\nimport \"C\"\n",
	})
	consume(s)
	s.Run("go", "mod", "edit", "-require=example.com/answer@v1.1.0").OK()
	s.Run("go", "build", "-o", "app", ".").OK()

	for _, mod := range []string{"mod", "vendor"} {
		if mod == "vendor" {
			s.Run("go", "mod", "vendor").OK()
		}
		s.Env = append(s.Env, "GOFLAGS=-mod="+mod)
		if mod == "vendor" {
			// Go has not built that copy before, and so asks for the package.
			empty(t, storetest.Dir(s))
			s.Run("go", "build", "-o", "app", ".").OK()
			checkAnswer(t, s, "app", 51)
		}
		empty(t, storetest.Dir(s))
		if got := s.Run("ocipkg", "restore").OK().Stdout; !strings.HasPrefix(got, name+"@sha256:") || strings.Count(got, "\n") != 1 {
			t.Errorf("with -mod=%s restore printed %q", mod, got)
		}
		s.Run("go", "build", "-o", "app", ".").OK()
		checkAnswer(t, s, "app", 51)
	}
	if got := s.Run("ocipkg", "restore", "--tags", "special").OK().Stdout; !strings.HasPrefix(got, tagged+"@"+other+" "+other+" ") || strings.Count(got, "\n") != 1 {
		t.Errorf("with a tag, restore printed %q", got)
	}
	var restored []struct {
		Name, Digest string
		Fetched      bool
	}
	if err := json.Unmarshal([]byte(s.Run("ocipkg", "restore", "--json", "--tags=special", ".").OK().Stdout), &restored); err != nil {
		t.Fatal(err)
	}
	if len(restored) != 2 || restored[0].Fetched || restored[1].Name != tagged+"@"+other || restored[1].Digest != other {
		t.Errorf("in JSON: %+v", restored)
	}
}

func TestRestoreFetchesPackagesAtTheSameTime(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	one, two := registry.Host+"/acme/one:1", registry.Host+"/acme/two:1"
	publish(t, one, 1, nil)
	publish(t, two, 2, nil)
	s := goUser(t)
	s.WriteFile("ocipkg.toml", "[dependencies]\none = \""+one+"\"\ntwo = \""+two+"\"\n", 0o644)

	// Each is answered only when the other is asked for as well.
	var both sync.WaitGroup
	both.Add(2)
	var mu sync.Mutex
	seen := map[string]bool{}
	registry.SetIntercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/manifests/1") {
			mu.Lock()
			first := !seen[r.URL.Path]
			seen[r.URL.Path] = true
			mu.Unlock()
			if first {
				both.Done()
			}
			met := make(chan struct{})
			go func() { both.Wait(); close(met) }()
			select {
			case <-met:
			case <-r.Context().Done():
				return
			}
		}
		next.ServeHTTP(w, r)
	})
	if got := s.Run("ocipkg", "restore").OK().Stdout; strings.Count(got, "\n") != 2 {
		t.Errorf("restore printed %q", got)
	}
}

func TestRestoreNeedsGoOnlyForGoPackages(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/answer:1"
	publish(t, name, 61, nil)
	s := goUser(t)
	s.Env = append(s.Env, "PATH="+program.Bin(t))
	writeModule(s, name)
	s.WriteFile("ocipkg.toml", "[dependencies]\nanswer = \""+name+"\"\n", 0o644)
	if got := s.Run("ocipkg", "restore").OK().Stdout; !strings.HasPrefix(got, name+" ") {
		t.Errorf("restore printed %q", got)
	}
	s.Run("ocipkg", "restore", "./answer").Fails(3, "the go command is not on PATH")
}
