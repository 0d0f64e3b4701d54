package ocipkg

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/ocipkg/ocipkg/internal/artifact"
)

// meter counts the bytes of a transfer.
type meter struct {
	report func(done, total int64)
	total  atomic.Int64
	done   atomic.Int64
}

func newMeter(report func(done, total int64), descs []Descriptor) *meter {
	m := &meter{report: report}
	for _, desc := range descs {
		m.expect(desc.Size)
	}
	return m
}

// expect adds bytes to those that there are in all.
func (m *meter) expect(n int64) { m.total.Add(n) }

func (m *meter) add(n int64) {
	done := m.done.Add(n)
	if m.report != nil && n > 0 {
		m.report(done, m.total.Load())
	}
}

func (m *meter) reader(r io.Reader) *metered { return &metered{r: r, m: m} }

type metered struct {
	r io.Reader
	m *meter
	n int64 // bytes that went through
}

func (r *metered) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	r.m.add(int64(n))
	return n, err
}

// meteredFetcher counts what is fetched of some blobs.
type meteredFetcher struct {
	artifact.Fetcher
	*meter
}

func (f *meteredFetcher) Fetch(ctx context.Context, desc Descriptor) (io.ReadCloser, error) {
	return f.FetchFrom(ctx, desc, 0)
}

func (f *meteredFetcher) FetchFrom(ctx context.Context, desc Descriptor, offset int64) (io.ReadCloser, error) {
	blob, err := artifact.FetchFrom(ctx, f.Fetcher, desc, offset)
	if err != nil {
		return nil, err
	}
	f.add(offset)
	return struct {
		io.Reader
		io.Closer
	}{f.reader(blob), blob}, nil
}

func (f *meteredFetcher) InOneStream() bool { return artifact.InOneStream(f.Fetcher) }
