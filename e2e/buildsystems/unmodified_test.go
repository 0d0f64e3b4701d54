package buildsystems

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/guide"
	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// The projects in testdata/unmodified ask for libpng as upstreams do.
func TestTheGuideForProjectsThatOneDidNotWriteIsRight(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatalf("%v; install it: https://go.dev/dl", err)
	}
	sections := map[string]struct{ project, program string }{
		"With CMake": {"cmake", "build/app"}, "With Meson": {"meson", "build/app"}, "With autotools": {"autotools", "app"},
		"With plain make": {"make", "app"}, "With Go": {"go", "app"},
	}
	for _, s := range guide.Read(t, "unmodified.md") {
		of, ok := sections[s.Title]
		if delete(sections, s.Title); !ok {
			t.Errorf("nothing tests the section %q", s.Title)
			continue
		}
		for _, shared := range []bool{false, true} {
			t.Run(of.project+map[bool]string{false: ", static", true: ", shared"}[shared], func(t *testing.T) {
				t.Parallel()
				u := newUserWith(t, program.Options{Privileged: of.project == "go", Path: []string{filepath.Dir(tool)}})
				u.Env = append(u.Env, "GOCACHE="+program.GoCache(t), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTOOLCHAIN=local", "GOTELEMETRY=off")
				u.CopyTree("testdata/unmodified/"+of.project, ".")
				switch of.project {
				case "autotools":
					u.Run("autoreconf", "--install").OK()
				case "go":
					u.Run("sh", "-c", "mkdir c && mv main.c c").OK()
				}
				if shared {
					u.WriteFile("ocipkg.toml", "[link]\nshared = true\n", 0o644)
				}
				u.follow(t, s)
				u.check(t, story{program: of.program, shared: shared})
			})
		}
	}
	for title := range sections {
		t.Errorf("the guide has no section %q with something to do", title)
	}
}
