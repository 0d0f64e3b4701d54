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
)

// readEntries calls do for each entry of a compressed archive, and reads r to
// its end, so that whoever hashes r has seen all of it.
func readEntries(ctx context.Context, r io.Reader, compression Compression, limits Limits, do func(*tar.Header, io.Reader) error) error {
	in := &countingReader{r: r}
	decompressor, err := compression.decompressor(in)
	if err != nil {
		return errdef.Errorf(errdef.ErrVerification, "the layer is no %s stream: %w", string(compression), err)
	}
	defer decompressor.Close()
	plain := &plainReader{r: decompressor, compressed: in, limits: limits}
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
	limits     Limits
	n          int64
}

func (p *plainReader) Read(buf []byte) (int, error) {
	n, err := p.r.Read(buf)
	p.n += int64(n)
	if l := p.limits; l.Ratio > 0 && p.n > l.Unrated && p.n/l.Ratio > p.compressed.n {
		return 0, errdef.Errorf(errdef.ErrVerification, "the layer has more than %d bytes for each compressed one, the most that are unpacked", l.Ratio)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = errdef.Errorf(errdef.ErrVerification, "the layer was compressed with a window of more than %d bytes, the most that is kept in memory: %w", readWindow, err)
	}
	return n, err
}
