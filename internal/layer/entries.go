package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

// readEntries calls do for each entry of a compressed archive, and reads r to
// its end, so that whoever hashes r has seen all of it.
func (t *Tree) readEntries(ctx context.Context, r io.Reader, compression Compression, do func(*tar.Header, io.Reader) error) error {
	in := &countingReader{r: r}
	decompressor, err := compression.decompressor(in)
	if err != nil {
		return errdef.Errorf(errdef.ErrVerification, "the layer is no %s stream: %w", string(compression), err)
	}
	defer decompressor.Close()
	plain := &plainReader{r: decompressor, compressed: in, of: t}
	archive := tar.NewReader(plain)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read the layer: %w", err)
		}
		if IsSparse(header) {
			return errdef.Errorf(errdef.ErrVerification, "the layer holds %q as a sparse file, which is never unpacked", header.Name)
		}
		if err := checkNames(header); err != nil {
			return err
		}
		if err := plain.count(entryCost); err != nil {
			return err
		}
		if err := do(header, archive); err != nil {
			return err
		}
	}
	if err := drainZeros(plain); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

// IsSparse tells whether an entry's size is not that of its bytes in the
// archive: a few of them can stand for as many zeros as a number can say.
func IsSparse(header *tar.Header) bool {
	if header.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// checkNames refuses an entry that has two names or targets, of which one reader
// takes the one and another the other: by an extension of POSIX, and by one of
// GNU. Empty records stand for none.
func checkNames(header *tar.Header) error {
	for key, name := range map[string]string{"path": header.Name, "linkpath": header.Linkname} {
		if other := header.PAXRecords[key]; other != "" && other != name {
			return errdef.Errorf(errdef.ErrVerification, "the layer holds an entry that is called %q and %q at once", name, other)
		}
	}
	return nil
}

const maxPadding = 1 << 20 // bytes after the end of an archive

// drainZeros reads what follows the end of an archive, which may only be
// padding: other readers of the same bytes must not see other files.
func drainZeros(r io.Reader) error {
	buf := make([]byte, 32<<10)
	for n := 0; ; {
		m, err := r.Read(buf)
		for _, b := range buf[:m] {
			if b != 0 {
				return errdef.Errorf(errdef.ErrVerification, "the layer has data after the end of its archive")
			}
		}
		if n += m; n > maxPadding {
			return errdef.Errorf(errdef.ErrVerification, "the layer has more than %d bytes of padding after its archive", maxPadding)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the layer: %w", err)
		}
	}
}

// countingReader counts what is read from r.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// plainReader gives a layer's decompressed bytes, as many as the limits allow
// for the compressed ones that were read.
type plainReader struct {
	r          io.Reader
	compressed *countingReader
	of         *Tree
	n          int64 // bytes, and what entries cost
	excess     int64 // the most that there was beyond the ratio
}

// unrated is how many bytes of a package may be beyond the ratio: what is no more
// than that harms nobody, and zeros compress to nearly nothing. Tests have less.
var unrated int64 = 256 << 20

// entryCost is what an entry counts for beside its bytes: an empty file takes room
// on a disk, too, and few bytes in an archive.
const entryCost = 4 << 10

func (p *plainReader) Read(buf []byte) (int, error) {
	n, err := p.r.Read(buf)
	if over := p.count(int64(n)); over != nil {
		return 0, over
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = errdef.Errorf(errdef.ErrVerification, "the layer was compressed with a window of more than %d bytes, the most that is kept in memory: %w", readWindow, err)
	}
	return n, err
}

// count adds to what came. Layers are read at the same time in any order, so
// that each counts for itself, with the most that it was beyond the ratio, and a
// package is always refused or never.
func (p *plainReader) count(n int64) error {
	p.n += n
	excess := beyond(p.n, p.compressed.n, p.of.limits)
	if excess <= p.excess {
		return nil
	}
	more := excess - p.excess
	p.excess = excess
	return p.of.exceed(more)
}

// beyond gives how many of plain bytes there are beyond what so many compressed
// ones may become.
func beyond(plain, compressed int64, limits limit.Limits) int64 {
	if limits.Ratio == 0 || plain/limits.Ratio < compressed {
		return 0
	}
	return plain - compressed*limits.Ratio // no overflow: it is about plain at most
}

// exceed notes bytes beyond the ratio.
func (t *Tree) exceed(more int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.excess += more
	if t.excess > unrated {
		return t.limits.Exceeded("ratio", "the package unpacks to more than %d bytes for each compressed one, and %s beside", t.limits.Ratio, limit.Size(unrated))
	}
	return nil
}

// Expect tells before anything is unpacked whether files, which layers of these
// compressed sizes in bytes are to hold, are within the limits.
func (t *Tree) Expect(files []File, compressed []int64) error {
	var all int64
	plain := make([]int64, len(compressed))
	for _, f := range files {
		if t.limits.Bytes > 0 && f.Size > t.limits.Bytes-all {
			return t.limits.Exceeded("bytes", "with %q the package has more than %d bytes unpacked", f.Path, t.limits.Bytes)
		}
		all += f.Size
		plain[f.Layer] += f.Size + entryCost
	}
	if t.limits.Entries > 0 && int64(len(files)) > t.limits.Entries {
		return t.limits.Exceeded("entries", "the package has %d entries", len(files))
	}
	for i, n := range plain {
		if err := t.exceed(beyond(n, compressed[i], t.limits)); err != nil {
			return err
		}
	}
	t.excess = 0 // it is counted as it comes
	return nil
}
