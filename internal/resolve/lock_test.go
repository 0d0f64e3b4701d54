package resolve

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/platform"
)

// inProject gives the resolver a project whose file says text, with a lock in
// which names stand for packages of the world; nil is no lock.
func (w *world) inProject(r *Resolver, text string, locked map[string]string) {
	w.t.Helper()
	dir := w.t.TempDir()
	lock := &project.Lock{}
	for _, name := range slices.Sorted(maps.Keys(locked)) {
		blob := project.Blob{Digest: w.digest(locked[name]), Size: 1}
		build := project.LockedBuild{Blob: blob, Config: blob}
		for _, need := range w.needs[locked[name]] {
			if !strings.Contains(need, ":") {
				need += ":1"
			}
			build.Requires = append(build.Requires, "r.example/a/"+need)
		}
		lock.Packages = append(lock.Packages, project.LockedPackage{Name: name, Blob: blob, Builds: []project.LockedBuild{build}})
	}
	err := os.WriteFile(filepath.Join(dir, project.FileName), []byte(text), 0o644)
	if locked != nil {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, project.LockName), lock.Text(), 0o644))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Setenv("OCIPKG_PROJECT", dir)
	if r.Project, err = project.Find(dir); err != nil {
		w.t.Fatal(err)
	}
}

// gives checks which package of the world a name stands for.
func (w *world) gives(r *Resolver, name, want string) {
	w.t.Helper()
	p, err := r.Package(w.t.Context(), name)
	if err != nil || p.Digest != w.digest(want) {
		w.t.Errorf("%s: %+v, %v; want %s", name, p, err, want)
	}
}

// refuses checks that the closure of names is an error of a kind.
func refuses(t *testing.T, r *Resolver, kind error, text string, names ...string) {
	t.Helper()
	_, _, err := r.Closure(t.Context(), names)
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v; want %q, of the kind %q", names, err, text, kind)
	}
}

const zlibProject = "[dependencies]\nz = \"r.example/a/z:1\"\n"

func TestTheLockSaysWhatATagStandsForWhateverTheRegistryHas(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"old": nil, "new": nil})
	w.tags = map[string]string{"z:1": "old"}
	w.gives(r, "r.example/a/z:1", "old")
	w.tags["z:1"] = "new"
	w.inProject(r, zlibProject, map[string]string{"r.example/a/z:1": "old"})
	w.gives(r, "z", "old")
	w.gives(r, "r.example/a/z:1", "old")
	roots, err := r.Store.Roots()
	if err != nil || !slices.Equal(roots, []string{r.Project.LockPath()}) {
		t.Errorf("the lock files in use are %q, %v", roots, err)
	}
	w.inProject(r, zlibProject, map[string]string{"r.example/a/z:1": "new"}) // the store still has the tag as the old one
	w.gives(r, "z", "new")
	r.Project = nil
	w.gives(r, "r.example/a/z:1", "old")
}

func TestLockedTakesNothingThatIsNotPinned(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"z": nil, "other": nil, "y": {"z"}})
	for _, name := range []string{"z", "other", "y"} {
		w.gives(r, "r.example/a/"+name+":1", name)
	}
	r.Locked = true
	refuses(t, r, errdef.ErrLock, "there is no ocipkg.toml here", "r.example/a/z:1")
	w.gives(r, "r.example/a/z@"+w.digest("z"), "z")

	for _, c := range []struct {
		text   string
		locked map[string]string
		name   string
		want   string // in the error; empty: it works
	}{
		{zlibProject, nil, "z", "ocipkg.lock is not there; run: ocipkg lock"},
		{zlibProject, map[string]string{}, "z", "the dependency z, and the lock does not have r.example/a/z:1; run: ocipkg lock"},
		{zlibProject, map[string]string{"r.example/a/other:1": "other", "r.example/a/z:1": "z"}, "z", "nothing asks for r.example/a/other:1 any more"},
		{"[dependencies]\ny = \"r.example/a/y:1\"\n", map[string]string{"r.example/a/y:1": "y"}, "y", "r.example/a/y:1 requires it, and the lock does not have r.example/a/z:1"},
		{zlibProject, map[string]string{"r.example/a/z:1": "z"}, "r.example/a/other:1", "r.example/a/other:1 has no digest, and "},
		{zlibProject, map[string]string{"r.example/a/z:1": "z"}, "r.example/a/other@" + w.digest("other"), ""},
		{zlibProject, map[string]string{"r.example/a/z:1": "z"}, "z", ""},
	} {
		r.checked = false
		w.inProject(r, c.text, c.locked)
		if c.want != "" {
			refuses(t, r, errdef.ErrLock, c.want, c.name)
		} else if _, _, err := r.Closure(t.Context(), []string{c.name}); err != nil {
			t.Errorf("%s in %s: %v", c.name, c.text, err)
		}
	}
	if len(w.fetched) != 3 {
		t.Errorf("fetched %v", w.fetched)
	}
}

