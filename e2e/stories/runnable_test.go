package stories

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// skopeo fails the test when skopeo, the foreign program that packages are
// exchanged with, is not installed.
func skopeo(t *testing.T) {
	t.Helper()
	directoryOf(t, "skopeo", "apt-get install skopeo")
}

const hello = "#include <stdio.h>\nint main(int c, char **v) { printf(\"hello, %s\\n\", c > 1 ? v[1] : \"world\"); return 0; }\n"

func TestStaticProgramIsMadeAnImageThatContainerToolsReadAndThatIsGotAndRun(t *testing.T) {
	t.Parallel()
	skopeo(t)
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := program.New(t, program.Options{})
	s.WriteFile("hello.c", hello, 0o644)
	s.Run("gcc", "-static", "-o", "hello", "hello.c").OK()
	name := registry.Host + "/acme/hello:1"
	digest := s.Run("ocipkg", "runnable", "hello", "-t", name).Digest()
	if again := s.Run("ocipkg", "runnable", "hello", "-o", "again.tar", "-t", name).Digest(); again != digest {
		t.Errorf("made again, the digest is %s and was %s", again, digest)
	}
	s.Run("ocipkg", "runnable", "hello", "-t", name).Fails(2, "hello.tar", "--overwrite")
	s.Run("ocipkg", "runnable", "hello", "-t", name, "-f").OK()
	if got := s.Run("ocipkg", "push", "hello.tar").Digest(); got != digest {
		t.Errorf("pushed %s, want %s", got, digest)
	}

	// As container tools see it.
	var image struct{ Digest, Architecture, Os string }
	readJSON(t, s.Foreign("skopeo", "inspect", "--tls-verify=false", "docker://"+name), &image)
	if image.Digest != digest || image.Os != "linux" || image.Architecture == "" {
		t.Errorf("skopeo says %+v of %s", image, digest)
	}
	var config ocispec.Image
	readJSON(t, s.Foreign("skopeo", "inspect", "--config", "--tls-verify=false", "docker://"+name), &config)
	if !slices.Equal(config.Config.Entrypoint, []string{"/hello"}) && !slices.Equal(config.Config.Cmd, []string{"/hello"}) {
		t.Errorf("the image runs %q %q", config.Config.Entrypoint, config.Config.Cmd)
	}
	// A runtime unpacks the layers in order and runs the program in them.
	s.Foreign("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "docker://"+name, "dir:image").OK()
	for _, layer := range layersOf(t, filepath.Join(s.Dir, "image")) {
		extract(t, s, layer, "rootfs")
	}
	if got := s.Run(filepath.Join(s.Dir, "rootfs/hello"), "container").OK().Stdout; got != "hello, container\n" {
		t.Errorf("the unpacked program printed %q", got)
	}

	user := program.New(t, program.Options{})
	if got := user.Run("ocipkg", "get", name).Digest(); got != digest {
		t.Errorf("got %s, want %s", got, digest)
	}
	dir := strings.TrimSpace(user.Run("ocipkg", "image-directory", name).OK().Stdout)
	if got := user.Run(filepath.Join(dir, "hello"), "store").OK().Stdout; got != "hello, store\n" {
		t.Errorf("the program in the store printed %q", got)
	}
}

func TestProgramThatNeedsLibrariesIsNoImage(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("hello.c", hello, 0o644)
	s.Run("gcc", "-o", "dynamic", "hello.c").OK()
	s.Run("gcc", "-shared", "-fPIC", "-o", "libhello.so", "hello.c").OK()
	s.Run("gcc", "-c", "hello.c").OK()
	s.Run("ocipkg", "runnable", "dynamic").Fails(2, "dynamic", "-static")
	s.Run("ocipkg", "runnable", "libhello.so").Fails(2, "libhello.so", "static")
	s.Run("ocipkg", "runnable", "hello.o").Fails(2, "hello.o", "static")
	s.Run("ocipkg", "runnable", "hello.c").Fails(2, "hello.c", "static")
	s.Run("ocipkg", "runnable", "missing").Fails(3, "missing")
	if archives, err := filepath.Glob(filepath.Join(s.Dir, "*.tar")); err != nil || len(archives) > 0 {
		t.Errorf("there are the archives %v (%v)", archives, err)
	}
}

// readJSON reads what a program printed.
func readJSON(t *testing.T, r *program.Result, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.OK().Stdout), to); err != nil {
		t.Fatalf("%v\n%s", err, r)
	}
}

// layersOf lists the layers of an image that skopeo wrote as dir:, in order.
func layersOf(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	var layers []string
	for _, layer := range manifest.Layers {
		if layer.MediaType != ocispec.MediaTypeImageLayerGzip {
			t.Fatalf("a layer is %s, which not every runtime unpacks", layer.MediaType)
		}
		layers = append(layers, filepath.Join(dir, layer.Digest.Encoded()))
	}
	return layers
}

// extract unpacks the regular files of a layer, without any code of the
// project's.
func extract(t *testing.T, s *program.Session, layer, to string) {
	t.Helper()
	file, err := os.Open(layer)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		s.WriteFile(filepath.Join(to, filepath.FromSlash(header.Name)), string(content), header.FileInfo().Mode())
	}
}
