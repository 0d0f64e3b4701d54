package ocipkg

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/registry"
)

const (
	// aheadAtOnce is how many bytes of a package are asked for before it is known
	// whether that is worth anything: small blobs, of which each would take a round
	// trip of its own.
	aheadAtOnce = 4 << 20
	// aheadLargest is the largest blob, in bytes, that is read ahead. Larger ones
	// have enough to do for a connection of their own.
	aheadLargest = 4 << 20
	// aheadApart is the size, in bytes, from which on a blob is worth a connection
	// that carries nothing else.
	aheadApart = 1 << 20
	// farAnswer is how long an answer takes, beside its bytes at aheadRate, from
	// which on the rest is read ahead, too.
	farAnswer = 15 * time.Millisecond
	aheadRate = 40e6 // bytes a second
)

// ahead is a place to fetch from that asks for the blobs of a package before
// they are wanted, in the order in which they will be, and reads them into
// memory. It has no claim to anything: what it finds no room for, and what is
// wanted before it has got to it, is fetched as it would be without.
type ahead struct {
	from artifact.Fetcher
	room *registry.Room
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	queue   []Descriptor // what was not asked for yet
	asked   map[digest.Digest]*early
	count   int   // of those that were asked for
	bytes   int64 // of them
	far     bool  // the rest is worth asking for
	opened  bool  // one that is too large to be read was asked for, or none is to be
	running sync.WaitGroup
}

// early is a blob that was asked for.
type early struct {
	ready  chan struct{} // closed when all that will come has
	chunks [][]byte
	filled int64
	extra  []byte        // what came beyond its size
	err    error         // why no more did
	blob   io.ReadCloser // the rest, of one that is not read ahead
}

// lookAhead begins to ask for blobs, apart from those that are known.
func (c *Client) lookAhead(ctx context.Context, from artifact.Fetcher, blobs []Descriptor, known func(Descriptor) bool) *ahead {
	// Nobody reads what is opened and too large for memory, so that where
	// connections are counted it is left.
	a := &ahead{from: from, room: c.registry.Room(), asked: map[digest.Digest]*early{}, opened: c.Connections > 0}
	a.ctx, a.stop = context.WithCancel(registry.Connected(ctx))
	seen := map[digest.Digest]bool{}
	for _, desc := range blobs {
		if !seen[desc.Digest] && artifact.CheckDescriptor(desc) == nil && !known(desc) {
			a.queue = append(a.queue, desc)
		}
		seen[desc.Digest] = true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ask()
	return a
}

// has gives what a store has of a package: its config, and the layers that
// another package in it has.
func (c *Client) has(config digest.Digest) func(Descriptor) bool {
	return func(desc Descriptor) bool {
		if desc.Digest == config {
			_, ok := install.Blob(c.store, desc.Digest)
			return ok
		}
		_, err := os.Stat(c.store.Path("layers", desc.Digest.Encoded()))
		return err == nil
	}
}

// ask asks for what comes next, as far as there is room. The lock is held.
func (a *ahead) ask() {
	for len(a.queue) > 0 && a.ctx.Err() == nil && (a.far || a.bytes < aheadAtOnce) {
		desc := a.queue[0]
		small := desc.Size <= aheadLargest
		if !small && a.opened { // it has a way of its own to be fast
			a.queue = a.queue[1:]
			continue
		}
		if !a.far && a.bytes+min(desc.Size, aheadLargest) > aheadAtOnce && a.count > 1 {
			return
		}
		if !a.room.TryConnect() {
			return
		}
		e := &early{ready: make(chan struct{})}
		if small {
			var ok bool
			if e.chunks, ok = a.room.Take(desc.Size); !ok {
				a.room.Disconnect()
				return
			}
		}
		a.queue = a.queue[1:]
		a.count++
		a.bytes += min(desc.Size, aheadLargest)
		a.opened = a.opened || !small
		a.asked[desc.Digest] = e
		ctx := a.ctx
		if a.far && desc.Size >= aheadApart {
			ctx = registry.Apart(ctx)
		}
		a.running.Go(func() { a.fetch(ctx, desc, e) })
	}
}

// fetch reads a blob, or opens it when it is too large for that.
func (a *ahead) fetch(ctx context.Context, desc Descriptor, e *early) {
	start := time.Now()
	blob, err := a.from.Fetch(ctx, desc)
	e.err = err
	if err == nil && desc.Size > aheadLargest {
		e.blob = blob
	} else if err == nil {
		e.read(blob, desc.Size)
		blob.Close()
	}
	took := time.Since(start) - time.Duration(float64(e.filled)/aheadRate*float64(time.Second))
	a.room.Disconnect()
	close(e.ready)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.far = a.far || took >= farAnswer
	a.ask()
}

// read reads a blob into the buffers, and looks whether it ends there.
func (e *early) read(blob io.Reader, size int64) {
	for _, chunk := range e.chunks {
		n, err := io.ReadFull(blob, chunk[:min(int64(len(chunk)), size-e.filled)])
		e.filled += int64(n)
		if err != nil {
			// These alone are the end of the blob: others may wrap them.
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				e.err = err
			}
			return
		}
	}
	var extra [1]byte
	n, err := io.ReadFull(blob, extra[:])
	e.extra = extra[:n]
	if n == 0 && err != io.EOF {
		e.err = err
	}
}

