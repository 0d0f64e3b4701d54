package system

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
)

// modules has the real pkg-config know the modules of a directory alone, by the .pc file's name.
func modules(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name+".pc"), []byte("Name: "+name+"\nDescription: for a test\n"+text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PKG_CONFIG_LIBDIR", dir)
	t.Setenv("PKG_CONFIG_PATH", "")
	t.Setenv("OCIPKG_REAL_PKG_CONFIG", "")
}

func TestFlagsAreCompletedByWhatTheSystemSays(t *testing.T) {
	if _, err := exec.LookPath("pkg-config"); err != nil && runtime.GOOS == "windows" {
		return // no pkg-config belongs to that system
	}
	modules(t, map[string]string{
		"one": "Version: 1.2\nCflags: -DONE\nLibs: -L/one -lone",
		"two": "Version: 2\nCflags: -DTWO\nLibs: -ltwo",
	})
	for name, test := range map[string]struct {
		asked []link.SystemPackage
		want  string
		fails []string // what the error says
	}{
		"nothing":      {nil, "", nil},
		"to link":      {[]link.SystemPackage{{Name: "one", Link: true, By: "p:a"}}, "-L/one -lone", nil},
		"to compile":   {[]link.SystemPackage{{Name: "one", Compile: true, By: "p:a"}}, "-DONE", nil},
		"both":         {[]link.SystemPackage{{Name: "one", Compile: true, Link: true, By: "p:a"}, {Name: "two", Link: true, By: "p:a"}}, "-DONE -L/one -lone -ltwo", nil},
		"new enough":   {[]link.SystemPackage{{Name: "one", Constraints: []string{">= 1", "< 2"}, Link: true, By: "p:a"}}, "-L/one -lone", nil},
		"too old":      {[]link.SystemPackage{{Name: "one", Constraints: []string{">= 1", ">= 2"}, Link: true, By: "p:a"}}, "", []string{"p:a requires one >= 1, one >= 2", "install it"}},
		"nowhere":      {[]link.SystemPackage{{Name: "one", Link: true, By: "p:a"}, {Name: "three", By: "p:b"}}, "", []string{"p:b requires three", "have the author of p:b"}},
		"no such name": {[]link.SystemPackage{{Name: "--define-variable=x", Link: true, By: "p:a"}}, "", []string{"cannot be a package of the system"}},
	} {
		flags := &link.Flags{System: test.asked}
		p := &PkgConfig{}
		err := p.Complete(flags)
		p.Close()
		if got := strings.Join(flags.Args(link.AllArgs), " "); err == nil && got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
		if (err != nil) != (test.fails != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && slices.ContainsFunc(test.fails, func(word string) bool { return !strings.Contains(err.Error(), word) }) {
			t.Errorf("%s: %v, which does not say %q", name, err, test.fails)
		}
		if name == "nowhere" && !errors.Is(err, errdef.ErrNotFound) {
			t.Errorf("%s: %v is of another kind", name, err)
		}
	}
}

func TestAVariableOfTheEnvironmentTakesThePlaceOfTheModules(t *testing.T) {
	for name, want := range map[string]string{"gtk+-3.0": "GTK__3_0", "zlib": "ZLIB", "libdir": "LIBDIR"} {
		if got := inEnvironment(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
