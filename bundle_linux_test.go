package ocipkg_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg"
)

// cc runs the C compiler in dir.
func cc(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("cc", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cc %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// sharedLibraries makes a tree with liba, which its .pc file describes, and
// libcore, which only liba knows of.
func sharedLibraries(t *testing.T) string {
	t.Helper()
	dir := tempDir()
	lib := filepath.Join(dir, "lib")
	writeFile(t, lib, "a.c", "int core(void); int a(void) { return core() + 1; }\n")
	writeFile(t, lib, "core.c", "int core(void) { return 41; }\n")
	cc(t, lib, "-shared", "-fPIC", "-o", "libcore.so.2", "-Wl,-soname,libcore.so.2", "core.c")
	cc(t, lib, "-shared", "-fPIC", "-o", "liba.so.1.2.3", "-Wl,-soname,liba.so.1", "a.c", "libcore.so.2")
	for link, target := range map[string]string{"liba.so.1": "liba.so.1.2.3", "liba.so": "liba.so.1"} {
		if err := os.Symlink(target, filepath.Join(lib, link)); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, lib, "pkgconfig/a.pc", "prefix=/nowhere\nName: a\nDescription: a\nVersion: 1.2.3\nLibs: -L${prefix}/lib -la\n")
	return dir
}

// inStore brings a package of dir into a store of its own, under the name that
// it gives.
func inStore(t *testing.T, dir, platform string) (*ocipkg.Client, string) {
	t.Helper()
	const name = "example.com/a:1"
	archive := filepath.Join(tempDir(), "a.tar")
	if _, err := ocipkg.Pack(context.Background(), dir, archive, ocipkg.PackOptions{Name: name, Platform: platform}); err != nil {
		t.Fatal(err)
	}
	client := &ocipkg.Client{Store: tempDir()}
	if _, err := client.Load(context.Background(), archive, ocipkg.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	return client, name
}

func TestABundleHasAllLibrariesThatAProgramLoads(t *testing.T) {
	client, name := inStore(t, sharedLibraries(t), "")
	dir := filepath.Join(tempDir(), "new", "lib")
	got, err := client.Bundle(context.Background(), dir, []string{name}, ocipkg.BundleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, file := range []string{"liba.so.1", "liba.so.1.2.3", "libcore.so.2"} {
		want = append(want, filepath.Join(dir, file))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if target, err := os.Readlink(want[0]); err != nil || target != "liba.so.1.2.3" {
		t.Errorf("liba.so.1 leads to %q, %v", target, err)
	}
	for _, file := range want {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want) {
		t.Errorf("the directory has %v, %v", entries, err)
	}

	writeFile(t, dir, "../main.c", "int a(void); int main(void) { return a() != 42; }\n")
	bin := filepath.Dir(dir)
	cc(t, bin, "-o", "main", "main.c", "lib/liba.so.1", "-Wl,-rpath,$ORIGIN/lib", "-Wl,-rpath-link,lib", "-Wl,--disable-new-dtags")
	if out, err := exec.Command(filepath.Join(bin, "main")).CombinedOutput(); err != nil {
		t.Errorf("the program does not run: %v\n%s", err, out)
	}
}

func TestABundleReplacesNothingDifferentUnlessToldTo(t *testing.T) {
	client, name := inStore(t, sharedLibraries(t), "")
	bundle := func(dir string, force bool) error {
		_, err := client.Bundle(context.Background(), dir, []string{name}, ocipkg.BundleOptions{Force: force})
		return err
	}
	for what, spoil := range map[string]func(dir string) error{
		"a file in place of a library": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "libcore.so.2"), []byte("mine"), 0o600)
		},
		"a file in place of a link": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "liba.so.1"), []byte("mine"), 0o600)
		},
		"a link to elsewhere": func(dir string) error { return os.Symlink("/mine", filepath.Join(dir, "liba.so.1")) },
		"a link in place of a library": func(dir string) error {
			return os.Symlink("/mine", filepath.Join(dir, "libcore.so.2"))
		},
	} {
		dir := tempDir()
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if err := bundle(dir, false); !errors.Is(err, ocipkg.ErrUsage) || !strings.Contains(err.Error(), "add -f") {
			t.Errorf("%s: got %v", what, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%s: the directory has %v, %v", what, entries, err)
		}
		for range 2 { // the second time all is there
			if err := bundle(dir, true); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := bundle(dir, false); err != nil {
			t.Errorf("%s: what is there and the same is refused: %v", what, err)
		}
	}
	dir := tempDir()
	if err := os.Mkdir(filepath.Join(dir, "liba.so.1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := bundle(dir, true); !errors.Is(err, ocipkg.ErrUsage) {
		t.Errorf("a directory in place of a library: got %v", err)
	}
}

func TestABundleForWindowsHasEachLibraryAsAFileOfTheNameThatProgramsAskFor(t *testing.T) {
	client, name := inStore(t, sharedLibraries(t), "any")
	dir := tempDir()
	got, err := client.Bundle(context.Background(), dir, []string{name}, ocipkg.BundleOptions{Platform: "windows/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(dir, "liba.so.1"), filepath.Join(dir, "libcore.so.2")}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, file := range got {
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s is no regular file: %v", file, err)
		}
	}
}

func TestABundleOfStaticLibrariesSaysThatThereIsNothingToCopy(t *testing.T) {
	dir := tempDir()
	writeFile(t, dir, "lib/a.c", "int a(void) { return 1; }\n")
	lib := filepath.Join(dir, "lib")
	cc(t, lib, "-c", "a.c")
	if out, err := exec.Command("ar", "rcs", filepath.Join(lib, "liba.a"), filepath.Join(lib, "a.o")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	client, name := inStore(t, dir, "")
	to := filepath.Join(tempDir(), "lib")
	_, err := client.Bundle(context.Background(), to, []string{name}, ocipkg.BundleOptions{})
	if !errors.Is(err, ocipkg.ErrNotFound) || !strings.Contains(err.Error(), "no shared libraries") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}
