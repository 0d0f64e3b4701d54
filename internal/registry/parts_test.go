package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

var large = sync.OnceValue(func() string { return noise(1<<20 + 12345) })

// inParts has downloads go on in parts as soon as they have begun.
func inParts(t *testing.T) {
	setFor(t, &partsLeast, 256<<10)
	setFor(t, &partsLead, 256<<10)
	setFor(t, &partSize, 128<<10)
	setFor(t, &partsAfter, 0)
	setFor(t, &partsSlower, math.MaxFloat64)
}

// onlyStart gives no more of the whole than is read before the first part, so
// that the rest comes in parts or not at all. What is asked for in parts part
// answers.
func onlyStart(part http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			part(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(large())))
		io.WriteString(w, large()[:320<<10])
		w.(http.Flusher).Flush()
		if r.Header.Get("X-Break") == "" {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}
}

// orBreaks has that end with a broken connection.
func orBreaks(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Break", "1")
		handler(w, r)
	}
}

func parted(w http.ResponseWriter, r *http.Request) { inRanges(w, r, large()) }

// wantIdle checks that all room was given back.
func wantIdle(t *testing.T, r *Repository) {
	t.Helper()
	most := int64(maxDownloads)
	if n := r.client.options.Connections; n > 0 {
		most = int64(n)
	}
	// What was being fetched when it was closed ends by itself.
	for i := 0; ; i++ {
		r.client.room.mu.Lock()
		given := r.client.room.given
		r.client.room.mu.Unlock()
		if given == 0 && r.client.room.connections.TryAcquire(most) {
			r.client.room.connections.Release(most)
			return
		}
		if i > 1e6 {
			t.Fatalf("%d buffers are still out, or a connection", given)
		}
		runtime.Gosched()
	}
}

func TestASlowDownloadGoesOnInParts(t *testing.T) {
	inParts(t)
	var ranges sync.Map
	s := serve(t, map[string]http.HandlerFunc{"/v2/": onlyStart(func(w http.ResponseWriter, r *http.Request) {
		if _, twice := ranges.LoadOrStore(r.Header.Get("Range"), true); twice {
			t.Errorf("asked for %s twice", r.Header.Get("Range"))
		}
		parted(w, r)
	})})
	r := repo(t, s.host, Options{})
	wantFetched(t, r, large())
	wantIdle(t, r)
	if got := s.times("GET"); got < 7 || got > 8 {
		t.Errorf("%d requests", got)
	}
}

// What is wrong with parts that say what they should is found out by who verifies
// the whole: it then comes in one stream.
func TestARegistryThatLiesAboutLaterPartsIsReadInOneStream(t *testing.T) {
	inParts(t)
	var told atomic.Int32
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		if told.Load() > 0 {
			if ranged := r.Header.Get("Range"); ranged != "" {
				t.Errorf("asked for %s, after parts were not what they should be", ranged)
			}
			ignoringRanges(w, r, large())
			return
		}
		onlyStart(func(w http.ResponseWriter, r *http.Request) {
			var first, last int
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
			body := []byte(large()[first : last+1])
			if first > 600<<10 {
				body[0] ^= 1
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(large())))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(body)
		})(w, r)
	}})
	r := repo(t, s.host, Options{})
	if r.InOneStream() {
		t.Error("no part was fetched, and one stream would be another thing")
	}
	if got, err := fetch(t, r, blobOf(large())); err != nil || got == large() {
		t.Fatalf("the lie did not arrive (%v)", err)
	}
	if !r.InOneStream() || r.InOneStream() {
		t.Error("it is to make a difference once")
	}
	told.Store(1)
	wantFetched(t, r, large())
	wantIdle(t, r)
}

func TestTheRestOfABlobIsFetched(t *testing.T) {
	content := noise(300 << 10)
	for name, handler := range map[string]func(http.ResponseWriter, *http.Request, string){"ranges": inRanges, "none": ignoringRanges, "refused": refusingRanges(416)} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/v2/": breaking(1, 80<<10, content, handler)})
			body, err := repo(t, s.host, Options{}).FetchFrom(t.Context(), blobOf(content), 100<<10)
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if got, err := io.ReadAll(body); err != nil || string(got) != content[100<<10:] {
				t.Errorf("read %d bytes that are another thing (%v)", len(got), err)
			}
		})
	}
}

func TestADownloadOverHTTP2GoesOnInPartsOverOtherConnections(t *testing.T) {
	inParts(t)
	s := serveTLS(t, map[string]http.HandlerFunc{"/v2/": onlyStart(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("a part is asked for over %s", r.Proto)
		}
		parted(w, r)
	})})
	r := repo(t, s.host, Options{Insecure: Hosts{s.host}})
	wantFetched(t, r, large())
	wantIdle(t, r)
}

