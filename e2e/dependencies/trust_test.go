package dependencies

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
)

// publishIndex publishes a package of one header for each platform, which says
// content, and requires what is listed for it: aliases and names. It gives the
// digests of the packages by platform.
func publishIndex(t *testing.T, s *program.Session, name, content string, requires map[string][2]string) map[string]string {
	t.Helper()
	digests := map[string]string{}
	arguments := []string{"index", "create", name}
	for _, platform := range []string{"linux/amd64", "windows/amd64"} {
		dir := "made-" + filepath.Base(filepath.Dir(platform))
		s.WriteFile(dir+"/tree/include/content.h", content+" for "+platform+"\n", 0o644)
		file := ""
		if needed, ok := requires[platform]; ok {
			file = "[dependencies]\n" + needed[0] + " = \"" + needed[1] + "\"\n"
		}
		project := s.WriteFile(dir+"/project.toml", file, 0o644)
		archive := dir + ".tar"
		digests[platform] = s.Run("ocipkg", "pack", dir+"/tree", archive, "--platform", platform, "--annotations", project, "--overwrite").Digest()
		arguments = append(arguments, archive)
	}
	s.Run("ocipkg", arguments...).OK()
	return digests
}

func TestALockWhoseBuildIsNotInItsIndexIsRefused(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{Env: []string{"OCIPKG_TARGET=linux/amd64"}})
	name := registry.Host + "/acme/headers:1"
	old := publishIndex(t, s, name, "old", nil)
	now := publishIndex(t, s, name, "new", nil)
	s.Run("ocipkg", "add", name).OK()
	index := s.Run("ocipkg", "inspect", "--json", name).OK().Stdout
	_, index, _ = strings.Cut(index, `"digest": "`)
	index, _, _ = strings.Cut(index, `"`)
	lock := read(t, s, "ocipkg.lock")
	s.WriteFile("ocipkg.lock", strings.ReplaceAll(lock, now["linux/amd64"], old["linux/amd64"]), 0o644)

	words := []string{"ocipkg.lock has a build " + old["linux/amd64"] + " for " + name + " which is not in its index " + index, "run: ocipkg update " + name}
	commands := [][]string{{"link", "headers"}, {"get", "headers"}, {"restore"}, {"vendor", "vendored"}, {"--locked", "link", name}}
	for _, arguments := range commands {
		s.Run("ocipkg", arguments...).Fails(stale, words...)
	}
	// The old one may be in the store with good reason.
	s.Run("ocipkg", "get", registry.Host+"/acme/headers@"+old["linux/amd64"]).OK()
	for _, arguments := range commands {
		s.Run("ocipkg", arguments...).Fails(stale, words...)
	}
	s.Run("ocipkg", "update", "--check").Exit(stale).Says(name + ", of which the lock has other builds than there are")
	s.Run("ocipkg", "update").OK().Says("~ " + name + " " + index + ", other builds")
	if got := read(t, s, "ocipkg.lock"); got != lock {
		t.Errorf("the lock is now\n%s", got)
	}
	s.Run("ocipkg", "link", "headers").OK()
}

func TestAMirrorThatIsDamagedIsPassedOverUnderALock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.newUser(t)
	s.Run("ocipkg", "vendor", "vendored").OK()
	blobs, err := filepath.Glob(filepath.Join(s.Dir, "vendored/blobs/sha256/*"))
	if err != nil || len(blobs) == 0 {
		t.Fatal(blobs, err)
	}
	for _, blob := range blobs {
		raw, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		if raw[0] != '{' { // a layer
			raw[len(raw)/2] ^= 1
			s.WriteFile(blob, string(raw), 0o644)
		}
	}
	s.Env = append(s.Env, "OCIPKG_MIRROR=oci:vendored")
	for _, arguments := range [][]string{{"restore"}, {"link", "top"}, {"get", "top"}, {"vendor", "again"}, {"copy", w.top.name, "top.tar"}} {
		empty(t, s, storetest.Dir(s))
		s.Run("ocipkg", arguments...).OK().Says("the mirror oci:vendored is passed over")
	}
	s.Env = append(s.Env, "OCIPKG_MIRROR=oci:again,off", "OCIPKG_OFFLINE=1")
	empty(t, s, storetest.Dir(s))
	s.Run("ocipkg", "restore").OK()
}

