package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// with gives a new user with variables in their environment.
func with(t *testing.T, env ...string) *program.Session {
	t.Helper()
	return program.New(t, program.Options{Env: append(env, "OCIPKG_TARGET=linux/amd64")})
}

// checkGot checks that the session's store has the library under a name, whole.
func checkGot(t *testing.T, s *program.Session, name string) {
	t.Helper()
	dir := strings.TrimSpace(s.Run("ocipkg", "image-directory", name).OK().Stdout)
	if text, err := os.ReadFile(filepath.Join(dir, "include/z.h")); err != nil || string(text) != "#define Z \"linux\"\n" {
		t.Errorf("the header of %s says %q, %v", name, text, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "share/data")); err != nil || info.Size() != 3<<20 {
		t.Errorf("the data of %s is %v, %v", name, info, err)
	}
}

// origins is a registry with the library, and a session of who has published it.
func published(t *testing.T) (origin *registrytest.Registry, producer *program.Session, name string) {
	t.Helper()
	origin = registrytest.StartMemory(t)
	producer = program.New(t, program.Options{})
	name = origin.Host + "/acme/z:1.5"
	publish(t, producer, name)
	return origin, producer, name
}

func TestAMirrorOfAnyKindServesWithoutTheOrigin(t *testing.T) {
	origin, producer, name := published(t)
	other := registrytest.StartDistribution(t, registrytest.Options{})
	producer.Run("ocipkg", "copy", name, "z.tar").OK()
	producer.Run("ocipkg", "copy", name, "oci:vendored").OK()
	digest := producer.Run("ocipkg", "copy", name, other.Host+"/all/acme/z:1.5").Digest()
	origin.ClearRequests()
	for kind, mirror := range map[string]string{
		"archive":   "oci-archive:" + filepath.Join(producer.Dir, "z.tar"),
		"directory": filepath.Join(producer.Dir, "vendored"),
		"registry":  other.Host + "/all",
	} {
		for _, fallback := range []string{"", ",direct", ",off"} {
			s := with(t, "OCIPKG_MIRROR="+mirror+fallback)
			if got := s.Run("ocipkg", "get", name).OK(); got.Stderr != "" {
				t.Errorf("%s: %s", kind, got)
			}
			checkGot(t, s, name)
			s.Run("ocipkg", "get", name).OK() // what it stands for is asked there, too
			s.Run("ocipkg", "get", name+"@"+digest).OK()
			s.Run("ocipkg", "inspect", "--verify", name).OK()
			s.Run("ocipkg", "copy", name, "again.tar").OK()
			s.Run("ocipkg", "link", origin.Host+"/acme/z@"+digest).OK()
			if out := s.Run("ocipkg", "list").OK().Stdout; !strings.Contains(out, name) || strings.Contains(out, other.Host) {
				t.Errorf("%s: the store lists\n%s", kind, out)
			}
		}
	}
	if fallback := origin.Count("", ""); fallback != origin.Count("GET", "/referrers/") {
		t.Errorf("the origin was asked all the same: %+v", origin.Requests())
	}
}

func TestTheConfigurationFileNamesMirrors(t *testing.T) {
	origin, producer, name := published(t)
	producer.Run("ocipkg", "copy", name, "oci:vendored").OK()
	origin.ClearRequests()
	s := with(t)
	s.CopyTree(filepath.Join(producer.Dir, "vendored"), filepath.Join(s.Home, ".config/ocipkg/vendored"))
	config := s.WriteFile(filepath.Join(s.Home, ".config/ocipkg/config.toml"), fmt.Sprintf("[mirrors]\n%q = { at = \"oci:vendored\", fallback = false }\n", origin.Host+"/acme"), 0o644)
	s.Run("ocipkg", "get", name).OK()
	checkGot(t, s, name)
	if n := origin.Count("", ""); n != 0 {
		t.Errorf("the origin was asked %d times", n)
	}
	s.Run("ocipkg", "get", origin.Host+"/acme/z:2").Fails(notFound, origin.Host+"/acme/z:2", "oci:", "vendored", "falling back", "is off", config)
	if n := origin.Count("", ""); n != 0 {
		t.Errorf("the origin was asked %d times", n)
	}
	s.Env = append(s.Env, "OCIPKG_MIRROR=direct")
	s.Run("ocipkg", "get", "-f", name).OK()
	if origin.Count("", "") == 0 {
		t.Error("the variable did not count before the file")
	}
	s.WriteFile(config, "[mirrors]\n\"ghcr.io\" = { at = \"x.corp\", fall = true }\n", 0o644)
	s.Env = append(s.Env, "OCIPKG_MIRROR=")
	s.Run("ocipkg", "get", name).Fails(usage, config, "line 2", `"fall"`)
}

