package layout

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/filelock"
)

func TestWritersOfOneDirectoryLoseNoName(t *testing.T) {
	for _, there := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "layout")
		if there {
			must(t, os.Mkdir(path, 0o755))
		}
		const writers = 12
		var all sync.WaitGroup
		for n := range writers {
			w, err := CreateDir(path)
			must(t, err)
			defer w.Close()
			desc := build(t, w)
			all.Go(func() {
				if err := w.Finish(desc, fmt.Sprintf("1.%d", n)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		l, err := OpenDir(ctx, path)
		must(t, err)
		defer l.Close()
		for n := range writers {
			root, err := l.Root(fmt.Sprintf("1.%d", n))
			must(t, err)
			must(t, verify(l, root))
		}
	}
}

func TestADirectoryThatSomebodyIsWritingToIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layout")
	must(t, os.Mkdir(path, 0o755))
	lock, err := filelock.Open(filepath.Join(path, layoutFile), 0o666, false)
	must(t, err)
	w, err := CreateDir(path)
	must(t, err)
	defer w.Close()
	desc := build(t, w)
	done := make(chan error)
	go func() { done <- w.Finish(desc, "1.0") }()
	must(t, lock.Close())
	must(t, <-done)
	must(t, readAll(OpenDir(ctx, path)))
}

func TestWhatAWriterThatWasKilledLeftIsAddedTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layout")
	must(t, os.MkdirAll(filepath.Join(path, "blobs", "sha256"), 0o755))
	must(t, os.WriteFile(filepath.Join(path, layoutFile), nil, 0o644))
	w, err := CreateDir(path)
	must(t, err)
	defer w.Close()
	must(t, w.Finish(build(t, w), "1.0"))
	must(t, readAll(OpenDir(ctx, path)))
}

// put writes a document as a blob.
func put(t testing.TB, w *Writer, mediaType string, doc any) ocispec.Descriptor {
	t.Helper()
	raw, err := json.Marshal(doc)
	must(t, err)
	b, err := w.Create()
	must(t, err)
	_, err = b.Write(raw)
	must(t, err)
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	must(t, b.Commit(desc))
	return desc
}

// about is a manifest that refers to subject.
func about(t testing.TB, w *Writer, subject ocispec.Descriptor, artifactType string) ocispec.Descriptor {
	t.Helper()
	empty := put(t, w, ocispec.MediaTypeEmptyJSON, struct{}{})
	return put(t, w, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType, Config: empty, Layers: []ocispec.Descriptor{empty}, Subject: &subject,
	})
}

func TestWhatRefersToAManifestIsFoundAndIsNotTheLayoutsRoot(t *testing.T) {
	dir := t.TempDir()
	for name, create := range map[string]func(path string) (*Writer, error){
		"layout":     CreateDir,
		"layout.tar": func(path string) (*Writer, error) { return CreateArchive(path, false) },
	} {
		w, err := create(filepath.Join(dir, name))
		must(t, err)
		defer w.Close()
		root := build(t, w)
		signature := about(t, w, root, "application/x.signature")
		counter := about(t, w, signature, "application/x.signature")
		// As regclient lists what refers to something.
		list := put(t, w, ocispec.MediaTypeImageIndex, ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{counter},
		})
		list.Annotations = map[string]string{ocispec.AnnotationRefName: "sha256-" + signature.Digest.Encoded()}
		must(t, w.Finish(root, "", signature, list))

		open := OpenArchive
		if name == "layout" {
			open = OpenDir
		}
		l, err := open(ctx, filepath.Join(dir, name))
		must(t, err)
		defer l.Close()
		for _, of := range []struct{ subject, want ocispec.Descriptor }{{root, signature}, {signature, counter}} {
			got, err := l.Referrers(ctx, of.subject)
			must(t, err)
			if len(got) != 1 || got[0].Digest != of.want.Digest {
				t.Errorf("%s: %s is referred to by %v, want %s", name, of.subject.Digest, got, of.want.Digest)
			}
		}
		if got, err := l.Referrers(ctx, counter); err != nil || len(got) > 0 {
			t.Errorf("%s: what nothing refers to has %v, %v", name, got, err)
		}
		_, err = l.Root("")
		is(t, err, errdef.ErrUsage, "several unrelated manifests") // the list has a name, and so may be meant
		if got, err := l.Root(root.Digest.String()); err != nil || got.Digest != root.Digest {
			t.Errorf("%s: the root is %v, %v", name, got, err)
		}
	}
}

func TestALayoutIsAboutWhatItsOtherManifestsReferTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar")
	w, err := CreateArchive(path, false)
	must(t, err)
	defer w.Close()
	root := build(t, w)
	signature := about(t, w, root, "application/x.signature")
	must(t, w.Finish(root, "", signature))
	l, err := OpenArchive(ctx, path)
	must(t, err)
	defer l.Close()
	if got, err := l.Root(""); err != nil || got.Digest != root.Digest {
		t.Errorf("the root is %v, %v, want %s", got, err, root.Digest)
	}
}

func TestAWriterKnowsWhatTheDirectoryHasWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layout")
	w, err := CreateDir(path)
	must(t, err)
	defer w.Close()
	desc := build(t, w)
	if w.Has(desc) {
		t.Error("a directory that is not there has it")
	}
	must(t, w.Finish(desc, ""))
	again, err := CreateDir(path)
	must(t, err)
	defer again.Close()
	if !again.Has(desc) {
		t.Error("what was written is not there")
	}
	must(t, os.WriteFile(filepath.Join(path, blobName(desc.Digest)), make([]byte, desc.Size), 0o644))
	if again.Has(desc) {
		t.Error("what is damaged counts as there")
	}
}
