package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

const (
	maxRetries = 5
	maxWait    = 60 * time.Second // a registry that wants more has to wait for its user
)

// firstWait is that before the first retry; each further one doubles it.
var firstWait = 200 * time.Millisecond

// retrying repeats requests that failed by what may pass: a registry that is
// busy or failing, and a connection that broke.
func retrying(next http.RoundTripper) http.RoundTripper {
	return &retry.Transport{Base: next, Policy: func() retry.Policy { return policy{} }}
}

type policy struct{}

// onceOnly marks the context of requests whose refusal, even one that may pass,
// is better learned at once.
type onceOnly struct{}

// Retry gives how long to wait before another try; less than zero is none.
func (policy) Retry(attempt int, resp *http.Response, err error) (time.Duration, error) {
	limit := maxRetries
	if errors.Is(err, errStalled) {
		limit = 1 // the wait was long already
	}
	if err == nil && resp.Request != nil && resp.Request.Context().Value(onceOnly{}) != nil {
		return -1, nil
	}
	if attempt >= limit || err != nil && !transient(err) || err == nil && !transientStatus(resp.StatusCode) {
		return -1, nil
	}
	wait := max(retryAfter(resp), backoff(attempt))
	if wait > maxWait {
		return -1, nil
	}
	return wait, nil
}

func backoff(attempt int) time.Duration {
	return retry.ExponentialBackoff(firstWait, 2, 0.2)(attempt, nil)
}

// retryAfter gives how long a registry asks to wait, which a 503 does as well
// as a 429; zero when it does not say.
// https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	after := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(after, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(after); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// busyError is a refusal of an upload that may not last.
type busyError struct {
	error
	wait time.Duration // that the registry asks for; zero when it does not
}

func (e *busyError) Unwrap() error { return e.error }

func transientStatus(code int) bool {
	return code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code >= 500 && code != http.StatusNotImplemented
}

// What Go's HTTP says without an error of its own to test for.
var brokenTexts = []string{
	"server closed idle connection",
	"stream error:", // HTTP/2
	"server sent GOAWAY",
	"client connection lost",
}

// transient tells whether an error of a request may be gone at the next try. A
// host that does not exist, refuses connections or shows a bad certificate will
// not have changed its mind.
func transient(err error) bool {
	var response *errcode.ErrorResponse
	if errors.As(err, &response) {
		return transientStatus(response.StatusCode)
	}
	if errors.Is(err, context.Canceled) || pastDeadline(err) {
		return false
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.IsTemporary || dns.IsTimeout
	}
	for _, broken := range []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, net.ErrClosed, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, broken) {
			return true
		}
	}
	// Windows's own numbers for a connection that was aborted or reset.
	if number := syscall.Errno(0); errors.As(err, &number) && (number == 10053 || number == 10054) {
		return true
	}
	for _, text := range brokenTexts {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// pastDeadline tells whether the deadline of the caller's context is behind err.
// [errors.Is] does not tell that from the time limits of the network.
func pastDeadline(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if err == context.DeadlineExceeded {
			return true
		}
	}
	return false
}

// again runs a request until its answer comes whole. Only what breaks on the
// way is tried again here: what else may pass has been by then.
func again(ctx context.Context, run func() error) error {
	for attempt := 0; ; attempt++ {
		err := run()
		var request *url.Error
		if err == nil || attempt >= maxRetries || errors.As(err, &request) || statusOf(err) != 0 || !transient(err) {
			return err
		}
		if err := pause(ctx, backoff(attempt)); err != nil {
			return err
		}
	}
}

// pause waits, unless the context ends.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// tracer tells of each request what it was and how it was answered. It names no
// header, and no query: both may hold secrets.
type tracer struct {
	next  http.RoundTripper
	trace func(line string)
}

func (t *tracer) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := t.next.RoundTrip(req)
	answer := fmt.Sprint(err)
	if err == nil {
		answer = resp.Status
	}
	t.trace(fmt.Sprintf("%s %s://%s%s: %s, %d ms", req.Method, req.URL.Scheme, req.URL.Host, req.URL.Path, answer, time.Since(start).Milliseconds()))
	return resp, err
}
