package transfer

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// tarOf is a tar archive of one file.
func tarOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// registries are a registry with the referrers API, and one without.
func registries(t *testing.T) map[string]*registrytest.Registry {
	return map[string]*registrytest.Registry{
		"in memory":       registrytest.StartMemory(t),
		"docker-registry": registrytest.StartDistribution(t, registrytest.Options{}),
	}
}

func TestAnIndexGoesOnAStickAndOnWithItsSignatures(t *testing.T) {
	for from, origin := range registries(t) {
		for to, other := range registries(t) {
			t.Run(from+" to "+to, func(t *testing.T) {
				s := program.New(t, program.Options{})
				name := origin.Host + "/acme/z:1.5"
				index := publish(t, s, name)
				packages := members(t, s, name)
				signature := attach(t, origin.Host+"/acme/z", index, "application/x.signature")
				counter := attach(t, origin.Host+"/acme/z", signature, "application/x.signature")
				sbom := attach(t, origin.Host+"/acme/z", packages[0], "application/x.sbom")

				stick := filepath.Join(s.Dir, "z.tar")
				if got := s.Run("ocipkg", "copy", name, stick).Says("with 3 that refer to it").Digest(); got != index {
					t.Errorf("what is on the stick is %s, not %s", got, index)
				}
				s.Run("ocipkg", "copy", stick, "oci:layout").Says("with 3 that refer to it").OK()
				second := other.Host + "/mirror/z:1.5"
				for _, source := range []string{stick, "oci:layout", name} {
					if got := s.Run("ocipkg", "copy", source, second).Says("with 3 that refer to it").Digest(); got != index {
						t.Errorf("from %s it is %s, not %s", source, got, index)
					}
				}
				sameManifest(t, name, second)
				repository := other.Host + "/mirror/z"
				for subject, want := range map[string]string{index: signature, signature: counter, packages[0]: sbom} {
					if got := referrers(t, repository, subject); !has(got, want) {
						t.Errorf("%s is referred to by %q, not %s", subject, got, want)
					}
				}
				s.Run("ocipkg", "inspect", "--verify", second).OK()
				s.Run("ocipkg", "inspect", "--verify", stick).OK()

				// Without the registry it came from, under the name it had there.
				t.Setenv("OCIPKG_HOME", "")
				reader := program.New(t, program.Options{})
				reader.Run("ocipkg", "load", stick, "--platform", "linux/amd64").OK()
				dir := strings.TrimSpace(reader.Run("ocipkg", "image-directory", name, "--platform", "linux/amd64").OK().Stdout)
				if text, err := os.ReadFile(filepath.Join(dir, "include/z.h")); err != nil || string(text) != "#define Z \"linux\"\n" {
					t.Errorf("the header says %q, %v", text, err)
				}
				// Nothing is sent twice, and nothing is left out when asked so.
				s.Run("ocipkg", "copy", stick, second).Says("(0 B sent").OK()
				s.Run("ocipkg", "copy", "--no-referrers", stick, other.Host+"/bare/z:1.5").OK()
				if got := referrers(t, other.Host+"/bare/z", index); len(got) > 0 {
					t.Errorf("%q were copied all the same", got)
				}
			})
		}
	}
}

