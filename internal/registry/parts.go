package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// When a download goes on in parts, and how. These are variables for tests.
var (
	partsLeast  int64 = 8 << 20                // bytes that are still to come
	partsAfter        = 100 * time.Millisecond // of waiting for the one connection
	partsSlower       = 40e6                   // bytes a second that it brought meanwhile

	partSize  int64 = 1 << 20 // bytes, of the part that one request asks for
	partsLead int64 = 4 << 20 // bytes that come in the one stream until the first part does
)

const (
	partsTail  = 4 << 10 // bytes at the end of the lead that the first part begins with, too
	firstParts = 3       // fetched at once to begin with
	moreParts  = 2       // that are added as long as that helps
)

// errNoParts tells of a registry that does not give the parts that are asked
// for. The whole it may give all the same.
var errNoParts = errors.New("it does not give parts")

// errNoRoom tells that no part can be begun.
var errNoRoom = errors.New("there is no room for parts")

// parts fetches the rest of a blob over several connections, for the registry,
// or the way to it, that gives each no more than so much. The parts are handed
// on in order, and whoever reads them verifies the whole as ever.
//
// None waits for room. A part is begun when there is a connection and memory for
// it, and when there is none for any, the download goes on in one stream.
type parts struct {
	repo   *Repository
	desc   ocispec.Descriptor
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	news    chan struct{} // closed, and made anew, when there is something to read or it failed
	begun   []*part       // in order, those that are not read to their end
	next    int64         // the first byte that is in none
	running int
	want    int   // of them at once
	err     error // of one that failed: no other is begun
	closed  bool
	own     bool // the connection of the download itself is free for one

	// What there was of each number of parts at once tells whether more help.
	settled bool
	done    int   // parts, since the number changed
	bytes   int64 // of them
	since   time.Time
	rate    float64 // bytes a second, with the number before
}

// part is one range of a blob, and its bytes as far as they have come.
type part struct {
	start, size int64
	chunks      [][]byte // those that were read to their end are nil
	filled      int64
	running     bool
	own         bool
}

