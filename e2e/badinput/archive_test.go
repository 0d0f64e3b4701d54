package badinput

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// entry is a file of an archive.
type entry struct {
	name    string
	content []byte
}

// archive packs a small directory and gives the archive's files.
func archive(t *testing.T, s *program.Session) []entry {
	t.Helper()
	s.WriteFile("in/include/a.h", strings.Repeat("#define A\n", 100), 0o644)
	tree.WriteRandom(t, filepath.Join(s.Dir, "in/lib/large"), 2<<20, 1)
	s.Own(filepath.Join(s.Dir, "in"))
	s.Run("ocipkg", "pack", "in", "good.tar", "-t", "ghcr.io/acme/a:1").OK()
	text, err := os.ReadFile(filepath.Join(s.Dir, "good.tar"))
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		header, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			all = append(all, entry{header.Name, content})
		}
	}
}

// write writes an archive of the given files.
func write(t *testing.T, s *program.Session, name string, all []entry) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range all {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.content)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.WriteFile(name, b.String(), 0o644)
}

// refusesArchive checks that an archive can be neither loaded nor pushed, and
// that the registry is not told of it.
func refusesArchive(t *testing.T, s *program.Session, registry *registrytest.Registry, code int, words []string, name string) {
	t.Helper()
	words = append([]string{name}, words...)
	refuses(t, s, code, words, "load", name)
	// To a repository that has none of the blobs: what is there is not sent.
	repository := fmt.Sprintf("%s/acme/a%d", registry.Host, len(registry.Requests()))
	refuses(t, s, code, words, "push", name, repository+":1")
	refuses(t, s, code, words, "inspect", "--verify", name)
	if n := registry.Count("PUT", "/manifests/"); n != 0 {
		t.Errorf("%s: the registry got %d manifests", name, n)
	}
}

func TestArchiveThatWasCutShortIsRefused(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{})
	archive(t, s)
	text, err := os.ReadFile(filepath.Join(s.Dir, "good.tar"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		// Not in the zeroes at the end, which say nothing.
		s.WriteFile("bad.tar", string(text[:(len(text)-2048)*i/20]), 0o644)
		refusesArchive(t, s, registry, verification, nil, "bad.tar")
	}
	s.WriteFile("bad.tar", strings.Repeat("this is no archive\n", 1000), 0o644)
	refusesArchive(t, s, registry, verification, []string{"no tar archive"}, "bad.tar")
	s.Run("ocipkg", "load", "good.tar").OK()
}

func TestArchiveWithOtherBytesThanItsDigestsSayIsRefused(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{})
	good := archive(t, s)
	blobs := 0
	for i, e := range good {
		if !strings.HasPrefix(e.name, "blobs/") {
			continue
		}
		blobs++
		for what, change := range map[string]func([]byte) []byte{
			"a bit flipped at the start": func(b []byte) []byte { b[0] ^= 1; return b },
			"a bit flipped in the midst": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"a bit flipped at the end":   func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			"one byte less":              func(b []byte) []byte { return b[:len(b)-1] },
			"one byte more":              func(b []byte) []byte { return append(b, 0) },
		} {
			bad := slices.Clone(good)
			bad[i].content = change(slices.Clone(e.content))
			write(t, s, "bad.tar", bad)
			t.Logf("%s: %s", e.name, what)
			refusesArchive(t, s, registry, verification, nil, "bad.tar")
		}
		write(t, s, "bad.tar", slices.Delete(slices.Clone(good), i, i+1))
		refusesArchive(t, s, registry, verification, []string{strings.TrimPrefix(e.name, "blobs/sha256/")}, "bad.tar")
	}
	if blobs < 4 {
		t.Errorf("the archive has %d blobs, fewer than a manifest, a config and two layers", blobs)
	}
	write(t, s, "good-again.tar", good)
	s.Run("ocipkg", "load", "good-again.tar").OK()
}

// edit gives the files of an archive with index.json changed.
func edit(t *testing.T, good []entry, change func(*ocispec.Index)) []entry {
	t.Helper()
	all := slices.Clone(good)
	i := slices.IndexFunc(all, func(e entry) bool { return e.name == "index.json" })
	var index ocispec.Index
	if err := json.Unmarshal(all[i].content, &index); err != nil {
		t.Fatal(err)
	}
	change(&index)
	var err error
	if all[i].content, err = json.Marshal(index); err != nil {
		t.Fatal(err)
	}
	return all
}

