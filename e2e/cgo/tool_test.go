package cgo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// toolUser gives a user who has Go, and none of the project's programs on their
// PATH, and that user's build cache. It is the account of the tests, whose
// caches have what the project's programs are made of.
func toolUser(t *testing.T) (s *program.Session, cache string) {
	t.Helper()
	modules, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache = program.GoCache(t)
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	return program.New(t, program.Options{Privileged: true, Path: []string{filepath.Dir(tool)}, Env: []string{
		"PATH=" + filepath.Dir(tool) + ":/usr/local/bin:/usr/bin:/bin",
		"GOMODCACHE=" + strings.TrimSpace(string(modules)), "GOCACHE=" + cache,
		"GOPROXY=off", "GOSUMDB=off", "GOTOOLCHAIN=local", "GOTELEMETRY=off",
	}}), cache
}

// writeToolModule writes a module that has the project's programs as tools, as
// go get -tool leaves it.
func writeToolModule(t *testing.T, s *program.Session, name string) {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	project, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	const path = "github.com/ocipkg/ocipkg"
	module := strings.Replace(string(project), "module "+path, "module example.com", 1) + `
require ` + path + ` v0.0.0

replace ` + path + ` => ` + root + `

tool (
	` + path + `/cmd/ocipkg
	` + path + `/cmd/ocipkg-pkg-config
)
`
	writeModule(s, name)
	s.WriteFile("go.mod", module, 0o644)
	s.WriteFile("go.sum", string(sums), 0o644)
}

func TestToolsOfAGoModuleFindEachOther(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/answer:1"
	publish(t, name, 3001, nil)
	s, cache := toolUser(t)
	writeToolModule(t, s, name)

	// The first time, the go command runs the program in a directory that it
	// removes; and no program with this flag was linked before.
	s.Env = append(s.Env, "GOFLAGS=-ldflags=-X=main.linkedFor="+strings.ReplaceAll(registry.Host, ":", "."))
	first := s.Run("go", "tool", "ocipkg", "env").OK().Stdout
	if second := s.Run("go", "tool", "ocipkg", "env").OK().Stdout; first != second {
		t.Errorf("go tool ocipkg env printed first %s, then %s", first, second)
	}
	// Whatever the builds to come are for, these programs are for here.
	if got := s.Run("sh", "-c", "eval $(go tool ocipkg env) && export GOOS=windows && $OCIPKG env").OK().Stdout; got != first {
		t.Errorf("for another system, env printed %s, want %s", got, first)
	}
	for _, program := range []string{"PKG_CONFIG", "OCIPKG"} {
		path := strings.TrimSpace(s.Run("sh", "-c", "eval $(go tool ocipkg env) && echo $"+program).OK().Stdout)
		if !strings.HasPrefix(path, cache+"/") {
			t.Errorf("%s is %q, which is not in Go's cache", program, path)
		}
		s.Run(path, "--help").OK()
	}
	said := s.Run("sh", "-c", "eval $(go tool ocipkg env) && go tool ocipkg pin && go vet ./... && go test -v ./answer && go build -o app .").OK().Stdout
	if !strings.Contains(said, "the answer is 3001") {
		t.Errorf("the test says\n%s", said)
	}
	checkAnswer(t, s, "app", 3001)
	if !strings.Contains(read(t, s, "answer/answer.go"), name+"@sha256:") {
		t.Error("the tool did not pin")
	}
}

func TestBuildWithoutTheProgramOcipkgSaysHowToHaveIt(t *testing.T) {
	t.Parallel()
	s := goUser(t)
	name := "127.0.0.1:1/acme/answer:1"
	writeModule(s, name)
	alone := filepath.Join(s.Dir, "alone", "ocipkg-pkg-config")
	text, err := os.ReadFile(filepath.Join(program.Bin(t), "ocipkg-pkg-config"))
	if err != nil {
		t.Fatal(err)
	}
	s.WriteFile(alone, string(text), 0o755)
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	s.Env = append(s.Env, "OCIPKG=", "PKG_CONFIG="+alone, "PATH="+filepath.Dir(tool)+":/usr/bin:/bin")
	r := s.Run("go", "build", "./answer").Exit(1)
	for _, want := range []string{name, "go get -tool github.com/ocipkg/ocipkg/cmd/ocipkg", "eval $(go tool ocipkg env)"} {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("go build does not say %q\n%s", want, r)
		}
	}
}
