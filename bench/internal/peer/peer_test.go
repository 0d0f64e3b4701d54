package peer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatIsMissingIsNamed(t *testing.T) {
	dir := t.TempDir()
	for _, p := range debian {
		if p.program == "umoci" || p.program == "pkg-config" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, p.program), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	_, err := Prepare(t.Context(), t.TempDir(), false)
	if err == nil || !strings.Contains(err.Error(), ": umoci pkgconf; install them, or let INSTALL=1") {
		t.Errorf("got %v", err)
	}
}
