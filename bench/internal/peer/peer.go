// Package peer brings the tools that are measured beside ours onto the machine:
// those written in Go from the module proxy, at pinned versions, into a cache;
// the others from Debian's packages, which are installed only when asked.
package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is a program that the Go proxy has.
type module struct{ program, path, version string }

var modules = []module{
	{"oras", "oras.land/oras/cmd/oras", "v1.3.6"},
	{"crane", "github.com/google/go-containerregistry/cmd/crane", "v0.22.1"},
	{"regctl", "github.com/regclient/regclient/cmd/regctl", "v0.11.7"},
	{"registry", "github.com/distribution/distribution/v3/cmd/registry", "v3.1.2"},
}

// debian are programs and the packages that have them.
var debian = []struct{ program, packages string }{
	{"bash", "bash"}, {"tar", "tar"}, {"zstd", "zstd"}, {"gzip", "gzip"}, {"curl", "curl"}, {"openssl", "openssl"},
	{"skopeo", "skopeo"}, {"umoci", "umoci"}, {"docker-registry", "docker-registry"}, {"pkg-config", "pkgconf"},
}

// Prepare makes sure that every peer is there and gives the directory of those
// that are ours to keep. What Debian has is installed when install is set;
// else what is missing is an error that names it.
func Prepare(ctx context.Context, cache string, install bool) (bin string, err error) {
	if err := packages(ctx, install); err != nil {
		return "", err
	}
	bin = filepath.Join(cache, "bin")
	for _, m := range modules {
		if err := m.install(ctx, bin); err != nil {
			return "", err
		}
	}
	return bin, nil
}

// install builds a program once for each version: the name of the directory
// tells which it is, and a link leads there.
func (m module) install(ctx context.Context, bin string) error {
	dir := filepath.Join(bin, m.program+"@"+m.version)
	file := filepath.Join(dir, m.program)
	if _, err := os.Stat(file); err != nil {
		fmt.Fprintf(os.Stderr, "install %s %s\n", m.program, m.version)
		cmd := exec.CommandContext(ctx, "go", "install", m.path+"@"+m.version)
		cmd.Dir = os.TempDir() // outside of any module
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("install %s@%s: %w; the Go module proxy must be reachable\n%s", m.path, m.version, err, output)
		}
	}
	link := filepath.Join(bin, m.program)
	_ = os.Remove(link)
	return os.Symlink(file, link)
}

func packages(ctx context.Context, install bool) error {
	var missing []string
	for _, p := range debian {
		if _, err := exec.LookPath(p.program); err != nil {
			missing = append(missing, p.packages)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if !install {
		return fmt.Errorf("the benchmarks need these Debian packages: %s; install them, or let INSTALL=1 make bench do it", strings.Join(missing, " "))
	}
	script := `sudo=; [ "$(id -u)" = 0 ] || sudo=sudo; $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "$@"`
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", script, "sh"}, missing...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("install %s: %w\n%s", strings.Join(missing, " "), err, output)
	}
	return packages(ctx, false)
}

// Version is that of a program that was measured.
type Version struct{ Program, Version string }

// Versions lists what [Prepare] brought.
func Versions(ctx context.Context) ([]Version, error) {
	var list []Version
	for _, m := range modules {
		name := m.program
		if name == "registry" {
			name = "distribution"
		}
		list = append(list, Version{name, strings.TrimPrefix(m.version, "v")})
	}
	for _, p := range debian {
		output, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", p.packages).Output()
		if err != nil {
			return nil, fmt.Errorf("ask dpkg for the version of %s: %w", p.packages, err)
		}
		list = append(list, Version{p.program, string(output)})
	}
	return list, nil
}
