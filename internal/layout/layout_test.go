package layout

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
)

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is checks that err is of a kind and says what text does.
func is(t testing.TB, err, kind error, text string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("the error is %v; want one of kind %q about %q", err, kind, text)
	}
}

// build writes a small package and gives its manifest.
func build(t testing.TB, w *Writer) ocispec.Descriptor {
	t.Helper()
	desc, err := artifact.Build(ctx, w, spec(t))
	must(t, err)
	return desc
}

// spec is of a package that has a small layer and one of a large file.
func spec(t testing.TB) artifact.Spec {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"greet.h": "void greet(void);\n", "libgreet.a": strings.Repeat("!<arch>\n", 1<<18)} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	files, err := layer.Scan(dir, nil)
	must(t, err)
	return artifact.Spec{Files: files}
}

// archiveAt makes an archive of a small package at path.
func archiveAt(t testing.TB, path, name string) ocispec.Descriptor {
	t.Helper()
	w, err := CreateArchive(path, false)
	must(t, err)
	defer w.Close()
	desc := build(t, w)
	must(t, w.Finish(desc, name))
	return desc
}

// verify opens the package of a layout and reads every layer.
func verify(l *Layout, desc ocispec.Descriptor) error {
	p, err := artifact.Open(ctx, l, desc)
	if err != nil {
		return err
	}
	layers, err := p.Layers()
	if err != nil {
		return err
	}
	for _, one := range layers {
		err := artifact.ReadLayer(ctx, l, one, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
		if err != nil {
			return err
		}
	}
	return nil
}

// names lists a directory.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestAnArchiveIsWrittenAndReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with a blank")
	must(t, os.Mkdir(dir, 0o755))
	path := filepath.Join(dir, "my package.tar")
	desc := archiveAt(t, path, "ghcr.io/acme/greet:1.0")
	if got := names(t, dir); !slices.Equal(got, []string{"my package.tar"}) {
		t.Errorf("the directory holds %q", got)
	}
	l, err := OpenArchive(ctx, path)
	must(t, err)
	defer l.Close()
	if len(l.Warnings) > 0 {
		t.Errorf("there are warnings: %q", l.Warnings)
	}
	root, err := l.Root("")
	must(t, err)
	if root.Digest != desc.Digest || artifact.Name(root) != "ghcr.io/acme/greet:1.0" || root.ArtifactType != artifact.ArtifactType {
		t.Errorf("it is about %+v", root)
	}
	must(t, verify(l, root))
}

func TestAnArchiveOfTheSameContentHasTheSameBytes(t *testing.T) {
	dir := t.TempDir()
	archiveAt(t, filepath.Join(dir, "a.tar"), "")
	archiveAt(t, filepath.Join(dir, "b.tar"), "")
	a, err := os.ReadFile(filepath.Join(dir, "a.tar"))
	must(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "b.tar"))
	must(t, err)
	if !bytes.Equal(a, b) {
		t.Error("the bytes differ")
	}
	if bytes.Contains(a, []byte("ref.name")) {
		t.Error("a name is stored, and none was given")
	}
}

func TestADirectoryIsWrittenAndAddedTo(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"a new one":              func(string) error { return nil },
		"an empty one":           func(path string) error { return os.Mkdir(path, 0o755) },
		"one with a slash after": func(path string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			path := filepath.Join(top, "layout")
			must(t, prepare(path))
			if strings.Contains(name, "slash") {
				path += "/"
			}
			for _, tag := range []string{"1.0", "1.1", "1.0", ""} {
				w, err := CreateDir(path)
				must(t, err)
				desc := build(t, w)
				must(t, w.Finish(desc, tag))
				must(t, w.Close())
			}
			if got := names(t, top); !slices.Equal(got, []string{"layout"}) {
				t.Errorf("beside it there is %q", got)
			}
			if got := names(t, path); !slices.Equal(got, []string{"blobs", "index.json", "oci-layout"}) {
				t.Errorf("in it there is %q", got)
			}
			l, err := OpenDir(ctx, path)
			must(t, err)
			defer l.Close()
			if len(l.Index.Manifests) != 3 {
				t.Errorf("it has %d names: %+v", len(l.Index.Manifests), l.Index.Manifests)
			}
			for _, tag := range []string{"1.0", "1.1", ""} {
				root, err := l.Root(tag)
				must(t, err)
				must(t, verify(l, root))
			}
			_, err = l.Root("2.0")
			is(t, err, errdef.ErrNotFound, `nothing named "2.0"; it has 1.1, 1.0`)
		})
	}
}

