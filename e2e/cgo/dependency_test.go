package cgo

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
)

// random gives bytes that do not compress.
func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// releaseAnswer has an author pin a module that asks for a package, and release
// it for the consumer.
func releaseAnswer(t *testing.T, consumer *program.Session, name string, pin bool) (source string) {
	t.Helper()
	author := program.New(t, program.Options{})
	author.WriteFile("go.mod", "module example.com/answer\n\ngo 1.24\n", 0o644)
	author.WriteFile("answer.go", useAnswer(name), 0o644)
	if pin {
		author.Run("ocipkg", "pin", "./...").OK()
	}
	source = read(t, author, "answer.go")
	release(t, consumer, "example.com/answer", "v1.0.0", map[string]string{"go.mod": read(t, author, "go.mod"), "answer.go": source})
	return source
}

// consume writes the module of a program that imports the released one.
func consume(s *program.Session) {
	s.WriteFile("go.mod", "module example.com/app\n\ngo 1.24\n\nrequire example.com/answer v1.0.0\n", 0o644)
	s.WriteFile("main.go", printAnswer, 0o644)
}

func TestPinnedPackageOfADependencyIsFetchedByGoBuild(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/acme/answer:1"
	digest := publish(t, name, 4711, map[string][]byte{"share/large": random(100 << 20)})
	s := goUser(t)
	useNewCache(t, s)
	source := releaseAnswer(t, s, name, true)
	if !strings.Contains(source, "#cgo pkg-config: "+name+"@"+digest+"\n") {
		t.Fatalf("the module was released with\n%s", source)
	}
	consume(s)
	registry.ClearRequests()

	// Cold: the module is in no cache, and the package not in the store.
	checkFlags(t, s, s.Run("go", "build", "-x", "-o", "app", ".").OK().Stderr)
	checkAnswer(t, s, "app", 4711)
	if registry.Count("GET", "/manifests/"+digest, 200) != 1 {
		t.Errorf("the manifest was not asked for once, by its digest: %v", registry.Requests())
	}
	if n := registry.Count("", "/manifests/1"); n != 0 {
		t.Errorf("the tag was looked up %d times", n)
	}
	s.Run("go", "mod", "vendor").OK()

	registry.Stop()
	useNewCache(t, s)
	s.Run("go", "build", "-o", "again", ".").OK()
	checkAnswer(t, s, "again", 4711)
	s.Run("go", "vet", ".").OK()

	// The vendored copy of the module is another directory, which Go builds
	// anew.
	s.Env = append(s.Env, "GOFLAGS=-mod=vendor", "GOPROXY=off")
	s.Run("go", "build", "-o", "vendored", ".").OK()
	checkAnswer(t, s, "vendored", 4711)
}

// checkFlags checks that the flags which go build -x shows to have come from
// pkg-config are those of the store's package, and nothing that was said on the
// way.
func checkFlags(t *testing.T, s *program.Session, commands string) {
	t.Helper()
	include, library := false, false
	for line := range strings.Lines(commands) {
		if !strings.Contains(line, "answer") && !strings.Contains(line, storetest.Dir(s)) {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			word = strings.Trim(word, `'"`)
			include = include || strings.HasPrefix(word, "-I"+storetest.Dir(s)+"/packages/sha256/")
			library = library || strings.HasPrefix(word, "-L"+storetest.Dir(s)+"/packages/sha256/")
			for _, said := range []string{"ocipkg:", "fetched", "MiB", "MB", "%"} {
				if strings.HasPrefix(word, said) {
					t.Errorf("go build took for a flag what was said: %s", line)
				}
			}
		}
	}
	if !include || !library {
		t.Errorf("the flags lack the store's directories (-I: %v, -L: %v):\n%s", include, library, commands)
	}
}

func TestUnpinnedPackageOfADependencyIsFetchedForThoseWhoTrustIt(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/answer:1"
	publish(t, name, 815, nil)
	s := goUser(t)
	releaseAnswer(t, s, name, false)
	consume(s)
	s.Run("go", "mod", "tidy").OK()
	registry.ClearRequests()

	s.Run("ocipkg", "restore").Fails(5, "restore: "+name, "example.com/answer", "ocipkg pin ./...", "OCIPKG_ALLOW_UNPINNED=1")
	build := s.Run("go", "build", "-o", "app", ".").Exit(1)
	if !strings.Contains(build.Stderr, name) || !strings.Contains(build.Stderr, "ocipkg pin ./...") {
		t.Errorf("go build does not say why\n%s", build)
	}
	checkNoRequest(t, registry)

	s.Env = append(s.Env, "OCIPKG_ALLOW_UNPINNED=1")
	if got := s.Run("ocipkg", "restore").OK().Stdout; !strings.HasPrefix(got, name+" sha256:") {
		t.Errorf("restore printed %q", got)
	}
	s.Run("go", "build", "-o", "app", ".").OK()
	checkAnswer(t, s, "app", 815)
}
