package registry

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// noise is content of n bytes that no two places have in common.
func noise(n int) string {
	random := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	random.Read(b)
	return string(b)
}

// breaking serves content, and breaks each of the first n answers off after
// some bytes. ranged serves the ranges that are asked for.
func breaking(n, after int, content string, ranged func(w http.ResponseWriter, r *http.Request, content string)) http.HandlerFunc {
	return func() http.HandlerFunc {
		var count atomic.Int32
		return func(w http.ResponseWriter, r *http.Request) {
			cut := &cutter{ResponseWriter: w, left: 1 << 40}
			if int(count.Add(1)) <= n {
				cut.left = after
			}
			ranged(cut, r, content)
		}
	}()
}

// cutter resets the connection when more than left bytes are written.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

// The ways in which registries answer a range.

func inRanges(w http.ResponseWriter, r *http.Request, content string) {
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
}

func ignoringRanges(w http.ResponseWriter, r *http.Request, content string) {
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	io.WriteString(w, content)
}

func chunked(w http.ResponseWriter, r *http.Request, content string) {
	w.(*cutter).ResponseWriter.(http.Flusher).Flush()
	io.WriteString(w, content)
}

// refusingRanges answers them with status.
func refusingRanges(status int) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, r *http.Request, content string) {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(status)
			return
		}
		ignoringRanges(w, r, content)
	}
}

// withContentRange answers a range from start on, with a header of its own; %d
// in it is the first byte that was asked for.
func withContentRange(header string, shift int) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, r *http.Request, content string) {
		var start int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start); err != nil {
			ignoringRanges(w, r, content)
			return
		}
		start += shift
		w.Header().Set("Content-Range", strings.NewReplacer("FIRST", fmt.Sprint(start), "LAST", fmt.Sprint(len(content)-1), "SIZE", fmt.Sprint(len(content))).Replace(header))
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, content[start:])
	}
}

func TestADownloadThatBreaksIsResumedWhateverTheRegistryMakesOfRanges(t *testing.T) {
	content := noise(300 << 10)
	for name, c := range map[string]struct {
		serve    func(http.ResponseWriter, *http.Request, string)
		requests int
	}{
		"ranges":                    {inRanges, 3},
		"ranges ignored":            {ignoringRanges, 3},
		"no lengths":                {chunked, 3},
		"ranges refused with 416":   {refusingRanges(416), 4},
		"ranges refused with 400":   {refusingRanges(400), 4},
		"ranges refused with 501":   {refusingRanges(501), 4},
		"no unit":                   {withContentRange("FIRST-LAST/SIZE", 0), 3},
		"unit with =":               {withContentRange("bytes=FIRST-LAST/SIZE", 0), 3},
		"no size":                   {withContentRange("bytes FIRST-LAST/*", 0), 3},
		"an earlier start":          {withContentRange("bytes FIRST-LAST/SIZE", -1000), 3},
		"a later start":             {withContentRange("bytes FIRST-LAST/SIZE", 1000), 4},
		"no content range":          {withContentRange("", 0), 4},
		"a content range of no use": {withContentRange("bytes FIRST", 0), 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/v2/": breaking(2, 100<<10, content, c.serve)})
			wantFetched(t, repo(t, s.host, Options{}), content)
			if got := s.times("GET"); got > c.requests {
				t.Errorf("%d requests, want at most %d", got, c.requests)
			}
		})
	}
}

func TestOnlyTheRestIsFetchedAgain(t *testing.T) {
	content := noise(300 << 10)
	var ranges []string
	s := serve(t, map[string]http.HandlerFunc{"/v2/": breaking(1, 100<<10, content, func(w http.ResponseWriter, r *http.Request, content string) {
		ranges = append(ranges, r.Header.Get("Range"))
		inRanges(w, r, content)
	})})
	wantFetched(t, repo(t, s.host, Options{}), content)
	if len(ranges) != 2 || ranges[0] != "" || ranges[1] != fmt.Sprintf("bytes=%d-%d", 100<<10, 300<<10-1) {
		t.Errorf("asked for the ranges %q", ranges)
	}
}

func TestADownloadMayBreakAgainBeforeWhereItDid(t *testing.T) {
	content := noise(300 << 10)
	whole := func(w http.ResponseWriter, r *http.Request) { ignoringRanges(w, r, content) }
	s := serve(t, map[string]http.HandlerFunc{"/v2/": failing(1, breaking(1, 200<<10, content, ignoringRanges),
		failing(1, breaking(1, 100<<10, content, ignoringRanges), whole))})
	wantFetched(t, repo(t, s.host, Options{}), content)
	s.wantTimes(t, "GET", 3)
}