func TestATemporaryLayoutIsReadAndGone(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w, err := CreateTemp()
	must(t, err)
	desc := build(t, w)
	l, err := w.Layout(desc)
	must(t, err)
	must(t, verify(l, desc))
	must(t, l.Close())
	must(t, w.Close())
	if got := names(t, os.TempDir()); len(got) > 0 {
		t.Errorf("%q is left", got)
	}
}

func TestArchivesOfTheRustProgramAreRead(t *testing.T) {
	for _, version := range []string{"0.2.9", "0.4.0"} {
		for kind, want := range map[string]string{"pack": "include/greet.h lib/libgreet.a", "compose": "greet.h libgreet.a"} {
			t.Run(version+" "+kind, func(t *testing.T) {
				l, err := OpenArchive(ctx, filepath.Join("testdata", "rust-"+version+"-"+kind+".tar"))
				must(t, err)
				defer l.Close()
				if warned := len(l.Warnings) == 1 && strings.Contains(l.Warnings[0], "oci-layout"); warned != (version == "0.4.0") {
					t.Errorf("the warnings are %q", l.Warnings)
				}
				root, err := l.Root("registry.example/acme/greet:1.0.0")
				must(t, err)
				must(t, verify(l, root))
				p, err := artifact.Open(ctx, l, root)
				must(t, err)
				if p.IsNative() != (version == "0.4.0") || p.ListsFiles() {
					t.Errorf("the package is read as that of another version")
				}
				if len(p.Annotations()) == 0 && version == "0.2.9" {
					t.Error("the labels are not read")
				}
				layers, err := p.Layers()
				must(t, err)
				listing := layer.NewListing(limit.Default)
				for i, one := range layers {
					must(t, artifact.ReadLayer(ctx, l, one, func(r io.Reader) error { return listing.Apply(ctx, r, one.Compression, i) }))
				}
				var got []string
				for _, f := range listing.Files() {
					got = append(got, f.Path)
				}
				if strings.Join(got, " ") != want {
					t.Errorf("it holds %q, want %q", got, want)
				}
			})
		}
	}
}

func TestWhichOfSeveralManifestsIsMeant(t *testing.T) {
	d := func(content, name string) ocispec.Descriptor {
		desc := ocispec.Descriptor{Digest: digest.FromString(content)}
		if name != "" {
			desc.Annotations = map[string]string{ocispec.AnnotationRefName: name}
		}
		return desc
	}
	for name, test := range map[string]struct {
		manifests []ocispec.Descriptor
		ask, want string
		kind      error
		text      string
	}{
		"the only one":                {[]ocispec.Descriptor{d("a", "")}, "", "a", nil, ""},
		"one under two names":         {[]ocispec.Descriptor{d("a", "x"), d("a", "y")}, "", "a", nil, ""},
		"by its name":                 {[]ocispec.Descriptor{d("a", "r.io/x:1"), d("b", "r.io/x:2")}, "r.io/x:2", "b", nil, ""},
		"by its tag":                  {[]ocispec.Descriptor{d("a", "r.io/x:1"), d("b", "r.io/x:2")}, "2", "b", nil, ""},
		"by a tag alone":              {[]ocispec.Descriptor{d("a", "1"), d("b", "2")}, "2", "b", nil, ""},
		"by its digest":               {[]ocispec.Descriptor{d("a", ""), d("b", "")}, digest.FromString("b").String(), "b", nil, ""},
		"several":                     {[]ocispec.Descriptor{d("a", "x"), d("b", "")}, "", "", errdef.ErrUsage, "several unrelated manifests: x, sha256:"},
		"one tag of two repositories": {[]ocispec.Descriptor{d("a", "r.io/x:1"), d("b", "r.io/y:1")}, "1", "", errdef.ErrUsage, "several"},
		"none":                        {nil, "", "", errdef.ErrNotFound, "no manifest in it"},
		"none of that name":           {[]ocispec.Descriptor{d("a", "x")}, "y", "", errdef.ErrNotFound, `nothing named "y"; it has x`},
	} {
		t.Run(name, func(t *testing.T) {
			l := &Layout{Path: "l"}
			l.Index.Manifests = test.manifests
			got, err := l.Root(test.ask)
			if test.kind != nil {
				is(t, err, test.kind, test.text)
				return
			}
			if err != nil || got.Digest != digest.FromString(test.want) {
				t.Errorf("it is %v, %v", got, err)
			}
		})
	}
}

// parts are the files of a good layout.
func parts(t testing.TB) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "l")
	w, err := CreateDir(dir)
	must(t, err)
	desc := build(t, w)
	must(t, w.Finish(desc, ""))
	must(t, w.Close())
	files := map[string]string{}
	must(t, filepath.WalkDir(dir, func(at string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(at)
		must(t, err)
		rel, err := filepath.Rel(dir, at)
		must(t, err)
		files[filepath.ToSlash(rel)] = string(raw)
		return nil
	}))
	return files
}

