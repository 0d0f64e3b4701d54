package registrytest

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Resetting is a way to a registry that breaks again and again.
type Resetting struct {
	// Host is the name that references begin with.
	Host string

	sent, resets atomic.Int64
}

// Sent gives how many bytes of answers went to clients.
func (r *Resetting) Sent() int64 { return r.sent.Load() }

// Resets gives how many connections were reset.
func (r *Resetting) Resets() int { return int(r.resets.Load()) }

// StartResetting relays connections to a registry, and resets the one that
// carries the byte after each least to most bytes of answers, drawn from seed.
func StartResetting(t testing.TB, to *Registry, least, most int64, seed uint64) *Resetting {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Resetting{Host: listener.Addr().String()}
	random := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	next := func() int64 { return least + random.Int64N(most-least+1) }
	left := next()
	// take gives how many of n bytes may go before a reset, which is due when
	// they are fewer.
	take := func(n int64) int64 {
		mu.Lock()
		defer mu.Unlock()
		if n < left {
			left -= n
			return n
		}
		n, left = left, next()
		return n
	}
	var running sync.WaitGroup
	open := map[net.Conn]bool{}
	note := func(conn net.Conn, is bool) {
		mu.Lock()
		defer mu.Unlock()
		if open[conn] = is; !is {
			delete(open, conn)
		}
	}
	relay := func(client *net.TCPConn) {
		defer client.Close()
		note(client, true)
		defer note(client, false)
		// What is on its way is lost with a reset: it must not be much.
		_ = client.SetWriteBuffer(32 << 10)
		server, err := net.Dial("tcp", to.Host)
		if err != nil {
			return
		}
		defer server.Close()
		note(server, true)
		defer note(server, false)
		running.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.(*net.TCPConn).CloseWrite()
		})
		buf := make([]byte, 16<<10)
		for {
			n, err := server.Read(buf)
			if n > 0 {
				may := take(int64(n))
				written, writeErr := client.Write(buf[:may])
				p.sent.Add(int64(written))
				if writeErr != nil {
					return
				}
				if may < int64(n) {
					p.resets.Add(1)
					_ = client.SetLinger(0) // closed, it is reset
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { relay(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return p
}