func TestTwoPackagesOfARepositoryAreAnErrorThatShowsBothWays(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"ssh": {"ssl", "z:2"}, "ssl": {"z:1"}, "z": nil, "z2": nil})
	w.tags = map[string]string{"z:2": "z2"}
	refuses(t, r, errdef.ErrUsage, "r.example/a/z:1 by way of r.example/a/ssh:1 → r.example/a/ssl:1 → r.example/a/z:1, "+
		"and r.example/a/z:2 by way of r.example/a/ssh:1 → r.example/a/z:2; choose one under [overrides] in ocipkg.toml: \"r.example/a/z\" =", "r.example/a/ssh:1")
	w.inProject(r, "[overrides]\n\"r.example/a/z\" = \"r.example/a/z:2\"\n", nil)
	_, all, err := r.Closure(t.Context(), []string{"r.example/a/ssh:1"})
	if err != nil || len(all) != 3 || all[2].Package.Digest != w.digest("z2") {
		t.Errorf("with an override: %+v, %v", all, err)
	}
	w.inProject(r, "[overrides]\n\"r.example/a/z\" = \"r.example/fork/z@"+w.digest("z")+"\"\n", nil)
	_, all, err = r.Closure(t.Context(), []string{"r.example/a/ssh:1"})
	if err != nil || len(all) != 3 || all[2].Package.Digest != w.digest("z") {
		t.Errorf("with an override by a fork: %+v, %v", all, err)
	}
}

func TestDigestsOfOneTagAreWhatTheLockSays(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"ssh": {"z"}, "z": nil, "other": nil, "third": nil})
	pinned := "r.example/a/z:1@" + w.digest("other")
	refuses(t, r, errdef.ErrUsage, "two packages of r.example/a/z", "r.example/a/ssh:1", pinned)
	w.inProject(r, "", map[string]string{"r.example/a/z:1": "third"})
	for _, names := range [][]string{{"r.example/a/ssh:1", pinned}, {pinned, "r.example/a/ssh:1"}, {pinned, "r.example/a/z:1@" + w.digest("z")}} {
		_, all, err := r.Closure(t.Context(), names)
		if err != nil || all[len(all)-1].Package.Digest != w.digest("third") {
			t.Errorf("%s: %+v, %v", names, all, err)
		}
	}
	w.gives(r, pinned, "other") // alone, a digest is what it says
}

func TestAPackageThatIsAskedForByTwoNamesIsThereOnce(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"ssh": {"z"}, "z": nil})
	w.inProject(r, zlibProject, nil)
	roots, all, err := r.Closure(t.Context(), []string{"r.example/a/ssh:1", "z", "r.example/a/z:1", w.digest("z")})
	if err != nil || len(roots) != 4 || len(all) != 2 || roots[1].Node != roots[3].Node {
		t.Errorf("got %d roots, %d packages, %v", len(roots), len(all), err)
	}
}

func TestSourceOfOthersGetsWhatIsPinned(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"ssh": {"z"}, "z": nil})
	r.Foreign = true
	t.Setenv("OCIPKG_ALLOW_UNPINNED", "")
	pinned := "r.example/a/ssh:1@" + w.digest("ssh")
	refuses(t, r, errdef.ErrVerification, "has no digest", "r.example/a/ssh:1")
	refuses(t, r, errdef.ErrVerification, "required by "+pinned, pinned)
	if !slices.Equal(w.fetched, []string{"ssh"}) {
		t.Errorf("fetched %v", w.fetched)
	}

	w, r = newWorld(t, w.needs)
	r.Foreign, w.builtWith = true, map[string]string{"z": w.digest("z")}
	if _, _, err := r.Closure(t.Context(), []string{pinned}); err != nil || len(w.fetched) != 2 {
		t.Errorf("with what it was built with: %v, fetched %v", err, w.fetched)
	}

	w, r = newWorld(t, w.needs)
	r.Foreign = true
	w.inProject(r, "", map[string]string{"r.example/a/z:1": "z"})
	if _, _, err := r.Closure(t.Context(), []string{pinned}); err != nil || len(w.fetched) != 2 {
		t.Errorf("with what the lock has: %v, fetched %v", err, w.fetched)
	}
}

func TestABuildThatTheLockLeftOutIsNamed(t *testing.T) {
	lock := project.Lock{Platforms: []string{"linux/amd64"}, Packages: []project.LockedPackage{{
		Name:   "r.example/a/z:1",
		Blob:   project.Blob{Digest: "sha256:" + strings.Repeat("1", 64)},
		Builds: []project.LockedBuild{{Platform: platform.Platform{OS: "linux", Architecture: "amd64"}}},
	}}}
	_, r := newWorld(t, nil)
	dir := t.TempDir()
	lock.Packages[0].Builds[0].Digest = "sha256:" + strings.Repeat("2", 64)
	lock.Packages[0].Builds[0].Config = lock.Packages[0].Blob
	if err := errors.Join(os.WriteFile(filepath.Join(dir, project.FileName), []byte(zlibProject), 0o644), os.WriteFile(filepath.Join(dir, project.LockName), lock.Text(), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OCIPKG_PROJECT", dir)
	var err error
	if r.Project, err = project.Find(dir); err != nil {
		t.Fatal(err)
	}
	r.Target = func() (platform.Platform, error) { return platform.Parse("linux/arm64") }
	refuses(t, r, errdef.ErrLock, "run: ocipkg lock --platform linux/amd64,linux/arm64", "z")
}
