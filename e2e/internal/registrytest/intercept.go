package registrytest

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Intercept answers a request instead of a registry, or has it answered by
// next, the registry itself, with changes to the request or to the answer. It
// may panic with http.ErrAbortHandler to break the connection off.
type Intercept func(w http.ResponseWriter, r *http.Request, next http.Handler)

// interceptSlot is a handler with a place for an Intercept before next.
type interceptSlot struct {
	next http.Handler

	mu sync.Mutex
	f  Intercept
}

func (s *interceptSlot) set(f Intercept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f = f
}

// ServeHTTP runs the Intercept of the moment, or next when there is none.
func (s *interceptSlot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f := s.f
	s.mu.Unlock()
	if f == nil {
		s.next.ServeHTTP(w, r)
		return
	}
	f(w, r, s.next)
}

// Chain puts several Intercepts before a registry, the first outermost.
func Chain(all ...Intercept) Intercept {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		for _, f := range slices.Backward(all) {
			inner := next
			next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, inner) })
		}
		next.ServeHTTP(w, r)
	}
}

// Match selects requests.
type Match func(r *http.Request) bool

// When applies f to the requests that match, and hands on the others.
func When(match Match, f Intercept) Intercept {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if match(r) {
			f(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// Times applies f to the first n requests that reach it, and hands on the
// others: Times(2, When(match, f)) counts all requests, When(match, Times(2,
// f)) those that match.
func Times(n int, f Intercept) Intercept {
	var mu sync.Mutex
	left := n
	take := func() bool {
		mu.Lock()
		defer mu.Unlock()
		left--
		return left >= 0
	}
	return When(func(*http.Request) bool { return take() }, f)
}

// Path matches requests of the given method, or any when it is empty, whose
// path contains the given text.
func Path(method, contains string) Match {
	return func(r *http.Request) bool {
		return (method == "" || r.Method == method) && strings.Contains(r.URL.Path, contains)
	}
}

// BlobGet matches downloads of the blob with the given digest, or of any blob
// when it is empty.
func BlobGet(digest string) Match {
	return func(r *http.Request) bool {
		_, name, ok := strings.Cut(r.URL.Path, "/blobs/")
		return ok && r.Method == http.MethodGet && !strings.HasPrefix(name, "uploads/") &&
			(digest == "" || name == digest)
	}
}

// ManifestGet matches downloads of the manifest with the given tag or digest,
// or of any manifest when it is empty.
func ManifestGet(reference string) Match {
	return func(r *http.Request) bool {
		_, name, ok := strings.Cut(r.URL.Path, "/manifests/")
		return ok && r.Method == http.MethodGet && (reference == "" || name == reference)
	}
}
