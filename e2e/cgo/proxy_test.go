package cgo

import (
	"archive/zip"
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// proxyDir is the directory that a session has for a module proxy.
func proxyDir(s *program.Session) string { return filepath.Join(s.Home, "proxy") }

// release puts a version of a module into the session's proxy, as
// https://go.dev/ref/mod#goproxy-protocol has it.
func release(t testing.TB, s *program.Session, module, version string, files map[string]string) {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(module + "@" + version + "/" + path)
		if err == nil {
			_, err = f.Write([]byte(files[path]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(proxyDir(s), filepath.FromSlash(module), "@v")
	for name, content := range map[string]string{
		"list":            version + "\n",
		version + ".info": `{"Version":"` + version + `"}`,
		version + ".mod":  files["go.mod"],
		version + ".zip":  archive.String(),
	} {
		s.WriteFile(filepath.Join(dir, name), content, 0o644)
	}
}