func without(all []entry, name string) []entry {
	return slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return e.name == name })
}

func TestArchiveThatIsNoLayoutOfOnePackageIsRefused(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{})
	good := archive(t, s)

	write(t, s, "bad.tar", without(good, "index.json"))
	refusesArchive(t, s, registry, verification, []string{"index.json"}, "bad.tar")

	write(t, s, "bad.tar", edit(t, good, func(index *ocispec.Index) { index.Manifests = nil }))
	refusesArchive(t, s, registry, notFound, []string{"no manifest"}, "bad.tar")

	s.Run("sh", "-c", "mkdir two && echo two > two/file && ocipkg pack in oci:both:1 && ocipkg pack two oci:both:2 && tar cf both.tar -C both .").OK()
	refusesArchive(t, s, registry, usage, []string{"several", "1", "2"}, "both.tar")
	refuses(t, s, usage, []string{"several"}, "load", "both")
	refuses(t, s, notFound, []string{"3", "1", "2"}, "load", "oci:both:3")
	s.Run("ocipkg", "inspect", "oci:both:2").OK()

	write(t, s, "bad.tar", slices.Concat(without(good, "index.json"), []entry{{"index.json", []byte("{")}}))
	refusesArchive(t, s, registry, verification, []string{"index.json"}, "bad.tar")
}

func TestArchiveWithoutTheFileOciLayoutIsAcceptedWithAWarning(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	write(t, s, "rust.tar", without(archive(t, s), "oci-layout"))
	r := s.Run("ocipkg", "load", "rust.tar").OK()
	if !strings.Contains(r.Stderr, "warning: rust.tar has no oci-layout file") || strings.Count(r.Stderr, "\n") != 1 {
		t.Errorf("there is no warning\n%s", r)
	}
	write(t, s, "odd.tar", slices.Concat(without(archive(t, program.New(t, program.Options{})), "oci-layout"),
		[]entry{{"oci-layout", []byte(`{"imageLayoutVersion":"2.0.0"}`)}}))
	refuses(t, s, verification, []string{"2.0.0"}, "load", "odd.tar")
}

func TestSourcesThatAreNoFilesAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.Run("mkfifo", "pipe").OK()
	s.WriteFile("secret.tar", "", 0)
	s.WriteFile("dir/file", "", 0o644)
	for _, command := range []string{"load", "inspect"} {
		refuses(t, s, usage, []string{"pipe"}, command, "pipe")
		refuses(t, s, usage, []string{"/dev/null"}, command, "/dev/null")
		refuses(t, s, failed, []string{"secret.tar", "permission denied"}, command, "secret.tar")
	}
	refuses(t, s, usage, []string{"pipe"}, "push", "pipe", "127.0.0.1:1/a/b:1")
	refuses(t, s, notFound, []string{"missing.tar", "does not exist"}, "load", "missing.tar")
	refuses(t, s, notFound, []string{"missing.tar", "does not exist"}, "push", "missing.tar", "127.0.0.1:1/a/b:1")
	refuses(t, s, verification, []string{"dir", "index.json"}, "load", "dir")
}

func TestNameInTheStoreIsNotTakenOverByAnArchiveUnlessAskedFor(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	archive(t, s)
	first := s.Run("ocipkg", "load", "good.tar").Digest()
	s.Run("ocipkg", "load", "good.tar").OK()
	s.WriteFile("in/new", "new", 0o644)
	s.Run("ocipkg", "pack", "in", "other.tar", "-t", "ghcr.io/acme/a:1").OK()
	refuses(t, s, usage, []string{"ghcr.io/acme/a:1", first, "--overwrite"}, "load", "other.tar")
	second := s.Run("ocipkg", "load", "--overwrite", "other.tar").Digest()
	if second == first {
		t.Fatal("both packages have one digest")
	}
	dir := s.Run("ocipkg", "image-directory", "ghcr.io/acme/a:1").OK().Stdout
	if !strings.Contains(dir, strings.TrimPrefix(second, "sha256:")) {
		t.Errorf("the name stands for %s, not for %s", dir, second)
	}
}
