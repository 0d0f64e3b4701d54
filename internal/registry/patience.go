package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// How long a peer may be silent. A download as a whole may take any time.
var (
	answerWait = 2 * time.Minute  // before it answers
	stallWait  = time.Minute      // while bytes move
	commitWait = 10 * time.Minute // after an upload: some registries copy it then
)

// stallLeast is how many bytes of an answer must come in stallWait: a peer that
// gives fewer is as good as silent. It is 68 bytes a second, which any line that
// is of use brings to each of the downloads on it.
const stallLeast = 4 << 10

// errStalled says that a peer was silent for too long.
var errStalled error = stalledError{}

type stalledError struct{}

func (stalledError) Error() string   { return "nothing came for too long" }
func (stalledError) Timeout() bool   { return true }
func (stalledError) Temporary() bool { return true }

// patience ends requests whose peer has gone silent without hanging up. The
// time that a caller takes to read is not counted.
type patience struct{ next http.RoundTripper }

func (p *patience) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(answerWait, func() { cancel(errStalled) })
	watched := req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		watched.Body = &watchedUpload{req.Body, timer}
	}
	resp, err := p.next.RoundTrip(watched)
	timer.Stop()
	if err != nil {
		err = stallOr(ctx, err)
		cancel(nil)
		return nil, err
	}
	resp.Request = req
	resp.Body = &watchedBody{ReadCloser: resp.Body, ctx: ctx, timer: timer, cancel: cancel, left: stallWait}
	return resp, nil
}

// stallOr gives errStalled when that is why a request ended in err.
func stallOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
		return errStalled
	}
	return err
}

// watchedUpload is a request's body: each piece that is asked for says that
// those before it are on their way. The time that it takes to give one is not
// the peer's.
type watchedUpload struct {
	io.ReadCloser
	timer *time.Timer
}

func (u *watchedUpload) Read(p []byte) (int, error) {
	u.timer.Stop() // what is sent may come from another registry, with its own time
	n, err := u.ReadCloser.Read(p)
	if err == nil {
		u.timer.Reset(stallWait)
	} else {
		u.timer.Reset(commitWait)
	}
	return n, err
}

// watchedBody is the body of an answer.
type watchedBody struct {
	io.ReadCloser
	ctx    context.Context
	timer  *time.Timer
	cancel context.CancelCauseFunc

	left time.Duration // of waiting, in which stallLeast bytes are to come
	came int64         // bytes of these
}

func (b *watchedBody) Read(p []byte) (int, error) {
	start := time.Now()
	b.timer.Reset(b.left)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	b.came += int64(n)
	if b.came >= stallLeast {
		b.came, b.left = 0, stallWait
	} else {
		b.left = max(0, b.left-time.Since(start))
	}
	if err != nil && err != io.EOF {
		err = stallOr(b.ctx, err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	b.timer.Stop()
	b.cancel(nil)
	return err
}
