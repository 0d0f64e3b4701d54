//go:build unix

package cli

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ocipkg/ocipkg"
	"github.com/ocipkg/ocipkg/internal/hostile"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/reexec"
)

func TestHostilePackagesAreRefusedAndLeaveNothing(t *testing.T) {
	if reexec.Unprivileged(t) {
		tryAll(t, func(c hostile.Case) bool { return !c.Advisory() })
	}
}

// Each subtest is named after the advisory about another program that had it.
func TestAdvisories(t *testing.T) {
	if reexec.Unprivileged(t) {
		tryAll(t, hostile.Case.Advisory)
	}
}

// arena is where packages are tried: a directory with a store, a working
// directory with a file in it, and one that nothing may touch.
type arena struct {
	t     *testing.T
	dir   string
	store string
	place hostile.Place
	host  string
	asked atomic.Int64 // requests to the server that nobody may ask
	now   atomic.Pointer[hostile.Content]
}

func tryAll(t *testing.T, which func(hostile.Case) bool) {
	a := &arena{t: t, dir: t.TempDir()}
	a.store = filepath.Join(a.dir, "store")
	a.place.Outside = filepath.Join(a.dir, "outside")
	for _, dir := range []string{"outside", "work", "home", "sources"} {
		must(t, os.Mkdir(filepath.Join(a.dir, dir), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(a.place.Outside, "canary"), []byte("alive"), 0o644))
	must(t, os.WriteFile(filepath.Join(a.dir, "work", "of-the-user"), []byte("secret"), 0o600))
	for variable, value := range map[string]string{
		"HOME": filepath.Join(a.dir, "home"), "DOCKER_CONFIG": filepath.Join(a.dir, "home"), "OCIPKG_HOME": a.store, "OCIPKG_TARGET": "linux/amd64",
		"XDG_DATA_HOME": "", "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "REGISTRY_AUTH_FILE": "", "OCIPKG_CONFIG": "", "OCIPKG_MIRROR": "", "OCIPKG_LIMIT": "", "GOOS": "", "GOARCH": "",
	} {
		t.Setenv(variable, value)
	}
	t.Chdir(filepath.Join(a.dir, "work"))
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { a.asked.Add(1) }))
	defer elsewhere.Close()
	a.place.URL = elsewhere.URL
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.now.Load().ServeHTTP(w, r) }))
	defer registry.Close()
	a.host = strings.TrimPrefix(registry.URL, "http://")

	tried := 0
	for i, c := range hostile.Corpus() {
		if which(c) {
			tried++
			t.Run(c.Name, func(t *testing.T) { a.try(t, i, c) })
		}
	}
	if tried < 20 {
		t.Errorf("only %d cases were tried", tried)
	}
}

// try runs a case in every way that a package comes in or is looked at.
func (a *arena) try(t *testing.T, number int, c hostile.Case) {
	content := c.Make(a.place)
	a.now.Store(content)
	name := fmt.Sprintf("%s/acme/p%d:1", a.host, number)
	archive, dir := filepath.Join(a.dir, "sources", "a.tar"), filepath.Join(a.dir, "sources", "a")
	must(t, content.WriteArchive(archive, name))
	must(t, content.WriteDir(dir, name))
	defer os.RemoveAll(dir)
	before := listing(t, a.dir)

	var texts []string
	if c.Limit != "" {
		texts = []string{c.Limit}
	}
	limits, err := ocipkg.ParseLimits(texts)
	must(t, err)
	client := &ocipkg.Client{Store: a.store, Limits: limits, Anonymous: true}
	defer client.Close()
	api := func(do func() error) func() (int, string) {
		return func() (int, string) {
			if err := do(); err != nil {
				return exitCode(err), err.Error()
			}
			return 0, ""
		}
	}
	command := func(args ...string) func() (int, string) {
		if c.Limit != "" {
			args = append(args, "--limit", c.Limit)
		}
		return func() (int, string) { return runMain(t, args...) }
	}
	inspect := func(source string) func() error {
		return func() error {
			_, err := client.Inspect(context.Background(), source, ocipkg.InspectOptions{Verify: true})
			return err
		}
	}
	for _, way := range []struct {
		what, source string
		do           func() (int, string)
	}{
		{"Client.Get", name, api(func() error { _, err := client.Get(t.Context(), name, ocipkg.GetOptions{}); return err })},
		{"Client.Load of the archive", archive, api(func() error { _, err := client.Load(t.Context(), archive, ocipkg.GetOptions{}); return err })},
		{"Client.Load of the layout", dir, api(func() error { _, err := client.Load(t.Context(), dir, ocipkg.GetOptions{}); return err })},
		{"Client.Inspect of the name", name, api(inspect(name))},
		{"Client.Inspect of the archive", archive, api(inspect(archive))},
		{"get", name, command("get", name)},
		{"load of the archive", archive, command("load", "oci-archive:"+archive)},
		{"load of the layout", dir, command("load", "oci:"+dir)},
		{"inspect of the name", name, command("inspect", "--verify", name)},
		{"inspect of the layout", dir, command("inspect", "--verify", dir)},
	} {
		registry := way.source == name
		if c.RegistryOnly && !registry {
			continue
		}
		looked := strings.Contains(strings.ToLower(way.what), "inspect")
		code, text := way.do()
		want := c.ExitCode(registry)
		if looked && c.Listable {
			want = 0
		}
		if code != want {
			t.Errorf("%s: exit code %d, want %d: %s", way.what, code, want, text)
		}
		if want != 0 {
			for _, word := range append([]string{way.source}, c.Refused...) {
				if !strings.Contains(text, word) {
					t.Errorf("%s: the error does not say %q: %.2000s", way.what, word, text)
				}
			}
		}
		if want == 0 && !looked {
			a.checkHolds(t, way.what, c)
		}
		a.checkStore(t, way.what, want == 0 && !looked)
		if after := listing(t, a.dir); !maps.Equal(before, after) {
			t.Errorf("%s: it was %v, and is %v", way.what, before, after)
		}
		must(t, layer.Remove(a.store))
	}
	if n := a.asked.Swap(0); n > 0 {
		t.Errorf("%d requests went where a package says", n)
	}
}

