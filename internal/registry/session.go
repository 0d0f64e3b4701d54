package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// session is an upload that may be continued where it broke.
type session struct {
	mu   sync.Mutex
	at   *url.URL // where the registry takes the rest; nil when it is to be started again
	sent int64    // the bytes that the registry may have of it
}

type sessionKey struct{}

// noteUpload notes where the content of an upload goes.
func noteUpload(req *http.Request) {
	s, ok := req.Context().Value(sessionKey{}).(*session)
	if !ok || req.Method != http.MethodPut {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := *req.URL
	query := at.Query()
	query.Del("digest")
	at.RawQuery = query.Encode()
	s.at = &at
}

// reached notes how much of the content was read for the registry.
func (s *session) reached(sent int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = sent
}

// restart forgets the upload.
func (s *session) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.sent = nil, 0
}

// promising tells whether asking for more of the upload may spare something.
func (s *session) promising() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at != nil && s.sent >= progress
}

// errForgotten tells that the registry cannot, or will not, continue an upload.
var errForgotten = errors.New("the upload is not continued")

// resume sends what the registry lacks of an upload that broke. How much that is
// the registry says: what went out may not have come, or not have been kept. The
// error is [errForgotten] when the upload is to be started again. Some registries
// take no second request of an upload, or lose what one brings; they say so, at
// the latest by the digest.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
func (r *Repository) resume(ctx context.Context, s *session, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) (offset int64, err error) {
	at := s.at
	status, err := r.send(ctx, http.MethodGet, at, nil, nil, 0)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, errForgotten
	}
	status.Body.Close()
	_, last, _, ok := parseRange(status.Header.Get("Range"))
	offset = last + 1
	// That it has one byte is what many say that have none.
	if status.StatusCode != http.StatusNoContent || !ok || offset <= 1 || offset > desc.Size || offset > s.sent {
		return 0, errForgotten
	}
	if next, err := status.Location(); err == nil && next.Scheme == at.Scheme && next.Host == at.Host {
		at = next
	} else if status.Header.Get("Location") != "" {
		return 0, errForgotten
	}
	reader, err := open()
	if err != nil {
		return 0, &explained{err}
	}
	content := &source{reader: reader}
	defer content.Close()
	if _, err := io.CopyN(io.Discard, content, offset); err != nil {
		return 0, &explained{err}
	}
	rest := *at
	query := rest.Query()
	query.Set("digest", desc.Digest.String())
	rest.RawQuery = query.Encode()
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if offset < desc.Size {
		header.Set("Content-Range", fmt.Sprintf("%d-%d", offset, desc.Size-1))
	}
	if token := status.Request.Header.Get("Authorization"); token != "" {
		header.Set("Authorization", token) // what is sent cannot be sent again after a challenge
	}
	answer, err := r.send(ctx, http.MethodPut, &rest, header, io.LimitReader(content, desc.Size-offset), desc.Size-offset)
	s.reached(content.count())
	if readErr := content.failure(); readErr != nil {
		return offset, &explained{readErr}
	}
	if err != nil {
		return offset, err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return offset, errForgotten
	}
	return offset, nil
}

// send sends a request of an upload, with so many bytes.
func (r *Repository) send(ctx context.Context, method string, at *url.URL, header http.Header, body io.Reader, size int64) (*http.Response, error) {
	if size == 0 {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), body)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	req.ContentLength = size
	return r.remote.Client.Do(req)
}
