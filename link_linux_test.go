package ocipkg_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg"
)

func TestTheCPSDocumentHasThePathsOfThisMachine(t *testing.T) {
	ctx := context.Background()
	client, name := inStore(t, exampleFiles(), "")
	text, err := client.Link(ctx, []string{name}, ocipkg.LinkOptions{Format: ocipkg.FormatCPS})
	if err != nil {
		t.Fatal(err)
	}
	p, err := client.Directory(name, "")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid([]byte(text)) || !strings.Contains(text, filepath.ToSlash(p.Directory)+"/include") || strings.Contains(text, "@prefix@/") {
		t.Errorf("got %s", text)
	}
	if _, err := client.Link(ctx, []string{name, name}, ocipkg.LinkOptions{Format: ocipkg.FormatCPS}); !errors.Is(err, ocipkg.ErrUsage) {
		t.Errorf("of two packages: %v", err)
	}
}

func TestAnAliasOfTheProjectIsLinkedAsTheProjectAsks(t *testing.T) {
	ctx := context.Background()
	client, name := inStore(t, sharedLibraries(t), "")
	dir := tempDir()
	t.Chdir(dir)
	if err := os.WriteFile("ocipkg.toml", []byte("[dependencies]\na = { image = \""+strings.TrimSuffix(name, ":1")+"\", tag = \"1\", shared = true }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Link(ctx, []string{name}, ocipkg.LinkOptions{}); err == nil || !strings.Contains(err.Error(), "--shared") || strings.Count(err.Error(), "link "+name) != 1 {
		t.Errorf("static, of a package with shared libraries only: %v", err)
	}
	flags, err := client.Link(ctx, []string{"a"}, ocipkg.LinkOptions{})
	if err != nil || !strings.Contains(flags, "-rpath") {
		t.Errorf("by the alias: %q, %v", flags, err)
	}
}

func TestAProgramStartsWhateverNamesASharedLibraryLacks(t *testing.T) {
	for name, c := range map[string]struct{ file, description string }{
		"a soname that no file has":     {"libone.so", ""},
		"a runtime file alone":          {"libone.so.1.2", ""},
		"described by a .pc file":       {"libone.so", "Libs: -L${prefix}/lib -lone"},
		"beside another in a .pc file":  {"libone.so", "Libs: -L${prefix}/lib -ltwo -lone"},
		"described by a CPS document":   {"libone.so", `{"name": "one", "cps_version": "0.13.0", "cps_path": "@prefix@/cps", "components": {"one": {"type": "dylib", "location": "@prefix@/lib/libone.so"}}}`},
		"another directory than a link": {"../lib64/libone.so.1", ""},
		"a linker script to elsewhere":  {"libone.so.1", "/* GNU ld script */ GROUP ( /nowhere/lib/libone.so.1 AS_NEEDED ( -lm ) )"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			dir := tempDir()
			lib := filepath.Join(dir, "lib")
			writeFile(t, lib, "one.c", "int one(void) { return 1; }\n")
			writeFile(t, lib, "two.c", "int two(void) { return 2; }\n")
			writeFile(t, filepath.Join(dir, "lib64"), "README", "\n")
			cc(t, lib, "-shared", "-fPIC", "-o", c.file, "-Wl,-soname,libone.so.1", "one.c")
			switch {
			case strings.HasPrefix(c.file, ".."):
				if err := os.Symlink(c.file, filepath.Join(lib, "libone.so")); err != nil {
					t.Fatal(err)
				}
			case strings.HasPrefix(c.description, "{"):
				writeFile(t, filepath.Join(dir, "cps"), "one.cps", c.description)
			case strings.HasPrefix(c.description, "/*"):
				writeFile(t, lib, "libone.so", c.description+"\n")
			case c.description != "":
				cc(t, lib, "-shared", "-fPIC", "-o", "libtwo.so", "-Wl,-soname,libtwo.so", "two.c")
				writeFile(t, lib, "pkgconfig/one.pc", "prefix=/nowhere\nName: one\nDescription: one\nVersion: 1\n"+c.description+"\n")
			}
			client, name := inStore(t, dir, "")
			flags, err := client.Link(ctx, []string{name}, ocipkg.LinkOptions{Shared: true})
			if err != nil {
				t.Fatal(err)
			}
			work := tempDir()
			writeFile(t, work, "main.c", "int one(void); int main(void) { return one() != 1; }\n")
			cc(t, work, append([]string{"main.c", "-o", "main"}, strings.Fields(flags)...)...)
			if out, err := exec.Command(filepath.Join(work, "main")).CombinedOutput(); err != nil {
				t.Errorf("linked with %s: %v: %s", flags, err, out)
			}
			bundled, err := client.Bundle(ctx, filepath.Join(work, "lib"), []string{name}, ocipkg.BundleOptions{})
			if err != nil || !slices.Contains(bundled, filepath.Join(work, "lib", "libone.so.1")) {
				t.Errorf("bundled: %q, %v", bundled, err)
			}
		})
	}
}