func writeTar(t testing.TB, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		must(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(files[name])), Mode: 0o644, Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(files[name]))
		must(t, err)
	}
	must(t, w.Close())
	return writeFile(t, out.Bytes())
}

func writeFile(t testing.TB, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.tar")
	must(t, os.WriteFile(path, raw, 0o644))
	return path
}

func writeDir(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		at := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		must(t, os.WriteFile(at, []byte(content), 0o644))
	}
	return dir
}

// readArchive does all that a reader of an archive does.
func readArchive(path string) error { return readAll(OpenArchive(ctx, path)) }

func readAll(l *Layout, err error) error {
	if err != nil {
		return err
	}
	defer l.Close()
	root, err := l.Root("")
	if err != nil {
		return err
	}
	return verify(l, root)
}

func TestDamagedLayoutsAreRefused(t *testing.T) {
	blob := func(files map[string]string, size int) string {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if strings.HasPrefix(name, "blobs/") && (size == 0 || len(files[name]) == size) {
				return name
			}
		}
		panic("no such blob")
	}
	for name, test := range map[string]struct {
		damage func(map[string]string)
		kind   error
		text   string
	}{
		"without index.json":          {func(f map[string]string) { delete(f, "index.json") }, errdef.ErrVerification, "no index.json"},
		"an index.json that is empty": {func(f map[string]string) { f["index.json"] = "" }, errdef.ErrVerification, "no valid document"},
		"an index.json that is huge":  {func(f map[string]string) { f["index.json"] += strings.Repeat(" ", 17<<20) }, errdef.ErrVerification, "--limit manifest="},
		"an index.json that is a image": {func(f map[string]string) {
			f["index.json"] = strings.Replace(f["index.json"], `"manifests"`, `"layers":[],"manifests"`, 1)
		}, errdef.ErrVerification, "both"},
		"an index.json without entries": {func(f map[string]string) { f["index.json"] = `{"schemaVersion":2,"manifests":[]}` }, errdef.ErrNotFound, "no manifest"},
		"a manifest that is a way out": {func(f map[string]string) {
			f["index.json"] = strings.Replace(f["index.json"], "sha256:", "sha256:../../../", 1)
		}, errdef.ErrVerification, "digest"},
		"a version that is unknown":     {func(f map[string]string) { f["oci-layout"] = `{"imageLayoutVersion":"2.0.0"}` }, errdef.ErrVerification, `"2.0.0"`},
		"a version that is no document": {func(f map[string]string) { f["oci-layout"] = "1.0.0" }, errdef.ErrVerification, "oci-layout"},
		"a blob that is missing":        {func(f map[string]string) { delete(f, blob(f, 0)) }, errdef.ErrVerification, "lacks the blob"},
		"a blob that is shorter":        {func(f map[string]string) { b := blob(f, 0); f[b] = f[b][1:] }, errdef.ErrVerification, "bytes, not"},
		"a blob that is longer":         {func(f map[string]string) { f[blob(f, 0)] += "x" }, errdef.ErrVerification, "bytes, not"},
		"a blob that is another":        {func(f map[string]string) { b := blob(f, 0); f[b] = "x" + f[b][1:] }, errdef.ErrVerification, ""},
		"several unrelated manifests":   {func(f map[string]string) { f["index.json"] = twice(f["index.json"]) }, errdef.ErrUsage, "several unrelated manifests"},
		"a manifest with another's size": {func(f map[string]string) {
			f["index.json"] = strings.Replace(f["index.json"], `"size":`, `"size":1`, 1)
		}, errdef.ErrVerification, "bytes, not"},
	} {
		t.Run(name, func(t *testing.T) {
			files := parts(t)
			test.damage(files)
			is(t, readArchive(writeTar(t, files)), test.kind, test.text)
			is(t, readAll(OpenDir(ctx, writeDir(t, files))), test.kind, test.text)
		})
	}
}

// twice puts another manifest beside the one of an index.
func twice(index string) string {
	other := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":0},`, ocispec.MediaTypeImageManifest, digest.FromString(""))
	return strings.Replace(index, `"manifests":[`, `"manifests":[`+other, 1)
}

func TestEveryBlobOfALayoutIsChecked(t *testing.T) {
	good := parts(t)
	must(t, readAll(OpenDir(ctx, writeDir(t, good))))
	for name, content := range good {
		if !strings.HasPrefix(name, "blobs/") {
			continue
		}
		files := maps.Clone(good)
		files[name] = content[:len(content)-1] + "\x00"
		if err := readAll(OpenDir(ctx, writeDir(t, files))); !errors.Is(err, errdef.ErrVerification) {
			t.Errorf("%s was changed, and the error is %v", name, err)
		}
	}
}
