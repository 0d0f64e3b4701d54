// Package debian fetches Debian packages as subjects for tests: real
// libraries, headers and .pc files, unpacked and never installed.
package debian

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// cacheVariable names the directory that keeps unpacked packages between test
// runs; when it is unset, ocipkg-e2e in the user's cache directory does.
const cacheVariable = "OCIPKG_E2E_CACHE"

// Fetch returns a directory in which the given packages are unpacked together,
// as below "/": usr/include/zlib.h for "zlib1g-dev". It is shared by all tests:
// copy what is to be changed. Packages are downloaded at the first call, by the
// system's own sources; it fails the test when that does not work.
func Fetch(t testing.TB, packages ...string) string {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := fetch(cache, packages)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func cacheDir() (string, error) {
	if dir := os.Getenv(cacheVariable); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory for Debian packages: %w; set %s", err, cacheVariable)
	}
	return filepath.Join(dir, "ocipkg-e2e"), nil
}

// fetch unpacks packages in a directory of their own below cache, unless they
// are there. The directory appears whole or not at all.
func fetch(cache string, packages []string) (string, error) {
	release, err := releaseName()
	if err != nil {
		return "", err
	}
	names := slices.Sorted(slices.Values(packages))
	dir := filepath.Join(cache, release+"-"+runtime.GOARCH, strings.Join(names, "+"))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	root := filepath.Join(work, "root")
	if err := unpack(work, root, names); err != nil {
		return "", fmt.Errorf("fetch the Debian packages %s: %w", strings.Join(names, " "), err)
	}
	if err := os.Rename(root, dir); err != nil {
		// Another test process may have been faster.
		if _, statErr := os.Stat(dir); statErr != nil {
			return "", err
		}
	}
	return dir, nil
}

// unpack downloads packages to work and unpacks them together in root.
func unpack(work, root string, packages []string) error {
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	// The download runs as the caller: apt's own account cannot write here.
	arguments := append([]string{"--quiet", "--option", "APT::Sandbox::User=root", "download"}, packages...)
	if err := run(work, "apt-get", arguments...); err != nil {
		return fmt.Errorf("%w; if the packages are unknown, run: apt-get update", err)
	}
	files, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil {
		return err
	}
	if len(files) != len(packages) {
		return fmt.Errorf("apt-get downloaded %d files for %d packages", len(files), len(packages))
	}
	for _, file := range files {
		if err := run(work, "dpkg-deb", "--extract", file, root); err != nil {
			return err
		}
	}
	return nil
}

func run(dir, name string, arguments ...string) error {
	cmd := exec.Command(name, arguments...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(output))
	}
	return nil
}

// releaseName returns the name of the system's release, such as "bookworm".
// https://www.freedesktop.org/software/systemd/man/latest/os-release.html
func releaseName() (string, error) {
	text, err := os.ReadFile("/etc/os-release")
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("fetch Debian packages: there is no /etc/os-release; run these tests on Debian or Ubuntu")
	}
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"`), nil
		}
	}
	return "unnamed", lines.Err()
}
