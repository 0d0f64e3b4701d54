package pkgconfigcmd_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A build asks pkg-config dozens of times: what takes time to start has no
// place in this program.
func TestTheProgramStartsLean(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/ocipkg/ocipkg/cmd/ocipkg-pkg-config").Output()
	if err != nil {
		t.Fatal(err)
	}
	listed := strings.Fields(string(out))
	if len(listed) < 20 {
		t.Fatalf("go list says only %q", listed)
	}
	for _, pkg := range listed {
		for _, heavy := range []string{
			"net", "net/http", "crypto/tls", "crypto/x509", "regexp", "text/template", "html/template", "log/slog", "debug/elf", "compress/gzip",
			"github.com/klauspost/", "github.com/spf13/", "github.com/distribution/reference", "github.com/opencontainers/go-digest", "oras.land/",
			"github.com/ocipkg/ocipkg/internal/registry", "github.com/ocipkg/ocipkg/internal/cli", "github.com/ocipkg/ocipkg/internal/derive",
		} {
			if pkg == heavy || strings.HasSuffix(heavy, "/") && strings.HasPrefix(pkg, heavy) {
				t.Errorf("the program links %s", pkg)
			}
		}
	}
}
