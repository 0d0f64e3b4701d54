package registry

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// How many blobs, or parts of one, are moved at once where nobody says.
const (
	maxDownloads = 8
	maxUploads   = 12 // to a registry that is far
	nearUploads  = 4
)

// farTrip is the round trip from which on a registry counts as far: much is
// asked for ahead then. One in the same building answers in less.
const farTrip = 15 * time.Millisecond

// ChunkSize is that of the buffers that [Room] gives, in bytes.
const ChunkSize = 256 << 10

// bufferedBytes is the most that is held in memory of what has come and is not
// read yet, in all downloads together.
const bufferedBytes = 8 << 20

// Room bounds what one client has under way: connections, and memory for what
// comes before it is wanted.
type Room struct {
	connections *semaphore.Weighted

	mu    sync.Mutex
	free  [][]byte // chunks that were given back
	given int      // chunks
}

func newRoom(connections int) *Room {
	return &Room{connections: semaphore.NewWeighted(int64(connections))}
}

// Connect waits for a connection to be free. It is for those who have none:
// who waits with one in hand may wait for ever.
func (r *Room) Connect(ctx context.Context) error { return r.connections.Acquire(ctx, 1) }

// TryConnect takes a connection if one is free, and nobody waits for it.
func (r *Room) TryConnect() bool { return r.connections.TryAcquire(1) }

// Disconnect gives a connection back.
func (r *Room) Disconnect() { r.connections.Release(1) }

// Take gives buffers for so many bytes, or none when there is no room for them
// all. Who gets none goes on without.
func (r *Room) Take(bytes int64) (chunks [][]byte, ok bool) {
	n := int((bytes + ChunkSize - 1) / ChunkSize)
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes < 0 || bytes > bufferedBytes || r.given+n > bufferedBytes/ChunkSize {
		return nil, false
	}
	r.given += n
	for range n {
		if last := len(r.free) - 1; last >= 0 {
			chunks, r.free = append(chunks, r.free[last]), r.free[:last]
		} else {
			chunks = append(chunks, make([]byte, ChunkSize))
		}
	}
	return chunks, true
}

// Give gives buffers back.
func (r *Room) Give(chunks ...[]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.given -= len(chunks)
	r.free = append(r.free, chunks...)
}

type connected struct{}

// Connected gives a context for a Fetch by someone who has taken a connection
// for it from [Room].
func Connected(ctx context.Context) context.Context {
	return context.WithValue(ctx, connected{}, true)
}

type apart struct{}

// Apart gives a context for requests whose answers are to have a connection for
// themselves also where the registry would send several over one: that may be
// slower than several are together.
func Apart(ctx context.Context) context.Context {
	return context.WithValue(ctx, apart{}, true)
}

// Room gives the room that all the client's downloads share.
func (c *Client) Room() *Room { return c.room }

// Uploads gives how many blobs are sent to the repository at once: more where
// each of the requests that they take has a long way.
func (r *Repository) Uploads() int {
	switch {
	case r.client.options.Connections > 0:
		return r.client.options.Connections
	case r.client.trips.shortest(r.remote.Reference.Host()) >= farTrip:
		return maxUploads
	}
	return nearUploads
}

// trips are what the ways to hosts were like.
type trips struct {
	mu     sync.Mutex
	to     map[string]time.Duration // the shortest round trip
	shared map[string]bool          // several answers come over one connection
}

func (t *trips) note(resp *http.Response, took time.Duration) {
	host := resp.Request.URL.Host
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.to == nil {
		t.to, t.shared = map[string]time.Duration{}, map[string]bool{}
	}
	if before, ok := t.to[host]; !ok || took < before {
		t.to[host] = took
	}
	if resp.ProtoMajor > 1 {
		t.shared[host] = true
	}
}

// share tells whether several answers of a host come over one connection.
func (t *trips) share(host string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shared[host]
}

// shortest is zero for a host that was not asked yet.
func (t *trips) shortest(host string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.to[host]
}
