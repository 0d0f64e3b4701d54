package registry

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// sessions is a registry that keeps what came of an upload that broke.
type sessions struct {
	mu     sync.Mutex
	came   []byte
	ranges []string // of what was sent, by Content-Range
	breaks []int    // after so many bytes of each request in turn

	status   func(w http.ResponseWriter, came int) // in place of a true one
	rest     http.HandlerFunc                      // in place of taking it
	uploads  int
	complete bool
}

func (s *sessions) handlers(t testing.TB) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"HEAD /v2/": func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.complete {
				w.WriteHeader(http.StatusNotFound)
			}
		},
		"POST /v2/acme/foo/blobs/uploads/": func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.uploads++
			s.came = nil
			w.Header().Set("Location", "/uploads/1?state=0")
			w.WriteHeader(http.StatusAccepted)
		},
		"GET /uploads/1": func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if r.URL.Query().Get("digest") != "" || r.URL.Query().Get("state") != "0" {
				t.Errorf("the state of an upload was asked for at %s", r.URL)
			}
			if s.status != nil {
				s.status(w, len(s.came))
				return
			}
			w.Header().Set("Location", fmt.Sprintf("/uploads/1?state=%d", len(s.came)))
			w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, len(s.came)-1)))
			w.WriteHeader(http.StatusNoContent)
		},
		"PUT /uploads/1": func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.ranges = append(s.ranges, r.Header.Get("Content-Range"))
			if len(s.came) > 0 && s.rest != nil {
				s.rest(w, r)
				return
			}
			if state := r.URL.Query().Get("state"); s.status == nil && state != fmt.Sprint(len(s.came)) {
				t.Errorf("the rest of an upload was sent to the state %s, want %d", state, len(s.came))
			}
			if len(s.breaks) > 0 {
				n := int64(s.breaks[0])
				s.breaks = s.breaks[1:]
				came, _ := io.ReadAll(io.LimitReader(r.Body, n))
				s.came = append(s.came, came...)
				reset(w)
				return
			}
			came, err := io.ReadAll(r.Body)
			s.came = append(s.came, came...)
			if err != nil || digest.FromBytes(s.came).String() != r.URL.Query().Get("digest") {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			s.complete = true
			w.WriteHeader(http.StatusCreated)
		},
	}
}

func (s *sessions) push(t *testing.T, content string) (*server, error) {
	t.Helper()
	served := serve(t, s.handlers(t))
	how, err := repo(t, served.host, Options{}).PushBlob(t.Context(), blobOf(content), nil, opener(content))
	if err == nil && (how != Sent || string(s.came) != content) {
		t.Errorf("it was sent as %v, and %d bytes came", how, len(s.came))
	}
	return served, err
}

func TestAnUploadThatBreaksIsContinuedWhereTheRegistryHasIt(t *testing.T) {
	content := noise(4 << 20)
	s := &sessions{breaks: []int{1 << 20, 300 << 10, 1 << 20}}
	served, err := s.push(t, content)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint([]string{"", "1048576-4194303", "1355776-4194303", "2404352-4194303"})
	if got := fmt.Sprint(s.ranges); got != want {
		t.Errorf("sent were the ranges %s, want %s", got, want)
	}
	served.wantTimes(t, "POST", 1)
}

func TestAnUploadWithProgressMayBreakOftenerThanOthers(t *testing.T) {
	content := noise(8 << 20)
	s := &sessions{breaks: make([]int, 3*maxRetries)}
	for i := range s.breaks {
		s.breaks[i] = 500 << 10
	}
	if served, err := s.push(t, content); err != nil {
		t.Error(err)
	} else {
		served.wantTimes(t, "POST", 1)
	}
}

func TestAnUploadThatCameWholeIsFinished(t *testing.T) {
	content := noise(4 << 20)
	s := &sessions{breaks: []int{4 << 20}}
	served, err := s.push(t, content)
	if err != nil {
		t.Fatal(err)
	}
	served.wantTimes(t, "POST", 1)
	served.wantTimes(t, "PUT", 2)
}

