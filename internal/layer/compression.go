package layer

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
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
	writeWindow = 4 << 20  // bytes a reader of ours must hold for each layer; twice as many make one layer in 2,000 smaller
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
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(writeWindow))
}

// pooled is an encoder that goes back when it is closed.
type pooled struct{ *zstd.Encoder }

func (p pooled) Close() error {
	err := p.Encoder.Close()
	p.Encoder.Reset(nil)
	encoders.Put(p.Encoder)
	return err
}

// decoders keeps zstd decoders with their buffers, for the next layer.
var decoders sync.Pool

func decoder() (*zstd.Decoder, error) {
	if d, ok := decoders.Get().(*zstd.Decoder); ok {
		return d, nil
	}
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(readWindow))
}

// pooledDecoder is a decoder that goes back when it is closed.
type pooledDecoder struct{ d *zstd.Decoder }

func (p *pooledDecoder) Read(b []byte) (int, error) {
	if p.d == nil {
		return 0, fs.ErrClosed
	}
	return p.d.Read(b)
}

func (p *pooledDecoder) Close() error {
	if p.d != nil {
		_ = p.d.Reset(nil) // it lets go of what it read
		decoders.Put(p.d)
		p.d = nil
	}
	return nil
}

// decompressor gives a reader of what r holds compressed. It reads r to its
// end, through all the members or frames that there are.
func (c Compression) decompressor(r io.Reader) (io.ReadCloser, error) {
	switch c {
	case Zstd:
		d, err := decoder()
		if err == nil {
			err = d.Reset(r)
		}
		if err != nil {
			return nil, err
		}
		return &pooledDecoder{d}, nil
	case Gzip:
		return gzip.NewReader(r)
	case None:
		return io.NopCloser(r), nil
	}
	return nil, fmt.Errorf("compression %q is not read", string(c))
}

// Compress gives a writer of a document of size bytes, of which there are some, to
// w as one zstd frame. The same document gives the same bytes.
func Compress(w io.Writer, size int64) (io.WriteCloser, error) {
	e, err := encoder()
	if err != nil {
		return nil, err
	}
	e.ResetContentSize(w, size)
	return pooled{e}, nil
}

// Decompress gives the document of at most limit bytes that raw holds as one
// zstd frame, with nothing before or after it: two readers see the same. It is
// all there when it was read to its end without an error. Errors are of kind
// [errdef.ErrVerification].
func Decompress(raw []byte, limit int64) (io.ReadCloser, error) {
	var header zstd.Header
	if err := header.Decode(raw); err != nil || header.Skippable {
		return nil, errdef.Errorf(errdef.ErrVerification, "it is not compressed with zstd")
	}
	switch end := frameEnd(raw, header); {
	case end > len(raw):
		return nil, errdef.Errorf(errdef.ErrVerification, "it is cut short")
	case end < len(raw):
		return nil, errdef.Errorf(errdef.ErrVerification, "it has data after its end")
	}
	large := errdef.Errorf(errdef.ErrVerification, "decompressed it is larger than %d bytes, which is the bound for it", limit)
	if header.FrameContentSize > uint64(limit) {
		return nil, large
	}
	d, err := Zstd.decompressor(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return &bounded{d, limit, large}, nil
}

// bounded reads what was compressed, as far as it may go.
type bounded struct {
	io.ReadCloser
	left  int64
	large error // that it goes further
}

func (d *bounded) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p[:min(int64(len(p)), d.left+1)])
	if d.left -= int64(n); d.left < 0 {
		d.left = 0
		return 0, d.large
	}
	if err != nil && err != io.EOF {
		err = errdef.Errorf(errdef.ErrVerification, "decompress it: %w", err)
	}
	return n, err
}

// frameEnd gives where the zstd frame at the start of raw ends, which is beyond
// raw when that is cut short.
//
// https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1
func frameEnd(raw []byte, header zstd.Header) int {
	at := header.HeaderSize
	for last := false; !last; {
		if len(raw)-at < 3 {
			return len(raw) + 1
		}
		block := int(raw[at]) | int(raw[at+1])<<8 | int(raw[at+2])<<16
		last = block&1 != 0
		size := block >> 3
		if repeated := block>>1&3 == 1; repeated {
			size = 1
		}
		at += 3 + size
	}
	if header.HasCheckSum {
		at += 4
	}
	return at
}