func TestAPartThatWasNotAskedForIsRefused(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 3-6/7")
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, "tent")
	}})
	_, err := fetch(t, repo(t, s.host, Options{}), blobOf("content"))
	wantError(t, err, errdef.ErrVerification, s.host+" sent a part of it where all was asked for")
	s.wantTimes(t, "GET", 2)
}

func TestADownloadOverHTTP2IsResumed(t *testing.T) {
	content := noise(300 << 10)
	s := serveTLS(t, map[string]http.HandlerFunc{"/v2/": breaking(2, 100<<10, content, inRanges)})
	wantFetched(t, repo(t, s.host, Options{Insecure: Hosts{s.host}}), content)
}

func TestADownloadWithoutProgressEnds(t *testing.T) {
	content := noise(300 << 10)
	for name, after := range map[string]int{"before the body": 0, "after each byte": 1} {
		s := serve(t, map[string]http.HandlerFunc{"/v2/": breaking(1000, after, content, inRanges)})
		_, err := fetch(t, repo(t, s.host, Options{}), blobOf(content))
		wantError(t, err, errdef.ErrNetwork, "fetch "+blobOf(content).Digest.String(), s.host, "kept breaking")
		if got := s.times("GET"); got != maxRetries+1 {
			t.Errorf("%s: %d requests, want %d", name, got, maxRetries+1)
		}
	}
	// With progress, it may break more often than that.
	s := serve(t, map[string]http.HandlerFunc{"/v2/": breaking(1000, progress, noise(10*progress), inRanges)})
	wantFetched(t, repo(t, s.host, Options{}), noise(10*progress))
}

func TestABodyThatEndsEarlyWithoutAnErrorIsResumed(t *testing.T) {
	content := noise(1000)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": failing(1, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, content[:400])
	}, func(w http.ResponseWriter, r *http.Request) { inRanges(w, r, content) })})
	wantFetched(t, repo(t, s.host, Options{}), content)
	s.wantTimes(t, "GET", 2)
}

func TestABlobOfAnotherSizeIsRefused(t *testing.T) {
	for _, c := range []struct{ served, wanted string }{{"content and more", "content"}, {"con", "content"}} {
		s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusOK, c.served)})
		_, err := fetch(t, repo(t, s.host, Options{}), blobOf(c.wanted))
		wantError(t, err, errdef.ErrVerification, s.host, fmt.Sprintf("%d bytes, not %d", len(c.served), len(c.wanted)))
		s.wantTimes(t, "GET", 1)
	}
	s := serve(t, map[string]http.HandlerFunc{"/v2/": breaking(1, 3, "content", withContentRange("bytes FIRST-LAST/999", 0))})
	_, err := fetch(t, repo(t, s.host, Options{}), blobOf("content"))
	wantError(t, err, errdef.ErrVerification, "999 bytes, not 7")
}

func TestBytesBeyondTheSizeAreGivenToTheVerifier(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, "content and more")
	}})
	got, err := fetch(t, repo(t, s.host, Options{}), blobOf("content"))
	if len(got) <= len("content") || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestABreakAfterTheLastByteDoesNotMatter(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "content")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}})
	wantFetched(t, repo(t, s.host, Options{}), "content")
	s.wantTimes(t, "GET", 1)
}

func TestAnEmptyBlobIsFetched(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusOK, "")})
	wantFetched(t, repo(t, s.host, Options{}), "")
}

func TestNothingIsUnpackedOnTheWay(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte("content"))
	w.Close()
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		if accepts := r.Header.Get("Accept-Encoding"); accepts != "identity" {
			t.Errorf("accepts %q", accepts)
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(packed.Bytes())
	}})
	wantFetched(t, repo(t, s.host, Options{}), packed.String())

	s = serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) {
		if accepts := r.Header.Get("Accept-Encoding"); accepts != "" {
			t.Errorf("a manifest is accepted as %q", accepts)
		}
		asManifest(odd)(w, r)
	}})
	if _, _, err := repo(t, s.host, Options{}).Manifest(t.Context(), "1"); err != nil {
		t.Error(err)
	}
}

func TestARegistryThatFallsSilentIsAskedAgain(t *testing.T) {
	setFor(t, &stallWait, shortly)
	setFor(t, &answerWait, shortly)
	content := noise(300 << 10)
	silent := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	half := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		io.WriteString(w, content[:100<<10])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	whole := func(w http.ResponseWriter, r *http.Request) { inRanges(w, r, content) }
	for name, failure := range map[string]http.HandlerFunc{"before its answer": silent, "in the middle": half} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/v2/": failing(1, failure, whole)})
			wantFetched(t, repo(t, s.host, Options{}), content)
			if s.times("GET") < 2 {
				t.Error("it was asked once")
			}
		})
	}
	s := serve(t, map[string]http.HandlerFunc{"/v2/": silent})
	_, err := fetch(t, repo(t, s.host, Options{}), blobOf(content))
	wantError(t, err, errdef.ErrNetwork, s.host+" fell silent", "try again later")
	s.wantTimes(t, "GET", 2)
}

