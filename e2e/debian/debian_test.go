package debian

import (
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPackagesAreUnpackedTogether(t *testing.T) {
	dir := Fetch(t, "zlib1g-dev", "zlib1g")
	for _, pattern := range []string{"usr/include/zlib.h", "usr/lib/*/libz.a", "usr/lib/*/pkgconfig/zlib.pc"} {
		if files, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(files) != 1 {
			t.Errorf("%s: found %v (%v), want one file", pattern, files, err)
		}
	}
	libraries, err := filepath.Glob(filepath.Join(dir, "*lib/*/libz.so.1.*"))
	if err != nil {
		t.Fatal(err)
	}
	inUsr, err := filepath.Glob(filepath.Join(dir, "usr/lib/*/libz.so.1.*"))
	if err != nil {
		t.Fatal(err)
	}
	libraries = append(libraries, inUsr...)
	if len(libraries) != 1 {
		t.Fatalf("found shared libraries %v, want one", libraries)
	}
	library, err := elf.Open(libraries[0])
	if err != nil {
		t.Fatal(err)
	}
	defer library.Close()
	if again := Fetch(t, "zlib1g", "zlib1g-dev"); again != dir {
		t.Errorf("in another order the directory is %s, not %s", again, dir)
	}
}

func TestParallelFetchesGiveOneDirectory(t *testing.T) {
	cache := t.TempDir()
	var all sync.WaitGroup
	dirs := make([]string, 3)
	for i := range dirs {
		all.Go(func() {
			var err error
			if dirs[i], err = fetch(cache, []string{"zlib1g-dev"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	if dirs[0] != dirs[1] || dirs[1] != dirs[2] {
		t.Errorf("got %v, want one directory", dirs)
	}
	entries, err := os.ReadDir(filepath.Dir(dirs[0]))
	if err != nil || len(entries) != 1 {
		t.Errorf("the cache holds %v (%v), want one directory", entries, err)
	}
	if info, err := os.Stat(dirs[0]); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory has mode %v (%v), want 0755", info.Mode(), err)
	}
}

func TestUnknownPackageLeavesNothing(t *testing.T) {
	cache := t.TempDir()
	_, err := fetch(cache, []string{"zlib1g", "no-such-package-anywhere"})
	if err == nil || !strings.Contains(err.Error(), "no-such-package-anywhere") {
		t.Errorf("got %v, want an error that names the package", err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	if err != nil || len(found) != 0 {
		t.Errorf("the cache holds %v (%v), want nothing", found, err)
	}
}

func TestCacheIsWhereTheVariableSays(t *testing.T) {
	t.Setenv(cacheVariable, "/somewhere")
	if dir, err := cacheDir(); err != nil || dir != "/somewhere" {
		t.Errorf("got %s, %v", dir, err)
	}
	t.Setenv(cacheVariable, "")
	if dir, err := cacheDir(); err != nil || filepath.Base(dir) != "ocipkg-e2e" {
		t.Errorf("got %s, %v", dir, err)
	}
}

func TestACopyOfUsrHasTheLibrariesOfLibAndNoAbsoluteLinks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "usr")
	CopyUsr(t, dir, "zlib1g-dev", "zlib1g")
	links, err := filepath.Glob(filepath.Join(dir, "lib/*/libz.so"))
	if err != nil || len(links) != 1 {
		t.Fatalf("found %v (%v), want one libz.so", links, err)
	}
	if target, err := os.Readlink(links[0]); err != nil || filepath.IsAbs(target) {
		t.Errorf("libz.so leads to %s (%v), want a relative path", target, err)
	}
	library, err := elf.Open(links[0])
	if err != nil {
		t.Fatal(err)
	}
	library.Close()
	if _, err := os.Stat(filepath.Join(dir, "include/zlib.h")); err != nil {
		t.Error(err)
	}
}
