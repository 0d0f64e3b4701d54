package dependencies

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// world is a registry with three libraries: top, which gives 10, base, which it
// requires and which gives 1, and other.
type world struct {
	*registrytest.Registry
	base, top, other made
	// digests are by the name.
	digests map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Registry: registrytest.StartMemory(t)}
	w.base = made{name: w.Host + "/acme/base:1", value: 1}
	w.top = made{name: w.Host + "/acme/top:1", value: 10, requires: []string{w.base.name}}
	w.other = made{name: w.Host + "/acme/other:1", value: 2}
	w.digests = map[string]string{w.base.name: w.base.publish(t), w.top.name: w.top.publish(t), w.other.name: w.other.publish(t)}
	return w
}

// newUser gives a user whose project links top.
func (w *world) newUser(t *testing.T) *program.Session {
	t.Helper()
	s := program.New(t, program.Options{})
	s.Run("ocipkg", "add", w.top.name).OK()
	return s
}

// warm gives the user's store what the project links.
func warm(s *program.Session) { s.Run("ocipkg", "restore").OK() }

// files describes all that a user has. Of the store, its lock files, its notes of
// projects and empty directories do not count, nor does what Go counts.
func files(t *testing.T, s *program.Session) tree.Tree {
	t.Helper()
	all := tree.Tree{}
	for name, dir := range map[string]string{"home/": s.Home, "work/": s.Dir, "tmp/": s.Temp} {
		for path, line := range tree.Of(t, dir) {
			all[name+path] = line
		}
	}
	maps.DeleteFunc(all, func(path, _ string) bool {
		if strings.HasPrefix(path, "home/.config/go/") {
			return true
		}
		in, ok := strings.CutPrefix(path, "home/.local/share/ocipkg/v1/")
		return strings.HasPrefix(path, "home/.local/") && strings.HasSuffix(path, "/") || ok && (strings.HasPrefix(in, "locks/") || strings.HasPrefix(in, "roots"))
	})
	return all
}

// refuses runs a command that must fail, with words in its error, and change
// nothing that the user has.
func refuses(t *testing.T, s *program.Session, code int, words []string, arguments ...string) {
	t.Helper()
	before := files(t, s)
	if arguments[0] == "ocipkg-pkg-config" {
		r := s.Run(arguments[0], arguments[1:]...)
		if r.ExitCode != 1 || r.Stdout != "" || strings.Count(r.Stderr, "\n") != 1 {
			t.Errorf("that is no failure of pkg-config\n%s", r)
		}
		r.Says(words...)
	} else {
		s.Run("ocipkg", arguments...).Fails(code, words...)
	}
	tree.Check(t, "after "+strings.Join(arguments, " "), files(t, s), before)
}

// readers are commands that read the lock of a project which links top.
func (w *world) readers() [][]string {
	return [][]string{
		{"lock"}, {"lock", "--locked"}, {"update"}, {"update", "--check"}, {"tree"}, {"restore"}, {"vendor", "vendored"},
		{"add", w.base.name}, {"remove", "top"}, {"get", "top"}, {"get", w.top.name}, {"link", "top"}, {"bundle", "dist", "top"},
		{"image-directory", "top"}, {"pack", "tree", "out.tar", "--locked"}, {"cmake-config", "--name", "top", "top"}, {"ocipkg-pkg-config", "--libs", "top"},
	}
}

func TestALockThatWasEditedIntoNonsenseIsAnErrorOfEachCommandThatSaysWhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.newUser(t)
	s.WriteFile("tree/include/a.h", "\n", 0o644)
	good := read(t, s, "ocipkg.lock")
	mend := "take it from version control again, or remove it and run: ocipkg lock"
	write := func(text string) { s.WriteFile("ocipkg.lock", text, 0o644) }

	write(strings.Replace(good, "version = 1\n", "<<<<<<< HEAD\nversion = 1\n=======\nversion = 1\n>>>>>>> other\n", 1))
	for _, arguments := range w.readers() {
		refuses(t, s, stale, []string{"ocipkg.lock", "line 3", mend}, arguments...)
	}

	digest := w.digests[w.base.name]
	first, second, _ := strings.Cut(strings.TrimPrefix(good[strings.Index(good, "[[package]]"):], ""), "\n[[package]]\n")
	for _, c := range []struct {
		words []string
		text  string
	}{
		{[]string{"it is of version 2, and this ocipkg reads 1 at most", "install a newer ocipkg"}, strings.Replace(good, "version = 1", "version = 2\nnews = true", 1)},
		{[]string{"it has no version, which is 1", mend}, strings.Replace(good, "version = 1\n", "", 1)},
		{[]string{"it has no version, which is 1", mend}, ""},
		{[]string{`line 4: the key "pakcage" is not known`, mend}, strings.Replace(good, "version = 1\n", "version = 1\npakcage = 1\n", 1)},
		{[]string{`"sha256:123"`, mend}, strings.Replace(good, `"`+digest+`"`, `"sha256:123"`, 1)},
		{[]string{"size -1", mend}, regexp.MustCompile(`size = [0-9]+`).ReplaceAllString(good, "size = -1")},
		{[]string{"no builds", mend}, "version = 1\n[[package]]\nname = \"" + w.base.name + "\"\ndigest = \"" + digest + "\"\nsize = 1\n"},
		{[]string{"not in its place", mend}, "version = 1\n\n[[package]]\n" + second + "\n" + first},
		{[]string{"there twice", mend}, good[:strings.Index(good, "[[package]]")] + first + "\n" + first},
		{[]string{"not written whole", mend}, strings.Replace(good, `"`+w.base.name+`"`, `"acme/base"`, 1)},
		{[]string{"line ", mend}, "\x00\xff\n"},
	} {
		write(c.text)
		for _, arguments := range [][]string{{"lock"}, {"link", "top"}, {"ocipkg-pkg-config", "--libs", "top"}} {
			refuses(t, s, stale, append(c.words, "ocipkg.lock"), arguments...)
		}
	}
	write(good)
	warm(s)

	// One that only does not fit is no nonsense.
	for alias, want := range map[string]string{"other": w.base.name + ", which nothing asks for any more; ", "top": w.other.name + ", which the lock does not have; "} {
		text := "[dependencies]\nother = \"" + w.other.name + "\"\n"
		if alias == "top" {
			text += "top = \"" + w.top.name + "\"\n"
		}
		s.WriteFile("ocipkg.toml", text, 0o644)
		s.Run("ocipkg", "update", "--check").Exit(stale).Says("the first of them " + want + "run: ocipkg update")
	}
}

