package cgo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
)

// encodePNG runs from Go the C program with which all build systems are tested.
const encodePNG = `package main

/*
#cgo pkg-config: NAME
#define main encode_and_decode
#include "c/main.c"
*/
import "C"

import "os"

func main() {
	code := C.encode_and_decode()
	C.fflush(nil)
	os.Exit(int(code))
}
`

func TestProgramTakesLibpngAndZlibFromTheStore(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join("..", "buildsystems", "testdata", "png", "main.c"))
	if err != nil {
		t.Fatal(err)
	}
	registry := registrytest.StartMemory(t)
	name := publishPNG(t, registry)
	s := goUser(t)
	s.WriteFile("go.mod", "module example.com\n\ngo 1.24\n", 0o644)
	s.WriteFile("c/main.c", string(source), 0o644)
	s.WriteFile("ocipkg.toml", "[dependencies]\npng = { image = \""+name+"\", shared = true }\n", 0o644)
	for _, test := range []struct {
		names, kind string
		shared      bool
	}{
		{name, ".a", false},
		{"--shared " + name, ".so", true},
		{"png", ".so", true},
	} {
		s.WriteFile("main.go", strings.Replace(encodePNG, "NAME", test.names, 1), 0o644)
		trace := s.Run("go", "build", "-o", "app", "-ldflags=-linkmode=external -extldflags=-Wl,--trace", ".").OK()
		checkTaken(t, s.Dir, strings.Fields(trace.Stderr), storetest.Dir(s), test.kind)
		said, mappings, _ := strings.Cut(s.Run("./app").OK().Stdout, "\n")
		if said != "a PNG of 2250 bytes, 58546228, came back" || (mappings != "") != test.shared {
			t.Errorf("%s: the program says %q and has the mappings %q", test.names, said, mappings)
		}
		if test.shared {
			checkTaken(t, s.Dir, strings.Fields(mappings), storetest.Dir(s), test.kind)
		}
	}
}

// checkTaken checks that of the words those which name libpng and zlib are files
// of one kind in the store, and that there are some of libpng.
func checkTaken(t *testing.T, dir string, words []string, store, kind string) {
	t.Helper()
	found := false
	for _, word := range words {
		word, _, _ = strings.Cut(word, "(") // a member of an archive
		base := filepath.Base(word)
		if !strings.HasPrefix(base, "libz.") && !strings.HasPrefix(base, "libpng") {
			continue
		}
		found = found || strings.HasPrefix(base, "libpng")
		if !strings.HasPrefix(word, store+"/packages/") || !strings.Contains(base, kind) {
			t.Errorf("%s was taken, which is no %s of the store", word, kind)
		}
	}
	if !found {
		t.Errorf("libpng is not among %q", words)
	}
}
