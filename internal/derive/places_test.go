package derive

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLibrariesAreFoundWhereInstallationsHaveThem(t *testing.T) {
	for _, dir := range []string{
		"lib32", "usr/lib", "usr/lib/x86_64-linux-gnu", "usr/local/lib", "opt/x/lib", "z/1.3/lib", "opt/spack/linux/gcc-13/z-1.3-abc/lib",
		"home/me/out/usr/local/lib", "lib/x86_64-unknown-linux-musl", "lib/arm-linux-gnueabihf", "lib/aarch64-apple-darwin", "lib/Release",
		"lib/openblas-pthread", "lib/x86_64-linux-gnu/openblas-pthread", "lib/x64", "build", "Library/lib",
	} {
		headers := "include/z.h"
		if prefix, _, ok := strings.Cut(dir, "/lib"); ok && !strings.HasPrefix(dir, "lib") {
			headers = prefix + "/include/z.h"
		}
		p := derive(t, files(dir+"/libz.a", dir+"/libz.so", headers), Options{})
		if p == nil {
			t.Errorf("%s: nothing is found", dir)
			continue
		}
		if got, want := strings.Join(locations(p), " "), "z-shared="+dir+"/libz.so z-static="+dir+"/libz.a"; got != want {
			t.Errorf("%s: got %s", dir, got)
		}
		include := "@prefix@/" + strings.TrimSuffix(headers, "/z.h")
		if got := p.Components["z-static"].Includes.For("c"); !slices.Equal(got, []string{include}) {
			t.Errorf("%s: the headers are looked for in %q", dir, got)
		}
	}
}

func TestADirectoryWithModulesOfItsOwnHasLibraries(t *testing.T) {
	fsys := files("usr/lib/x86_64-linux-gnu/blas-pthread/libblas.a", "usr/lib/x86_64-linux-gnu/libother.a", "usr/include/x86_64-linux-gnu/blas-pthread/blas.h")
	add(fsys, "usr/lib/x86_64-linux-gnu/blas-pthread/pkgconfig/blas.pc", "prefix=/usr\nlibdir=${prefix}/lib/x86_64-linux-gnu/blas-pthread\n"+
		"Name: b\nDescription: b\nVersion: 1\nLibs: -L${libdir} -lblas\nCflags: -I${prefix}/include/x86_64-linux-gnu/blas-pthread\n")
	p := derive(t, fsys, Options{})
	if got := strings.Join(locations(p), " "); got != "blas=usr/lib/x86_64-linux-gnu/blas-pthread/libblas.a other=usr/lib/x86_64-linux-gnu/libother.a" {
		t.Errorf("got %s", got)
	}
	if got := p.Components["blas"].Includes.For("c"); !slices.Equal(got, []string{"@prefix@/usr/include/x86_64-linux-gnu/blas-pthread"}) {
		t.Errorf("the headers are looked for in %q", got)
	}
}

func TestModulesOfHomebrewAndOfAnyPrefixAreMovedWithIt(t *testing.T) {
	for prefix, dir := range map[string]string{"@@HOMEBREW_CELLAR@@/z/1.3": "z/1.3", "/usr": "usr", "/opt/z": "opt/z", "/usr/local": "."} {
		fsys := files(dir+"/lib/libz.a", dir+"/include/z/z.h")
		add(fsys, dir+"/lib/pkgconfig/zlib.pc", "prefix="+prefix+"\ndata=${prefix}/share\nName: z\nDescription: z\nVersion: 1\n"+
			"Libs: -L${prefix}/lib -lz\nCflags: -I${prefix}/include/z -I@@HOMEBREW_PREFIX@@/opt/xz/include\n")
		if dir == "." {
			for name, file := range fsys {
				delete(fsys, name)
				fsys[strings.TrimPrefix(name, "./")] = file
			}
		}
		c := derive(t, fsys, Options{}).Components["zlib"]
		want := strings.TrimSuffix("@prefix@/"+dir, "/.")
		if got := []string{c.Location, c.Includes.For("c")[0], c.PkgConfig.Variables["data"]}; !slices.Equal(got, []string{want + "/lib/libz.a", want + "/include/z", want + "/share"}) {
			t.Errorf("%s: got %q", prefix, got)
		}
		if got := strings.Join(c.Includes.For("c"), " "); strings.Contains(got, "HOMEBREW") {
			t.Errorf("%s: the headers are looked for in %s", prefix, got)
		}
	}
}

