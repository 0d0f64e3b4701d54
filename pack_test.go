package ocipkg_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg"
)

func TestTarIsAddedToAnOutputAndNothingIsCutFromIt(t *testing.T) {
	files := exampleFiles()
	for output, want := range map[string]string{
		"app-1.1":         "app-1.1.tar",
		"app.tar":         "app.tar",
		"a.tar.gz":        "a.tar.gz.tar",
		"oci-archive:b":   "b.tar",
		"with space":      "with space.tar",
		"oci:layout":      "layout/index.json",
		"oci:layout2:1.0": "layout2/index.json",
	} {
		dir := tempDir()
		t.Chdir(dir)
		if _, err := ocipkg.Pack(context.Background(), files, output, ocipkg.PackOptions{}); err != nil {
			t.Errorf("%s: %v", output, err)
		}
		if _, err := os.Stat(filepath.FromSlash(want)); err != nil {
			t.Errorf("%s: %v", output, err)
		}
	}
}

func TestAnOutputThatCannotBeIsRefusedAndNothingIsLeft(t *testing.T) {
	files := exampleFiles()
	dir := tempDir()
	existing := filepath.Join(dir, "old.tar")
	if err := os.WriteFile(existing, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(files, link); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		output string
		kind   error
		want   string
	}{
		"one that exists":              {existing, ocipkg.ErrUsage, "exists already"},
		"one in the input":             {filepath.Join(files, "out.tar"), ocipkg.ErrUsage, "in the directory that is packed"},
		"one in the input, by a link":  {filepath.Join(link, "include", "out.tar"), ocipkg.ErrUsage, "in the directory that is packed"},
		"one in a missing directory":   {filepath.Join(dir, "none", "out.tar"), ocipkg.ErrNotFound, "make it first"},
		"one without a name":           {dir + "/", ocipkg.ErrUsage, "no name"},
		"a layout without a directory": {"oci:", ocipkg.ErrUsage, "names no directory"},
	} {
		_, err := ocipkg.Pack(context.Background(), files, c.output, ocipkg.PackOptions{})
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want one of kind %v with %q", name, err, c.kind, c.want)
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
	if raw, _ := os.ReadFile(existing); string(raw) != "old" {
		t.Error("the old output is gone")
	}
}

func TestTwoFilesForOneDestinationAreRefused(t *testing.T) {
	files := exampleFiles()
	header := filepath.Join(files, "include", "greet.h")
	for _, inputs := range [][]ocipkg.Input{
		{{Path: header, Dest: "a"}, {Path: filepath.Join(files, "README"), Dest: "a"}},
		{{Path: header}, {Path: filepath.Join(files, "README"), Dest: "./greet.h"}},
		{{Path: header, Dest: "a"}, {Path: filepath.Join(files, "README"), Dest: "a/b"}},
	} {
		_, err := ocipkg.Compose(context.Background(), inputs, filepath.Join(tempDir(), "out"), ocipkg.PackOptions{})
		if err == nil {
			t.Errorf("%v: no error", inputs)
		}
	}
}

func TestADestinationOutsideThePackageIsRefused(t *testing.T) {
	header := filepath.Join(exampleFiles(), "include", "greet.h")
	for _, dest := range []string{"../greet.h", "/greet.h", "a/../../greet.h"} {
		_, err := ocipkg.Compose(context.Background(), []ocipkg.Input{{Path: header, Dest: dest}}, filepath.Join(tempDir(), "out"), ocipkg.PackOptions{})
		if err == nil || !strings.Contains(err.Error(), "the path ") {
			t.Errorf("%s: %v", dest, err)
		}
	}
}

func TestALayoutThatCarriesOnlyATagHasNoNameToPushTo(t *testing.T) {
	dir := filepath.Join(tempDir(), "layout")
	if _, err := ocipkg.Pack(context.Background(), exampleFiles(), "oci:"+dir+":1.0", ocipkg.PackOptions{}); err != nil {
		t.Fatal(err)
	}
	client := &ocipkg.Client{Store: tempDir()}
	_, err := client.Push(context.Background(), "oci:"+dir+":1.0", nil, ocipkg.PackOptions{})
	if !errors.Is(err, ocipkg.ErrUsage) || !strings.Contains(err.Error(), "carries no name") {
		t.Errorf("pushed by a tag alone: %v", err)
	}
	p, err := client.Load(context.Background(), "oci:"+dir, ocipkg.GetOptions{})
	if err != nil || p.Name != "" {
		t.Errorf("loaded as %+v, %v", p, err)
	}
	if again, err := client.Directory(p.Digest.String(), ""); err != nil || again.Directory != p.Directory {
		t.Errorf("by its digest: %+v, %v", again, err)
	}
}

func TestAPlatformThatTheFilesAreNotForIsRefused(t *testing.T) {
	dir := tempDir()
	program, err := os.Executable() // compiled for this machine
	if err != nil {
		t.Fatal(err)
	}
	inputs := []ocipkg.Input{{Path: program, Dest: "bin/program"}}
	for platform, kind := range map[string]error{"linux/s390x": ocipkg.ErrPlatform, "lunix/amd64": ocipkg.ErrUsage, "any": nil} {
		_, err := ocipkg.Compose(context.Background(), inputs, filepath.Join(dir, strings.ReplaceAll(platform, "/", "-")), ocipkg.PackOptions{Platform: platform})
		if !errors.Is(err, kind) {
			t.Errorf("%s: %v, want %v", platform, err, kind)
		}
	}
}

func TestAProducerIsToldWhatConsumersWillMiss(t *testing.T) {
	dir := tempDir()
	t.Setenv("OCIPKG_HOME", filepath.Join(dir, "store"))
	file := func(name, content string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	client := ocipkg.Client{}
	defer client.Close()
	dependency := func(alias, library string) string {
		t.Helper()
		file(alias+"/lib/"+library, "!<arch>\n")
		archive, name := filepath.Join(dir, alias+".tar"), "localhost:1/t/"+alias
		desc, err := ocipkg.Pack(context.Background(), filepath.Join(dir, alias), archive, ocipkg.PackOptions{Name: name + ":1", Platform: "any"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Load(context.Background(), archive, ocipkg.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		return "[dependencies]\n" + alias + " = \"" + name + "@" + desc.Digest.String() + "\"\n"
	}
	file("f/usr/lib/libf.a", "!<arch>\n")
	file("f/usr/lib/pkgconfig/f.pc", "prefix=/usr\nName: f\nDescription: f\nVersion: 1\nLibs: -L${prefix}/lib -lf -Wl,--wrap=malloc\nLibs.private: -lz -lm -Wl,-T,script.ld\n")
	file("f/usr/lib/pkgconfig/._f.pc", "\x00\x05\x16\x07")
	const (
		refused = "-Wl,--wrap=malloc, -Wl,-T,script.ld: flags that are not on the list"
		needed  = "-lz: needed, and in neither"
		hidden  = "usr/lib/pkgconfig/._f.pc: a hidden file"
	)
	for name, c := range map[string]struct {
		project string
		want    []string
	}{
		"without a project":                 {"", []string{hidden, needed, refused}},
		"with a system's library":           {"[package]\nsystem-libs = [\"z\"]\n", []string{hidden, refused}},
		"with a dependency":                 {dependency("compression", "libz.a"), []string{hidden, refused}},
		"with one that the store has not":   {"[dependencies]\nzlib = \"localhost:1/t/none:1\"\n", []string{hidden, refused}},
		"with one that has another library": {dependency("graphics", "libpng.a"), []string{hidden, needed, refused}},
	} {
		var warnings []string
		options := ocipkg.PackOptions{Platform: "linux/amd64", Force: true, Warn: func(line string) { warnings = append(warnings, line) }}
		if c.project != "" {
			options.Project = file("project/ocipkg.toml", c.project)
		}
		if _, err := ocipkg.Pack(context.Background(), filepath.Join(dir, "f"), filepath.Join(dir, "f.tar"), options); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.EqualFunc(warnings, c.want, strings.HasPrefix) {
			t.Errorf("%s: warned of %q", name, warnings)
		}
		options.Strict = true
		if _, err := ocipkg.Pack(context.Background(), filepath.Join(dir, "f"), filepath.Join(dir, "strict.tar"), options); !errors.Is(err, ocipkg.ErrUsage) || !strings.Contains(err.Error(), refused) {
			t.Errorf("%s, strictly: %v", name, err)
		}
	}
}
