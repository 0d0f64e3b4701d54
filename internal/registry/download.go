package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Fetch gives the blob or manifest of desc; whoever reads it verifies it. A
// connection that breaks on the way is resumed where it broke, and one that is
// slow gets others beside it, so that a reader sees one stream. It waits while
// as many are read as [Options] allow, so that nobody may wait for one with
// another in hand. It is to be closed.
func (r *Repository) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return r.FetchFrom(ctx, desc, 0)
}

// FetchFrom is [Repository.Fetch] for who has the bytes up to an offset already.
func (r *Repository) FetchFrom(ctx context.Context, desc ocispec.Descriptor, offset int64) (io.ReadCloser, error) {
	d := &download{ctx: ctx, repo: r, desc: desc, offset: offset, broken: offset, whole: r.oneStream.Load()}
	if ctx.Value(connected{}) == nil {
		if err := r.client.room.Connect(ctx); err != nil {
			return nil, err
		}
		d.disconnect = sync.OnceFunc(r.client.room.Disconnect)
	}
	if err := d.open(); err != nil {
		d.end(err)
		return nil, d.explain(err)
	}
	return d, nil
}

// download is a blob or manifest being fetched.
type download struct {
	ctx        context.Context
	repo       *Repository
	desc       ocispec.Descriptor
	disconnect func() // nil where that is another's
	body       io.ReadCloser
	offset     int64 // bytes given to the reader
	skip       int64 // bytes of the body that the reader has already
	whole      bool  // the registry does not do ranges
	failures   int   // without progress between them
	broken     int64 // the offset at the last of them
	err        error // the end of it

	waited  time.Duration // for the body
	came    int64         // bytes of it
	parts   *parts        // that are fetched beside the body, or in its place; nil for none
	inParts bool          // in its place
	turn    int64         // the offset from which on they are in its place
	tail    []byte        // what comes before that
	unfit   bool          // parts did not come as they should
}

// What a connection must bring, in bytes, to count as progress: a registry that
// breaks each after one byte is not asked for all the others.
const progress = 64 << 10

// Read reads on, over as many requests as it takes. Bytes beyond the size of
// the descriptor are given on: the verifier must see them.
func (d *download) Read(p []byte) (int, error) {
	for d.err == nil {
		n, err := d.readSome(p)
		d.offset += int64(n)
		if n > 0 || err == nil {
			return n, nil // an error comes again with the next read
		}
		if err := d.resume(err); err != nil {
			d.end(err)
		}
	}
	return 0, d.err
}

// end ends the download, for the first reason that there is.
func (d *download) end(err error) {
	if d.err == nil {
		d.err = err
	}
	if d.parts != nil {
		d.parts.close()
	}
	if d.disconnect != nil {
		d.disconnect()
	}
}

// readSome reads of the parts where there are any, else of the body.
func (d *download) readSome(p []byte) (int, error) {
	if d.parts != nil && !d.inParts && d.offset == d.turn {
		if err := d.parts.await(d.tail); err != nil {
			d.leaveParts(err)
		} else {
			d.body.Close()
			d.inParts = true
			d.parts.takeOver()
		}
	}
	if d.inParts {
		if d.offset == d.desc.Size {
			return 0, io.EOF
		}
		n, err := d.parts.read(p, d.offset)
		if err == nil {
			return n, nil
		}
		d.leaveParts(err)
		if d.ctx.Err() != nil {
			return 0, d.ctx.Err()
		}
		if err := d.open(); err != nil {
			return 0, &final{d.explain(err)}
		}
	}
	if d.parts != nil {
		p = p[:min(int64(len(p)), d.turn-d.offset)]
	}
	start := time.Now()
	n, err := d.readBody(p)
	d.waited += time.Since(start)
	d.came += int64(n)
	if d.parts != nil {
		before := max(0, d.turn-partsTail-d.offset)
		d.tail = append(d.tail, p[min(before, int64(n)):n]...)
	} else if err == nil && d.isSlow() {
		// They begin behind what is on its way.
		d.turn, d.tail = d.offset+int64(n)+partsLead, nil
		d.parts = fetchParts(d.ctx, d.repo, d.desc, d.turn-partsTail)
	}
	return n, err
}

// final is an error after which there is nothing more to try.
type final struct{ error }

// isSlow tells whether the rest is better fetched in parts.
func (d *download) isSlow() bool {
	return !d.whole && !d.unfit && d.desc.Size-d.offset >= partsLeast+partsLead && d.waited >= partsAfter &&
		float64(d.came) <= partsSlower*d.waited.Seconds()
}

