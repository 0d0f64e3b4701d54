package resolve

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// world is a registry's worth of packages, by name, with what each requires: the
// names of others, which may have a tag.
type world struct {
	t     testing.TB
	store *store.Store
	needs map[string][]string
	// tags says which package a repository has under a tag, as repository:tag;
	// for all others, that is the one of the repository's name.
	tags    map[string]string
	fetched []string
	// builtWith are the digests that requirements note, by what is required.
	builtWith map[string]string
	// platform is that of all packages.
	platform platform.Platform
	modules  map[string][]string // more of them, by package
	failures map[string]error    // by repository
}

func (w *world) digest(name string) string { return fmt.Sprintf("sha256:%064x", []byte(name)) }

// Fetch puts a package into the store, as far as a look-up can tell.
func (w *world) Fetch(ctx context.Context, ref reference.Reference, _ platform.Platform) (*store.Package, error) {
	name := strings.TrimPrefix(ref.Repository, "a/")
	if err := w.failures[name]; err != nil {
		return nil, err
	}
	if tagged := w.tags[name+":"+ref.Tag]; tagged != "" && ref.Digest == "" {
		name = tagged
	}
	for content := range w.needs {
		if w.digest(content) == ref.Digest {
			name = content
		}
	}
	needs, ok := w.needs[name]
	if !ok {
		return nil, errdef.Errorf(errdef.ErrNotFound, "the registry does not have %s", ref)
	}
	w.fetched = append(w.fetched, name)
	link := store.Link{Version: store.LinkVersion, BootID: store.BootID(), Platform: w.platform}
	link.CPS = &cps.Package{Name: name, CPSPath: cps.PrefixMarker, Components: map[string]*cps.Component{
		"minizip": {Type: cps.Interface}, name + "_core": {Type: cps.Interface, PkgConfig: &cps.PkgConfig{Name: name}}, "tool": {Type: "executable", PkgConfig: &cps.PkgConfig{Name: name}},
	}}
	for _, module := range w.modules[name] {
		link.CPS.Components[module] = &cps.Component{Type: cps.Archive, PkgConfig: &cps.PkgConfig{Name: module}}
	}
	for _, need := range needs {
		repository, tag, tagged := strings.Cut(need, ":")
		if !tagged {
			tag = "1"
		}
		link.Requires = append(link.Requires, reference.Requirement{Package: repository, Image: "r.example/a/" + repository, Tag: tag, BuiltWith: w.builtWith[need]})
	}
	raw, err := json.Marshal(link)
	if err != nil {
		return nil, err
	}
	dir := w.store.PackageDir(w.digest(name))
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "link.json"), raw, 0o644)); err != nil {
		return nil, err
	}
	if err := w.store.SetRef(ctx, ref, w.digest(name)); err != nil {
		return nil, err
	}
	return w.store.Package(w.digest(name))
}

func newWorld(t testing.TB, needs map[string][]string) (*world, *Resolver) {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: s, needs: needs}
	return w, &Resolver{Store: s, Target: func() (platform.Platform, error) { return platform.Host(), nil }, Fetcher: w}
}

func TestAClosureHasEachPackageOnceDependentsFirst(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"ssh": {"ssl", "z"}, "ssl": {"z"}, "z": nil, "png": {"z"}})
	roots, all, err := r.Closure(t.Context(), []string{"r.example/a/png:1", "r.example/a/ssh:1"})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, n := range all {
		at[n.Name] = i
	}
	if len(roots) != 2 || len(all) != 4 || len(at) != 4 || len(w.fetched) != 4 {
		t.Fatalf("roots %d, all %d, fetched %v", len(roots), len(all), w.fetched)
	}
	for _, n := range all {
		for needed, m := range n.Requires {
			if at[m.Name] < at[n.Name] {
				t.Errorf("%s comes after %s, which it needs", n.Name, needed)
			}
		}
	}
	w.fetched = nil
	if _, _, err := r.Closure(t.Context(), []string{"r.example/a/ssh:1"}); err != nil || len(w.fetched) > 0 {
		t.Errorf("warm: fetched %v, %v", w.fetched, err)
	}
}

func TestPackagesThatNeedEachOtherAreThereOnce(t *testing.T) {
	_, r := newWorld(t, map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"a", "c"}})
	roots, all, err := r.Closure(t.Context(), []string{"r.example/a/a:1"})
	if err != nil || len(all) != 3 || len(roots) != 1 {
		t.Fatalf("got %d packages, %v", len(all), err)
	}
	if c := roots[0].Requires["b"].Requires["c"]; c.Requires["a"] != roots[0].Node || c.Requires["c"] != c {
		t.Errorf("c requires %+v", c.Requires)
	}
}

func TestAMissingRequirementSaysWhoNeedsIt(t *testing.T) {
	_, r := newWorld(t, map[string][]string{"a": {"b"}, "b": {"gone"}})
	_, _, err := r.Closure(t.Context(), []string{"r.example/a/a:1"})
	if !errors.Is(err, errdef.ErrNotFound) || !strings.Contains(err.Error(), "required by r.example/a/a:1 → r.example/a/b:1") {
		t.Errorf("got %v", err)
	}
}