func TestWhateverARegistryMakesOfPartsTheWholeArrives(t *testing.T) {
	inParts(t)
	part := func(change func(header http.Header, body string) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var first, last int
			if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); n < 2 || last == len(large())-1 {
				parted(w, r) // to resume the one stream
				return
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(large())))
			body := change(w.Header(), large()[first:last+1])
			w.WriteHeader(http.StatusPartialContent)
			w.(http.Flusher).Flush()
			io.WriteString(w, body)
		}
	}
	set := func(format string, args ...any) http.HandlerFunc {
		return part(func(header http.Header, body string) string {
			header.Set("Content-Range", fmt.Sprintf(format, args...))
			return body
		})
	}
	whole := func(w http.ResponseWriter, r *http.Request) { ignoringRanges(w, r, large()) }
	for name, handler := range map[string]http.HandlerFunc{
		"parts":          parted,
		"ranges ignored": whole,
		"416":            func(w http.ResponseWriter, r *http.Request) { refusingRanges(416)(w, r, large()) },
		"400":            func(w http.ResponseWriter, r *http.Request) { refusingRanges(400)(w, r, large()) },
		"503 and a minute": func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("Range"), fmt.Sprint(len(large())-1)) {
				parted(w, r)
				return
			}
			w.Header().Set("Retry-After", "60") // for which the one stream does not wait
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"403":                 func(w http.ResponseWriter, r *http.Request) { refusingRanges(403)(w, r, large()) },
		"no content range":    set(""),
		"another start":       set("bytes 0-%d/%d", partSize-1, len(large())),
		"another size":        set("bytes %d-%d/%d", 3<<20, 5<<20-1, 1<<40),
		"more than was asked": part(func(_ http.Header, body string) string { return body + "more" }),
		"less, always":        part(func(_ http.Header, body string) string { return body[:len(body)/2] }),
		"nothing":             part(func(http.Header, string) string { return "" }),
		"a byte at each":      part(func(_ http.Header, body string) string { return body[:1] }),
		"no size": part(func(h http.Header, body string) string {
			h.Set("Content-Range", strings.Split(h.Get("Content-Range"), "/")[0]+"/*")
			return body
		}),
		"a length of its own":  part(func(h http.Header, body string) string { h.Set("Content-Length", "5"); return body[:5] }),
		"broken in the middle": breaking(5, 70<<10, large(), inRanges),
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int32
			s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") == "" && sent.Add(1) == 1 {
					whole(w, r)
					return
				}
				handler(&cutter{ResponseWriter: w, left: 1 << 40}, r)
			}})
			r := repo(t, s.host, Options{})
			got, err := fetch(t, r, blobOf(large()))
			if name == "403" && err != nil {
				t.Errorf("the one stream was whole: %v", err)
			}
			if err != nil || got != large() {
				t.Errorf("fetched %d bytes, %v", len(got), err)
			}
			wantIdle(t, r)
		})
	}
}

func TestPartsThatFailForGoodAreNoEndOfADownload(t *testing.T) {
	inParts(t)
	var count atomic.Int32
	s := serve(t, map[string]http.HandlerFunc{"/v2/": orBreaks(onlyStart(func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) > 3 && !strings.HasSuffix(r.Header.Get("Range"), fmt.Sprint(len(large())-1)) {
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		parted(w, r)
	}))})
	r := repo(t, s.host, Options{})
	wantFetched(t, r, large())
	wantIdle(t, r)
}

func TestAnotherErrorThanOfPartsIsTheDownloads(t *testing.T) {
	inParts(t)
	var count atomic.Int32
	s := serve(t, map[string]http.HandlerFunc{"/v2/": orBreaks(onlyStart(func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) > 3 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		parted(w, r)
	}))})
	r := repo(t, s.host, Options{})
	_, err := fetch(t, r, blobOf(large()))
	wantError(t, err, errdef.ErrNotFound, "fetch "+blobOf(large()).Digest.String(), s.host)
	wantIdle(t, r)
}

func TestATokenThatExpiresBetweenPartsIsRenewed(t *testing.T) {
	inParts(t)
	tokens := tokens(t, "token", nil)
	var count atomic.Int32
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) == 6 {
			tokens.expire()
		}
		tokens.protected(`Bearer realm="REALM"`, onlyStart(parted))(w, r)
	}})
	r := repo(t, s.host, Options{})
	wantFetched(t, r, large())
	wantIdle(t, r)
	if got := tokens.times("/token"); got < 2 || got > 3 {
		t.Errorf("%d tokens", got)
	}
}