func TestWhatAMirrorLacksComesFromTheOthersOrIsNamed(t *testing.T) {
	origin, producer, name := published(t)
	down := registrytest.StartMemory(t)
	down.Stop()
	empty := registrytest.StartMemory(t)
	producer.Run("ocipkg", "copy", name, "oci:vendored").OK()
	vendored := "oci:" + filepath.Join(producer.Dir, "vendored")

	// Down, empty, and not there: told of once each, and gone past.
	s := with(t, "OCIPKG_MIRROR="+strings.Join([]string{down.Host, empty.Host + "/x", "oci:none", vendored}, ","))
	got := s.Run("ocipkg", "get", name).OK()
	if strings.Count(got.Stderr, "passed over") != 2 || strings.Count(got.Stderr, down.Host+" is passed over") != 1 || strings.Count(got.Stderr, "oci:none is passed over") != 1 {
		t.Errorf("the warnings are not one for each that is not there: %s", got)
	}
	checkGot(t, s, name)

	s = with(t, "OCIPKG_MIRROR="+down.Host+",off")
	s.Run("ocipkg", "-q", "get", name).Exit(network).Says(down.Host, "is off", "OCIPKG_MIRROR")
	s = with(t, "OCIPKG_MIRROR="+empty.Host+"/x,off")
	s.Run("ocipkg", "get", name).Fails(notFound, empty.Host+"/x", "is off")

	// A mirror that has the tag, and not all that belongs to it.
	blobs, err := filepath.Glob(filepath.Join(producer.Dir, "vendored/blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		if info, err := os.Stat(blob); err == nil && info.Size() > 1<<20 {
			if err := os.Remove(blob); err != nil {
				t.Fatal(err)
			}
		}
	}
	origin.ClearRequests()
	s = with(t, "OCIPKG_MIRROR="+vendored)
	s.Run("ocipkg", "get", name).OK()
	checkGot(t, s, name)
	if origin.Count("GET", "/manifests/") != 0 || origin.Count("GET", "/blobs/") != 1 {
		t.Errorf("the origin was asked for more than the blob: %+v", origin.Requests())
	}
	s = with(t, "OCIPKG_MIRROR="+vendored+",off")
	s.Run("ocipkg", "get", name).Fails(notFound, "sha256:", vendored, "is off")
}

