package registrytest

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TruncateBlob breaks off each download of a blob (any when digest is empty)
// after n bytes of the answer's body: the connection is closed in good order,
// short of what Content-Length promised.
func TruncateBlob(digest string, n int64) Intercept {
	return When(BlobGet(digest), cutAfter(n, func(http.ResponseWriter, *http.Request) {}))
}

// ResetBlob is TruncateBlob with a connection reset (TCP RST) at the end.
func ResetBlob(digest string, n int64) Intercept {
	return When(BlobGet(digest), cutAfter(n, func(w http.ResponseWriter, _ *http.Request) { reset(w) }))
}

// StallBlob sends n bytes of each download of a blob (any when digest is
// empty) and then nothing, until the client goes or the registry stops.
func StallBlob(digest string, n int64) Intercept {
	return When(BlobGet(digest), cutAfter(n, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
}

// HoldBlob sends n bytes of each download of a blob (any when digest is empty)
// and waits for release to be closed before it sends the rest.
func HoldBlob(digest string, n int64, release <-chan struct{}) Intercept {
	return When(BlobGet(digest), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&cutWriter{ResponseWriter: w, left: n, cut: func() {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}}, r)
	})
}

// CorruptBlob flips one bit of the byte at the given offset in the body of
// each download of a blob (any when digest is empty).
func CorruptBlob(digest string, offset int64) Intercept {
	return When(BlobGet(digest), corrupt(offset))
}

// CorruptManifest does what CorruptBlob does, to a manifest.
func CorruptManifest(reference string, offset int64) Intercept {
	return When(ManifestGet(reference), corrupt(offset))
}

func corrupt(offset int64) Intercept {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&corruptWriter{ResponseWriter: w, offset: offset}, r)
	}
}

// Status answers with an error of the given status. A retryAfter above 0 is
// sent as Retry-After, in whole seconds.
func Status(status int, retryAfter time.Duration) Intercept {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		}
		writeError(w, status, errorCode(status), http.StatusText(status))
	}
}

// errorCode is the code of the distribution specification for a status.
func errorCode(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHORIZED"
	case http.StatusForbidden:
		return "DENIED"
	case http.StatusTooManyRequests:
		return "TOOMANYREQUESTS"
	}
	return "UNKNOWN"
}

// FailTimes answers the first n requests with an error of the given status.
func FailTimes(n, status int) Intercept {
	return Times(n, Status(status, 0))
}

// Reset resets the connection (TCP RST) instead of an answer.
func Reset() Intercept {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		reset(w)
		panic(http.ErrAbortHandler)
	}
}

// RedirectBlobs sends downloads of blobs to the same path below the URL to.
func RedirectBlobs(to string) Intercept {
	return When(BlobGet(""), func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, to+r.URL.EscapedPath(), http.StatusTemporaryRedirect)
	})
}

// IgnoreRange answers requests for a part with the whole, status 200.
func IgnoreRange() Intercept {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Header.Del("Range")
		next.ServeHTTP(w, r)
	}
}

// RefuseRange answers requests for a part with status 416.
func RefuseRange() Intercept {
	return When(func(r *http.Request) bool { return r.Header.Get("Range") != "" },
		Status(http.StatusRequestedRangeNotSatisfiable, 0))
}

// RequireBasic asks for an account. The challenge is what WWW-Authenticate
// says, such as `Basic realm="test"`.
func RequireBasic(challenge string, account Account) Intercept {
	given := func(r *http.Request) bool {
		user, password, ok := r.BasicAuth()
		return ok && account == Account{User: user, Password: password}
	}
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if given(r) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", challenge)
		writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	}
}

// RequireAuthorizationNever fails the test when a request brings credentials.
func RequireAuthorizationNever(t testing.TB) Intercept {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s %s on %s brought the header %s, which belongs to another host", r.Method, r.URL.Path, r.Host, name)
			}
		}
		next.ServeHTTP(w, r)
	}
}

// cutAfter ends the answer after n bytes of its body: what was written is
// sent, end runs, and the connection is closed.
func cutAfter(n int64, end func(http.ResponseWriter, *http.Request)) Intercept {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&cutWriter{ResponseWriter: w, left: n, cut: func() {
			end(w, r)
			panic(http.ErrAbortHandler)
		}}, r)
	}
}

// cutWriter sends the first bytes of an answer, runs cut, and goes on.
type cutWriter struct {
	http.ResponseWriter
	left int64
	cut  func()
	once sync.Once
}

// Unwrap lets http.ResponseController find what the inner writer can do.
func (c *cutWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutWriter) Write(p []byte) (int, error) {
	if int64(len(p)) <= c.left {
		n, err := c.ResponseWriter.Write(p)
		c.left -= int64(n)
		return n, err
	}
	head, err := c.ResponseWriter.Write(p[:c.left])
	c.left -= int64(head)
	if err != nil {
		return head, err
	}
	c.once.Do(func() {
		// A client that has gone is noticed by the next write.
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		c.cut()
	})
	tail, err := c.ResponseWriter.Write(p[head:])
	return head + tail, err
}

// corruptWriter flips a bit of the byte at offset.
type corruptWriter struct {
	http.ResponseWriter
	offset int64
}

// Unwrap lets http.ResponseController find what the inner writer can do.
func (c *corruptWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *corruptWriter) Write(p []byte) (int, error) {
	if c.offset >= 0 && c.offset < int64(len(p)) {
		changed := append([]byte(nil), p...)
		changed[c.offset] ^= 1
		p = changed
	}
	c.offset -= int64(len(p))
	return c.ResponseWriter.Write(p)
}

// reset closes the connection with a TCP RST.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// A linger time of 0 is what makes Close send RST.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
