package registrytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestMemoryRegistryServesTheProtocol(t *testing.T) {
	r := StartMemory(t)
	c := &client{t: t, r: r}
	c.roundTrip("acme/zlib")
	expectCounts(t, r, roundTripCounts)
	path := c.push("acme/zlib", []byte("content"))
	digest := digestOf([]byte("content"))

	mount := "/v2/acme/copy/blobs/uploads/?mount=" + digest + "&from="
	if a := c.do(http.MethodPost, mount+"acme/none", nil); a.status != http.StatusAccepted {
		t.Errorf("mounting what is not there: status %d, want 202", a.status)
	}
	if a := c.do(http.MethodHead, "/v2/acme/copy/blobs/"+digest, nil); a.status != http.StatusNotFound {
		t.Errorf("HEAD of a blob of another repository: status %d, want 404", a.status)
	}
	if a := c.do(http.MethodPost, mount+"acme/zlib", nil); a.status != http.StatusCreated {
		t.Errorf("mount: status %d, want 201", a.status)
	}
	if a := c.do(http.MethodGet, "/v2/acme/copy/blobs/"+digest, nil); string(a.body) != "content" {
		t.Errorf("a mounted blob is %q", a.body)
	}
	if a := c.do(http.MethodGet, path, nil, "Range", "bytes=7-"); a.status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a range behind the end: status %d, want 416", a.status)
	}
	if a := c.do(http.MethodGet, "/v2/acme/zlib/referrers/"+digest, nil); a.status != http.StatusOK {
		t.Errorf("referrers: status %d, want 200", a.status)
	}
}

func TestMemoryRegistryRecordsHeadersAndUploads(t *testing.T) {
	r := StartMemory(t)
	c := &client{t: t, r: r}
	c.by = "Bearer x"
	c.push("acme/zlib", []byte("content"))
	put := r.Requests()[1]
	if put.Method != http.MethodPut || put.Received != 7 || put.Header.Get("Authorization") != "Bearer x" {
		t.Errorf("recorded %+v, want a PUT of 7 bytes with its headers", put)
	}
}

// faulty runs test against an in-process registry and against a proxy before
// docker-registry, each with one blob.
func faulty(t *testing.T, test func(t *testing.T, c *client, path string)) {
	t.Helper()
	for name, begin := range map[string]func(testing.TB) *Registry{
		"memory": StartMemory,
		"proxy":  func(t testing.TB) *Registry { return StartProxy(t, StartDistribution(t, Options{TLS: true})) },
	} {
		t.Run(name, func(t *testing.T) {
			c := &client{t: t, r: begin(t)}
			test(t, c, c.push("acme/zlib", faultyBlob))
		})
	}
}

var faultyBlob = bytes.Repeat([]byte("0123456789"), 10_000)

func TestTruncatedAndResetBlobs(t *testing.T) {
	faulty(t, func(t *testing.T, c *client, path string) {
		c.r.SetIntercept(TruncateBlob("", 70_000))
		a, err := c.try(http.MethodGet, path, nil)
		if a.status != http.StatusOK || len(a.body) != 70_000 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("truncated: status %d, %d bytes, %v", a.status, len(a.body), err)
		}
		c.r.SetIntercept(ResetBlob(digestOf(faultyBlob), 70_000))
		if _, err := c.try(http.MethodGet, path, nil); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("reset in the middle: %v", err)
		}
		c.r.SetIntercept(Reset())
		if _, err := c.try(http.MethodGet, path, nil); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("reset at once: %v", err)
		}
		c.r.SetIntercept(TruncateBlob("sha256:other", 0))
		if a, err := c.try(http.MethodGet, path, nil); err != nil || !bytes.Equal(a.body, faultyBlob) {
			t.Errorf("another blob than the faulty one: %d bytes, %v", len(a.body), err)
		}
		if n := c.r.Count("GET", path); n != 4 {
			t.Errorf("%d requests recorded, want 4", n)
		}
	})
}

func TestCorruptBlobsAndManifests(t *testing.T) {
	faulty(t, func(t *testing.T, c *client, path string) {
		for _, offset := range []int64{0, 50_000, int64(len(faultyBlob)) - 1} {
			c.r.SetIntercept(CorruptBlob("", offset))
			want := bytes.Clone(faultyBlob)
			want[offset] ^= 1
			if a := c.do(http.MethodGet, path, nil); !bytes.Equal(a.body, want) {
				t.Errorf("corrupt at %d: the answer is not the blob with that bit flipped", offset)
			}
		}
		manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
			`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`,
			digestOf(faultyBlob), len(faultyBlob))
		const tag = "/v2/acme/zlib/manifests/1.3"
		kind := []string{"Content-Type", "application/vnd.oci.image.manifest.v1+json", "Accept", "application/vnd.oci.image.manifest.v1+json"}
		if a := c.do(http.MethodPut, tag, manifest, kind...); a.status != http.StatusCreated {
			t.Fatalf("push a manifest: status %d: %s", a.status, a.body)
		}
		c.r.SetIntercept(CorruptManifest("1.3", 1))
		if a := c.do(http.MethodGet, tag, nil, kind...); len(a.body) != len(manifest) || bytes.Equal(a.body, manifest) {
			t.Errorf("the manifest %s is not corrupt", a.body)
		}
		c.r.SetIntercept(nil)
		if a := c.do(http.MethodGet, tag, nil, kind...); !bytes.Equal(a.body, manifest) {
			t.Errorf("without a fault the manifest is %s", a.body)
		}
	})
}

