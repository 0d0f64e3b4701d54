package registrytest

import (
	"io"
	"net/http"
	"sync"
)

// recorder is a handler that records the requests to next. A request is
// recorded when it comes, so that nothing of its answer is seen before.
type recorder struct {
	next http.Handler

	mu  sync.Mutex
	all []*Request
}

func (rec *recorder) requests() ([]Request, error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	all := make([]Request, len(rec.all))
	for i, request := range rec.all {
		all[i] = *request
	}
	return all, nil
}

func (rec *recorder) clear() error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.all = nil
	return nil
}

// ServeHTTP records r and hands it on.
func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry := &Request{
		Method:    r.Method,
		Path:      r.URL.EscapedPath(),
		Query:     r.URL.RawQuery,
		UserAgent: r.UserAgent(),
		Header:    r.Header.Clone(),
	}
	rec.mu.Lock()
	rec.all = append(rec.all, entry)
	rec.mu.Unlock()
	r.Body = &recordedBody{ReadCloser: r.Body, rec: rec, entry: entry}
	rec.next.ServeHTTP(&recordedAnswer{ResponseWriter: w, rec: rec, entry: entry}, r)
	// A handler that wrote nothing has answered 200.
	rec.update(func() {
		if entry.Status == 0 {
			entry.Status = http.StatusOK
		}
	})
}

func (rec *recorder) update(change func()) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	change()
}

// recordedBody counts what is read of a request's body.
type recordedBody struct {
	io.ReadCloser
	rec   *recorder
	entry *Request
}

func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.rec.update(func() { b.entry.Received += int64(n) })
	return n, err
}

// recordedAnswer records the status and the size of an answer.
type recordedAnswer struct {
	http.ResponseWriter
	rec   *recorder
	entry *Request
}

// Unwrap lets http.ResponseController find what the inner writer can do.
func (a *recordedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *recordedAnswer) WriteHeader(status int) {
	// A 1xx status comes before the answer's own.
	if status >= http.StatusOK {
		a.rec.update(func() { a.entry.Status = status })
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *recordedAnswer) Write(p []byte) (int, error) {
	a.rec.update(func() {
		if a.entry.Status == 0 {
			a.entry.Status = http.StatusOK
		}
	})
	n, err := a.ResponseWriter.Write(p)
	a.rec.update(func() { a.entry.Bytes += int64(n) })
	return n, err
}