func TestForeignImagesAreCopiedWhole(t *testing.T) {
	for from, origin := range registries(t) {
		s := program.New(t, program.Options{})
		name := origin.Host + "/library/where:1"
		index := image(t, name)
		other := registrytest.StartDistribution(t, registrytest.Options{})
		s.Run("ocipkg", "copy", name, "where.tar").OK()
		for _, source := range []string{"where.tar", name} {
			if got := s.Run("ocipkg", "copy", source, other.Host+"/library/where:1").Digest(); got != index {
				t.Errorf("%s: it is %s, not %s", from, got, index)
			}
		}
		sameManifest(t, name, other.Host+"/library/where:1")
		s.Run("ocipkg", "load", "where.tar", "--platform", "linux/arm64").OK()
		dir := strings.TrimSpace(s.Run("ocipkg", "image-directory", name, "--platform", "linux/arm64").OK().Stdout)
		if text, err := os.ReadFile(filepath.Join(dir, "lib/where")); err != nil || string(text) != "arm64" {
			t.Errorf("%s: the file says %q, %v", from, text, err)
		}

		// Of one platform, with what attests it.
		part := s.Run("ocipkg", "copy", "--platform", "linux/arm64", name, other.Host+"/library/where:arm").Says("fewer packages").Digest()
		manifest := fetch(t, other.Host+"/library/where:arm")
		if part == index || strings.Count(manifest, "vnd.docker.reference.digest") != 1 || strings.Contains(manifest, "amd64") || strings.Count(manifest, `"size"`) != 2 {
			t.Errorf("%s: the part is %s: %s", from, part, manifest)
		}
		both := s.Run("ocipkg", "copy", "--platform", "linux/arm64,linux/amd64", name, other.Host+"/library/where:both").Digest()
		if both != index {
			t.Errorf("%s: all of it is %s, not %s", from, both, index)
		}
		s.Run("ocipkg", "copy", "--platform", "windows/amd64", name, other.Host+"/library/where:win").Fails(unfit, "windows/amd64", "linux/arm64")
	}
}

func TestWithinARegistryNothingIsSent(t *testing.T) {
	for name, origin := range registries(t) {
		t.Run(name, func(t *testing.T) {
			s := program.New(t, program.Options{})
			registry := registrytest.StartProxy(t, origin)
			from := registry.Host + "/acme/z:1.5"
			index := publish(t, s, from)
			registry.ClearRequests()
			var copied struct{ Sent, Mounted int64 }
			out := s.Run("ocipkg", "copy", "--json", from, registry.Host+"/release/z:1.5").OK().Stdout
			if err := json.Unmarshal([]byte(out), &copied); err != nil {
				t.Fatal(err)
			}
			if copied.Sent != 0 || copied.Mounted < 6<<20 || uploaded(registry) != 0 || registry.Count("GET", "/blobs/") != 0 {
				t.Errorf("%d bytes were sent and %d mounted; the registry was sent %d", copied.Sent, copied.Mounted, uploaded(registry))
			}
			sameManifest(t, from, registry.Host+"/release/z:1.5")
			s.Run("ocipkg", "inspect", "--verify", registry.Host+"/release/z:1.5").OK()

			// An index of packages elsewhere in the registry neither.
			registry.ClearRequests()
			s.Run("ocipkg", "index", "create", registry.Host+"/other/z:1", registry.Host+"/acme/z:1.5").Says("0 B sent", "mounted").OK()
			if n := uploaded(registry); n != 0 {
				t.Errorf("the registry was sent %d bytes for the index", n)
			}
			s.Run("ocipkg", "inspect", "--verify", registry.Host+"/other/z:1").OK()

			// One that mounts nothing is sent it.
			registry.SetIntercept(registrytest.When(registrytest.Path("POST", "/blobs/uploads/"), withoutMount))
			s.Run("ocipkg", "copy", from, registry.Host+"/sent/z:1.5").Says("6.3 MB sent").OK()
			registry.SetIntercept(nil)
			s.Run("ocipkg", "inspect", "--verify", registry.Host+"/sent/z:1.5").OK()

			// Onto itself is nothing at all, and a second tag is one manifest.
			registry.ClearRequests()
			s.Run("ocipkg", "copy", from, from).Says("0 B sent").OK()
			s.Run("ocipkg", "copy", from, registry.Host+"/acme/z:1").Says("0 B sent").OK()
			if got := s.Run("ocipkg", "copy", from, registry.Host+"/digest/z@").OK(); !strings.Contains(got.Stderr, "/digest/z@"+index) {
				t.Errorf("by digest: %s", got)
			}
		})
	}
}

// withoutMount answers as a registry does that mounts nothing: the upload begins.
func withoutMount(w http.ResponseWriter, r *http.Request, next http.Handler) {
	r.URL.RawQuery = ""
	next.ServeHTTP(w, r)
}

