package transfer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// peers are other clients of registries, from the Go module proxy, in the
// directory that is given.
func peers(t *testing.T) string {
	t.Helper()
	dir := program.SharedDir(t, "peers")
	for _, module := range []string{"oras.land/oras/cmd/oras@v1.3.6", "github.com/google/go-containerregistry/cmd/crane@v0.22.1"} {
		cmd := exec.Command("go", "install", module)
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go install %s: %v\n%s", module, err, out)
		}
	}
	return dir
}

func TestOtherClientsReadOurLayoutsAndWeReadTheirs(t *testing.T) {
	dir := peers(t)
	oras, crane := filepath.Join(dir, "oras"), filepath.Join(dir, "crane")
	origin := registrytest.StartDistribution(t, registrytest.Options{})
	s := program.New(t, program.Options{})
	name := origin.Host + "/acme/z:1.5"
	index := publish(t, s, name)
	signature := attach(t, origin.Host+"/acme/z", index, "application/x.signature")

	// What refers to the index is where oras looks for it.
	s.Run("ocipkg", "copy", name, "oci:ours:1.5").OK()
	s.Foreign(oras, "discover", "--oci-layout", "ours:1.5", "--format", "json").Says(signature).OK()
	s.Foreign(oras, "copy", "-r", "--from-oci-layout", "ours:1.5", "--to-plain-http", origin.Host+"/oras/z:1.5").OK()
	if got := referrers(t, origin.Host+"/oras/z", index); !has(got, signature) {
		t.Errorf("oras brought %q", got)
	}
	// It adds to our layout, and we to its.
	s.Foreign(oras, "copy", "-r", "--from-plain-http", name, "--to-oci-layout", "ours:again").OK()
	s.Run("ocipkg", "copy", name, "oci:ours:third").OK()
	for _, tag := range []string{"1.5", "again", "third"} {
		if got := s.Run("ocipkg", "copy", "oci:ours:"+tag, origin.Host+"/copied/z:"+tag).Says("with 1 that refer to it").Digest(); got != index {
			t.Errorf("%s is %s, not %s", tag, got, index)
		}
	}
	s.Foreign(oras, "copy", "-r", "--from-plain-http", name, "--to-oci-layout", "theirs:1.5").OK()
	s.Run("ocipkg", "copy", "oci:theirs", origin.Host+"/theirs/z:1.5").Says("with 1 that refer to it").OK()
	sameManifest(t, name, origin.Host+"/theirs/z:1.5")

	// Crane writes neither names nor an index of one platform alone.
	s.Foreign(crane, "pull", "--insecure", "--format=oci", name, "crane").OK()
	s.Run("ocipkg", "copy", "oci:crane", origin.Host+"/crane/z:1.5").OK()
	sameManifest(t, name, origin.Host+"/crane/z:1.5")
	s.Run("ocipkg", "copy", "--no-referrers", name, "oci:plain:1.5").OK()
	s.Foreign(crane, "push", "--insecure", "plain", origin.Host+"/pushed/z:1.5").OK()
	sameManifest(t, name, origin.Host+"/pushed/z:1.5")
	for path := range map[string]bool{"ours": true, "plain": true} {
		entries, err := os.ReadDir(filepath.Join(s.Dir, path))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, entry := range entries {
			if entry.Name() != "ingest" { // where oras writes
				names = append(names, entry.Name())
			}
		}
		if got := strings.Join(names, " "); got != "blobs index.json oci-layout" {
			t.Errorf("%s holds %s", path, got)
		}
	}
}
