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
	if _, err := client.Link(ctx, []string{name}, ocipkg.LinkOptions{}); err == nil || !strings.Contains(err.Error(), "--shared") {
		t.Errorf("static, of a package with shared libraries only: %v", err)
	}
	flags, err := client.Link(ctx, []string{"a"}, ocipkg.LinkOptions{})
	if err != nil || !strings.Contains(flags, "-rpath") {
		t.Errorf("by the alias: %q, %v", flags, err)
	}
}