func TestWhatIsVendoredServesTheBuildsThatItWasVendoredFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	producer := made{name: w.Host + "/acme/built:1", value: 100, requires: []string{w.base.name}, locked: true}
	built := producer.publish(t)
	moved := made{name: w.base.name, value: 2}.publish(t)
	s := newBuilder(t)
	source := func(dir, name string) {
		s.WriteFile(dir+"/"+dir+".go", "package "+dir+"\n\n// #cgo pkg-config: "+name+"\nimport \"C\"\n", 0o644)
	}
	s.WriteFile("go.mod", "module example.com/app\n\ngo 1.24\n", 0o644)
	source("pinned", producer.name+"@"+built)
	source("old", w.base.name+"@"+w.digests[w.base.name])
	source("tagged", w.base.name)
	mirrored := func(arguments ...string) *program.Result {
		t.Helper()
		empty(t, s.Session, storetest.Dir(s.Session))
		before := s.Env
		s.Env = append(slices.Clone(s.Env), "OCIPKG_MIRROR=oci:"+filepath.Join(s.Dir, "vendored")+",off", "OCIPKG_OFFLINE=1")
		defer func() { s.Env = before }()
		return s.Run("ocipkg", arguments...)
	}
	s.Run("ocipkg", "vendor", "vendored").OK()
	// By a tag one gets what the tag stood for, whatever pins are there, too.
	if got := mirrored("restore", "./tagged").OK(); !strings.Contains(got.Stdout, moved) {
		t.Errorf("the tag does not stand for %s\n%s", moved, got)
	}
	if got := mirrored("restore", "./old").OK(); !strings.Contains(got.Stdout, w.digests[w.base.name]) {
		t.Errorf("the pin does not stand for %s\n%s", w.digests[w.base.name], got)
	}
	// What is locked takes what a pinned package was built with, and so does
	// what is vendored for that.
	mirrored("restore", "./pinned").OK().Says(moved)
	mirrored("restore", "--locked", "./pinned").OK().Says(w.digests[w.base.name])
	s.Run("ocipkg", "vendor", "--locked", "vendored", "./pinned").OK()
	mirrored("restore", "--locked", "./pinned").OK().Says(w.digests[w.base.name])
	s.Run("ocipkg", "vendor", "--locked", "vendored", "./tagged").Fails(stale, "has no digest")
}

func TestBuildsForPlatformsThatRequireDifferentThingsAreNoConflict(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{Env: []string{"OCIPKG_TARGET=linux/amd64"}})
	name := func(of string) string { return registry.Host + "/acme/" + of }
	publishIndex(t, s, name("base:1"), "one", nil)
	publishIndex(t, s, name("base:2"), "two", nil)
	publishIndex(t, s, name("mixed:1"), "mixed", map[string][2]string{"linux/amd64": {"base", name("base:1")}, "windows/amd64": {"base", name("base:2")}})
	s.Run("ocipkg", "add", name("mixed:1")).OK()
	for platform, other := range map[string]string{"linux/amd64": "base:2", "windows/amd64": "base:1"} {
		empty(t, s, storetest.Dir(s))
		if got := s.Run("ocipkg", "restore", "--platform", platform).OK(); strings.Contains(got.Stdout, name(other)) || strings.Count(got.Stdout, "\n") != 2 {
			t.Errorf("for %s\n%s", platform, got)
		}
	}
	// On the platform where both are linked it is one.
	publishIndex(t, s, name("late:1"), "late", map[string][2]string{"windows/amd64": {"base", name("base:1")}})
	s.Run("ocipkg", "add", name("late:1")).Fails(usage, "two packages of "+name("base")+" cannot be linked together", "on windows/amd64")
}

func TestADigestInTheProjectFileDecidesOnItsTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made{name: w.base.name, value: 2}.publish(t)
	s := w.newUser(t)
	s.Run("ocipkg", "remove", "top").OK()
	s.Run("ocipkg", "add", w.base.name+"@"+w.digests[w.base.name]).OK()
	s.Run("ocipkg", "add", w.top.name).OK()
	if got := s.Run("ocipkg", "link", "base", "top").OK(); strings.Count(got.Stdout, "/lib ") != 2 || !strings.Contains(got.Stdout, strings.TrimPrefix(w.digests[w.base.name], "sha256:")) {
		t.Errorf("it is not the one package\n%s", got)
	}
}

func TestAnEditThatIsMadeMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.newUser(t)
	var once sync.Once
	w.SetIntercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		once.Do(func() {
			s.WriteFile("ocipkg.toml", "# mine\n"+read(t, s, "ocipkg.toml")+"\n[package]\nname = \"precious\"\n", 0o644)
		})
		next.ServeHTTP(rw, r)
	})
	s.Run("ocipkg", "add", w.other.name).OK()
	for _, words := range []string{"# mine", `"precious"`, "other = ", "top = "} {
		if text := read(t, s, "ocipkg.toml"); !strings.Contains(text, words) {
			t.Errorf("it has no %s\n%s", words, text)
		}
	}
	s.Run("ocipkg", "lock", "--locked").OK()
}

func TestWithALockThatCannotBeWrittenTheProjectFileStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.newUser(t)
	if err := os.Chmod(filepath.Join(s.Dir, "ocipkg.lock"), 0o444); err != nil {
		t.Fatal(err)
	}
	refuses(t, s, failed, []string{"ocipkg.lock is read-only"}, "add", w.other.name)
	refuses(t, s, failed, []string{"ocipkg.lock is read-only"}, "remove", "top")
}

func TestAnIndexThatIsMissingIsFoundAndFetchedAgain(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{Env: []string{"OCIPKG_TARGET=linux/amd64"}})
	name := registry.Host + "/acme/headers:1"
	publishIndex(t, s, name, "content", nil)
	s.Run("ocipkg", "get", name).OK()
	blobs, err := filepath.Glob(filepath.Join(storetest.Dir(s), "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		if raw, err := os.ReadFile(blob); err == nil && strings.Contains(string(raw), `"manifests"`) {
			empty(t, s, blob)
		}
	}
	s.Run("ocipkg", "store", "fsck").Exit(verification).Says("it is missing, and " + name + " stands for it")
	s.Run("ocipkg", "store", "fsck", "--repair").OK()
	s.Run("ocipkg", "--offline", "link", name).OK()
}