func TestAnAliasStandsForItsPackage(t *testing.T) {
	_, r := newWorld(t, map[string][]string{"z": nil})
	r.Project = &project.Project{File: project.File{Dependencies: map[string]project.Dependency{"zlib": {Image: "r.example/a/z", Tag: "1", Shared: project.Shared}}}}
	roots, _, err := r.Closure(t.Context(), []string{"zlib"})
	if err != nil || len(roots) != 1 || roots[0].Shared != project.Shared || roots[0].Name != "zlib" {
		t.Errorf("got %+v, %v", roots, err)
	}
}

func TestANameMayBeThatOfAModule(t *testing.T) {
	_, r := newWorld(t, map[string][]string{"z": nil})
	r.Project = &project.Project{File: project.File{Dependencies: map[string]project.Dependency{
		"minizip": {Image: "r.example/a/z", Tag: "1"}, "gtk+": {Image: "r.example/a/z", Tag: "1", Modules: []string{"a", "b"}},
	}}}
	for name, want := range map[string][]string{
		"r.example/a/z:1": nil, "r.example/a/z:1+minizip": {"minizip"}, "r.example/a/z:1+gtk+-3.0": {"gtk+-3.0"}, "gtk+": {"a", "b"}, "minizip": {"minizip"},
	} {
		roots, _, err := r.Closure(t.Context(), []string{name})
		if err != nil || len(roots) != 1 || !slices.Equal(roots[0].Modules, want) || roots[0].Name != name {
			t.Errorf("%s: got %+v, %v, want %q", name, roots, err, want)
		}
	}
	roots, all, err := r.Closure(t.Context(), []string{"r.example/a/z:1+x", "r.example/a/z:1+y", "r.example/a/z:1"})
	if err != nil || len(all) != 1 || len(roots) != 3 || roots[0].Modules[0] != "x" || roots[1].Modules[0] != "y" || roots[2].Modules != nil {
		t.Errorf("three of one package: got %+v, %v", roots, err)
	}
	if _, _, err := r.Closure(t.Context(), []string{"r.example/a/z:1+"}); err == nil {
		t.Error("a plus sign without a module is taken")
	}
}

func TestAListedPackageAnswersForAllItsModules(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"event": {"ssl"}, "png": nil, "ssl": nil})
	w.modules = map[string][]string{"event": {"both", "png", "alone"}, "png": {"both"}}
	r.Project = &project.Project{File: project.File{Dependencies: map[string]project.Dependency{
		"libevent": {Image: "r.example/a/event", Tag: "1", Shared: project.Shared, Modules: []string{"event_core"}}, "png": {Image: "r.example/a/png", Tag: "1"},
		"again": {Image: "r.example/a/event", Tag: "1"},
	}}}
	for name, want := range map[string][2]string{
		"event_core": {"again", "event_core"}, "alone": {"again", "alone"}, "png_core": {"png", "png_core"},
		"png":      {"png", ""}, // an alias, before the module of another
		"minizip":  {},          // which pkg-config does not know
		"tool":     {},          // which is not linked
		"ssl_core": {},          // of a package that only a listed one requires
		"x11":      {}, "r.example/a/event:1": {}, w.digest("event"): {},
	} {
		alias, module, err := r.Answer(t.Context(), name)
		if err != nil || alias != want[0] || module != want[1] {
			t.Errorf("%s: %q answers with %q, %v, want %q", name, alias, module, err, want)
		}
	}
	if len(w.fetched) != 2 {
		t.Errorf("fetched %q", w.fetched)
	}
	_, _, err := r.Answer(t.Context(), "both")
	if !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), `"again" and "png"`) || !strings.Contains(err.Error(), `the alias "both"`) {
		t.Errorf("two that have it: %v", err)
	}
	roots, all, err := r.Closure(t.Context(), []string{"alone", "png_core"})
	if err != nil || len(all) != 3 || roots[0].Name != "alone" || roots[0].Modules[0] != "alone" || roots[1].Modules[0] != "png_core" {
		t.Errorf("got %+v, %v", roots, err)
	}
}

func TestAListedPackageThatCannotBeHadIsAnErrorUnlessItIsForOtherPlatforms(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"event": nil, "win": nil})
	w.failures = map[string]error{"win": errdef.Errorf(errdef.ErrPlatform, "for Windows")}
	r.Project = &project.Project{File: project.File{Dependencies: map[string]project.Dependency{
		"event": {Image: "r.example/a/event", Tag: "1"}, "win": {Image: "r.example/a/win", Tag: "1"},
	}}}
	r.Foreign = true // the project's own list is the user's word
	if alias, _, err := r.Answer(t.Context(), "event_core"); alias != "event" || err != nil {
		t.Errorf("beside one for another platform: %q, %v", alias, err)
	}
	r.listed, w.failures["win"] = nil, errdef.Errorf(errdef.ErrNetwork, "no network")
	if _, _, err := r.Answer(t.Context(), "x11"); !errors.Is(err, errdef.ErrNetwork) || !strings.Contains(err.Error(), `look up x11: the dependency "win" may have a module of that name: no network`) {
		t.Errorf("got %v", err)
	}
	r.Project = nil
	if alias, _, err := r.Answer(t.Context(), "x11"); alias != "" || err != nil {
		t.Errorf("without a project: %q, %v", alias, err)
	}
}

