package dependencies

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// user is a command that brings or links what a project depends on, in words of
// a shell. A flag is given to those that take one.
type user struct {
	name, script string
	takesFlags   bool
}

var users = []user{
	{"link", "ocipkg link $FLAG top", true},
	{"get", "ocipkg get $FLAG top", true},
	{"restore", "ocipkg restore $FLAG", true},
	{"pkg-config", "ocipkg-pkg-config --libs top", false},
	{"cmake", "rm -rf build && cmake -S cmake -B build " + provider, false},
	{"pack", "ocipkg pack $FLAG --overwrite tree out.tar", true},
}

// policy is what a build may do, and the ways to say so.
type policy struct {
	flag, variable  string
	locked, offline bool
}

var policies = []policy{
	{"", "", false, false},
	{"--locked", "OCIPKG_LOCKED=1", true, false},
	{"--offline", "OCIPKG_OFFLINE=1", false, true},
	{"--frozen", "OCIPKG_FROZEN=1", true, true},
}

func TestWhatIsLockedOrOfflineKeepsToThatInEachCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.newUser(t)
	s.WriteFile("tree/include/a.h", "\n", 0o644)
	s.WriteFile("cmake/CMakeLists.txt", "cmake_minimum_required(VERSION 3.16)\nproject(app NONE)\nfind_package(top REQUIRED)\n", 0o644)
	warm(s)
	s.Run("ocipkg", "get", w.other.name).OK()
	project, lock := read(t, s, "ocipkg.toml"), read(t, s, "ocipkg.lock")
	for _, state := range []struct {
		name, project, lock string
		byFlag              bool
		words               string // why the lock is refused; empty for one that is fine
	}{
		{"missing", project, "", true, "/ocipkg.lock is not there; run: ocipkg lock"},
		{"stale", project + "other = \"" + w.other.name + "\"\n", lock, false, "/ocipkg.lock does not go with ocipkg.toml: it is the dependency other, and the lock does not have " + w.other.name + "; run: ocipkg lock"},
		{"more than is asked for", strings.ReplaceAll(project, w.top.name, w.base.name), lock, true, "/ocipkg.lock does not go with ocipkg.toml: nothing asks for " + w.top.name + " any more; run: ocipkg lock"},
		{"fine", project, lock, true, ""},
	} {
		s.WriteFile("ocipkg.toml", state.project, 0o644)
		s.Run("rm", "-f", "ocipkg.lock").OK()
		if state.lock != "" {
			s.WriteFile("ocipkg.lock", state.lock, 0o644)
		}
		for _, p := range policies {
			for _, u := range users {
				session := *s
				script := strings.ReplaceAll(u.script, "$FLAG", "")
				if state.byFlag && u.takesFlags {
					script = strings.ReplaceAll(u.script, "$FLAG", p.flag)
				} else if p.variable != "" {
					session.Env = append(s.Env[:len(s.Env):len(s.Env)], p.variable)
				}
				what := strings.Join([]string{"with a lock that is " + state.name, p.variable, script}, ", ")
				switch {
				case p.locked && state.words != "":
					u.fails(t, &session, what, script, stale, state.words)
				case p.offline && state.name == "missing" && u.name == "get": // it looks a tag up, which without a lock nothing else can say
					u.fails(t, &session, what, script, network, "not asked, since this runs offline")
				default:
					w.ClearRequests()
					if r := session.Run("sh", "-c", script); r.ExitCode != 0 {
						t.Errorf("%s:\n%s", what, r)
					}
					if n := len(w.Requests()); p.offline && n > 0 {
						t.Errorf("%s: there are %d requests", what, n)
					}
				}
				if state.words == "" && u.name != "pack" {
					w.withEmptyStore(t, &session, u, p, what, script)
				}
			}
		}
	}
}

