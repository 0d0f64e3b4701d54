// Package layout reads and writes OCI image layouts, as a directory and as an
// oci-archive, which is a tar archive of such a directory:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

const (
	indexFile  = "index.json"
	layoutFile = "oci-layout"
	version    = `{"imageLayoutVersion":"1.0.0"}`
)

// Layout is an image layout that is open for reading. Close it after use.
type Layout struct {
	// Path is the directory or the archive.
	Path string
	// Index is what index.json says.
	Index ocispec.Index
	// Warnings are oddities that were read all the same, for the user to see.
	Warnings []string

	files files

	mu    sync.Mutex
	about map[digest.Digest][]ocispec.Descriptor // what refers to each manifest; nil until it is asked
}

// files is where the layout's files are: a directory or an archive.
type files interface {
	// open gives a file and its size; the error is [fs.ErrNotExist] when it
	// is not there.
	open(name string) (io.ReadCloser, int64, error)
	close() error
}

// OpenDir opens the layout in a directory.
func OpenDir(ctx context.Context, path string) (*Layout, error) {
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "%s does not exist; check the name", path)
	}
	if err != nil {
		return nil, err
	}
	return open(ctx, path, &directory{root})
}

// OpenArchive opens the layout in an oci-archive. The archive is not read into
// memory.
func OpenArchive(ctx context.Context, path string) (*Layout, error) {
	archive, err := openArchive(path)
	if err != nil {
		return nil, err
	}
	return open(ctx, path, archive)
}

func open(ctx context.Context, path string, files files) (_ *Layout, err error) {
	defer func() {
		if err != nil {
			files.close()
		}
	}()
	l := &Layout{Path: path, files: files}
	raw, err := l.readFile(ctx, indexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errdef.Errorf(errdef.ErrVerification, "%s has no index.json: it is no OCI image layout, or was cut short; make it anew", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read index.json of %s: %w", path, err)
	}
	if l.Index, err = artifact.ParseIndex(ctx, raw); err != nil {
		return nil, fmt.Errorf("index.json of %s: %w", path, err)
	}
	return l, l.checkVersion(ctx)
}

// checkVersion reads oci-layout, which Rust ocipkg 0.3 and 0.4 left out.
func (l *Layout) checkVersion(ctx context.Context) error {
	raw, err := l.readFile(ctx, layoutFile)
	if errors.Is(err, fs.ErrNotExist) {
		l.Warnings = append(l.Warnings, l.Path+" has no oci-layout file, which the specification asks for")
		return nil
	}
	var doc ocispec.ImageLayout
	if err == nil {
		err = json.Unmarshal(raw, &doc)
	}
	if err != nil {
		return errdef.Errorf(errdef.ErrVerification, "oci-layout of %s: %w", l.Path, err)
	}
	if !strings.HasPrefix(doc.Version, "1.") {
		return errdef.Errorf(errdef.ErrVerification, "%s has the layout version %q, and only 1.x is read here", l.Path, doc.Version)
	}
	return nil
}

func (l *Layout) readFile(ctx context.Context, name string) ([]byte, error) {
	r, size, err := l.files.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if limits := limit.From(ctx); size > limits.Manifest {
		return nil, limits.Exceeded("manifest", "it has %d bytes", size)
	}
	return io.ReadAll(r)
}

// Close releases the layout.
func (l *Layout) Close() error { return l.files.close() }

// Fetch gives the blob of desc, whose size has been checked and whose digest
// has not. A blob that is not there is an error of kind [errdef.ErrVerification]:
// a layout that promises what it does not hold is damaged.
func (l *Layout) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if err := artifact.CheckDescriptor(desc); err != nil {
		return nil, err
	}
	r, size, err := l.files.open(blobName(desc.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errdef.Errorf(errdef.ErrVerification, "%s lacks the blob %s; it was cut short or is damaged: make it anew", l.Path, desc.Digest)
	}
	if err != nil {
		return nil, err
	}
	if size != desc.Size {
		r.Close()
		return nil, errdef.Errorf(errdef.ErrVerification, "%s has the blob %s with %d bytes, not %d; it is damaged: make it anew", l.Path, desc.Digest, size, desc.Size)
	}
	return r, nil
}

// Open gives the blob of a digest, of whatever content, and its size in bytes;
// nil when there is none.
func (l *Layout) Open(d digest.Digest) (blob io.ReadCloser, size int64, err error) {
	if err := d.Validate(); err != nil {
		return nil, 0, errdef.Mark(errdef.ErrVerification, err)
	}
	blob, size, err = l.files.open(blobName(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	return blob, size, err
}

// Has tells whether there is a blob for desc, of whatever content.
func (l *Layout) Has(desc ocispec.Descriptor) bool {
	blob, _, err := l.Open(desc.Digest)
	if blob == nil || err != nil {
		return false
	}
	return blob.Close() == nil
}

func blobName(d digest.Digest) string { return "blobs/" + d.Algorithm().String() + "/" + d.Encoded() }

// Root gives the manifest or index that the layout is about. With a name, it is
// the one of that name (the annotation org.opencontainers.image.ref.name, whole
// or only its tag); without, it must be the only one, but for those that are parts
// of it or refer to it.
func (l *Layout) Root(name string) (ocispec.Descriptor, error) {
	found, names := l.named(name)
	if len(found) > 1 && name == "" {
		if others := l.withoutParts(found); len(others) > 0 {
			found = others
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(l.Index.Manifests) == 0:
		return ocispec.Descriptor{}, errdef.Errorf(errdef.ErrNotFound, "%s has no manifest in it; make it anew", l.Path)
	case len(found) == 0:
		return ocispec.Descriptor{}, errdef.Errorf(errdef.ErrNotFound, "%s has nothing named %q; it has %s", l.Path, name, strings.Join(names, ", "))
	}
	return ocispec.Descriptor{}, errdef.Errorf(errdef.ErrUsage, "%s has several unrelated manifests: %s; unpack it and choose one as oci:DIR:TAG", l.Path, strings.Join(names, ", "))
}

// named gives the entries of the index that name may mean, and what all are
// called. Without a name it is all of them.
func (l *Layout) named(name string) (found []ocispec.Descriptor, names []string) {
	for _, desc := range l.Index.Manifests {
		has := artifact.Name(desc)
		names = append(names, nameOr(has, desc.Digest.String()))
		if name != "" && has != name && !strings.HasSuffix(has, ":"+name) && desc.Digest.String() != name {
			continue
		}
		if len(found) > 0 && found[0].Digest == desc.Digest {
			continue // one manifest under two names
		}
		found = append(found, desc)
	}
	return found, names
}

func nameOr(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

// directory is a layout's files in a directory, which no link leads out of.
type directory struct{ root *os.Root }

func (d *directory) open(name string) (io.ReadCloser, int64, error) {
	info, err := d.root.Stat(filepath.FromSlash(name)) // first: opening a FIFO would wait for a writer
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errdef.Errorf(errdef.ErrVerification, "%s is no regular file", name)
	}
	f, err := d.root.Open(filepath.FromSlash(name))
	return f, info.Size(), err
}

func (d *directory) close() error { return d.root.Close() }