func TestATagThatIsGoneAfterLockingIsNotMissedAndAManifestIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.newUser(t)
	project, lock := read(t, before, "ocipkg.toml"), read(t, before, "ocipkg.lock")
	gone := func(path string) registrytest.Intercept {
		return registrytest.When(registrytest.Path("", path), registrytest.Status(http.StatusNotFound, 0))
	}
	w.SetIntercept(registrytest.Chain(gone("/base/manifests/1"), gone("/top/manifests/1")))
	s := program.New(t, program.Options{})
	s.WriteFile("ocipkg.toml", project, 0o644)
	s.WriteFile("ocipkg.lock", lock, 0o644)
	s.Run("ocipkg-pkg-config", "--libs", "top").OK().Says("-lbase")
	for _, arguments := range [][]string{{"restore"}, {"link", "top"}, {"lock"}, {"vendor", "vendored"}, {"lock", "--locked"}} {
		s.Run("ocipkg", arguments...).OK()
	}
	if got := s.Run("ocipkg", "get", "top").OK(); got.Stdout != w.digests[w.top.name]+"\n" {
		t.Errorf("get printed %s", got)
	}
	for _, arguments := range [][]string{{"update"}, {"update", "--check"}, {"update", w.top.name}} {
		refuses(t, s, notFound, []string{"update: top: ", w.top.name}, arguments...)
	}
	if got := read(t, s, "ocipkg.lock"); got != lock {
		t.Errorf("the lock was changed:\n%s", got)
	}

	digest := w.digests[w.base.name]
	w.SetIntercept(gone("/base/manifests/" + digest))
	s.Run("ocipkg", "link", "top").OK() // the store has it
	empty(t, s, storetest.Dir(s))
	words := []string{digest + ", which the lock has for " + w.base.name + ", is not in the registry any more", "run: ocipkg update " + w.base.name + ", or name a mirror that has it"}
	for _, arguments := range [][]string{{"restore"}, {"link", "top"}, {"get", "top"}, {"bundle", "dist", "top"}, {"vendor", "other"}} {
		s.Run("ocipkg", arguments...).Fails(notFound, words...)
	}
	s.Run("ocipkg-pkg-config", "--libs", "top").Exit(1).Says(words...)
	if _, err := os.Stat(filepath.Join(s.Dir, "other")); err == nil {
		t.Error("a vendor that failed left a directory")
	}
}

func TestALockAndAStoreServeWhenTheRegistryIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.newUser(t)
	warm(s)
	lock := read(t, s, "ocipkg.lock")
	w.Stop()
	for _, arguments := range [][]string{{"restore"}, {"link", "top"}, {"lock"}, {"lock", "--locked"}, {"tree"}, {"image-directory", "top"}} {
		if r := s.Run("ocipkg", arguments...).OK(); strings.Contains(r.Stderr, "warning") {
			t.Errorf("there is a warning\n%s", r)
		}
	}
	s.Run("ocipkg-pkg-config", "--libs", "top").OK()
	s.Run("ocipkg", "get", "top").OK().Says(w.digests[w.top.name], "whether "+w.top.name+" has moved since it was locked is not known")
	refuses(t, s, network, []string{"update: ", w.Host}, "update")
	refuses(t, s, network, []string{"add " + w.other.name + ": "}, "add", w.other.name)
	s.Run("ocipkg", "remove", "top").OK()
	if got := read(t, s, "ocipkg.lock"); strings.Contains(got, "top") || got == lock {
		t.Errorf("after a remove the lock is\n%s", got)
	}
	s.WriteFile("ocipkg.toml", "[dependencies]\ntop = \""+w.top.name+"\"\n", 0o644)
	s.WriteFile("ocipkg.lock", lock, 0o644)
	empty(t, s, storetest.Dir(s))
	refuses(t, s, network, []string{w.Host}, "restore")
	refuses(t, s, network, []string{w.Host}, "link", "top")
}
