package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Arrival says how a blob came into a repository.
type Arrival int

// The ways in which a blob arrives.
const (
	Had     Arrival = iota // it was there
	Sent                   // its bytes went to the registry
	Mounted                // the registry took it from another of its repositories
)

// PushBlob sends a blob unless the registry has it, and tells how it came to be
// there. Where from is not nil, and is in the same registry, that is asked first
// to take the blob from there. An upload that breaks is continued where the
// registry says that it has come to, or starts again, from a reader that open
// gives anew; an error of that reader is final.
func (r *Repository) PushBlob(ctx context.Context, desc ocispec.Descriptor, from *Repository, open func() (io.ReadCloser, error)) (Arrival, error) {
	ctx = forWriting(ctx, r.remote.Reference)
	upload := &session{}
	renewed, reached := false, int64(0)
	for attempt := 0; ; attempt++ {
		// An upload whose answer was lost may have been whole.
		if ok, err := r.Exists(ctx, desc); err != nil {
			return Had, err
		} else if ok && attempt > 0 {
			return Sent, nil
		} else if ok {
			return Had, nil
		}
		if attempt > 0 {
			from = nil
		}
		arrival, err := Sent, errForgotten
		if upload.promising() {
			var offset int64
			if offset, err = r.resume(ctx, upload, desc, open); offset-reached >= progress {
				reached, attempt = offset, 0
			}
		}
		if err == errForgotten {
			upload.restart()
			arrival, err = r.upload(ctx, upload, desc, from, open)
		}
		if err == nil {
			return arrival, nil
		}
		wait := backoff(attempt)
		var busy *busyError
		if errors.As(err, &busy) {
			wait = max(wait, busy.wait)
		}
		worth := breaksUpload(err)
		if !worth {
			upload.restart()
		}
		if !worth && !renewed {
			renewed = endsSession(err)
			worth = renewed
		}
		if attempt >= maxRetries || !worth || wait > maxWait {
			return Had, r.explain("push "+desc.Digest.String()+" to "+r.name, err)
		}
		if err := pause(ctx, wait); err != nil {
			return Had, err
		}
	}
}

// breaksUpload tells whether an upload is to start again because the request
// with the content met what may pass. What else an upload asks has been retried
// by then.
func breaksUpload(err error) bool {
	var busy *busyError
	var request *url.Error
	return errors.As(err, &busy) || errors.As(err, &request) && request.Op == "Put" && transient(err)
}

// endsSession tells of what happens to long uploads: the token runs out, or the
// registry forgets where it was. A new upload gets a new token, and is tried
// once.
func endsSession(err error) bool {
	var response *errcode.ErrorResponse
	if !errors.As(err, &response) || response.Method != http.MethodPut {
		return false
	}
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable:
		return true
	}
	return false
}

// upload sends a blob, or has it mounted. A registry that does not mount it
// takes the same request for the start of an upload; one that refuses it, which
// may be for its account alone, gets a request without.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#mounting-a-blob-from-another-repository
func (r *Repository) upload(ctx context.Context, s *session, desc ocispec.Descriptor, from *Repository, open func() (io.ReadCloser, error)) (Arrival, error) {
	ctx = context.WithValue(ctx, sessionKey{}, s)
	var read *source
	content := func() (io.ReadCloser, error) {
		reader, err := open()
		if err != nil {
			return nil, &explained{err}
		}
		read = &source{reader: reader}
		return io.NopCloser(struct{ io.Reader }{read}), nil
	}
	var err error
	if from != nil && from != r && from.registry() == r.registry() {
		err = r.remote.Mount(ctx, desc, from.remote.Reference.Repository, content)
		if err == nil && read == nil {
			return Mounted, nil
		}
	}
	var unreadable *explained
	if read == nil && ctx.Err() == nil && !errors.As(err, &unreadable) {
		var blob io.Reader
		if blob, err = content(); err == nil {
			err = r.remote.Blobs().Push(ctx, desc, blob)
		}
	}
	if read == nil {
		return Had, err
	}
	defer read.Close()
	s.reached(read.count())
	if readErr := read.failure(); readErr != nil {
		return Had, &explained{readErr}
	}
	return Sent, err
}

// source is what an upload reads. It keeps the error of reading apart from
// those of sending, and is still good to be read when it is closed: the HTTP
// client may do so after it has given an answer.
type source struct {
	mu     sync.Mutex
	reader io.ReadCloser // nil when closed
	n      int64         // bytes that were read
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := s.reader.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *source) count() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	reader := s.reader
	s.reader = nil
	return reader.Close()
}
