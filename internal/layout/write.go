package layout

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Writer makes a layout. Blobs are written beside its place under a temporary
// name; Finish puts the whole layout in place, Close without it leaves nothing.
// It is an [artifact.Sink].
type Writer struct {
	path    string
	archive bool
	replace bool
	fresh   bool     // there is no directory at path to add to
	tmp     string   // what is unfinished
	lock    *os.File // tells others that somebody works in tmp
	dir     string   // a layout directory in the making, in tmp

	mu    sync.Mutex
	blobs []ocispec.Descriptor // in order of arrival
}

// CreateArchive starts an oci-archive at path. Unless replace is set, a file
// that is there is an error of kind [errdef.ErrUsage].
func CreateArchive(path string, replace bool) (*Writer, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.IsDir() {
			return nil, errdef.Errorf(errdef.ErrUsage, "%s is a directory; name a file, or write oci:%s for a layout directory", path, path)
		}
		if !replace {
			return nil, exists(path)
		}
	}
	return create(path, &Writer{archive: true, replace: replace})
}

func exists(path string) error {
	return errdef.Errorf(errdef.ErrUsage, "%s exists already; choose another name, or replace it with --overwrite", path)
}

// CreateDir starts a layout directory at path, or adds to the one that is there.
func CreateDir(path string) (*Writer, error) {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return create(path, &Writer{fresh: true})
	case err != nil:
		return nil, fmt.Errorf("add to %s: %w", path, err)
	case len(entries) > 0:
		l, err := OpenDir(path)
		if err != nil {
			return nil, fmt.Errorf("add to %s: %w", path, err)
		}
		l.Close()
	}
	return create(path, &Writer{})
}

// CreateTemp starts a layout directory that is only read through
// [Writer.Layout] and gone with Close.
func CreateTemp() (*Writer, error) {
	return create(filepath.Join(os.TempDir(), "layout"), &Writer{})
}

func create(path string, w *Writer) (*Writer, error) {
	path = filepath.Clean(path)
	sweep(filepath.Dir(path))
	tmp, lock, err := makeTemp(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "the directory of %s does not exist; make it first", path)
	}
	if err != nil {
		return nil, err
	}
	w.path, w.tmp, w.lock, w.dir = path, tmp, lock, filepath.Join(tmp, "layout")
	if err := os.MkdirAll(filepath.Join(w.dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close removes what is unfinished.
func (w *Writer) Close() error {
	if w.lock != nil {
		w.lock.Close()
	}
	return os.RemoveAll(w.tmp)
}

// Create starts a blob.
func (w *Writer) Create() (artifact.Blob, error) {
	file, err := os.CreateTemp(w.tmp, "blob-*")
	if err != nil {
		return nil, err
	}
	return &blob{File: file, w: w}, nil
}

type blob struct {
	*os.File
	w    *Writer
	done bool
}

func (b *blob) Commit(desc ocispec.Descriptor) error {
	b.done = true
	if err := errors.Join(b.File.Chmod(0o644), b.File.Close()); err != nil {
		return err
	}
	to := filepath.Join(b.w.dir, filepath.FromSlash(blobName(desc.Digest)))
	if err := os.Rename(b.File.Name(), to); err != nil {
		return err
	}
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if !slices.ContainsFunc(b.w.blobs, func(have ocispec.Descriptor) bool { return have.Digest == desc.Digest }) {
		b.w.blobs = append(b.w.blobs, desc)
	}
	return nil
}

func (b *blob) Discard() {
	if !b.done {
		b.File.Close()
		os.Remove(b.File.Name())
	}
}

// Finish puts the layout in place, about root, which carries name unless it is
// empty.
func (w *Writer) Finish(root ocispec.Descriptor, name string) error {
	if name != "" {
		root.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	}
	if w.archive {
		return w.finishArchive(root)
	}
	return w.finishDir(root)
}

// Layout opens what was written so far, about root, for reading.
func (w *Writer) Layout(root ocispec.Descriptor) (*Layout, error) {
	if err := w.writeIndex(w.dir, []ocispec.Descriptor{root}); err != nil {
		return nil, err
	}
	return OpenDir(w.dir)
}

func marshalIndex(manifests []ocispec.Descriptor) ([]byte, error) {
	return json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: manifests,
	})
}

