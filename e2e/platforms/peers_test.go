package platforms

import (
	"encoding/json"
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

func TestOtherClientsListAndCopyTheIndexWhole(t *testing.T) {
	dir := peers(t)
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := producer(t)
	name := registry.Host + "/acme/where:1"
	digest := s.Run("ocipkg", append(append([]string{"push"}, archives()...), name)...).OK().Digest()

	oras, crane := filepath.Join(dir, "oras"), filepath.Join(dir, "crane")
	for client, listing := range map[string]string{
		"oras":  s.Foreign(oras, "manifest", "fetch", "--plain-http", name).OK().Stdout,
		"crane": s.Foreign(crane, "manifest", "--insecure", name).OK().Stdout,
	} {
		var doc struct {
			ArtifactType string
			Manifests    []struct {
				Digest, ArtifactType string
				Platform             struct {
					OS, Architecture string
					OSVersion        string   `json:"os.version"`
					OSFeatures       []string `json:"os.features"`
				}
				Annotations map[string]string
			}
		}
		if err := json.Unmarshal([]byte(listing), &doc); err != nil {
			t.Fatalf("%s: %v in %s", client, err, listing)
		}
		const ours = "application/vnd.ocipkg.v1.artifact"
		if doc.ArtifactType != ours || len(doc.Manifests) != len(builds) {
			t.Errorf("%s: the index is of the type %q and has %d packages", client, doc.ArtifactType, len(doc.Manifests))
		}
		said := map[string]bool{}
		for _, m := range doc.Manifests {
			said[strings.Join(strings.Fields(m.Platform.OS+"/"+m.Platform.Architecture+" "+m.Platform.OSVersion+" "+strings.Join(m.Platform.OSFeatures, " ")+" "+m.Annotations["dev.ocipkg.target"]), " ")] = true
			if m.ArtifactType != ours {
				t.Errorf("%s: %s is of the type %q", client, m.Digest, m.ArtifactType)
			}
		}
		for _, want := range []string{"linux/amd64 libc.glibc", "linux/amd64 libc.musl", "linux/arm64 libc.glibc", "windows/amd64 env.gnu x86_64-w64-mingw32", "darwin/arm64 12.0"} {
			if !said[want] {
				t.Errorf("%s: nothing is for %q: %v", client, want, said)
			}
		}
	}

	s.Foreign(oras, "copy", "--from-plain-http", "--to-plain-http", name, registry.Host+"/oras/where:1").OK()
	s.Foreign(crane, "copy", "--insecure", name, registry.Host+"/crane/where:1").OK()
	for _, copied := range []string{registry.Host + "/oras/where:1", registry.Host + "/crane/where:1"} {
		checkAll(t, s, copied)
		s.Run("ocipkg", "inspect", "--verify", copied).OK()
		if got := inspect(t, s, copied).Descriptor.Digest; got != digest {
			t.Errorf("%s is %s, not %s", copied, got, digest)
		}
	}
	// The platform of the specification is what they choose by, too.
	if got := s.Foreign(oras, "resolve", "--plain-http", "--platform", "darwin/arm64", name).OK(); !strings.Contains(got.Stdout, "sha256:") {
		t.Errorf("oras finds nothing for darwin/arm64: %s", got)
	}
}

// ORAS makes an index of packages without their platforms, which it takes from
// configs of images alone.
func TestAnIndexOfAnotherClientWithoutPlatformsIsChosenFromByTheConfigs(t *testing.T) {
	oras := filepath.Join(peers(t), "oras")
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := producer(t)
	repository := registry.Host + "/acme/where"
	var all []string
	byPlatform := map[string]string{}
	for i, name := range archives() {
		pushed := s.Run("ocipkg", "push", name, repository+"@").OK().Digest()
		all, byPlatform[builds[i].platform] = append(all, pushed), pushed
	}
	name := repository + ":1"
	s.Foreign(oras, append([]string{"manifest", "index", "create", "--plain-http", name}, all...)...).OK()
	if raw := s.Foreign(oras, "manifest", "fetch", "--plain-http", name).OK().Stdout; strings.Contains(raw, "platform") {
		t.Fatalf("ORAS says platforms: %s", raw)
	}
	checkAll(t, s, name)

	targets := []string{"linux/amd64 glibc", "linux/amd64 musl", "linux/arm64 glibc", "windows/amd64 gnu", "darwin/arm64 12.0"}
	user := program.New(t, program.Options{})
	user.WriteFile("ocipkg.toml", "[dependencies]\nwhere = \""+name+"\"\n", 0o644)
	for _, target := range targets {
		if got := user.Run("ocipkg", "get", "--platform", target, name).OK().Digest(); got != byPlatform[target] {
			t.Errorf("for %s the package is %s, not %s", target, got, byPlatform[target])
		}
	}
	user.Run("ocipkg", "get", "--platform", "linux/s390x", name).Fails(7, "linux/arm64")
	user.Run("ocipkg", "lock").OK()
	locked := program.New(t, program.Options{})
	lock, err := os.ReadFile(filepath.Join(user.Dir, "ocipkg.lock"))
	if err != nil {
		t.Fatal(err)
	}
	locked.WriteFile("ocipkg.toml", "[dependencies]\nwhere = \""+name+"\"\n", 0o644)
	locked.WriteFile("ocipkg.lock", string(lock), 0o644)
	for _, target := range targets[:2] {
		locked.Run("ocipkg", "get", "--locked", "--platform", target, "where").OK()
	}

	registry.Stop()
	for _, of := range []struct {
		s    *program.Session
		name string
	}{{user, name}, {locked, "where"}} {
		for _, target := range targets[:2] {
			digest := strings.TrimPrefix(byPlatform[target], "sha256:")
			if got := of.s.Run("ocipkg", "link", "--platform", target, of.name).OK().Stdout; !strings.Contains(got, digest) {
				t.Errorf("without the registry %s has for %s %s, not %s", of.name, target, got, digest)
			}
		}
	}
}