func TestAProjectAllowsTheFlagsOfItsPackages(t *testing.T) {
	ctx := context.Background()
	tree := exampleFiles()
	dir := tempDir()
	if err := os.CopyFS(dir, os.DirFS(tree)); err != nil {
		t.Fatal(err)
	}
	document := `{"name": "a", "cps_version": "0.13.0", "cps_path": "@prefix@", "components": {"a": {"type": "interface", "compile_flags": ["-imacros", "@prefix@/a.h"]}}}`
	if err := os.WriteFile(filepath.Join(dir, "a.cps"), []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	client, name := inStore(t, dir, "")
	t.Chdir(tempDir())
	flag := "-imacros @prefix@/a.h"
	for _, project := range []string{"", "[trust]\nallow-flags = [\"-imacros\", \"-imacros @prefix@/b.h\"]\n"} {
		if err := os.WriteFile("ocipkg.toml", []byte(project), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{ocipkg.FormatShell, ocipkg.FormatCargo, ocipkg.FormatJSON, ocipkg.FormatCPS} {
			if text, err := client.Link(ctx, []string{name}, ocipkg.LinkOptions{Format: format}); err == nil || !strings.Contains(err.Error(), flag) {
				t.Errorf("%s: got %s, %v", format, text, err)
			}
			if _, err := client.Link(ctx, []string{name}, ocipkg.LinkOptions{Format: format, AllowFlags: []string{flag}}); err != nil {
				t.Errorf("%s, allowed by a flag: %v", format, err)
			}
		}
		if err := client.CMake(ctx, name, ocipkg.CMakeOptions{Name: "a", Directory: tempDir()}); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("CMake: %v", err)
		}
	}
	if err := os.WriteFile("ocipkg.toml", []byte("[trust]\nallow-flags = [\""+flag+"\"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := client.CMake(ctx, name, ocipkg.CMakeOptions{Name: "a", Directory: tempDir()}); err != nil {
		t.Errorf("CMake, allowed by the project: %v", err)
	}
	text, err := client.Link(ctx, []string{name}, ocipkg.LinkOptions{})
	if err != nil || !strings.HasPrefix(text, "-imacros "+rootOf(t, client, name)+"/a.h") {
		t.Errorf("allowed by the project: got %s, %v", text, err)
	}
}

// rootOf is where the store has a package.
func rootOf(t *testing.T, client *ocipkg.Client, name string) string {
	t.Helper()
	p, err := client.Directory(name, "")
	if err != nil {
		t.Fatal(err)
	}
	return p.Directory
}

func TestWithoutNamesTheProjectsDependenciesAreLinkedAndBundled(t *testing.T) {
	ctx := context.Background()
	client, name := inStore(t, sharedLibraries(t), "")
	t.Chdir(tempDir())
	if _, err := client.Link(ctx, nil, ocipkg.LinkOptions{}); !errors.Is(err, ocipkg.ErrUsage) || !strings.Contains(err.Error(), "ocipkg.toml") {
		t.Errorf("without a project: %v", err)
	}
	writeFile(t, ".", "ocipkg.toml", "")
	if _, err := client.Bundle(ctx, "lib", nil, ocipkg.BundleOptions{}); !errors.Is(err, ocipkg.ErrUsage) || !strings.Contains(err.Error(), "[dependencies]") {
		t.Errorf("without dependencies: %v", err)
	}
	for shared, want := range map[string]struct{ linked, bundled bool }{
		"":                      {false, true}, // linked with --shared, perhaps
		"shared = true":         {true, true},
		"shared = \"fallback\"": {true, true},
	} {
		writeFile(t, ".", "ocipkg.toml", "[link]\n"+shared+"\n[dependencies]\na = \""+name+"\"\n")
		flags, err := client.Link(ctx, nil, ocipkg.LinkOptions{})
		if (err == nil && strings.Contains(flags, "-la")) != want.linked || err != nil && !strings.Contains(err.Error(), `shared = "fallback"`) {
			t.Errorf("%s: linked as %q, %v", shared, flags, err)
		}
		files, err := client.Bundle(ctx, tempDir(), nil, ocipkg.BundleOptions{})
		if (err == nil && len(files) == 3) != want.bundled {
			t.Errorf("%s: bundled %q, %v", shared, files, err)
		}
		if _, err := client.Link(ctx, nil, ocipkg.LinkOptions{Static: true}); err == nil {
			t.Errorf("%s: linked with --static, of which there is none", shared)
		}
		if flags, err := client.Link(ctx, nil, ocipkg.LinkOptions{Shared: true}); err != nil || !strings.Contains(flags, "-la") {
			t.Errorf("%s, with --shared: %q, %v", shared, flags, err)
		}
	}
	writeFile(t, ".", "ocipkg.toml", "[dependencies]\na = { image = \""+strings.TrimSuffix(name, ":1")+"\", tag = \"1\", shared = false }\n")
	if files, err := client.Bundle(ctx, tempDir(), nil, ocipkg.BundleOptions{}); err == nil {
		t.Errorf("of what is linked statically, %q is bundled", files)
	}
	for _, forgotten := range []string{"a", name} {
		if _, err := client.Bundle(ctx, forgotten, nil, ocipkg.BundleOptions{}); !errors.Is(err, ocipkg.ErrUsage) {
			t.Errorf("into a directory with the name of a package, %s: %v", forgotten, err)
		}
	}
}

func TestALibraryIsFoundByEachNameThatItsPackageHas(t *testing.T) {
	ctx := context.Background()
	dir := tempDir()
	lib := filepath.Join(dir, "lib")
	writeFile(t, lib, "one.c", "int one(void) { return 0; }\n")
	writeFile(t, lib, "pkgconfig/one.pc", "prefix=${pcfiledir}/../..\nName: one\nDescription: one\nVersion: 1\nLibs: -L${prefix}/lib -lone16\n")
	cc(t, lib, "-c", "-fPIC", "one.c")
	cc(t, lib, "-shared", "-o", "libone16.so", "-Wl,-soname,libone16.so", "one.o")
	if out, err := exec.Command("ar", "rcs", filepath.Join(lib, "libone16.a"), filepath.Join(lib, "one.o")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, suffix := range []string{".a", ".so"} {
		if err := os.Symlink("libone16"+suffix, filepath.Join(lib, "libone"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	client, name := inStore(t, dir, "")
	work := tempDir()
	writeFile(t, work, "main.c", "int one(void); int main(void) { return one(); }\n")
	for _, shared := range []bool{false, true} {
		text, err := client.Link(ctx, []string{name}, ocipkg.LinkOptions{Format: ocipkg.FormatJSON, Shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		var flags struct{ LibDirs []string }
		if err := json.Unmarshal([]byte(text), &flags); err != nil || len(flags.LibDirs) != 1 {
			t.Fatalf("%s: %v", text, err)
		}
		cc(t, work, "-o", "app", "main.c", "-L"+flags.LibDirs[0], "-lone")
		needed, err := exec.Command("readelf", "-d", filepath.Join(work, "app")).Output()
		if err != nil || strings.Contains(string(needed), "libone16.so") != shared {
			t.Errorf("shared %v: %v\n%s", shared, err, needed)
		}
	}
	if report, err := client.Fsck(ctx, nil, ocipkg.FsckOptions{}); err != nil || len(report.Damage) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