// checkHolds compares the package in the store with what the case says.
func (a *arena) checkHolds(t *testing.T, what string, c hostile.Case) {
	t.Helper()
	roots, err := filepath.Glob(filepath.Join(a.store, "packages", "*", "*", "root"))
	if err != nil || len(roots) != 1 {
		t.Errorf("%s: the store has %v, %v", what, roots, err)
		return
	}
	var want []string
	for _, line := range c.Holds {
		want = append(want, strings.ReplaceAll(line, "Outside", strings.TrimPrefix(a.place.Outside, "/")))
	}
	slices.Sort(want)
	var got []string
	must(t, filepath.WalkDir(roots[0], func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(roots[0], at)
		switch {
		case entry.Type() == fs.ModeSymlink:
			target, err := os.Readlink(at)
			got = append(got, rel+"->"+target)
			return err
		case entry.IsDir():
			if below, err := os.ReadDir(at); err == nil && len(below) == 0 {
				got = append(got, rel+"/")
			}
			if info.Mode() != fs.ModeDir|0o555 {
				t.Errorf("%s: %s has the mode %v", what, rel, info.Mode())
			}
			return nil
		}
		if info.Mode() != 0o444 && info.Mode() != 0o555 {
			t.Errorf("%s: %s has the mode %v", what, rel, info.Mode())
		}
		raw, err := os.ReadFile(at)
		if len(raw) > 40 {
			raw = fmt.Appendf(nil, "%d bytes", len(raw))
		}
		got = append(got, rel+"="+string(raw))
		return err
	}))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s: the package holds %q, want %q", what, got, want)
	}
}

// checkStore tells what is in the store that should not be.
func (a *arena) checkStore(t *testing.T, what string, full bool) {
	t.Helper()
	for _, dir := range []string{"tmp", "packages/*", "refs", "layers", "used", "blobs/*"} {
		left, err := filepath.Glob(filepath.Join(a.store, dir, "*"))
		must(t, err)
		if len(left) > 0 && (dir == "tmp" || !full) {
			t.Errorf("%s: the store has %v", what, left)
		}
	}
}

// listing lists all that there is beside the store, with its mode and text. The
// time of a directory tells of what was made and removed in it.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if at == filepath.Join(dir, "store") {
			return fs.SkipDir
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if at != dir {
			text += info.ModTime().String()
		}
		if info.Mode().IsRegular() && info.Size() < 1000 {
			raw, err := os.ReadFile(at)
			all[at] = text + string(raw)
			return err
		}
		all[at] = text
		return nil
	}))
	return all
}

// runMain runs the program, and gives its exit code and what it says on standard
// error, which must be a line of its own when it fails.
func runMain(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var captured [2]*os.File
	for i := range captured {
		f, err := os.CreateTemp(t.TempDir(), "")
		must(t, err)
		defer f.Close()
		captured[i] = f
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = captured[0], captured[1]
	code := Main(args)
	os.Stdout, os.Stderr = stdout, stderr
	var said [2]string
	for i, f := range captured {
		_, err := f.Seek(0, io.SeekStart)
		must(t, err)
		raw, err := io.ReadAll(f)
		must(t, err)
		said[i] = string(raw)
	}
	lines := strings.Split(strings.TrimSuffix(said[1], "\n"), "\n")
	last := lines[len(lines)-1]
	if code != 0 && (said[0] != "" || !strings.HasPrefix(last, "ocipkg: ") || len(last) > 10_000) {
		t.Errorf("ocipkg %s: on standard output %.200q, and on standard error %.200q", strings.Join(args, " "), said[0], said[1])
	}
	return code, last
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