func TestWhatAMirrorGetsWrongIsNeverInstalled(t *testing.T) {
	_, producer, name := published(t)
	other := registrytest.StartMemory(t)
	producer.Run("ocipkg", "copy", name, other.Host+"/acme/z:1.5").OK()
	producer.Run("ocipkg", "copy", name, "oci:vendored").OK()
	vendored := filepath.Join(producer.Dir, "vendored")
	blobs, err := filepath.Glob(filepath.Join(vendored, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	damage := func(which func(size int64) bool) {
		for _, blob := range blobs {
			raw, err := os.ReadFile(blob)
			if err != nil {
				t.Fatal(err)
			}
			if which(int64(len(raw))) {
				raw[len(raw)/2] ^= 1
				if err := os.WriteFile(blob, raw, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	big := func(size int64) bool { return size > 1<<20 }
	lies := map[string]func() (mirror string){
		"a layer in a layout": func() string { damage(big); return vendored },
		"all in a layout":     func() string { damage(func(size int64) bool { return !big(size) }); return vendored },
		"a layer":             func() string { other.SetIntercept(registrytest.CorruptBlob("", 100)); return other.Host },
		"a manifest":          func() string { other.SetIntercept(registrytest.CorruptManifest("", 100)); return other.Host },
	}
	for _, lie := range []string{"a layer in a layout", "all in a layout", "a layer", "a manifest"} {
		mirror := lies[lie]()
		s := with(t, "OCIPKG_MIRROR="+mirror)
		got := s.Run("ocipkg", "get", name).OK()
		if strings.Count(got.Stderr, "is passed over") != 1 || !strings.Contains(got.Stderr, mirror) {
			t.Errorf("%s: no word of it: %s", lie, got)
		}
		checkGot(t, s, name)
		s.Run("ocipkg", "inspect", "--verify", filepath.Join(producer.Dir, "linux.tar")).OK()

		s = with(t, "OCIPKG_MIRROR="+mirror+",off")
		r := s.Run("ocipkg", "get", name)
		if r.ExitCode != verification && r.ExitCode != network {
			t.Errorf("%s: %s", lie, r)
		}
		if out := s.Run("ocipkg", "list").OK().Stdout; strings.Contains(out, "sha256:") {
			t.Errorf("%s: it was installed: %s", lie, out)
		}
		s.Run("ocipkg", "copy", name, "z.tar").Exit(r.ExitCode)
		if _, err := os.Stat(filepath.Join(s.Dir, "z.tar")); err == nil {
			t.Errorf("%s: it was copied", lie)
		}
	}
}

func TestACopyBringsAMirrorUpToDate(t *testing.T) {
	origin, producer, name := published(t)
	other := registrytest.StartMemory(t)
	for mirror, destination := range map[string]string{
		other.Host + "/all": other.Host + "/all/acme/z:1.5",
		"oci:" + filepath.Join(producer.Dir, "vendored"): "oci:vendored",
	} {
		s := producer
		s.Env = append(s.Env, "OCIPKG_MIRROR="+mirror)
		s.Run("ocipkg", "copy", name, destination).OK()
		moved := s.Run("ocipkg", "push", "linux.tar", name).Digest()
		if got := s.Run("ocipkg", "copy", name, destination).Digest(); got != moved {
			t.Errorf("%s still has %s, and not %s", mirror, got, moved)
		}
		origin.ClearRequests()
		if got := s.Run("ocipkg", "get", name).Digest(); got != moved || origin.Count("GET", "") != 0 {
			t.Errorf("from %s it is %s, not %s", mirror, got, moved)
		}
		s.Run("ocipkg", "push", "linux.tar", "windows.tar", name).OK()
	}
}

func TestAMirrorGetsItsOwnCredentialsOnly(t *testing.T) {
	origin, producer, name := published(t)
	account := registrytest.Account{User: "ann", Password: "secret"}
	origin.SetIntercept(registrytest.RequireBasic(`Basic realm="origin"`, account))
	other := registrytest.StartMemory(t)
	producer.Run("ocipkg", "login", origin.Host, "-u", account.User, "-p", account.Password).OK()
	producer.Run("ocipkg", "copy", name, other.Host+"/acme/z:1.5").OK()

	other.SetIntercept(registrytest.Chain(registrytest.RequireAuthorizationNever(t), registrytest.RequireBasic(`Basic realm="mirror"`, registrytest.Account{User: "ben", Password: "other"})))
	s := with(t, "OCIPKG_MIRROR="+other.Host)
	s.Run("ocipkg", "login", origin.Host, "-u", account.User, "-p", account.Password).OK()
	got := s.Run("ocipkg", "get", name).Says(other.Host + " is passed over").OK()
	if strings.Count(got.Stderr, "passed over") != 1 {
		t.Errorf("it is told more than once: %s", got)
	}
	checkGot(t, s, name)
}

func TestOnlyReadsGoToMirrors(t *testing.T) {
	origin, producer, name := published(t)
	other := registrytest.StartMemory(t)
	s := with(t, "OCIPKG_MIRROR="+other.Host+",off")
	s.CopyTree(producer.Dir, "made")
	s.Run("ocipkg", "push", "made/linux.tar", origin.Host+"/acme/new:1").OK()
	s.Run("ocipkg", "index", "add", name, "made/linux.tar").OK()
	s.Run("ocipkg", "index", "create", origin.Host+"/acme/z:2", name).OK()
	s.Run("ocipkg", "tags", origin.Host+"/acme/new").Says("1").OK()
	s.Run("ocipkg", "copy", "made/linux.tar", origin.Host+"/acme/newer:1").OK()
	if n := other.Count("", ""); n != 0 {
		t.Errorf("the mirror was asked %d times: %+v", n, other.Requests())
	}
	s.Run("ocipkg", "copy", name, origin.Host+"/acme/z:3").Fails(notFound, "is off")
}
