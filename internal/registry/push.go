package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// PushBlob sends a blob unless the registry has it, and tells whether it was
// sent. An upload that breaks starts again, from a reader that open gives anew;
// an error of that reader is final.
func (r *Repository) PushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) (sent bool, err error) {
	ctx = forWriting(ctx, r.remote.Reference)
	renewed := false
	for attempt := 0; ; attempt++ {
		// An upload whose answer was lost may have been whole.
		if ok, err := r.Exists(ctx, desc); ok || err != nil {
			return ok && attempt > 0, err
		}
		err := r.upload(ctx, desc, open)
		if err == nil {
			return true, nil
		}
		wait := backoff(attempt)
		var busy *busyError
		if errors.As(err, &busy) {
			wait = max(wait, busy.wait)
		}
		worth := breaksUpload(err)
		if !worth && !renewed {
			renewed = endsSession(err)
			worth = renewed
		}
		if attempt >= maxRetries || !worth || wait > maxWait {
			return false, r.explain("push "+desc.Digest.String()+" to "+r.name, err)
		}
		if err := pause(ctx, wait); err != nil {
			return false, err
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

func (r *Repository) upload(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	reader, err := open()
	if err != nil {
		return &explained{err}
	}
	source := &source{reader: reader}
	defer source.Close()
	err = r.remote.Blobs().Push(ctx, desc, struct{ io.Reader }{source})
	if readErr := source.failure(); readErr != nil {
		return &explained{readErr}
	}
	return err
}

// source is what an upload reads. It keeps the error of reading apart from
// those of sending, and is still good to be read when it is closed: the HTTP
// client may do so after it has given an answer.
type source struct {
	mu     sync.Mutex
	reader io.ReadCloser // nil when closed
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := s.reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
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

// PushManifest sends a manifest or index as the bytes it is, under each of
// tags; with none, under its digest alone.
func (r *Repository) PushManifest(ctx context.Context, desc ocispec.Descriptor, raw []byte, tags ...string) error {
	ctx = forWriting(ctx, r.remote.Reference)
	name := func(tag string) string { return r.name + ":" + tag }
	if len(tags) == 0 {
		tags = []string{desc.Digest.String()}
		name = func(d string) string { return r.name + "@" + d }
	}
	for _, tag := range tags {
		err := r.remote.Manifests().PushReference(ctx, desc, bytes.NewReader(raw), tag)
		if err != nil {
			return r.explain("push the manifest to "+name(tag), err)
		}
	}
	return nil
}
