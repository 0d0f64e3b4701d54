package cgo

import (
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
)

// writeModule writes a module of a package that asks for the library, with a test,
// and a program that uses it.
func writeModule(s *program.Session, name string) {
	s.WriteFile("go.mod", "module example.com\n\ngo 1.24\n", 0o644)
	s.WriteFile("answer/answer.go", useAnswer(name), 0o644)
	s.WriteFile("answer/answer_test.go", `package answer

import "testing"

func TestAnswer(t *testing.T) { t.Log("the answer is", Answer()) }
`, 0o644)
	s.WriteFile("main.go", printAnswer, 0o644)
}

func TestPinMovesWhatGoBuildsFromItsCache(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/answer:1"
	before := publish(t, name, 1001, nil)
	s := goUser(t)
	writeModule(s, name)
	said := s.Run("ocipkg", "pin", "--check", "./...").Exit(6)
	if said.Stdout != "answer/answer.go:5: "+name+"\n" || !strings.Contains(said.Stderr, "1 of 1 names are not pinned, the first at answer/answer.go:5: "+name+"; run: ocipkg pin ./...") {
		t.Errorf("the check of a name without a digest says\n%s", said)
	}
	if got := s.Run("ocipkg", "pin").OK().Stdout; got != "answer/answer.go:5: "+name+"@"+before+"\n" {
		t.Errorf("pin printed %q", got)
	}
	s.Run("go", "build", "-o", "app", ".").OK()
	checkAnswer(t, s, "app", 1001)

	after := publish(t, name, 1002, nil)
	s.Run("ocipkg", "pin", "--check").OK()
	if got := s.Run("ocipkg", "pin").OK().Stdout; got != "" {
		t.Errorf("a pin moved without being asked to: %q", got)
	}
	s.Run("ocipkg", "pin", "--check", "--update").Exit(6)
	if got := read(t, s, "answer/answer.go"); got != useAnswer(name+"@"+before) {
		t.Errorf("a check changed the file:\n%s", got)
	}
	s.Run("ocipkg", "pin", "--update").OK()
	if got := read(t, s, "answer/answer.go"); got != useAnswer(name+"@"+after) {
		t.Errorf("the pin did not move:\n%s", got)
	}
	s.Run("ocipkg", "pin", "--check", "--update").OK()
	s.Run("go", "build", "-o", "app", ".").OK()
	checkAnswer(t, s, "app", 1002)
}

func TestRestoreBringsBackWhatGoTakesFromItsCache(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/answer:1"
	digest := publish(t, name, 2001, nil)
	s := goUser(t)
	writeModule(s, name+"@"+digest)
	s.WriteFile("ocipkg.toml", "[dependencies]\nalias = \""+name+"\"\n", 0o644)
	s.Run("go", "build", "-o", "app", ".").OK()
	checkAnswer(t, s, "app", 2001)

	empty(t, storetest.Dir(s))
	s.WriteFile("main.go", strings.Replace(printAnswer, "answer.Answer()", "answer.Answer()+1", 1), 0o644)
	if r := s.Run("go", "build", "-o", "app", ".").Exit(1); !strings.Contains(r.Stderr, "-lanswer") {
		t.Errorf("what the cache has cannot be what fails to link\n%s", r)
	}
	restored := s.Run("ocipkg", "restore").OK().Stdout
	for _, want := range []string{name + " " + digest + " ", name + "@" + digest + " " + digest + " "} {
		if !strings.Contains(restored, want) {
			t.Errorf("restore printed %q, without %q", restored, want)
		}
	}
	s.Run("go", "build", "-o", "app", ".").OK()
	checkAnswer(t, s, "app", 2002)

	registry.ClearRequests()
	if again := s.Run("ocipkg", "restore", "./...").OK(); again.Stdout != "" || !strings.Contains(again.Stderr, "2 packages are in the store; 0 fetched") {
		t.Errorf("a second restore says\n%s", again)
	}
	checkNoRequest(t, registry)
}
