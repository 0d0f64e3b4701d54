package layer

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Compression names how a layer is compressed.
type Compression string

// The compressions of layers. Written are [Zstd], the default, and [Gzip],
// which the Rust ocipkg reads; read is also [None].
const (
	Zstd Compression = "zstd"
	Gzip Compression = "gzip"
	None Compression = ""
)

const (
	writeWindow = 8 << 20  // bytes a reader of ours must hold for each layer
	readWindow  = 64 << 20 // bytes we are ready to hold for a layer of others
)

// ParseCompression reads the name of a compression to write; empty is [Zstd].
func ParseCompression(name string) (Compression, error) {
	switch c := Compression(name); c {
	case "":
		return Zstd, nil
	case Zstd, Gzip:
		return c, nil
	}
	return "", errdef.Errorf(errdef.ErrUsage, "unknown compression %q; choose zstd or gzip", name)
}

// compressor gives a writer that compresses to w. Its output depends on what is
// written alone, not on how it is cut into writes.
func (c Compression) compressor(w io.Writer) (io.WriteCloser, error) {
	switch c {
	case Zstd:
		e, err := encoder()
		if err != nil {
			return nil, err
		}
		e.Reset(w)
		return pooled{e}, nil
	case Gzip:
		z := gzip.NewWriter(w)
		z.ModTime = time.Unix(0, 0) // none: the zero time would be written as one
		return z, nil
	}
	return nil, fmt.Errorf("compression %q is not written", string(c))
}

// encoders keeps zstd encoders, each of them tens of megabytes, for the next
// layer.
var encoders sync.Pool

func encoder() (*zstd.Encoder, error) {
	if e, ok := encoders.Get().(*zstd.Encoder); ok {
		return e, nil
	}
	// One goroutine a layer: layers are what is packed in parallel.
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(writeWindow), zstd.WithLowerEncoderMem(true))
}

// pooled is an encoder that goes back when it is closed.
type pooled struct{ *zstd.Encoder }

func (p pooled) Close() error {
	err := p.Encoder.Close()
	p.Encoder.Reset(nil)
	encoders.Put(p.Encoder)
	return err
}

// decompressor gives a reader of what r holds compressed. It reads r to its
// end, through all the members or frames that there are.
func (c Compression) decompressor(r io.Reader) (io.ReadCloser, error) {
	switch c {
	case Zstd:
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(readWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case Gzip:
		return gzip.NewReader(r)
	case None:
		return io.NopCloser(r), nil
	}
	return nil, fmt.Errorf("compression %q is not read", string(c))
}