// fetchParts begins to fetch what follows start.
func fetchParts(ctx context.Context, r *Repository, desc ocispec.Descriptor, start int64) *parts {
	// A registry that is busy is not to be waited for while the one stream comes.
	ctx, cancel := context.WithCancel(context.WithValue(Apart(ctx), onceOnly{}, true))
	p := &parts{repo: r, desc: desc, ctx: ctx, cancel: cancel, news: make(chan struct{}), next: start, want: firstParts, since: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	return p
}

// tell wakes the reader. The lock is held.
func (p *parts) tell() {
	close(p.news)
	p.news = make(chan struct{})
}

// begin begins as many parts as are wanted and there is room for. The lock is
// held.
func (p *parts) begin() {
	room := p.repo.client.room
	for p.err == nil && !p.closed && p.running < p.want && p.next < p.desc.Size {
		one := &part{start: p.next, size: min(partSize, p.desc.Size-p.next), running: true}
		if one.own = p.own; !one.own && !room.TryConnect() {
			return
		}
		var ok bool
		if one.chunks, ok = room.Take(one.size); !ok {
			if !one.own {
				room.Disconnect()
			}
			return
		}
		if one.own {
			p.own = false
		}
		p.next += one.size
		p.running++
		p.begun = append(p.begun, one)
		go p.run(one)
	}
}

// run fetches a part, and begins another after it.
func (p *parts) run(one *part) {
	err := p.fetch(one)
	if !one.own {
		p.repo.client.room.Disconnect()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.tell()
	one.running = false
	p.running--
	if one.own {
		p.own = true
	}
	if p.closed {
		p.drop(one)
		return
	}
	if err != nil {
		if p.err == nil {
			p.err = err
		}
		return
	}
	p.learn(one.size)
	p.begin()
}

// learn takes note of a part that has come, and changes how many are fetched at
// once: more, as long as the last change made it faster. The lock is held.
func (p *parts) learn(size int64) {
	p.done++
	p.bytes += size
	if p.settled || p.done < p.want {
		return
	}
	rate := float64(p.bytes) / time.Since(p.since).Seconds()
	if rate < 1.1*p.rate {
		p.want -= moreParts
		p.settled = true
		return
	}
	p.want, p.rate = p.want+moreParts, rate
	p.done, p.bytes, p.since = 0, 0, time.Now()
}

// fetch fetches a part, over as many requests as it takes.
func (p *parts) fetch(one *part) error {
	failures, broken := 0, int64(0)
	for {
		err := p.request(one)
		var end *final
		if err == nil || p.ctx.Err() != nil || !transient(err) || errors.As(err, &end) {
			return err
		}
		if one.filled-broken >= progress {
			failures = 0
		}
		if failures >= maxRetries {
			return err
		}
		broken = one.filled
		failures++
		if err := pause(p.ctx, backoff(failures-1)); err != nil {
			return err
		}
	}
}

// request asks for what a part lacks. Only p.run changes what is filled, so that
// it may read that without the lock.
func (p *parts) request(one *part) error {
	first, last := one.start+one.filled, one.start+one.size-1
	resp, err := p.repo.ask(p.ctx, http.MethodGet, pathOf(p.desc), http.Header{
		"Accept-Encoding": {"identity"}, "Range": {fmt.Sprintf("bytes=%d-%d", first, last)},
	})
	if err != nil {
		return &final{err} // it was tried again already
	}
	defer resp.Body.Close()
	start, end, size, ok := parseRange(resp.Header.Get("Content-Range"))
	if resp.StatusCode != http.StatusPartialContent || !ok || start != first || end != last || size >= 0 && size != p.desc.Size ||
		resp.ContentLength >= 0 && resp.ContentLength != last-first+1 {
		return errNoParts
	}
	p.repo.gaveParts.Store(true)
	for one.filled < one.size {
		chunk := one.chunks[one.filled/ChunkSize]
		at := one.filled % ChunkSize
		n, err := resp.Body.Read(chunk[at:min(ChunkSize, at+one.size-one.filled)])
		if n > 0 {
			p.mu.Lock()
			one.filled += int64(n)
			p.tell()
			p.mu.Unlock()
		}
		if err != nil && one.filled < one.size {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	// To its end, so that the connection serves again.
	if n, _ := io.ReadFull(resp.Body, make([]byte, 1)); n > 0 {
		return errNoParts
	}
	return nil
}

// await waits until it is known that parts come as they should: the first must
// begin with the bytes that the one stream ended with.
func (p *parts) await(tail []byte) error {
	for {
		n, news, err := p.proof(tail)
		if n > 0 || err != nil {
			return err
		}
		select {
		case <-news:
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
}

// proof compares as much as has come, at least the whole of tail.
func (p *parts) proof(tail []byte) (n int, news <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return 0, nil, p.err
	case len(p.begun) == 0:
		return 0, nil, errNoRoom // not for the first
	case p.begun[0].filled < int64(len(tail)):
		return 0, p.news, nil
	case !bytes.Equal(p.begun[0].chunks[0][:len(tail)], tail):
		return 0, nil, errNoParts
	}
	return len(tail), nil, nil
}

// takeOver says that the download has ended its own stream.
func (p *parts) takeOver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own = true
	p.begin()
}

// read gives bytes from offset on, which only grows. An error is of fetching
// them; the offset is where to go on.
func (p *parts) read(b []byte, offset int64) (int, error) {
	for {
		n, news, err := p.ready(b, offset)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-news:
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
}

// ready gives what has come of what is wanted, or what to wait for.
func (p *parts) ready(b []byte, offset int64) (n int, news <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.begun) > 0 {
		one := p.begun[0]
		at := offset - one.start
		p.forget(one, min(at, one.size)/ChunkSize)
		if at >= one.size && !one.running {
			p.drop(one)
			p.begun = p.begun[1:]
			continue
		}
		if at < one.filled {
			chunk := one.chunks[at/ChunkSize]
			end := min(ChunkSize, one.filled-at/ChunkSize*ChunkSize)
			return copy(b, chunk[at%ChunkSize:end]), nil, nil
		}
		break
	}
	p.begin()
	if p.err != nil && (len(p.begun) == 0 || !p.begun[0].running) {
		return 0, nil, p.err
	}
	if len(p.begun) == 0 {
		return 0, nil, errNoRoom // not for another
	}
	return 0, p.news, nil
}

// forget gives back what was read to its end of a part, so many chunks. The lock
// is held.
func (p *parts) forget(one *part, chunks int64) {
	for i := range chunks {
		// What is being filled is past them.
		if one.chunks[i] != nil && one.filled >= (i+1)*ChunkSize {
			p.repo.client.room.Give(one.chunks[i])
			one.chunks[i] = nil
		}
	}
}

// drop gives back all of a part that is not being fetched. The lock is held.
func (p *parts) drop(one *part) {
	for i, chunk := range one.chunks {
		if chunk != nil {
			p.repo.client.room.Give(chunk)
			one.chunks[i] = nil
		}
	}
}

// close ends all. What is being fetched ends by itself, soon.
func (p *parts) close() {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	for _, one := range p.begun {
		if !one.running {
			p.drop(one)
		}
	}
	p.begun = nil
}