// writeIndex writes index.json and oci-layout into dir, the index last and at
// once, since a reader takes what it names as there.
func (w *Writer) writeIndex(dir string, manifests []ocispec.Descriptor) error {
	raw, err := marshalIndex(manifests)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, layoutFile), []byte(version), 0o644); err != nil {
		return err
	}
	tmp := filepath.Join(w.tmp, "index.new")
	if err := os.WriteFile(tmp, raw, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, indexFile))
}

// finishDir puts the directory in place, or adds to the one that is there.
func (w *Writer) finishDir(root ocispec.Descriptor) error {
	if !w.fresh {
		return w.addTo(root)
	}
	if err := w.writeIndex(w.dir, []ocispec.Descriptor{root}); err != nil {
		return err
	}
	return os.Rename(w.dir, w.path)
}

// addTo moves the blobs into the directory and names root in its index, in
// place of what had the same name.
func (w *Writer) addTo(root ocispec.Descriptor) error {
	manifests, err := w.manifests()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(w.path, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	for _, desc := range w.blobs {
		name := filepath.FromSlash(blobName(desc.Digest))
		if err := os.Rename(filepath.Join(w.dir, name), filepath.Join(w.path, name)); err != nil {
			return err
		}
	}
	manifests = slices.DeleteFunc(manifests, func(desc ocispec.Descriptor) bool {
		return desc.Digest == root.Digest && artifact.Name(desc) == "" || artifact.Name(desc) != "" && artifact.Name(desc) == artifact.Name(root)
	})
	return w.writeIndex(w.path, append(manifests, root))
}

// manifests gives those of the directory's index; none when it was empty.
func (w *Writer) manifests() ([]ocispec.Descriptor, error) {
	if _, err := os.Lstat(filepath.Join(w.path, indexFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	l, err := OpenDir(w.path)
	if err != nil {
		return nil, err
	}
	return l.Index.Manifests, l.Close()
}

// finishArchive writes the archive under a temporary name and renames it. Its
// bytes depend on what it holds alone.
func (w *Writer) finishArchive(root ocispec.Descriptor) (err error) {
	name := filepath.Join(w.tmp, "archive")
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := w.writeArchive(file, root); err != nil {
		return fmt.Errorf("write %s: %w", w.path, err)
	}
	if err := file.Close(); err != nil {
		return err
	}
	if !w.replace {
		if _, err := os.Lstat(w.path); err == nil {
			return exists(w.path)
		}
	}
	return os.Rename(name, w.path)
}

func (w *Writer) writeArchive(file *os.File, root ocispec.Descriptor) error {
	index, err := marshalIndex([]ocispec.Descriptor{root})
	if err != nil {
		return err
	}
	if err := addBytes(file, layoutFile, []byte(version)); err != nil {
		return err
	}
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := addDir(file, dir); err != nil {
			return err
		}
	}
	blobs := slices.Clone(w.blobs)
	slices.SortFunc(blobs, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	for _, desc := range blobs {
		if err := w.addBlob(file, desc); err != nil {
			return err
		}
	}
	if err := addBytes(file, indexFile, index); err != nil {
		return err
	}
	return tar.NewWriter(file).Close()
}

func addBytes(file *os.File, name string, raw []byte) error {
	return addEntry(file, name, int64(len(raw)), bytes.NewReader(raw))
}

// addDir appends a directory. Without it skopeo makes the directory itself, for
// root, and fails when another user runs it.
func addDir(file *os.File, name string) error {
	header := &tar.Header{Name: name, Mode: 0o755, ModTime: time.Unix(0, 0), Typeflag: tar.TypeDir}
	return tar.NewWriter(file).WriteHeader(header)
}

// addBlob moves a blob into the archive: its file is gone afterwards, so that
// the disk holds it once.
func (w *Writer) addBlob(file *os.File, desc ocispec.Descriptor) error {
	name := blobName(desc.Digest)
	at := filepath.Join(w.dir, filepath.FromSlash(name))
	blob, err := os.Open(at)
	if err != nil {
		return err
	}
	if err := errors.Join(addEntry(file, name, desc.Size, blob), blob.Close()); err != nil {
		return err
	}
	return os.Remove(at)
}

// addEntry appends one file. The content goes from file to file without passing
// through the tar writer, so that the kernel may copy it.
func addEntry(file *os.File, name string, size int64, content io.Reader) error {
	header := &tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}
	if err := tar.NewWriter(file).WriteHeader(header); err != nil {
		return err
	}
	n, err := file.ReadFrom(content)
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%s has %d bytes, not %d", name, n, size)
	}
	const block = 512
	_, err = file.Write(make([]byte, (block-size%block)%block))
	return err
}