func TestErrorStatusesComeAsOftenAsAsked(t *testing.T) {
	faulty(t, func(t *testing.T, c *client, path string) {
		c.r.SetIntercept(Chain(
			FailTimes(2, http.StatusServiceUnavailable),
			When(BlobGet(""), Times(1, Status(http.StatusTooManyRequests, 3*time.Second))),
		))
		var got []int
		for range 3 {
			got = append(got, c.do(http.MethodHead, path, nil).status)
		}
		limited := c.do(http.MethodGet, path, nil)
		got = append(got, limited.status, c.do(http.MethodGet, path, nil).status)
		if want := []int{503, 503, 200, 429, 200}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("statuses %v, want %v", got, want)
		}
		if limited.header.Get("Retry-After") != "3" {
			t.Errorf("Retry-After is %q, want 3", limited.header.Get("Retry-After"))
		}
		if n := c.r.Count("", path, 429, 503); n != 3 {
			t.Errorf("%d failures recorded, want 3", n)
		}
	})
}

func TestRangesCanBeIgnoredAndRefused(t *testing.T) {
	faulty(t, func(t *testing.T, c *client, path string) {
		c.r.SetIntercept(IgnoreRange())
		if a := c.do(http.MethodGet, path, nil, "Range", "bytes=5-"); a.status != http.StatusOK || len(a.body) != len(faultyBlob) {
			t.Errorf("ignored: status %d, %d bytes", a.status, len(a.body))
		}
		c.r.SetIntercept(RefuseRange())
		if a := c.do(http.MethodGet, path, nil, "Range", "bytes=5-"); a.status != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("refused: status %d", a.status)
		}
		if a := c.do(http.MethodGet, path, nil); a.status != http.StatusOK {
			t.Errorf("without a range: status %d", a.status)
		}
	})
}

// readPrefix opens a download and reads the first n bytes of it.
func readPrefix(t *testing.T, c *client, path string, n int) *http.Response {
	t.Helper()
	response, err := c.r.Client().Get(c.r.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if _, err := io.ReadFull(response.Body, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	return response
}

func TestHeldBlobGoesOnWhenReleased(t *testing.T) {
	faulty(t, func(t *testing.T, c *client, path string) {
		release := make(chan struct{})
		c.r.SetIntercept(HoldBlob("", 60_000, release))
		response := readPrefix(t, c, path, 60_000)
		close(release)
		rest, err := io.ReadAll(response.Body)
		if err != nil || !bytes.Equal(rest, faultyBlob[60_000:]) {
			t.Errorf("after the release: %d bytes, %v", len(rest), err)
		}
	})
}

func TestStalledBlobEndsWithTheRegistry(t *testing.T) {
	faulty(t, func(t *testing.T, c *client, path string) {
		c.r.SetIntercept(StallBlob("", 60_000))
		response := readPrefix(t, c, path, 60_000)
		c.r.Stop()
		rest, err := io.ReadAll(response.Body)
		if err == nil || len(rest) != 0 {
			t.Errorf("a stalled download went on: %d bytes, %v", len(rest), err)
		}
	})
}

func TestBasicAuthenticationCanBeAskedForInAnyWords(t *testing.T) {
	faulty(t, func(t *testing.T, c *client, path string) {
		c.r.SetIntercept(RequireBasic(`BASIC realm="test"`, alice))
		c.refused("BASIC")
		c.by = basic("alice", "secret")
		if a := c.do(http.MethodGet, path, nil); a.status != http.StatusOK {
			t.Errorf("status %d with the password", a.status)
		}
	})
}

// reports is a testing.TB that keeps what it is told.
type reports struct {
	testing.TB
	mu  sync.Mutex
	all []string
}

func (r *reports) Errorf(format string, arguments ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, fmt.Sprintf(format, arguments...))
}

func TestCredentialsThatFollowARedirectAreReported(t *testing.T) {
	elsewhere := StartMemory(t)
	(&client{t: t, r: elsewhere}).push("acme/zlib", faultyBlob)
	told := &reports{TB: t}
	elsewhere.SetIntercept(RequireAuthorizationNever(told))
	faulty(t, func(t *testing.T, c *client, path string) {
		c.r.SetIntercept(RedirectBlobs(elsewhere.URL))
		if a := c.do(http.MethodGet, path, nil); !bytes.Equal(a.body, faultyBlob) {
			t.Errorf("a redirected download gave %d bytes", len(a.body))
		}
	})
	if len(told.all) != 0 {
		t.Errorf("reported without credentials: %q", told.all)
	}
	(&client{t: t, r: elsewhere, by: "Bearer x"}).do(http.MethodGet, "/v2/", nil)
	if len(told.all) != 1 || !strings.Contains(told.all[0], "Authorization") {
		t.Errorf("reports %q, want one about Authorization", told.all)
	}
}

func TestInterceptNeedsAServerOfThisProcess(t *testing.T) {
	r := StartDistribution(t, Options{})
	told := &fatal{TB: t}
	r.t = told
	func() {
		defer func() { _ = recover() }()
		r.SetIntercept(Reset())
	}()
	if !strings.Contains(told.message, "StartProxy") {
		t.Errorf("reported %q, want the name of StartProxy", told.message)
	}
}

// fatal is a testing.TB whose Fatalf panics.
type fatal struct {
	testing.TB
	message string
}

func (f *fatal) Fatalf(format string, arguments ...any) {
	f.message = fmt.Sprintf(format, arguments...)
	panic(f.message)
}