func TestAnUploadIsStartedAgainWhereItCannotBeContinued(t *testing.T) {
	content := noise(4 << 20)
	status := func(code int, header ...string) func(http.ResponseWriter, int) {
		return func(w http.ResponseWriter, came int) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], strings.ReplaceAll(header[i+1], "LAST", fmt.Sprint(came-1)))
			}
			w.WriteHeader(code)
		}
	}
	stranger := serve(t, map[string]http.HandlerFunc{})
	for name, s := range map[string]*sessions{
		"it is forgotten":                {status: status(404)},
		"no state is told":               {status: status(405)},
		"no login is enough":             {status: status(401)},
		"no range is told":               {status: status(204)},
		"the range is of nothing":        {status: status(204, "Range", "0-0")},
		"the range is no range":          {status: status(204, "Range", "bytes")},
		"it has more than was sent":      {status: status(204, "Range", "0-4194303")},
		"it has more than there is":      {status: status(204, "Range", "0-99999999999")},
		"the rest goes to another host":  {status: status(204, "Range", "0-LAST", "Location", stranger.URL+"/uploads/1")},
		"the rest goes to another way":   {status: status(204, "Range", "0-LAST", "Location", "https://127.0.0.1/uploads/1")},
		"the rest is refused":            {rest: answer(416, "")},
		"chunks are not taken":           {rest: answer(400, errorDocument("UNSUPPORTED", "no chunks"))},
		"what came first was lost":       {rest: answer(400, errorDocument("DIGEST_INVALID", "wrong digest"))},
		"the rest is taken for no blob":  {rest: answer(202, "")},
		"what it has is other than said": {status: status(204, "Range", "0-99999")},
	} {
		t.Run(name, func(t *testing.T) {
			s.breaks = []int{1 << 20}
			served, err := s.push(t, content)
			if err != nil {
				t.Fatal(err)
			}
			served.wantTimes(t, "POST", 2)
			if puts := served.times("PUT"); puts > 3 {
				t.Errorf("%d requests brought content", puts)
			}
		})
	}
	stranger.wantTimes(t, "", 0)
}

func TestAnUploadThatIsContinuedWithoutEndEnds(t *testing.T) {
	content := noise(1 << 20)
	s := &sessions{status: func(w http.ResponseWriter, came int) {
		w.Header().Set("Range", "0-99999")
		w.WriteHeader(http.StatusNoContent)
	}, breaks: make([]int, 1000)}
	for i := range s.breaks {
		s.breaks[i] = 200 << 10
	}
	served, err := s.push(t, content)
	wantError(t, err, errdef.ErrNetwork, served.host, "kept breaking")
	// It got a little further once, which begins the counting anew.
	if puts := served.times("PUT"); puts > 2*(maxRetries+1) {
		t.Errorf("%d requests brought content", puts)
	}
}

func TestATokenThatEndsBeforeAnUploadIsContinuedIsRenewed(t *testing.T) {
	content := noise(4 << 20)
	issuer := tokens(t, "token", nil)
	s := &sessions{breaks: []int{1 << 20}}
	handlers := s.handlers(t)
	for pattern, handler := range handlers {
		handlers[pattern] = issuer.protected(`Bearer realm="REALM",service="s"`, func(w http.ResponseWriter, r *http.Request) {
			handler(w, r)
			if r.Method == http.MethodPut {
				issuer.expire()
			}
		})
	}
	served := serve(t, handlers)
	if _, err := repo(t, served.host, Options{}).PushBlob(t.Context(), blobOf(content), nil, opener(content)); err != nil {
		t.Fatal(err)
	}
	served.wantTimes(t, "POST", 1)
	if string(s.came) != content {
		t.Error("something else came")
	}
}