func TestWithoutAFetcherNothingIsFetched(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"z": nil})
	r.Fetcher = nil
	if _, err := r.Package(t.Context(), "r.example/a/z:1"); !errors.Is(err, errdef.ErrNotFound) || !strings.Contains(err.Error(), "ocipkg get r.example/a/z:1") {
		t.Errorf("got %v", err)
	}
	r.Fetcher = w
	p, err := r.Package(t.Context(), "r.example/a/z:1")
	if err != nil {
		t.Fatal(err)
	}
	r.Fetcher = nil
	for _, name := range []string{"r.example/a/z:1", p.Digest, "r.example/other@" + p.Digest} {
		if again, err := r.Package(t.Context(), name); err != nil || again.Digest != p.Digest {
			t.Errorf("%s: %+v, %v", name, again, err)
		}
	}
}

func TestAnIndexInTheStoreIsChosenFromForEachTarget(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"amd": nil, "arm": nil})
	for _, name := range []string{"amd", "arm"} {
		if _, err := w.Fetch(t.Context(), reference.Reference{Registry: "r.example", Repository: "a/" + name, Tag: "1"}, platform.Platform{}); err != nil {
			t.Fatal(err)
		}
	}
	raw := []byte(`{"manifests":[` +
		`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + w.digest("amd") + `","platform":{"os":"linux","architecture":"amd64"}},` +
		`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + w.digest("arm") + `","platform":{"os":"linux","architecture":"arm64"}}]}`)
	index := fmt.Sprintf("sha256:%x", sha256.Sum256(raw))
	path := w.store.Path("blobs", "sha256", strings.TrimPrefix(index, "sha256:"))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, raw, 0o644)); err != nil {
		t.Fatal(err)
	}
	ref := reference.Reference{Registry: "r.example", Repository: "a/both", Tag: "1"}
	if err := w.store.SetRef(t.Context(), ref, index); err != nil {
		t.Fatal(err)
	}
	r.Fetcher = nil
	for target, want := range map[string]string{"linux/amd64": "amd", "aarch64-linux-gnu": "arm"} {
		r.Target = func() (platform.Platform, error) { return platform.Parse(target) }
		if p, err := r.Package(t.Context(), ref.String()); err != nil || p.Digest != w.digest(want) {
			t.Errorf("%s: %+v, %v", target, p, err)
		}
	}
	r.Target = func() (platform.Platform, error) { return platform.Parse("windows/amd64") }
	if _, err := r.Package(t.Context(), ref.String()); !errors.Is(err, errdef.ErrPlatform) || !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("windows: %v", err)
	}
}

func TestAPackageForAnotherPlatformIsRefused(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"z": nil})
	w.platform = platform.Platform{OS: "linux", Architecture: "s390x"}
	for target, want := range map[string]error{"linux/s390x": nil, "linux/arm64": errdef.ErrPlatform} {
		r.Target = func() (platform.Platform, error) { return platform.Parse(target) }
		if _, err := r.Package(t.Context(), "r.example/a/z:1"); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", target, err, want)
		}
	}
}

// It may be pruned between being found and being noted as used.
func TestAPackageThatGoesWhileItIsLookedAtIsFetchedAgain(t *testing.T) {
	w, r := newWorld(t, map[string][]string{"z": nil})
	w.platform = platform.Platform{OS: "linux"}
	const name = "r.example/a/z:1"
	r.Target = func() (platform.Platform, error) { return w.platform, nil }
	if _, err := r.Package(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	// The target is asked for when the package was found.
	r.Target = func() (platform.Platform, error) {
		if len(w.fetched) == 1 {
			if err := os.RemoveAll(w.store.PackageDir(w.digest("z"))); err != nil {
				t.Error(err)
			}
		}
		return w.platform, nil
	}
	if p, err := r.Package(t.Context(), name); err != nil || len(w.fetched) != 2 || !w.store.Use(p.Digest) {
		t.Errorf("fetched %v (%v)", w.fetched, err)
	}
}

func TestRequirementsWithoutEndAreNotFollowed(t *testing.T) {
	chain, wide := map[string][]string{}, map[string][]string{"p0": nil}
	for i := range 200 {
		chain[fmt.Sprint("p", i)] = []string{fmt.Sprint("p", i+1)}
	}
	for i := range 1200 {
		wide["p0"] = append(wide["p0"], fmt.Sprint("w", i))
		wide[fmt.Sprint("w", i)] = nil
	}
	for want, needs := range map[string]map[string][]string{"more than 64 packages": chain, "more than 1000 packages": wide} {
		w, r := newWorld(t, needs)
		_, _, err := r.Closure(t.Context(), []string{"r.example/a/p0:1"})
		if !errors.Is(err, errdef.ErrVerification) || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 || len(w.fetched) > 1000 {
			t.Errorf("fetched %d, %v", len(w.fetched), err)
		}
	}
}