// fetch gives the manifest under a name.
func fetch(t *testing.T, name string) string {
	t.Helper()
	_, r, err := repository(t, name[:strings.LastIndexAny(name, ":")]).FetchReference(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestOneLoginServesBothSidesOfAMount(t *testing.T) {
	account := registrytest.Account{User: "ann", Password: "secret"}
	registry := registrytest.StartDistribution(t, registrytest.Options{Token: &registrytest.TokenOptions{Accounts: []registrytest.Account{account}}})
	s := program.New(t, program.Options{})
	s.Run("ocipkg", "login", registry.Host, "-u", account.User, "-p", account.Password).OK()
	name := registry.Host + "/acme/z:1.5"
	index := publish(t, s, name)
	if got := s.Run("ocipkg", "copy", name, registry.Host+"/release/z:1.5").Says("0 B sent", "6.3 MB mounted").Digest(); got != index {
		t.Errorf("it is %s, not %s", got, index)
	}
	s.Run("ocipkg", "inspect", "--verify", registry.Host+"/release/z:1.5").OK()
}

func TestACopyThatIsWrittenWrongSaysHowToWriteIt(t *testing.T) {
	s := program.New(t, program.Options{})
	library(t, s)
	s.WriteFile("image.oci", "x", 0o644)
	for destination, word := range map[string]string{
		"linux":             "oci:linux",
		"./somewhere":       "FILE.tar",
		"image.oci":         "FILE.tar",
		"windows.tar":       "--overwrite",
		"oci:":              "oci:DIR",
		"ghcr.io/acme/z:1@": "leave the @ out",
		"none/at/all.tar":   "make it first",
	} {
		if r := s.Run("ocipkg", "copy", "linux.tar", destination); r.ExitCode != usage && r.ExitCode != notFound || !strings.Contains(r.Stderr, word) || strings.Count(r.Stderr, "\n") != 1 {
			t.Errorf("the error does not say %q: %s", word, r)
		}
	}
	s.Run("ocipkg", "copy", "linux", "out.tar").Fails(usage, "ocipkg pack linux")
	s.Run("ocipkg", "copy", "none.tar", "out.tar").Fails(notFound, "none.tar does not exist")
	s.Run("ocipkg", "copy", "--platform", "plan9", "linux.tar", "out.tar").Exit(usage)
	s.Run("ocipkg", "copy", "--platform", "linux/arm64", "linux.tar", "out.tar").Fails(unfit, "linux/amd64", "linux/arm64")

	// Onto itself, and beside itself.
	digest := s.Run("ocipkg", "copy", "linux.tar", "linux.tar").Says("0 B sent").Digest()
	s.Run("ocipkg", "copy", "linux.tar", "oci:layout:1").OK()
	for _, destination := range []string{"layout", "oci:layout:1", "oci:layout:2"} {
		if got := s.Run("ocipkg", "copy", "oci:layout:1", destination).Says("0 B sent").Digest(); got != digest {
			t.Errorf("%s is %s, not %s", destination, got, digest)
		}
	}
	s.Run("ocipkg", "inspect", "--verify", "oci:layout:2").OK()
}

func TestASignatureThatWasDeletedDoesNotKeepAPackageFromBeingCopied(t *testing.T) {
	origin := registrytest.StartDistribution(t, registrytest.Options{})
	s := program.New(t, program.Options{})
	name := origin.Host + "/acme/z:1.5"
	index := publish(t, s, name)
	gone := attach(t, origin.Host+"/acme/z", index, "application/x.signature")
	kept := attach(t, origin.Host+"/acme/z", index, "application/x.sbom")
	request, err := http.NewRequest(http.MethodDelete, origin.URL+"/v2/acme/z/manifests/"+gone, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := origin.Client().Do(request)
	if err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("delete: %v, %v", response, err)
	}
	response.Body.Close()
	s.Run("ocipkg", "copy", name, origin.Host+"/copied/z:1.5").Says(gone, "it is copied, but without", "with 1 that refer to it").Exit(3)
	if got := referrers(t, origin.Host+"/copied/z", index); !has(got, kept) {
		t.Errorf("%q refer to it, not %s", got, kept)
	}
}