// take gives a blob that was asked for, to who wants it now; nil when it was not.
func (a *ahead) take(desc Descriptor) *early {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.asked[desc.Digest]
	delete(a.asked, desc.Digest)
	for i, next := range a.queue {
		if next.Digest == desc.Digest {
			a.queue = append(a.queue[:i:i], a.queue[i+1:]...)
			break
		}
	}
	return e
}

// Fetch gives a blob: what has come of it where it was asked for, to the first
// who wants it.
func (a *ahead) Fetch(ctx context.Context, desc Descriptor) (io.ReadCloser, error) {
	e := a.take(desc)
	if e == nil {
		return a.from.Fetch(ctx, desc)
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		a.running.Go(func() { <-e.ready; a.drop(e) })
		return nil, ctx.Err()
	}
	if e.blob != nil {
		return &late{ReadCloser: e.blob, ctx: ctx, room: a.room}, nil
	}
	if e.err != nil && e.filled == 0 {
		a.drop(e)
		return nil, e.err
	}
	return &earlyReader{of: a, early: e}, nil
}

// FetchFrom is Fetch without the first bytes, of a blob that is too large to be
// read ahead.
func (a *ahead) FetchFrom(ctx context.Context, desc Descriptor, offset int64) (io.ReadCloser, error) {
	if offset == 0 {
		return a.Fetch(ctx, desc)
	}
	if e := a.take(desc); e != nil {
		a.running.Go(func() { <-e.ready; a.drop(e) })
	}
	return artifact.FetchFrom(ctx, a.from, desc, offset)
}

func (a *ahead) InOneStream() bool { return artifact.InOneStream(a.from) }

// drop gives back what a blob holds.
func (a *ahead) drop(e *early) {
	if e.blob != nil {
		e.blob.Close()
	}
	a.room.Give(e.chunks...)
	e.chunks = nil
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ask()
}

// Close drops what nobody wanted, once all who wanted something have it.
func (a *ahead) Close() {
	a.stop()
	a.running.Wait()
	for _, e := range a.asked {
		a.drop(e)
	}
}

// earlyReader reads a blob that is in memory.
type earlyReader struct {
	of *ahead
	*early
	at int64
}

func (r *earlyReader) Read(p []byte) (int, error) {
	if r.at < r.filled && r.chunks == nil {
		return 0, os.ErrClosed
	}
	if r.at == r.filled {
		n, _ := bytes.NewReader(r.extra).Read(p)
		r.extra = r.extra[n:]
		switch {
		case n > 0:
			return n, nil
		case r.err != nil:
			return 0, r.err
		}
		return 0, io.EOF
	}
	chunk := r.chunks[r.at/registry.ChunkSize]
	n := copy(p, chunk[r.at%registry.ChunkSize:min(registry.ChunkSize, r.filled-r.at/registry.ChunkSize*registry.ChunkSize)])
	r.at += int64(n)
	return n, nil
}

func (r *earlyReader) Close() error {
	r.of.drop(r.early)
	return nil
}

// late is a blob that was opened ahead, without a connection being counted for
// it: it counts from when it is read.
type late struct {
	io.ReadCloser
	ctx  context.Context
	room *registry.Room
	once sync.Once
	err  error
	held bool
}

func (l *late) Read(p []byte) (int, error) {
	l.once.Do(func() {
		l.err = l.room.Connect(l.ctx)
		l.held = l.err == nil
	})
	if l.err != nil {
		return 0, l.err
	}
	return l.ReadCloser.Read(p)
}

func (l *late) Close() error {
	err := l.ReadCloser.Close()
	if l.held {
		l.held = false
		l.room.Disconnect()
	}
	return err
}
