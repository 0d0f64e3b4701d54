package registrytest

import (
	"context"
	"net/http"
	"testing"

	"cuelabs.dev/go/oci/ociregistry"
	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

// StartMemory starts a registry in this process that keeps everything in
// memory and asks nobody for credentials. It answers HEAD, ranges, mounts,
// chunked uploads, deletion, lists and the referrers API. Each request for a
// blob hashes it anew, so give it packages of megabytes; StartDistribution
// takes gigabytes.
//
// The handler is that of cuelabs.dev/go/oci/ociregistry. The one of
// go-containerregistry lacks mounts and open-ended ranges, shares blobs among
// all repositories, and takes one upload at a time.
func StartMemory(t testing.TB) *Registry {
	t.Helper()
	backend := &memory{Registry: ocimem.New()}
	return start(t, backend.withMountFallback(ociserver.New(backend, nil)))
}

// StartProxy starts a server that forwards to another registry, for faults and
// full records of requests before docker-registry. Its host is its own: what
// is pushed to "<proxy>/a" is found at "<to>/a". It speaks http whatever the
// other one speaks, and hands on credentials and challenges as they are.
func StartProxy(t testing.TB, to *Registry) *Registry {
	t.Helper()
	return start(t, forward(to))
}

func start(t testing.TB, handler http.Handler) *Registry {
	t.Helper()
	slot := &interceptSlot{next: handler}
	rec := &recorder{next: slot}
	s := serve(t, rec, nil)
	return &Registry{Host: s.host, URL: s.url, t: t, log: rec, intercept: slot, stop: s.stop}
}

// memory is ocimem's registry with what it leaves out of the specification.
type memory struct {
	*ocimem.Registry
}

// GetBlobRange answers with status 416, not 500, to a range that begins at or
// behind the end of the blob.
func (m *memory) GetBlobRange(ctx context.Context, repository string, digest ociregistry.Digest, begin, end int64) (ociregistry.BlobReader, error) {
	blob, err := m.ResolveBlob(ctx, repository, digest)
	if err != nil {
		return nil, err
	}
	if begin >= blob.Size {
		return nil, ociregistry.ErrRangeInvalid
	}
	return m.Registry.GetBlobRange(ctx, repository, digest, begin, end)
}

// withMountFallback begins an upload when a blob cannot be mounted, where
// ociserver would answer with status 404.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#mounting-a-blob-from-another-repository
func (m *memory) withMountFallback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if r.Method == http.MethodPost && query.Has("mount") {
			_, err := m.ResolveBlob(r.Context(), query.Get("from"), ociregistry.Digest(query.Get("mount")))
			if err != nil {
				r.URL.RawQuery = ""
			}
		}
		next.ServeHTTP(w, r)
	})
}
