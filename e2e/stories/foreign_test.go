package stories

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// publisher puts manifests and blobs into a repository as any other program
// might, by the plain protocol.
type publisher struct {
	t          *testing.T
	registry   *registrytest.Registry
	repository string
}

func (p *publisher) send(method, path, mediaType string, content []byte) *http.Response {
	p.t.Helper()
	at := path
	if !strings.HasPrefix(at, "http") {
		at = p.registry.URL + path
	}
	request, err := http.NewRequest(method, at, bytes.NewReader(content))
	if err != nil {
		p.t.Fatal(err)
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	response, err := p.registry.Client().Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode/100 != 2 {
		p.t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	return response
}

// blob sends a blob and gives its descriptor.
func (p *publisher) blob(mediaType string, content []byte) ocispec.Descriptor {
	p.t.Helper()
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
	location := p.send(http.MethodPost, "/v2/"+p.repository+"/blobs/uploads/", "", nil).Header.Get("Location")
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	p.send(http.MethodPut, location+separator+"digest="+url.QueryEscape(desc.Digest.String()), "application/octet-stream", content)
	return desc
}

// file sends a file as ORAS does: as it is, under its title.
func (p *publisher) file(title, content string) ocispec.Descriptor {
	p.t.Helper()
	desc := p.blob("application/octet-stream", []byte(content))
	desc.Annotations = map[string]string{ocispec.AnnotationTitle: title}
	return desc
}

// manifest sends a manifest or an index and gives its descriptor.
func (p *publisher) manifest(tag, mediaType string, document any) ocispec.Descriptor {
	p.t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		p.t.Fatal(err)
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	if tag == "" {
		tag = desc.Digest.String()
	}
	p.send(http.MethodPut, "/v2/"+p.repository+"/manifests/"+tag, mediaType, text)
	return desc
}

func (p *publisher) artifact(tag string, layers ...ocispec.Descriptor) ocispec.Descriptor {
	p.t.Helper()
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.acme.library", Layers: layers}
	m.SchemaVersion = 2
	m.Config = p.blob(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	return p.manifest(tag, ocispec.MediaTypeImageManifest, m)
}

// archived makes a tar archive: names that end in a slash are directories,
// content that begins with "-> " is a link's target.
func archived(t *testing.T, files ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, file := range files {
		header := &tar.Header{Name: file[0], Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(file[1]))}
		if target, ok := strings.CutPrefix(file[1], "-> "); ok {
			header.Typeflag, header.Linkname, header.Size = tar.TypeSymlink, target, 0
		}
		if strings.HasSuffix(file[0], "/") {
			header.Typeflag, header.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(file[1])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// got gets a package and gives what its directory holds: the content of files,
// and "-> " with the target of links.
func got(t *testing.T, s *program.Session, name string, arguments ...string) map[string]string {
	t.Helper()
	s.Run("ocipkg", append([]string{"get", name}, arguments...)...).OK()
	dir := strings.TrimSpace(s.Run("ocipkg", append([]string{"image-directory", name}, arguments...)...).OK().Stdout)
	all := map[string]string{}
	for path := range tree.Content(t, dir) {
		r := s.Run("sh", "-c", `if test -h "$1"; then printf -- '-> %s' "$(readlink "$1")"; else cat "$1"; fi`, "sh", filepath.Join(dir, path))
		all[path] = r.OK().Stdout
	}
	return all
}

func checkFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the package has\n%v, want\n%v", got, want)
	}
}

func TestArtifactOfPlainFilesIsGot(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	p := &publisher{t, registry, "acme/files"}
	// A directory, which ORAS sends as an archive.
	directory := p.blob(ocispec.MediaTypeImageLayerGzip, gzipped(t, archived(t, [2]string{"share/", ""}, [2]string{"share/a", "A"}, [2]string{"share/b", "-> a"})))
	directory.Annotations = map[string]string{ocispec.AnnotationTitle: "share", "io.deis.oras.content.unpack": "true"}
	p.artifact("1", p.file("libfoo.a", "not quite a library"), p.file("include/foo.h", "#define FOO\n"), directory)
	checkFiles(t, got(t, program.New(t, program.Options{}), registry.Host+"/acme/files:1"), map[string]string{
		"libfoo.a": "not quite a library", "include/foo.h": "#define FOO\n", "share/a": "A", "share/b": "-> a",
	})
}

func TestLayersOfAForeignImageAreUnpackedInOrderWithWhiteouts(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	p := &publisher{t, registry, "acme/image"}
	const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	for manifestType, types := range map[string][2]string{
		ocispec.MediaTypeImageManifest: {ocispec.MediaTypeImageConfig, ocispec.MediaTypeImageLayerGzip},
		dockerManifest:                 {"application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"},
	} {
		m := ocispec.Manifest{MediaType: manifestType}
		m.SchemaVersion = 2
		m.Config = p.blob(types[0], []byte(`{"architecture":"`+runtime.GOARCH+`","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`))
		for _, layer := range [][][2]string{
			{{"lib/", ""}, {"lib/old", "old"}, {"lib/gone", "gone"}, {"dir/", ""}, {"dir/a", "a"}, {"dir/b", "b"}},
			{{"lib/old", "new"}, {"lib/.wh.gone", ""}, {"dir/.wh..wh..opq", ""}, {"dir/c", "c"}, {"lib/link", "-> old"}},
		} {
			m.Layers = append(m.Layers, p.blob(types[1], gzipped(t, archived(t, layer...))))
		}
		tag := fmt.Sprintf("%x", digest.FromString(manifestType).Encoded()[:8])
		p.manifest(tag, manifestType, m)
		checkFiles(t, got(t, program.New(t, program.Options{}), registry.Host+"/acme/image:"+tag), map[string]string{
			"lib/old": "new", "lib/link": "-> old", "dir/c": "c",
		})
	}
}

func TestForeignPackageTouchesNothingOutsideOfItsDirectory(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	p := &publisher{t, registry, "acme/evil"}
	s := program.New(t, program.Options{})
	s.WriteFile(filepath.Join(s.Home, "precious"), "precious", 0o644)
	layer := func(files ...[2]string) ocispec.Descriptor {
		return p.blob(ocispec.MediaTypeImageLayerGzip, gzipped(t, archived(t, files...)))
	}
	up := strings.Repeat("../", 12) + s.Home[1:] + "/precious"
	before := tree.Of(t, s.Home)
	for what, desc := range map[string]ocispec.Descriptor{
		"title-up":       p.file("../../precious", "evil"),
		"title-absolute": p.file(filepath.Join(s.Home, "precious"), "evil"),
		"path-up":        layer([2]string{up, "evil"}),
		"link-up":        layer([2]string{"link", "-> " + up}),
	} {
		p.artifact(what, desc)
		s.Run("ocipkg", "get", registry.Host+"/acme/evil:"+what).Fails(5, registry.Host+"/acme/evil:"+what)
		storetest.CheckTmpEmpty(t, storetest.Dir(s))
		if roots := storetest.Roots(t, storetest.Dir(s)); len(roots) > 0 {
			t.Errorf("%s: the store has %v", what, roots)
		}
	}
	// What container tools do as well: an absolute path begins at the package's
	// root, a link's target too.
	p.artifact("link", layer([2]string{"link", "-> " + s.Home}))
	checkFiles(t, got(t, s, registry.Host+"/acme/evil:link"), map[string]string{"link": "-> " + s.Home[1:]})
	p.artifact("absolute", layer([2]string{filepath.Join(s.Home, "precious"), "inside"}))
	checkFiles(t, got(t, s, registry.Host+"/acme/evil:absolute"), map[string]string{filepath.Join(s.Home[1:], "precious"): "inside"})
	p.artifact("through", layer([2]string{"link", "-> " + s.Home}, [2]string{"link/precious", "inside"}))
	checkFiles(t, got(t, s, registry.Host+"/acme/evil:through"), map[string]string{
		"link": "-> " + s.Home[1:], filepath.Join(s.Home[1:], "precious"): "inside",
	})
	after := tree.Of(t, s.Home)
	maps.DeleteFunc(after, func(path, _ string) bool { return strings.HasPrefix(path, ".local/") })
	tree.Check(t, "the user's files", after, before)
}

func TestOfAnIndexThePackageForTheTargetIsGot(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	p := &publisher{t, registry, "acme/index"}
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	index.SchemaVersion = 2
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/arm64"} {
		desc := p.artifact("", p.file("platform", platform))
		os, architecture, _ := strings.Cut(platform, "/")
		desc.Platform = &ocispec.Platform{OS: os, Architecture: architecture}
		index.Manifests = append(index.Manifests, desc)
	}
	top := p.manifest("1", ocispec.MediaTypeImageIndex, index)
	name := registry.Host + "/acme/index:1"
	s := program.New(t, program.Options{})
	checkFiles(t, got(t, s, name), map[string]string{"platform": "linux/" + runtime.GOARCH})
	checkFiles(t, got(t, s, name, "--platform", "linux/arm64"), map[string]string{"platform": "linux/arm64"})
	checkFiles(t, got(t, s, name, "--target", "aarch64-apple-darwin"), map[string]string{"platform": "darwin/arm64"})
	checkFiles(t, got(t, s, registry.Host+"/acme/index@"+top.Digest.String()), map[string]string{"platform": "linux/" + runtime.GOARCH})
	cross := program.New(t, program.Options{Env: []string{"OCIPKG_TARGET=linux/arm64"}})
	checkFiles(t, got(t, cross, name), map[string]string{"platform": "linux/arm64"})

	for _, target := range []string{"windows/amd64", "riscv64gc-unknown-linux-gnu"} {
		s.Run("ocipkg", "get", name, "--platform", target).Fails(7, name, "linux/amd64", "linux/arm64", "darwin/arm64")
	}
	if n := len(storetest.Roots(t, storetest.Dir(s))); n != 3 {
		t.Errorf("the store has %d packages, want 3", n)
	}
	if shown := s.Run("ocipkg", "inspect", name).OK().Stdout; strings.Count(shown, "sha256:") != 4 || !strings.Contains(shown, "darwin/arm64") {
		t.Errorf("inspect shows\n%s", shown)
	}
}

func TestContainerToolsCopyOurPackagesWithoutAChange(t *testing.T) {
	t.Parallel()
	skopeo(t)
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	for _, compression := range []string{"zstd", "gzip"} {
		s := program.New(t, program.Options{})
		install(t, s, "in", false)
		want := tree.Content(t, filepath.Join(s.Dir, "in"))
		first := registry.Host + "/acme/" + compression + ":1"
		digest := s.Run("ocipkg", "push", "in", first, "--compression", compression).Digest()
		copied := registry.Host + "/elsewhere/" + compression + ":1"
		copy := func(from, to string) {
			t.Helper()
			s.Foreign("skopeo", "--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", from, to).OK()
		}
		copy("docker://"+first, "oci:layout:1")
		copy("oci:layout:1", "docker://"+copied)
		for _, name := range []string{"oci:layout:1", "oci:layout", copied} {
			if got := s.Run("ocipkg", "inspect", "--verify", name).OK().Stdout; !strings.Contains(got, digest) {
				t.Errorf("%s is not %s:\n%s", name, digest, got)
			}
		}
		if got := s.Run("ocipkg", "push", "oci:layout:1", registry.Host+"/third/"+compression+":1").Digest(); got != digest {
			t.Errorf("pushed %s, want %s", got, digest)
		}
		user := program.New(t, program.Options{})
		if got := user.Run("ocipkg", "get", copied).Digest(); got != digest {
			t.Errorf("got %s, want %s", got, digest)
		}
		for _, dir := range storetest.Roots(t, storetest.Dir(user)) {
			tree.Check(t, "the package", tree.Content(t, dir), want)
		}
		// And the other way round: a layout of ours is one for them.
		s.Run("ocipkg", "pack", "in", "oci:ours:1", "--compression", compression).OK()
		copy("oci:ours:1", "docker://"+registry.Host+"/ours/"+compression+":1")
		s.Run("ocipkg", "pack", "in", "ours.tar", "-t", first, "--compression", compression).OK()
		copy("oci-archive:ours.tar", "docker://"+registry.Host+"/archive/"+compression+":1")
		for _, repository := range []string{"ours", "archive"} {
			if got := user.Run("ocipkg", "get", registry.Host+"/"+repository+"/"+compression+":1").Digest(); got != digest {
				t.Errorf("%s: got %s, want %s", repository, got, digest)
			}
		}
	}
}
