package link

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/derive"
)

// run runs a command in dir and gives what it prints.
func run(t *testing.T, dir string, command ...string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// makePackage builds a library in both kinds, which say which they are, and makes the views of its package.
func makePackage(t *testing.T, dir, name, source string, flags ...string) *Package {
	t.Helper()
	root := filepath.Join(dir, name)
	write(t, filepath.Join(root, "include", name+".h"), "const char *"+name+"(void);\n")
	write(t, filepath.Join(root, "lib", name+".c"), source)
	lib := filepath.Join(root, "lib")
	run(t, lib, append([]string{"gcc", "-c", "-fPIC", "-DKIND=\"static\"", name + ".c"}, flags...)...)
	run(t, lib, "ar", "rcs", "lib"+name+".a", name+".o")
	run(t, lib, append([]string{"gcc", "-shared", "-fPIC", "-DKIND=\"shared\"", "-o", "lib" + name + ".so.1", "-Wl,-soname,lib" + name + ".so.1", name + ".c"}, flags...)...)
	if err := os.Symlink("lib"+name+".so.1", filepath.Join(lib, "lib"+name+".so")); err != nil {
		t.Fatal(err)
	}
	return installed(t, root, name)
}

// installed derives the description of a tree and makes its views.
func installed(t *testing.T, root, name string) *Package {
	t.Helper()
	document, err := derive.Package(os.DirFS(root), derive.Options{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	p := &Package{Name: name, Root: root, StaticView: root + ".static", SharedView: root + ".shared", CPS: document}
	static, shared := document.Views()
	for view, entries := range map[string][]cps.ViewEntry{p.StaticView: static, p.SharedView: shared} {
		for _, e := range entries {
			if err := os.MkdirAll(view, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(root, e.Target), filepath.Join(view, e.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

func TestAProgramLinksAndRuns(t *testing.T) {
	dir := t.TempDir()
	base := makePackage(t, dir, "base", `const char *base(void) { return "base " KIND; }`)
	top := makePackage(t, dir, "top", `
#include <stdio.h>
#include <math.h>
#include "base.h"
static char text[100];
volatile double half = 0.5;
const char *top(void) { snprintf(text, sizeof text, "top " KIND ", %s, %.3f", base(), cos(half)); return text; }
`, "-I"+base.Root+"/include", "-L"+base.Root+"/lib", "-lbase", "-lm")
	// Their maker says so; the loader's list alone does not tell whose libbase it is.
	for _, name := range []string{"top-static", "top-shared"} {
		c := top.CPS.Components[name]
		c.LinkLibraries = nil
		if c.Type == cps.Archive {
			c.LinkLibraries, c.LinkRequires = []string{"m"}, []string{"base"}
		} else {
			c.DyldRequires = []string{"base"}
		}
	}
	write(t, filepath.Join(dir, "main.c"), "#include <stdio.h>\n#include <top.h>\nint main(void) { puts(top()); return 0; }\n")
	for kind, want := range map[string]string{"static": "top static, base static, 0.878\n", "shared": "top shared, base shared, 0.878\n"} {
		f, err := Link([]*Package{top, base}, []Request{{Package: top}}, Options{Shared: kind == "shared"})
		if err != nil {
			t.Fatal(err)
		}
		trace := run(t, dir, "sh", "-c", "cc -Wl,--trace -o "+kind+" main.c "+f.Shell(AllArgs))
		if !strings.Contains(trace, dir+"/top."+kind+"/libtop") {
			t.Errorf("%s: the linker did not take the package's library: %s", kind, trace)
		}
		if got := run(t, dir, "./"+kind); got != want {
			t.Errorf("%s: the program says %q, want %q", kind, got, want)
		}
	}
}

func TestALibraryInADirectoryWithABlankLinks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b$c")
	p := makePackage(t, dir, "foo", `const char *foo(void) { return KIND; }`)
	write(t, filepath.Join(dir, "main.c"), "#include <stdio.h>\n#include <foo.h>\nint main(void) { puts(foo()); return 0; }\n")
	for _, kind := range []string{"static", "shared"} {
		f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{Shared: kind == "shared"})
		if err != nil {
			t.Fatal(err)
		}
		run(t, dir, "sh", "-c", "eval cc -o "+kind+" main.c '"+f.Shell(AllArgs)+"'")
		if got := run(t, dir, "./"+kind); got != kind+"\n" {
			t.Errorf("%s: the program says %q", kind, got)
		}
	}
}
