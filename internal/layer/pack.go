package layer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/rawfile"
)

// Packed says what a layer became.
type Packed struct {
	Digest digest.Digest // of the compressed bytes
	Size   int64         // of the compressed bytes
}

// Pack writes files as one compressed tar archive to w, reading each file once,
// and sets the Digest of each. A file whose size is no longer what it was when
// it was listed is an error. The archive before compression is also written to
// plain, which may be nil.
func Pack(ctx context.Context, w, plain io.Writer, files []*File, compression Compression) (Packed, error) {
	blob := newCounter()
	compressor, err := compression.compressor(io.MultiWriter(w, blob))
	if err != nil {
		return Packed{}, err
	}
	archive := tar.NewWriter(compressor)
	if plain != nil {
		archive = tar.NewWriter(io.MultiWriter(compressor, plain))
	}
	buf := make([]byte, copyBuffer)
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return Packed{}, err
		}
		if err := add(ctx, archive, f, buf); err != nil {
			return Packed{}, err
		}
	}
	if err := errors.Join(archive.Close(), compressor.Close()); err != nil {
		return Packed{}, err
	}
	return Packed{Digest: blob.digest(), Size: blob.n}, nil
}

// add appends one file to archive and sets its digest.
func add(ctx context.Context, archive *tar.Writer, f *File, buf []byte) error {
	header := &tar.Header{Name: f.Path, Mode: int64(f.Mode.Perm()), ModTime: time.Unix(0, 0)}
	switch {
	case f.IsDir():
		header.Typeflag = tar.TypeDir
		return archive.WriteHeader(header)
	case f.IsSymlink():
		header.Typeflag, header.Linkname = tar.TypeSymlink, f.Target
		return archive.WriteHeader(header)
	}
	header.Typeflag, header.Size = tar.TypeReg, f.Size
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	sum, err := f.read(ctx, archive, buf)
	if err == nil {
		f.Digest = sum
	}
	return err
}

// Sum reads a regular file that is to be packed, and gives the digest of its
// bytes. A file whose size is no longer what it was when it was listed is an
// error.
func (f *File) Sum(ctx context.Context) (digest.Digest, error) {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	return f.read(ctx, io.Discard, buf[:])
}

// read copies a file that is to be packed to w, and gives its digest.
func (f *File) read(ctx context.Context, w io.Writer, buf []byte) (digest.Digest, error) {
	source, err := rawfile.Open(f.Source())
	if err != nil {
		return "", err
	}
	defer source.Close()
	sum := newCounter()
	// One byte more than there should be is asked for, to notice a file that
	// grew as well as one that shrank.
	_, err = io.CopyBuffer(io.MultiWriter(w, sum), onlyReader{Until(ctx, io.LimitReader(source, f.Size))}, buf)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", f.Source(), err)
	}
	if more, _ := source.Read(buf[:1]); sum.n != f.Size || more > 0 {
		return "", fmt.Errorf("%s changed while it was packed: it had %d bytes; pack again when nothing writes to it", f.Source(), f.Size)
	}
	return sum.digest(), nil
}

// Until gives a reader of r that ends with ctx, also where r is a file, which
// knows of none.
func Until(ctx context.Context, r io.Reader) io.Reader { return &until{ctx, r} }

type until struct {
	ctx context.Context
	r   io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// onlyReader and onlyWriter hide every other method, so that a copy goes through
// the buffer that it was given.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// counter counts and hashes what is written to it.
type counter struct {
	hash.Hash
	n int64
}

func newCounter() *counter { return &counter{Hash: sha256.New()} }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.Hash.Write(p)
}

func (c *counter) digest() digest.Digest { return digest.NewDigest(digest.SHA256, c.Hash) }

// TopLevel gives the names directly under the package's root that files have,
// sorted.
func TopLevel(files []*File) []string {
	var names []string
	seen := map[string]bool{}
	for _, f := range files {
		name, _, _ := strings.Cut(f.Path, "/")
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
