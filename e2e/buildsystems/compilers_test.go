package buildsystems

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompilersTakeTheFlagsFromEitherProgram(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	for _, compiler := range []string{"gcc", "clang"} {
		for flags, shared := range map[string]bool{
			"ocipkg link --format shell":                                                                false,
			"ocipkg link --format shell --shared":                                                       true,
			"ocipkg-pkg-config --cflags --libs":                                                         false,
			"ocipkg-pkg-config --cflags --libs --static":                                                false,
			"ocipkg-pkg-config --cflags --libs --shared":                                                true,
			"env PKG_CONFIG_PATH=/usr/lib/x86_64-linux-gnu/pkgconfig ocipkg-pkg-config --cflags --libs": false,
		} {
			u.Run("sh", "-c", compiler+" main.c -o app $("+flags+" "+u.host+"/acme/libpng:1.6)").OK()
			u.check(t, story{program: "app", shared: shared})
		}
	}
}

func TestAFailedBuildSaysWhyAPackageCannotBeLinked(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	// The same libpng without its archive.
	archives, err := filepath.Glob(filepath.Join(u.producer.Dir, "libpng/lib/*/libpng*.a"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("found the archives %v, %v", archives, err)
	}
	for _, file := range archives {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	u.producer.Run("ocipkg", "push", "libpng", u.host+"/acme/onlyshared:1", "--annotations", "libpng.toml").OK()
	for name, reason := range map[string]string{
		"libpang:1.6":  "it is not in the registry",
		"onlyshared:1": "only there as a shared library",
	} {
		name = u.host + "/acme/" + name
		u.WriteFile("meson.build", "project('app', 'c')\ndependency('"+name+"')\n", 0o644)
		u.WriteFile("configure.ac", "AC_INIT([app], [1.0])\nAC_PROG_CC\nPKG_CHECK_MODULES([PNG], ["+name+"])\nAC_OUTPUT\n", 0o644)
		for what, script := range map[string]string{
			"configure": "autoreconf --install && ./configure PKG_CONFIG=ocipkg-pkg-config",
			"meson":     "rm -rf build && PKG_CONFIG=ocipkg-pkg-config meson setup build",
			"cc":        "set -e; flags=$(ocipkg link " + name + "); cc main.c $flags",
		} {
			r := u.Run("sh", "-c", script)
			if r.ExitCode == 0 {
				t.Errorf("%s succeeded\n%s", what, r)
			}
			said := r.Stdout + r.Stderr
			if what == "meson" { // which keeps it in its log
				said += u.Run("cat", "build/meson-logs/meson-log.txt").OK().Stdout
			}
			if !strings.Contains(said, reason) {
				t.Errorf("%s does not say why\n%s", what, said)
			}
		}
	}
}

func TestADigestIsTakenWhereANameIs(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	name := u.host + "/acme/libpng@" + u.Run("ocipkg", "get", u.host+"/acme/libpng:1.6").Digest()
	for _, b := range []struct {
		files           map[string]string
		script, program string
	}{
		{
			map[string]string{"meson.build": "project('app', 'c')\nexecutable('app', 'main.c', dependencies: dependency('" + name + "'))\n"},
			"PKG_CONFIG=ocipkg-pkg-config meson setup build && meson compile -C build", "build/app",
		},
		{
			map[string]string{
				"configure.ac": "AC_INIT([app], [1.0])\nAC_PROG_CC\nPKG_CHECK_MODULES([PNG], [" + name + "])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n",
				"Makefile.in":  "app:\n\t@CC@ main.c -o $@ @PNG_CFLAGS@ @PNG_LIBS@\n",
			},
			"autoreconf --install && ./configure PKG_CONFIG=ocipkg-pkg-config && make", "app",
		},
		{nil, "cc main.c -o cc.out $(ocipkg link " + name + ")", "cc.out"},
	} {
		for file, text := range b.files {
			u.WriteFile(file, text, 0o644)
		}
		u.Run("sh", "-c", b.script).OK()
		u.check(t, story{program: b.program})
	}
}

func TestMakeLinksSharedLibrariesWhenItAsksForThem(t *testing.T) {
	t.Parallel()
	s := readSection(t, "shell.md", "Make")
	for i := range s.Blocks {
		b := &s.Blocks[i]
		b.Text = strings.ReplaceAll(b.Text, "ocipkg link", "ocipkg link --shared")
	}
	u := newUser(t)
	u.follow(t, s)
	u.check(t, story{program: "app", shared: true})
}

func TestABuildOutsideOfTheProjectIsToldWhereItIs(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.WriteFile("src/ocipkg.toml", "[dependencies]\npicture = \""+u.host+"/acme/libpng:1.6\"\n", 0o644)
	u.WriteFile("src/meson.build", "project('app', 'c')\nexecutable('app', '../main.c', dependencies: dependency('picture'))\n", 0o644)
	setup := "mkdir $0 && cd $0 && PKG_CONFIG=ocipkg-pkg-config meson setup . ../src && meson compile"
	if r := u.Run("sh", "-c", setup, "without"); r.ExitCode == 0 {
		t.Errorf("the alias is known without the project\n%s", r)
	}
	u.Env = append(u.Env, "OCIPKG_PROJECT="+u.Dir+"/src")
	u.Run("sh", "-c", setup, "out").OK()
	u.check(t, story{program: "out/app"})
}