func TestOneConnectionIsNotMadeMore(t *testing.T) {
	inParts(t)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": parted})
	r := repo(t, s.host, Options{Connections: 1})
	wantFetched(t, r, large())
	s.wantTimes(t, "GET", 1)
	wantIdle(t, r)
}

func TestNoMoreConnectionsAreOpenThanAllowed(t *testing.T) {
	inParts(t)
	for _, most := range []int{1, 2, 3, 0} {
		allowed := int32(most)
		if most == 0 {
			allowed = maxDownloads
		}
		var open, seen atomic.Int32
		s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" { // the one stream may be closed and not know it yet
				n := open.Add(1)
				defer open.Add(-1)
				for old := seen.Load(); n > old && !seen.CompareAndSwap(old, n); old = seen.Load() {
				}
			}
			parted(w, r)
		}})
		r := repo(t, s.host, Options{Connections: most})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { wantFetched(t, r, large()) })
		}
		all.Wait()
		if seen.Load() > allowed {
			t.Errorf("%d parts at once, and %d connections are allowed", seen.Load(), allowed)
		}
		wantIdle(t, r)
	}
}

func TestAReaderOfAManyDownloadsWaitsForAConnectionOrItsEnd(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": parted})
	r := repo(t, s.host, Options{Connections: 1})
	first, err := r.Fetch(t.Context(), blobOf(large()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Fetch(ctx, blobOf(large())); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	first.Close()
	first.Close()
	wantFetched(t, r, large())
	wantIdle(t, r)
}

func TestADownloadInPartsEndsWhenItIsClosedOrCancelled(t *testing.T) {
	inParts(t)
	for name, cancelled := range map[string]bool{"closed": false, "cancelled": true} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var running atomic.Int32
			s := serve(t, map[string]http.HandlerFunc{"/v2/": onlyStart(func(w http.ResponseWriter, r *http.Request) {
				var first int
				fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first)
				if first < 300<<10 { // what else is waited for
					parted(w, r)
					return
				}
				running.Add(1)
				defer running.Add(-1)
				w.(http.Flusher).Flush()
				<-r.Context().Done() // which is when the client has gone
			})})
			r := repo(t, s.host, Options{})
			body, err := r.Fetch(ctx, blobOf(large()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, body, 320<<10); err != nil {
				t.Fatal(err)
			}
			if cancelled {
				cancel()
				if _, err := io.Copy(io.Discard, body); !errors.Is(err, context.Canceled) {
					t.Errorf("the error is %v", err)
				}
			}
			body.Close()
			if _, err := body.Read(make([]byte, 1)); err == nil {
				t.Error("it gives bytes after its end")
			}
			wantIdle(t, r)
			for running.Load() > 0 {
				runtime.Gosched()
			}
		})
	}
}

func TestWithoutMemoryForPartsADownloadGoesOn(t *testing.T) {
	inParts(t)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": parted})
	r := repo(t, s.host, Options{})
	taken, ok := r.client.room.Take(bufferedBytes)
	if !ok {
		t.Fatal("there is no room")
	}
	wantFetched(t, r, large())
	s.wantTimes(t, "GET", 1)
	r.client.room.Give(taken...)
	wantIdle(t, r)
}

func TestMemoryThatRunsOutBetweenPartsIsNoEnd(t *testing.T) {
	inParts(t)
	var once sync.Once
	var r *Repository
	s := serve(t, map[string]http.HandlerFunc{"/v2/": onlyStart(func(w http.ResponseWriter, req *http.Request) {
		once.Do(func() {
			for { // all that is left
				if _, ok := r.client.room.Take(ChunkSize); !ok {
					return
				}
			}
		})
		parted(w, req)
	})})
	r = repo(t, s.host, Options{})
	wantFetched(t, r, large())
}

func TestRoomIsForAllOrNothing(t *testing.T) {
	room := newRoom(1)
	if _, ok := room.Take(bufferedBytes + 1); ok {
		t.Error("it gave more than there is")
	}
	if _, ok := room.Take(-1); ok {
		t.Error("it gave less than nothing")
	}
	all, ok := room.Take(bufferedBytes)
	if !ok || len(all) != bufferedBytes/ChunkSize {
		t.Errorf("it gave %d buffers, %v", len(all), ok)
	}
	if _, ok := room.Take(1); ok {
		t.Error("it gave what it had not")
	}
	room.Give(all[0])
	if _, ok := room.Take(ChunkSize + 1); ok {
		t.Error("it gave two for one")
	}
	if got, ok := room.Take(1); !ok || len(got) != 1 {
		t.Errorf("it gave %d", len(got))
	}
}
