package layout

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/filelock"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/scratch"
)

// Writer makes a layout. Blobs are written beside its place under a temporary
// name; Finish puts the whole layout in place, Close without it leaves nothing.
// It is an [artifact.Sink].
type Writer struct {
	path    string
	archive bool
	replace bool
	fresh   bool                   // there is no directory at path to add to
	tmp     *scratch.Dir           // what is unfinished
	dir     string                 // a layout directory in the making, in tmp
	whole   map[digest.Digest]bool // the blobs of a layout that is made as a whole; nil for others

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

// own is the context of reading what is written to: that has grown by the user's
// own doing, and is not bounded.
var own = limit.With(context.Background(), limit.Limits{Manifest: math.MaxInt32, Index: math.MaxInt64})

// CreateDir starts a layout directory at path, or adds to the one that is there.
func CreateDir(path string) (*Writer, error) {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return create(path, &Writer{fresh: true})
	case err != nil:
		return nil, fmt.Errorf("add to %s: %w", path, err)
	case slices.ContainsFunc(entries, func(entry fs.DirEntry) bool { return !isBeginning(entry.Name()) }):
		l, err := OpenDir(own, path)
		if err != nil {
			return nil, fmt.Errorf("add to %s: %w", path, err)
		}
		l.Close()
	}
	return create(path, &Writer{})
}

// isBeginning tells what a directory may hold before there is an index: another
// writer may be about to write that, or was killed before.
func isBeginning(name string) bool { return name == layoutFile || name == "blobs" }

// CreateTemp starts a layout directory that is only read through
// [Writer.Layout] and gone with Close.
func CreateTemp() (*Writer, error) {
	return create(filepath.Join(os.TempDir(), "layout"), &Writer{})
}

func create(path string, w *Writer) (*Writer, error) {
	path = filepath.Clean(path)
	tmp, err := scratch.New(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "the directory of %s does not exist; make it first", path)
	}
	if err != nil {
		return nil, err
	}
	w.path, w.tmp, w.dir = path, tmp, filepath.Join(tmp.Path, "layout")
	if err := os.MkdirAll(filepath.Join(w.dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Has tells whether the directory that is added to has a blob, whole.
func (w *Writer) Has(desc ocispec.Descriptor) bool {
	if artifact.CheckDescriptor(desc) != nil {
		return false
	}
	file, err := os.Open(filepath.Join(w.path, filepath.FromSlash(blobName(desc.Digest))))
	if err != nil {
		return false
	}
	defer file.Close()
	r, verify := artifact.Verified(file, desc)
	_, err = io.Copy(io.Discard, r)
	return err == nil && verify() == nil
}

// Close removes what is unfinished.
func (w *Writer) Close() error { return w.tmp.Close() }

// Create starts a blob.
func (w *Writer) Create() (artifact.Blob, error) {
	file, err := os.CreateTemp(w.tmp.Path, "blob-*")
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
	if err := moveTo(b.w.dir, desc.Digest, b.File.Name()); err != nil {
		return err
	}
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if !slices.ContainsFunc(b.w.blobs, func(have ocispec.Descriptor) bool { return have.Digest == desc.Digest }) {
		b.w.blobs = append(b.w.blobs, desc)
	}
	return nil
}

// Open gives a blob that was committed.
func (w *Writer) Open(desc ocispec.Descriptor) (*os.File, error) {
	return os.Open(filepath.Join(w.dir, filepath.FromSlash(blobName(desc.Digest))))
}

// moveTo moves the file of a blob to its place in the layout dir.
func moveTo(dir string, d digest.Digest, from string) error {
	to := filepath.Join(dir, filepath.FromSlash(blobName(d)))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (b *blob) Discard() {
	if !b.done {
		b.File.Close()
		os.Remove(b.File.Name())
	}
}

// Finish puts the layout in place, about root, which carries name unless it is
// empty. The others, which are about root or a part of it, are listed without a
// name, as ORAS has it.
func (w *Writer) Finish(root ocispec.Descriptor, name string, others ...ocispec.Descriptor) error {
	root.Annotations = nil
	if name != "" {
		root.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	}
	manifests := append([]ocispec.Descriptor{root}, others...)
	if w.archive {
		return w.finishArchive(manifests)
	}
	return w.finishDir(manifests)
}

// annotationWhole marks the index of a layout directory that is made anew each
// time it is written, and never added to.
const annotationWhole = "dev.ocipkg.vendored"

// FinishWhole puts a layout directory in place that has roots, under the names
// in their annotations, and nothing else: where the one that is there was made
// in this way, what is not wanted any more goes: other manifests than roots, and
// other blobs than those listed. Any other directory is added to.
func (w *Writer) FinishWhole(roots []ocispec.Descriptor, blobs []digest.Digest) error {
	w.whole = map[digest.Digest]bool{}
	for _, d := range blobs {
		w.whole[d] = true
	}
	return w.finishDir(roots)
}

// Layout opens what was written so far, about root, for reading.
func (w *Writer) Layout(root ocispec.Descriptor) (*Layout, error) {
	if err := w.writeIndex(w.dir, []ocispec.Descriptor{root}); err != nil {
		return nil, err
	}
	return OpenDir(own, w.dir)
}

func (w *Writer) marshalIndex(manifests []ocispec.Descriptor) ([]byte, error) {
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: manifests,
	}
	if w.whole != nil {
		index.Annotations = map[string]string{annotationWhole: "true"}
	}
	return json.Marshal(index)
}

// writeIndex writes oci-layout, where it is not there, and index.json into dir,
// the index last and at once, since a reader takes what it names as there.
func (w *Writer) writeIndex(dir string, manifests []ocispec.Descriptor) error {
	raw, err := w.marshalIndex(manifests)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, layoutFile)
	if info, err := os.Stat(name); err != nil || info.Size() == 0 {
		if err := os.WriteFile(name, []byte(version), 0o644); err != nil {
			return err
		}
	}
	tmp := filepath.Join(w.tmp.Path, "index.new")
	if err := os.WriteFile(tmp, raw, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, indexFile))
}

