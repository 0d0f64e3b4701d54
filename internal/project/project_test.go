package project

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestAProjectFileIsReadWhole(t *testing.T) {
	f, err := parse([]byte(`
[org.opencontainers.image]
url = "https://example.com"
created = 2026-01-02T03:04:05Z
base.name = "scratch"

[package]
name = "foo"
version = "1.2.0"
system-libs = ["m", "pthread"]
names = { foo = ["Foo::foo_static"] }

[dependencies]
zlib = "ghcr.io/acme/zlib:1.3"
png = { image = "ghcr.io/acme/libpng", tag = "1.6", cmake = "PNG", shared = true, modules = ["libpng16"] }

[trust]
allow-flags = ["-fplugin=a.so"]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"org.opencontainers.image.url": "https://example.com", "org.opencontainers.image.base.name": "scratch",
		"org.opencontainers.image.created": "2026-01-02T03:04:05Z",
	}
	if !maps.Equal(f.Annotations, want) {
		t.Errorf("annotations %v", f.Annotations)
	}
	if f.Package.Name != "foo" || f.Package.Version != "1.2.0" || len(f.Package.SystemLibs) != 2 || !slices.Equal(f.Package.Names["foo"], []string{"Foo::foo_static"}) {
		t.Errorf("package %+v", f.Package)
	}
	if got := f.Dependencies["zlib"].Reference(); got != "ghcr.io/acme/zlib:1.3" {
		t.Errorf("zlib is %s", got)
	}
	if got := f.Dependencies["png"]; !reflect.DeepEqual(got, Dependency{Image: "ghcr.io/acme/libpng", Tag: "1.6", CMake: "PNG", Shared: Shared, Modules: []string{"libpng16"}}) {
		t.Errorf("png is %+v", got)
	}
	if !slices.Equal(f.Trust.AllowFlags, []string{"-fplugin=a.so"}) {
		t.Errorf("trust is %+v", f.Trust)
	}
}

func TestADependencySaysHowItIsLinkedBeforeTheProjectDoes(t *testing.T) {
	for table, want := range map[string][2]Sharing{
		"":                                {"", Static},
		"[link]\nshared = true\n":         {Shared, Static},
		"[link]\nshared = \"fallback\"\n": {Fallback, Static},
		"[link]\nshared = false\n":        {Static, Static},
	} {
		f, err := parse([]byte(table + "[dependencies]\na = \"x.example/a:1\"\nb = { image = \"x.example/b\", tag = \"1\", shared = false }\n"))
		if p := newProject("/", f); err != nil || p.Sharing("a") != want[0] || p.Sharing("x.example/c:1") != want[0] || p.Sharing("b") != want[1] {
			t.Errorf("%q: got %q, %q, %v; want %q", table, p.Sharing("a"), p.Sharing("b"), err, want)
		}
	}
	if got := (*Project)(nil).Sharing("a"); got != "" {
		t.Errorf("without a project: got %q", got)
	}
}

func TestOnlyTheUsersOwnFileSaysWhatPackagesMayAskFor(t *testing.T) {
	dir := t.TempDir()
	write := func(at, flag string) string {
		path := filepath.Join(dir, at)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, FileName), []byte("[trust]\nallow-flags = [\""+flag+"\"]\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	app, dep, cached := write("app", "-app"), write("app/vendor/dep", "-dep"), write("go/pkg/mod/dep@v1", "-cached")
	crate := write("cargo/registry/src/x/crate", "-crate")
	for _, out := range []string{"app/target", "elsewhere/target"} {
		if err := os.MkdirAll(filepath.Join(dir, out), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		in, project, out string
		want             []string
	}{
		{app, "", "", []string{"-app"}},
		{dep, "", "", nil},
		{dep, app, "", []string{"-app"}},
		{cached, "", "", nil},
		{cached, app, "", []string{"-app"}},
		{crate, "", filepath.Join(app, "target"), []string{"-app"}},
		{crate, "", filepath.Join(dir, "elsewhere", "target"), nil},
		{t.TempDir(), "", "", nil},
	} {
		t.Setenv("OCIPKG_PROJECT", c.project)
		t.Setenv("OUT_DIR", c.out)
		t.Setenv("CARGO", "cargo")
		p, err := Find(c.in)
		if err != nil || !slices.Equal(p.AllowFlags(), c.want) {
			t.Errorf("%+v: got %q, %v", c, p.AllowFlags(), err)
		}
	}
}

func TestAnErrorInAProjectFileSaysWhereItIs(t *testing.T) {
	for text, want := range map[string]string{
		"[package]\nnaem = \"x\"":                                 "line 2: the key \"package.naem\" is not known; did you mean package.name?",
		"[packages]":                                              "the key \"packages\" is not known; did you mean package?",
		"[dependancies]\nz = \"a/b\"":                             "the key \"dependancies\" is not known; did you mean dependencies?",
		"[override]\n\"a.b/c\" = \"a.b/c:1\"":                     "did you mean overrides?",
		"[trust]\ncmake-config = true":                            "the key \"trust.cmake-config\" is not known",
		"[trust]\nallow-flags = \"-x\"":                           "line 2",
		"[link]\nshared = \"static\"":                             "the table [link]: shared is static; set it to true, false or \"fallback\"",
		"[dependencies]\na = { image = \"b/c\", shared = 1 }":     "the dependency \"a\": shared is 1",
		"[something]":                                             "the key \"something\" is not known; the tables are",
		"[overrides]\n\"a.b/c:1\" = \"a.b/c:2\"":                  "leave the tag out",
		"[overrides]\n\"a.b/c\" = \"1.3\"":                        "neither a tag nor a digest",
		"[overrides]\n\"a.b/C\" = \"a.b/c:2\"":                    "lower case",
		"[package\n":                                              "line 1",
		"[org.opencontainers.image]\nversion = 1":                 "is not a string",
		"[org.opencontainers.image]\ncreated = 2026-01-02":        "is not a string",
		"[org.opencontainers.image]\nurl = [\"a\"]":               "is not a string",
		"[package]\nsystem-libs = \"m\"":                          "line 2",
		"[dependencies]\nz = 1":                                   "the dependency \"z\"",
		"[dependencies]\nz = \"A B\"":                             "not a package name",
		"[dependencies]\nz = { image = \"a/b\", tagg = \"1\" }":   "the key \"tagg\" is not known; did you mean tag?",
		"[dependencies]\n\"a b\" = \"a/b\"":                       "an alias has no blank",
		"[dependencies]\nz = { image = \"a/b\", module = \"1\" }": "did you mean modules?; the keys are image, tag, cmake, shared and modules",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), FileName)); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestTheRootIsTheNearestAndNeverBeyondTheProject(t *testing.T) {
	t.Setenv("OCIPKG_PROJECT", "")
	t.Setenv("OUT_DIR", "")
	top := t.TempDir()
	for _, dir := range []string{"a/b/c", "repo/.git", "repo/sub", "module/sub", "named"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ocipkg.toml", "a/b/ocipkg.toml", "named/ocipkg.toml", "module/go.mod"} {
		if err := os.WriteFile(filepath.Join(top, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]string{"a": ".", "a/b": "a/b", "a/b/c": "a/b", "repo/sub": "", "module/sub": ""} {
		p, err := Find(filepath.Join(top, dir))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if p != nil {
			got, _ = filepath.Rel(top, p.Root)
		}
		if got != want {
			t.Errorf("from %s the root is %q, want %q", dir, got, want)
		}
	}
	t.Run("OCIPKG_PROJECT counts where there is none", func(t *testing.T) {
		t.Setenv("OCIPKG_PROJECT", filepath.Join(top, "named"))
		for dir, want := range map[string]string{"a/b/c": "a/b", "a": ".", "repo/sub": "named", "module/sub": "named"} {
			if p, err := Find(filepath.Join(top, dir)); err != nil || p == nil || p.Root != filepath.Join(top, want) {
				t.Errorf("from %s: got %+v, %v, want %s", dir, p, err, want)
			}
		}
		// CMake runs programs where it was started, and has found the project.
		t.Setenv("OCIPKG_CALLER", "cmake")
		if p, err := Find(filepath.Join(top, "a/b")); err != nil || p == nil || p.Root != filepath.Join(top, "named") {
			t.Errorf("by ocipkg.cmake: got %+v, %v", p, err)
		}
		t.Setenv("OCIPKG_PROJECT", "")
		if p, err := Find(filepath.Join(top, "a/b")); err != nil || p == nil || p.Root != filepath.Join(top, "a/b") {
			t.Errorf("where ocipkg.cmake has found none: got %+v, %v", p, err)
		}
		t.Setenv("OCIPKG_CALLER", "")
		t.Setenv("OCIPKG_PROJECT", filepath.Join(top, "repo"))
		if _, err := Find(filepath.Join(top, "repo")); !errors.Is(err, errdef.ErrNotFound) {
			t.Errorf("without a project file there: %v", err)
		}
	})
	t.Run("the search ends at the home directory", func(t *testing.T) {
		t.Setenv("HOME", filepath.Join(top, "a", "b", "c"))
		if p, err := Find(filepath.Join(top, "a", "b", "c")); err != nil || p != nil {
			t.Errorf("got %+v, %v", p, err)
		}
	})
	t.Run("under cargo it goes on from OUT_DIR", func(t *testing.T) {
		t.Setenv("CARGO", "cargo")
		t.Setenv("OUT_DIR", filepath.Join(top, "a/b/c"))
		if p, err := Find(filepath.Join(top, "repo")); err != nil || p == nil || p.Root != filepath.Join(top, "a/b") {
			t.Errorf("got %+v, %v", p, err)
		}
	})
}

func TestTheRootIsThatOfTheBuildAndNotOfOthersSource(t *testing.T) {
	top := t.TempDir()
	for name, text := range map[string]string{
		"app/ocipkg.toml":                        "[dependencies]\nzlib = \"r.example/root/zlib:1\"\nroot = \"r.example/root/r:1\"\n",
		"app/target/out/keep":                    "",
		"cargo/registry/src/i/sys-1/ocipkg.toml": "[dependencies]\nzlib = \"r.example/inner/zlib:1\"\n[overrides]\n\"r.example/root/r\" = \"r.example/bad/r:1\"\n",
	} {
		path := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for where, set := range map[string]map[string]string{
		"by OCIPKG_PROJECT": {"OCIPKG_PROJECT": filepath.Join(top, "app"), "OUT_DIR": "", "CARGO": ""},
		"by OUT_DIR":        {"OCIPKG_PROJECT": "", "OUT_DIR": filepath.Join(top, "app/target/out"), "CARGO": "cargo"},
	} {
		t.Run(where, func(t *testing.T) {
			for name, value := range set {
				t.Setenv(name, value)
			}
			p, err := Find(filepath.Join(top, "cargo/registry/src/i/sys-1"))
			if err != nil || p == nil || p.Root != filepath.Join(top, "app") {
				t.Fatalf("got %+v, %v", p, err)
			}
			for name, want := range map[string]string{"zlib": "r.example/inner/zlib:1", "root": "r.example/root/r:1"} {
				if ref, err := p.Reference(name); err != nil || ref.String() != want {
					t.Errorf("%s is %s, %v, want %s", name, ref, err, want)
				}
			}
		})
	}
}

func TestSourceInABuildBelongsToTheNearestProjectOrTheRoot(t *testing.T) {
	t.Setenv("OCIPKG_PROJECT", "")
	top := t.TempDir()
	for _, name := range []string{"app/ocipkg.toml", "app/lib/ocipkg.toml", "go/pkg/mod/dep@v1/ocipkg.toml"} {
		path := filepath.Join(top, name)
		text := "[dependencies]\n\"" + filepath.Base(filepath.Dir(name)) + "\" = \"r.example/x:1\"\n"
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(strings.Replace(text, "@", "-", 1)), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := Find(filepath.Join(top, "app"))
	if err != nil || root == nil {
		t.Fatal(root, err)
	}
	for dir, want := range map[string]struct {
		root string
		has  []string
	}{
		"app": {"app", []string{"app"}}, "app/lib": {"app/lib", []string{"lib"}},
		"go/pkg/mod/dep@v1": {"app", []string{"app", "dep-v1"}}, "go/pkg/mod/other@v1": {"app", []string{"app"}},
	} {
		p, err := root.For(filepath.Join(top, dir))
		if err != nil || p == nil || p.Root != filepath.Join(top, want.root) {
			t.Fatalf("%s: got %+v, %v, want %s", dir, p, err, want.root)
		}
		for _, alias := range []string{"app", "lib", "dep-v1"} {
			if _, has := p.Dependency(alias); has != slices.Contains(want.has, alias) {
				t.Errorf("%s: the alias %s is known: %t", dir, alias, has)
			}
		}
	}
}

func TestSourceOfOthersIsTold(t *testing.T) {
	t.Setenv("GOMODCACHE", "/caches/go")
	for dir, want := range map[string]bool{
		"/home/me/app": false, "/home/me/vendored": false,
		"/home/me/app/vendor/example.com/x": true, "/caches/go/example.com@v1": true,
		"/home/me/go/pkg/mod/example.com@v1": true, "/home/me/.cargo/registry/src/index-1/foo-sys-1.0": true,
	} {
		if got := Foreign(dir); got != want {
			t.Errorf("Foreign(%s) = %t", dir, got)
		}
	}
}