// leaveParts goes on in one stream. Where there was no room for parts, there may
// be later.
func (d *download) leaveParts(err error) {
	d.parts.close()
	d.parts, d.inParts = nil, false
	d.waited, d.came = 0, 0
	if !errors.Is(err, errNoRoom) {
		d.unfit = true
	}
}

func (d *download) readBody(p []byte) (int, error) {
	if d.skip > 0 {
		n, err := io.CopyN(io.Discard, d.body, d.skip)
		d.skip -= n
		if err != nil {
			return 0, err
		}
	}
	return d.body.Read(p)
}

// resume opens the rest after cause ended the body. Its error is the end of the
// download.
func (d *download) resume(cause error) error {
	var end *final
	if errors.As(cause, &end) {
		return end.error
	}
	if d.ctx.Err() != nil {
		return d.ctx.Err()
	}
	if d.offset >= d.desc.Size {
		return io.EOF // with all there is, it does not matter how it ended
	}
	if cause == io.EOF {
		cause = io.ErrUnexpectedEOF
	}
	if d.offset-d.broken >= progress {
		d.failures = 0
	}
	if d.failures >= maxRetries || !transient(cause) {
		return d.explain(cause)
	}
	d.body.Close()
	d.broken = d.offset
	d.failures++
	if err := pause(d.ctx, backoff(d.failures-1)); err != nil {
		return err
	}
	return d.explain(d.open())
}

func (d *download) explain(err error) error {
	return d.repo.explain("fetch "+d.desc.Digest.String()+" from "+d.repo.name, err)
}

// open asks for the content from the offset on; of a registry that cannot do
// that, for all of it.
func (d *download) open() error {
	usable, err := d.request()
	if err == nil && !usable {
		d.whole = true
		if usable, err = d.request(); err == nil && !usable {
			return &explained{errdef.Errorf(errdef.ErrVerification, "%s sent a part of it where all was asked for; tell the registry's operator", d.repo.registry())}
		}
	}
	return err
}

// request sends one request, and tells whether its answer is of use.
func (d *download) request() (usable bool, err error) {
	header := http.Header{"Accept-Encoding": {"identity"}}
	if slices.Contains(artifact.ManifestTypes, d.desc.MediaType) {
		header.Set("Accept", d.desc.MediaType)
	}
	ranged := d.offset > 0 && !d.whole
	if ranged {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", d.offset, d.desc.Size-1))
	}
	resp, err := d.repo.ask(d.ctx, http.MethodGet, pathOf(d.desc), header)
	if err == nil && resp.StatusCode == http.StatusPartialContent {
		d.repo.gaveParts.Store(true)
	}
	switch code := statusOf(err); {
	case ranged && (code == http.StatusRequestedRangeNotSatisfiable || code == http.StatusBadRequest || code == http.StatusNotImplemented):
		return false, nil
	case err != nil:
		return false, err
	}
	start, size := int64(0), resp.ContentLength
	usable = true
	if resp.StatusCode == http.StatusPartialContent {
		start, size, usable = parseContentRange(resp.Header.Get("Content-Range"))
		usable = usable && start <= d.offset
	}
	if usable && size >= 0 && size != d.desc.Size {
		err = &explained{errdef.Errorf(errdef.ErrVerification, "%s has it with %d bytes, not %d; do not use it", d.repo.registry(), size, d.desc.Size)}
	}
	if err != nil || !usable {
		resp.Body.Close()
		return false, err
	}
	d.body, d.skip = resp.Body, d.offset-start
	return true, nil
}

// parseContentRange reads where a part of a body starts, and how many bytes the
// whole has, -1 when that is not said.
func parseContentRange(header string) (start, size int64, ok bool) {
	start, _, size, ok = parseRange(header)
	return start, size, ok
}

// parseRange reads also which byte the part ends with. Some registries leave out
// the unit.
// https://www.rfc-editor.org/rfc/rfc9110#field.content-range
func parseRange(header string) (start, end, size int64, ok bool) {
	header = strings.TrimPrefix(strings.TrimSpace(header), "bytes")
	first, rest, _ := strings.Cut(strings.TrimLeft(header, " ="), "-")
	last, total, slash := strings.Cut(rest, "/")
	start, errStart := strconv.ParseInt(first, 10, 64)
	end, errEnd := strconv.ParseInt(last, 10, 64)
	size = -1
	var errSize error
	if slash && total != "*" {
		size, errSize = strconv.ParseInt(total, 10, 64)
		if size <= end {
			return 0, 0, -1, false
		}
	}
	if errStart != nil || errEnd != nil || errSize != nil || start < 0 || end < start {
		return 0, 0, -1, false
	}
	return start, end, size, true
}

// Close ends the download.
func (d *download) Close() error {
	d.end(http.ErrBodyReadAfterClose)
	return d.body.Close()
}