func TestAReleaseBesideADebugLibraryIsOneWithTwoConfigurations(t *testing.T) {
	p := derive(t, files("lib/Release/z.lib", "lib/Debug/zd.lib", "include/z.h"), Options{})
	if got := strings.Join(locations(p), " "); got != "z=lib/Release/z.lib" {
		t.Errorf("got %s", got)
	}
	if debug := p.Components["z"].Configurations["debug"]; debug == nil || debug.Location != "@prefix@/lib/Debug/zd.lib" {
		t.Errorf("for debugging: %v", debug)
	}
}

func TestADevelopmentLinkLeadsToItsLibraryInAnotherDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "z.c", "int z(void) { return 1; }", "lib/x", "", "usr/lib/libz.a", archive, "usr/lib/libs.a", archive,
		"usr/lib/libs.so", "INPUT(libs.so.1 -lz)\n", "usr/include/z.h", "")
	build(t, dir, "gcc", "-shared", "-fPIC", "-o", "lib/libz.so.1.2", "-Wl,-soname,libz.so.1", "z.c")
	build(t, dir, "gcc", "-shared", "-fPIC", "-o", "lib/libs.so.1", "-Wl,-soname,libs.so.1", "z.c")
	for link, target := range map[string]string{"lib/libz.so.1": "libz.so.1.2", "usr/lib/libz.so": "../../lib/libz.so.1.2"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	want := "s-shared=lib/libs.so.1,usr/lib/libs.so s-static=usr/lib/libs.a z-shared=lib/libz.so.1,usr/lib/libz.so z-static=usr/lib/libz.a"
	if got := strings.Join(locations(derive(t, os.DirFS(dir), Options{Warn: func(text string) { t.Error(text) }})), " "); got != want {
		t.Errorf("got %s", got)
	}
}

func TestLibrariesThatAreNotLookedForAreTold(t *testing.T) {
	for name, test := range map[string]struct {
		tree []string
		want string
	}{
		"in two places":                {[]string{"a/libz.a", "b/liby.a"}, "a/libz.a, b/liby.a: nothing looks for libraries there"},
		"beside others":                {[]string{"lib/libx.a", "lib/python/config/libz.a"}, "lib/python/config/libz.a: nothing"},
		"many":                         {[]string{"lib/libx.a", "s/a.a", "s/b.a", "s/c.a", "s/d.a", "s/e.a"}, "s/a.a, s/b.a, s/c.a and 2 more: nothing"},
		"of one name":                  {[]string{"lib/libz.a", "lib64/libz.a"}, "lib64/libz.a (lib): left out"},
		"one link to the other":        {[]string{"lib/libz.a", "lib64/libz.a -> ../lib/libz.a"}, ""},
		"hidden ones":                  {[]string{"lib/libx.a", "s/._libz.a", ".libs/libz.a"}, ""},
		"for debugging":                {[]string{"lib/libx.a", "debug/lib/libxd.a"}, ""},
		"of a name that is no library": {[]string{"lib/libx.a", "src/z.c", "src/a.so"}, ""},
	} {
		var warnings []string
		derive(t, files(test.tree...), Options{Warn: func(text string) { warnings = append(warnings, text) }})
		if len(warnings) > 1 || (len(warnings) == 0) != (test.want == "") || !strings.HasPrefix(strings.Join(warnings, ""), test.want) {
			t.Errorf("%s: warned of %q, want %q", name, warnings, test.want)
		}
	}
}