// trickle serves content from where it is asked for, a few bytes at a time.
func trickle(content string, bytes int, pause time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var start int
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start); err == nil {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)-start))
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
		}
		for rest := content[start:]; rest != ""; {
			n := min(bytes, len(rest))
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			rest = rest[n:]
			select {
			case <-r.Context().Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

func TestARegistryThatGivesAFewBytesAtATimeIsAsGoodAsSilent(t *testing.T) {
	setFor(t, &stallWait, shortly)
	content := noise(300 << 10)
	s := serve(t, map[string]http.HandlerFunc{"/v2/": trickle(content, 1, shortly/20)})
	_, err := fetch(t, repo(t, s.host, Options{}), blobOf(content))
	wantError(t, err, errdef.ErrNetwork, s.host+" fell silent", "try again later")
	s.wantTimes(t, "GET", maxRetries+1)
}

func TestADownloadMayTakeAnyTimeAsLongAsBytesMove(t *testing.T) {
	setFor(t, &stallWait, 5*shortly)
	setFor(t, &answerWait, 5*shortly)
	content := noise(30 * stallLeast)
	start := time.Now()
	s := serve(t, map[string]http.HandlerFunc{"/v2/": trickle(content, stallLeast, shortly/2)})
	wantFetched(t, repo(t, s.host, Options{}), content)
	if took := time.Since(start); took < 2*stallWait {
		t.Errorf("it took %v, which shows nothing", took)
	}
	s.wantTimes(t, "GET", 1)
}

func TestTheTimeThatAReaderTakesIsNotCounted(t *testing.T) {
	const patient = 5 * shortly // or a busy machine counts as a silent peer
	setFor(t, &stallWait, patient)
	content := noise(3 << 20) // more than the buffers between hold
	s := serve(t, map[string]http.HandlerFunc{"/v2/": func(w http.ResponseWriter, r *http.Request) { inRanges(w, r, content) }})
	body, err := repo(t, s.host, Options{}).Fetch(t.Context(), blobOf(content))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var got bytes.Buffer
	io.CopyN(&got, body, 1000)
	if err := pause(t.Context(), 3*patient); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(&got, body); err != nil || got.String() != content {
		t.Errorf("read %d bytes, %v", got.Len(), err)
	}
	s.wantTimes(t, "GET", 1)
}

func TestAClosedDownloadGivesNothing(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusOK, "content")})
	body, err := repo(t, s.host, Options{}).Fetch(t.Context(), blobOf("content"))
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	if n, err := body.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("read %d, %v", n, err)
	}
	s.wantTimes(t, "GET", 1)
}

func TestABlobThatIsNotThereIsNotFound(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/v2/": answer(http.StatusNotFound, errorDocument("BLOB_UNKNOWN", "blob unknown to registry"))})
	_, err := fetch(t, repo(t, s.host, Options{}), blobOf("content"))
	wantError(t, err, errdef.ErrNotFound, "fetch "+blobOf("content").Digest.String(), s.host+" does not have it (blob unknown to registry)")
}

func TestContentRangesAreRead(t *testing.T) {
	for header, want := range map[string][2]int64{
		"bytes 0-9/10": {0, 10}, "bytes 5-9/10": {5, 10}, "5-9/10": {5, 10}, "bytes 5-9/*": {5, -1}, "bytes=5-9/10": {5, 10}, "5-9": {5, -1}, " bytes  5-9/10": {5, 10},
	} {
		if start, size, ok := parseContentRange(header); start != want[0] || size != want[1] || !ok {
			t.Errorf("%q is %d, %d, %v", header, start, size, ok)
		}
	}
	for _, header := range []string{"", "bytes", "bytes */10", "bytes 9-5/10", "bytes 5-9/9", "bytes -5/10", "bytes 5-/10", "bytes a-b/c", "bytes 5-9/x", "pages 5-9/10", "bytes 5-9/-1", "bytes 99999999999999999999-9/10"} {
		if start, size, ok := parseContentRange(header); ok {
			t.Errorf("%q is %d, %d", header, start, size)
		}
	}
}

func FuzzContentRangesAreWithinTheirSize(f *testing.F) {
	for _, seed := range []string{"bytes 0-9/10", "5-9/*", "bytes=1-2", "bytes */10", "bytes 5-9/-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		start, size, ok := parseContentRange(header)
		if start < 0 || size < -1 || !ok && (start != 0 || size != -1) || ok && size >= 0 && start >= size {
			t.Errorf("%q is %d, %d, %v", header, start, size, ok)
		}
	})
}