// finishDir puts the directory in place, or adds to the one that is there.
func (w *Writer) finishDir(manifests []ocispec.Descriptor) error {
	if !w.fresh {
		return w.addTo(manifests)
	}
	if err := w.writeIndex(w.dir, manifests); err != nil {
		return err
	}
	err := os.Rename(w.dir, w.path)
	if _, statErr := os.Stat(w.path); err != nil && statErr == nil {
		return w.addTo(manifests) // somebody else has made it meanwhile
	}
	return err
}

// lockWait bounds the wait for others who add to the same directory, which is
// short work.
const lockWait = 30 * time.Second

// lockDir takes the lock on the index of the layout directory, since whoever
// adds to it reads and writes it. The lock is on the file oci-layout, which every
// layout has and nobody changes, so that nothing is left that is not part of one.
func (w *Writer) lockDir() (*os.File, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	lock, err := filelock.Wait(ctx, filepath.Join(w.path, layoutFile), 0o666, false)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("another program has been writing to it for more than %v; end that, or try again later", lockWait)
	}
	return lock, err
}

// addTo moves the blobs into the directory and lists the manifests in its index,
// in place of what had the same name.
func (w *Writer) addTo(added []ocispec.Descriptor) (err error) {
	lock, err := w.lockDir()
	if err != nil {
		return fmt.Errorf("add to %s: %w", w.path, err)
	}
	defer lock.Close()
	manifests, whole, err := w.manifests()
	if err != nil {
		return err
	}
	if whole {
		manifests = nil
	} else {
		w.whole = nil // others' names are in it, and stay
	}
	for _, desc := range w.blobs {
		err := moveTo(w.path, desc.Digest, filepath.Join(w.dir, filepath.FromSlash(blobName(desc.Digest))))
		if err != nil && !w.Has(desc) { // Windows replaces no file that somebody reads
			return err
		}
	}
	for i, root := range added {
		name := artifact.Name(root)
		listed := func(desc ocispec.Descriptor) bool { return desc.Digest == root.Digest }
		if i > 0 && slices.ContainsFunc(manifests, listed) {
			continue
		}
		manifests = slices.DeleteFunc(manifests, func(desc ocispec.Descriptor) bool {
			return listed(desc) && artifact.Name(desc) == "" || name != "" && artifact.Name(desc) == name
		})
		manifests = append(manifests, root)
	}
	// What was there when it was looked for, somebody else may have dropped.
	for d := range w.whole {
		if _, err := os.Stat(filepath.Join(w.path, filepath.FromSlash(blobName(d)))); err != nil {
			return fmt.Errorf("another program has taken %s away from %s meanwhile (%w); run it again", d, w.path, err)
		}
	}
	if err := w.writeIndex(w.path, manifests); err != nil || w.whole == nil {
		return err
	}
	return w.dropBlobs()
}

// dropBlobs removes the blobs that are not kept.
func (w *Writer) dropBlobs() error {
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		dir := filepath.Join(w.path, "blobs", algorithm.String())
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			if d := digest.NewDigestFromEncoded(algorithm, entry.Name()); d.Validate() == nil && !w.whole[d] {
				if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// manifests gives those of the directory's index, and whether it was made as a
// whole; none when it was empty.
func (w *Writer) manifests() (list []ocispec.Descriptor, whole bool, err error) {
	if _, err := os.Lstat(filepath.Join(w.path, indexFile)); errors.Is(err, fs.ErrNotExist) {
		blobs, err := os.ReadDir(filepath.Join(w.path, "blobs"))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, w.whole != nil && len(blobs) == 0, err
	}
	l, err := OpenDir(own, w.path)
	if err != nil {
		return nil, false, err
	}
	return l.Index.Manifests, w.whole != nil && l.Index.Annotations[annotationWhole] == "true", l.Close()
}

// finishArchive writes the archive under a temporary name and renames it. Its
// bytes depend on what it holds alone.
func (w *Writer) finishArchive(manifests []ocispec.Descriptor) (err error) {
	name := filepath.Join(w.tmp.Path, "archive")
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := w.writeArchive(file, manifests); err != nil {
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

func (w *Writer) writeArchive(file *os.File, manifests []ocispec.Descriptor) error {
	index, err := w.marshalIndex(manifests)
	if err != nil {
		return err
	}
	if err := addBytes(file, layoutFile, []byte(version)); err != nil {
		return err
	}
	blobs := slices.Clone(w.blobs)
	slices.SortFunc(blobs, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	dirs := []string{"blobs/"}
	for _, desc := range blobs {
		dirs = append(dirs, "blobs/"+desc.Digest.Algorithm().String()+"/")
	}
	for _, dir := range slices.Compact(dirs) {
		if err := addDir(file, dir); err != nil {
			return err
		}
	}
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
