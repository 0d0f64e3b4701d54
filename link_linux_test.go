package ocipkg_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
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

func TestAProjectAllowsTheFlagsOfItsPackages(t *testing.T) {
	ctx := context.Background()
	tree := exampleFiles()
	dir := tempDir()
	if err := os.CopyFS(dir, os.DirFS(tree)); err != nil {
		t.Fatal(err)
	}
	document := `{"name": "a", "cps_version": "0.13.0", "cps_path": "@prefix@", "components": {"a": {"type": "interface", "compile_flags": ["-include", "@prefix@/a.h"]}}}`
	if err := os.WriteFile(filepath.Join(dir, "a.cps"), []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	client, name := inStore(t, dir, "")
	t.Chdir(tempDir())
	flag := "-include @prefix@/a.h"
	for _, project := range []string{"", "[trust]\nallow-flags = [\"-include\", \"-include @prefix@/b.h\"]\n"} {
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
	if err != nil || !strings.HasPrefix(text, "-include "+rootOf(t, client, name)+"/a.h") {
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