// fails checks that a command fails.
func (u user) fails(t *testing.T, s *program.Session, what, script string, code int, words ...string) {
	t.Helper()
	r := s.Run("sh", "-c", script)
	if u.name == "pkg-config" || u.name == "cmake" {
		code = 1
	}
	if r.ExitCode != code {
		t.Errorf("%s: want exit code %d\n%s", what, code, r)
	}
	said := strings.Join(strings.Fields(r.Stderr), " ") // CMake breaks lines
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("%s: want %q\n%s", what, word, r)
		}
	}
}

// withEmptyStore runs a command for the first time on a machine, with a lock that
// is fine.
func (w *world) withEmptyStore(t *testing.T, s *program.Session, u user, p policy, what, script string) {
	t.Helper()
	s.Env = append(s.Env, "OCIPKG_HOME="+filepath.Join(program.New(t, program.Options{}).Home, "store"))
	if p.offline {
		u.fails(t, s, what, script, network, w.Host, "not asked, since this runs offline")
	} else if r := s.Run("sh", "-c", script); r.ExitCode != 0 {
		t.Errorf("%s, with an empty store:\n%s", what, r)
	}
}

func TestLockedGoSourceTakesWhatHasADigestOrIsInTheLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatalf("%v; install it: https://go.dev/dl", err)
	}
	s := program.New(t, program.Options{Privileged: true, Path: []string{filepath.Dir(tool)}})
	s.Env = append(s.Env, "GOCACHE="+program.GoCache(t), "GOPROXY=off", "GOTOOLCHAIN=local", "GOTELEMETRY=off", "GOFLAGS=-mod=mod",
		"PKG_CONFIG="+filepath.Join(program.Bin(t), "ocipkg-pkg-config"), "OCIPKG_LOCKED=1")
	s.WriteFile("go.mod", "module example.com/app\n\ngo 1.24\n", 0o644)
	source := func(name string) {
		s.WriteFile("main.go", "package main\n\n/*\n#cgo pkg-config: "+name+"\n#include <base.h>\n*/\nimport \"C\"\n\nfunc main() { println(C.base()) }\n", 0o644)
	}
	build := func(want string) {
		t.Helper()
		s.Run("go", "build", "-o", "app", ".").OK()
		if got := s.Run("./app").OK().Stderr; got != want {
			t.Errorf("the program says %q", got)
		}
	}
	source(w.base.name)
	s.Run("go", "build", "-o", "app", ".").Exit(1).Says(w.base.name + " has no digest, and there is no ocipkg.toml here whose lock could say which it is; add the digest, or run: ocipkg add " + w.base.name)
	refuses(t, s, stale, []string{w.base.name, "run: ocipkg add"}, "restore")

	source(w.base.name + "@" + w.digests[w.base.name])
	s.Run("ocipkg", "restore").OK()
	build("1\n")

	// What such a package requires is what it was built with.
	s.Run("ocipkg-pkg-config", "--libs", w.top.name+"@"+w.digests[w.top.name]).Exit(1).Says(w.base.name+", required by "+w.top.name, "has no digest")
	w.top.locked = true
	locked := w.top.name + "@" + w.top.publish(t)
	w.base.value = 5
	w.base.publish(t)
	r := s.Run("ocipkg-pkg-config", "--libs", locked).OK()
	dir := strings.TrimSpace(s.Run("ocipkg", "image-directory", w.digests[w.base.name]).OK().Stdout)
	r.Says("-ltop", "-L"+dir+"/lib ", "-lbase")

	s.WriteFile("ocipkg.toml", "", 0o644)
	source(w.base.name)
	s.Run("go", "build", "-o", "app", ".").Exit(1).Says(w.base.name+" has no digest, and ", "/ocipkg.lock does not have it; add the digest, or run: ocipkg add "+w.base.name)
	refuses(t, s, stale, []string{"add " + w.base.name, "the lock is not to change"}, "add", w.base.name)
	s.Run("sh", "-c", "OCIPKG_LOCKED=0 ocipkg add "+w.base.name).OK()
	build("5\n")
}
