package debian

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Source unpacks the source of a project, as its authors released it, in a new
// directory, by its name in Debian's pool, such as p/pigz/pigz_2.8.orig.tar.xz. The
// digest is that of SHA-256, in hexadecimal. The test is skipped where the mirror
// has no sources, as many have none.
func Source(t testing.TB, name, digest string) string {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(cache, "source", digest, path.Base(name))
	if err := download(file, name, digest); errors.Is(err, errNoSources) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := run(dir, "tar", "--extract", "--strip-components=1", "--no-same-owner", "--file", file); err != nil {
		t.Fatal(err)
	}
	return dir
}

var errNoSources = errors.New("the system's mirror of Debian has no sources")

// download fetches a file of the pool by apt, unless it is there.
func download(file, name, digest string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	mirror, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Component: main").Output()
	if err != nil {
		return fmt.Errorf("find a mirror of Debian: %w", err)
	}
	first, _, _ := strings.Cut(string(mirror), "\n")
	for line := range strings.Lines(string(mirror)) { // not that of security updates alone
		if line = strings.TrimSpace(line); len(line) < len(first) {
			first = line
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(file), ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	part := filepath.Join(work, "part")
	err = run(work, "/usr/lib/apt/apt-helper", "--option", "APT::Sandbox::User=root", "download-file", strings.TrimSuffix(first, "/")+"/pool/main/"+name, part, "SHA256:"+digest)
	if err != nil && strings.Contains(err.Error(), "404") {
		return fmt.Errorf("%w: %w", errNoSources, err)
	}
	if err != nil {
		return err
	}
	return os.Rename(part, file)
}
