package robustness

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// breaks are the ways in which the connection of a request breaks.
var breaks = map[string]registrytest.Intercept{
	"before": registrytest.Reset(),
	// Half of what was to come, or to be read, has.
	"within": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.ContentLength > 0 {
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
			registrytest.Reset()(w, r, next)
		}
		whole := httptest.NewRecorder()
		next.ServeHTTP(whole, r)
		for key, values := range whole.Header() {
			w.Header()[key] = values
		}
		w.Header().Set("Content-Length", fmt.Sprint(whole.Body.Len()))
		w.WriteHeader(whole.Code)
		_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	},
	// All was done, and nobody is told.
	"after": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		registrytest.Reset()(w, r, next)
	},
}

// from applies f to the n-th request, counted from 0, and to those after it when
// on is true.
func from(n int, on bool, f registrytest.Intercept) registrytest.Intercept {
	var count atomic.Int64
	return registrytest.When(func(*http.Request) bool {
		i := int(count.Add(1)) - 1
		return i == n || on && i > n
	}, f)
}

// busy is a fault that does not pass: of the first request and the last that
// connections break, which is tried for a while, and of the others an answer with
// which it ends at once.
func busy(n, requests int) registrytest.Intercept {
	if n == 0 || n == requests-1 {
		return breaks["before"]
	}
	return registrytest.Status(http.StatusTooManyRequests, time.Hour)
}

func TestAnyRequestOfAGetMayBreak(t *testing.T) {
	t.Parallel()
	p := publish(t, 4*megabyte)
	p.checkGot(t, p.user.Run("ocipkg", "get", p.name))
	requests := len(p.proxy.Requests())
	if requests < 4 { // for the tag, the config and the layers
		t.Fatalf("a get takes %d requests", requests)
	}
	for n := range requests {
		for how, fault := range breaks {
			t.Run(fmt.Sprintf("%s request %d", how, n), func(t *testing.T) {
				t.Parallel()
				q := p.again(t)
				q.proxy.SetIntercept(from(n, false, fault))
				q.checkGot(t, q.user.Run("ocipkg", "get", q.name))
			})
		}
		t.Run(fmt.Sprintf("from request %d on", n), func(t *testing.T) {
			t.Parallel()
			q := p.again(t)
			q.proxy.SetIntercept(from(n, true, busy(n, requests)))
			q.user.Run("ocipkg", "get", q.name).Fails(8, q.name, q.proxy.Host)
			storetest.CheckPackages(t, storetest.Dir(q.user), nil)
			q.proxy.SetIntercept(nil)
			q.checkGot(t, q.user.Run("ocipkg", "get", q.name))
		})
	}
}

// again gives the same package, behind a proxy of its own, for a user of its own.
func (p *published) again(t *testing.T) *published {
	t.Helper()
	q := &published{registry: p.registry, proxy: registrytest.StartProxy(t, p.registry), digest: p.digest, want: p.want, user: program.New(t, program.Options{})}
	q.name = q.proxy.Host + "/acme/library:1"
	return q
}

func TestAnyRequestOfAPushMayBreak(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	s := program.New(t, program.Options{})
	// Two layers and a config.
	tree.WriteRandom(t, filepath.Join(s.Dir, "in/lib/large"), 2*megabyte, 1)
	s.WriteFile("in/include/header.h", "#define HEADER\n", 0o644)
	s.Own(filepath.Join(s.Dir, "in"))
	s.Run("ocipkg", "pack", "in", "out.tar").OK()
	count := registrytest.StartProxy(t, registry)
	digest := s.Run("ocipkg", "push", "out.tar", count.Host+"/acme/count:1").Digest()
	requests := len(count.Requests())
	if requests < 8 {
		t.Fatalf("a push takes %d requests", requests)
	}
	// A push to a proxy, of which what is left is checked with the registry.
	push := func(t *testing.T, proxy *registrytest.Registry, repository string) *program.Result {
		user := program.New(t, program.Options{})
		return user.Run("ocipkg", "push", filepath.Join(s.Dir, "out.tar"), proxy.Host+"/acme/"+repository+":1")
	}
	check := func(t *testing.T, repository string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, registry.URL+"/v2/acme/"+repository+"/manifests/1", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		// It takes no manifest of which it does not have all.
		if got := answer.Header.Get("Docker-Content-Digest"); got != digest {
			t.Errorf("of the pushed package the registry says %s and %q, want %s", answer.Status, got, digest)
		}
	}
	for n := range requests {
		for how, fault := range breaks {
			t.Run(fmt.Sprintf("%s request %d", how, n), func(t *testing.T) {
				t.Parallel()
				proxy := registrytest.StartProxy(t, registry)
				proxy.SetIntercept(from(n, false, fault))
				repository := fmt.Sprintf("%s-%d", how, n)
				if got := push(t, proxy, repository).Digest(); got != digest {
					t.Errorf("pushed was %s, want %s", got, digest)
				}
				check(t, repository)
			})
		}
		t.Run(fmt.Sprintf("from request %d on", n), func(t *testing.T) {
			t.Parallel()
			proxy := registrytest.StartProxy(t, registry)
			proxy.SetIntercept(from(n, true, busy(n, requests)))
			repository := fmt.Sprintf("on-%d", n)
			push(t, proxy, repository).Fails(8, proxy.Host)
			if n := registry.Count("PUT", "/acme/"+repository+"/manifests/1"); n > 0 {
				t.Errorf("a push that failed wrote its tag")
			}
			proxy.SetIntercept(nil)
			push(t, proxy, repository).OK()
			check(t, repository)
		})
	}
}

// edited changes an answer as a whole.
func edited(edit func(header http.Header, body []byte) []byte) registrytest.Intercept {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		whole := httptest.NewRecorder()
		next.ServeHTTP(whole, r)
		body := edit(whole.Header(), whole.Body.Bytes())
		for key, values := range whole.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(whole.Code)
		_, _ = w.Write(body)
	}
}

func TestWhateverARegistryAnswersAGetSucceedsOrSaysWhyAndTheNextOneSucceeds(t *testing.T) {
	t.Parallel()
	p := publish(t, 4*megabyte)
	other := registrytest.StartProxy(t, p.registry)
	other.SetIntercept(registrytest.RequireAuthorizationNever(t))
	retryAfter := func(value func() string) registrytest.Intercept {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set("Retry-After", value())
			registrytest.Status(http.StatusTooManyRequests, 0)(w, r, next)
		}
	}
	ranged := func(r *http.Request) bool { return r.Header.Get("Range") != "" }
	// The first answer of each breaks off, so that the rest is asked for.
	broken := registrytest.When(func(r *http.Request) bool { return !ranged(r) && registrytest.BlobGet("")(r) }, registrytest.Times(1, registrytest.TruncateBlob("", 300_000)))
	lie := func(edit func(header http.Header, body []byte) []byte) registrytest.Intercept {
		return registrytest.Chain(registrytest.When(ranged, edited(edit)), broken)
	}
	blobs := func(f registrytest.Intercept) registrytest.Intercept {
		return registrytest.When(registrytest.BlobGet(""), f)
	}
	around := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	}
	for name, c := range map[string]struct {
		fault registrytest.Intercept
		code  int
		words string
	}{
		"401 in the middle": {blobs(registrytest.FailTimes(1, 401)), 4, "ocipkg login"},
		"403 in the middle": {blobs(registrytest.FailTimes(1, 403)), 4, "forbids it"},
		"404 in the middle": {blobs(registrytest.FailTimes(1, 404)), 3, "does not have it"},
		"404 of the tag":    {registrytest.When(registrytest.ManifestGet(""), registrytest.Times(1, registrytest.Status(404, 0))), 3, "not"},
		"408":               {registrytest.FailTimes(2, 408), 0, ""},
		"416":               {blobs(registrytest.FailTimes(1, 416)), 1, "416"},
		"429 with seconds":  {registrytest.Times(1, retryAfter(func() string { return "1" })), 0, ""},
		"429 with a date":   {registrytest.Times(1, retryAfter(func() string { return time.Now().Add(time.Second).UTC().Format(http.TimeFormat) })), 0, ""},
		"429 for an hour":   {retryAfter(func() string { return "3600" }), 8, "429"},
		"501":               {registrytest.FailTimes(1, 501), 1, "501"},
		"corrupted":         {registrytest.CorruptBlob("", 200_000), 5, "not what it should be"},
		"another size": {blobs(edited(func(header http.Header, body []byte) []byte {
			header.Set("Content-Length", fmt.Sprint(len(body)-1))
			return body[:len(body)-1]
		})), 5, "bytes, not"},
		"extra bytes": {blobs(edited(func(header http.Header, body []byte) []byte {
			header.Set("Content-Length", fmt.Sprint(len(body)+1))
			return append(body, 0)
		})), 5, "bytes, not"},
		"extra, not counted": {blobs(edited(func(header http.Header, body []byte) []byte { header.Del("Content-Length"); return append(body, 0) })), 5, "not what it should be"},
		"too short by its length": {registrytest.Times(2, blobs(edited(func(header http.Header, body []byte) []byte {
			header.Set("Content-Length", fmt.Sprint(len(body)))
			return body[:len(body)/2]
		}))), 0, ""},
		"another manifest": {registrytest.CorruptManifest("", 100), 5, ""},
		"redirected here": {blobs(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.URL.RawQuery == "" {
				http.Redirect(w, r, r.URL.Path+"?here", http.StatusTemporaryRedirect)
				return
			}
			next.ServeHTTP(w, r)
		}), 0, ""},
		"redirected elsewhere": {registrytest.RedirectBlobs(other.URL), 0, ""},
		"redirected around":    {blobs(around), 8, "from one place to another"},
		"redirected nowhere":   {registrytest.RedirectBlobs("http://127.0.0.1:1"), 8, "127.0.0.1:1"},
		"another range": {lie(func(header http.Header, body []byte) []byte {
			header.Set("Content-Range", strings.Replace(header.Get("Content-Range"), "bytes ", "bytes 1", 1))
			return body
		}), 0, ""},
		"no range":               {lie(func(header http.Header, body []byte) []byte { header.Del("Content-Range"); return body }), 0, ""},
		"other bytes in a range": {lie(func(header http.Header, body []byte) []byte { body[len(body)-1000] ^= 1; return body }), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := p.again(t)
			q.proxy.SetIntercept(c.fault)
			r := q.user.Run("ocipkg", "get", q.name)
			if c.code == 0 {
				q.checkGot(t, r)
				return
			}
			r.Fails(c.code, q.name, c.words)
			storetest.CheckPackages(t, storetest.Dir(q.user), nil)
			if c.code == 5 {
				storetest.CheckTmpEmpty(t, storetest.Dir(q.user))
			}
			q.proxy.SetIntercept(nil)
			q.checkGot(t, q.user.Run("ocipkg", "get", q.name))
		})
	}
}

// getOverABrokenWay gets a package of one large file and some others through
// connections that are reset again and again, in one command.
func getOverABrokenWay(t *testing.T, size, least, most int64) {
	t.Helper()
	p := publish(t, size)
	way := registrytest.StartResetting(t, p.registry, least, most, 1)
	p.name = way.Host + "/acme/library:1"
	r := p.user.Run("ocipkg", "get", p.name)
	p.checkGot(t, r)
	if resets := int64(way.Resets()); resets < size/most/2 {
		t.Errorf("%d connections were reset, which tests nothing", resets)
	}
	t.Logf("%d bytes were sent for a package of %d (%+.2f %%) over %d resets in %v",
		way.Sent(), size, 100*float64(way.Sent()-size)/float64(size), way.Resets(), r.Elapsed)
	if way.Sent() > size+size/20 {
		t.Errorf("%d bytes were sent for a package of %d", way.Sent(), size)
	}
}

func TestAGetOverConnectionsThatKeepBreakingTransfersLittleMoreThanThePackage(t *testing.T) {
	t.Parallel()
	if os.Getenv("OCIPKG_SOAK") == "1" {
		getOverABrokenWay(t, 1024*megabyte, 50*megabyte, 150*megabyte)
		return
	}
	getOverABrokenWay(t, 64*megabyte, 3*megabyte, 9*megabyte)
}

// What came of a large layer before the program ended is not fetched again.
func TestAGetGoesOnWhereAnEarlierOneEnded(t *testing.T) {
	t.Parallel()
	const size, came = 72 * megabyte, 60 * megabyte
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	producer := program.New(t, program.Options{})
	tree.WriteRandom(t, filepath.Join(producer.Dir, "in/lib/large"), size, 1)
	tree.WriteRandom(t, filepath.Join(producer.Dir, "in/lib/other"), 2*megabyte, 2)
	producer.Own(filepath.Join(producer.Dir, "in"))
	want := tree.Content(t, filepath.Join(producer.Dir, "in"))
	producer.Run("ocipkg", "push", "in", registry.Host+"/acme/library:1").OK()
	for how, end := range map[string]func(p *program.Process, when func() bool){
		"killed": func(p *program.Process, when func() bool) { p.KillWhen(when) },
		"interrupted": func(p *program.Process, when func() bool) {
			p.InterruptWhen(when).Fails(interrupted, "interrupted", "can be run again")
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			proxy := registrytest.StartProxy(t, registry)
			name := proxy.Host + "/acme/library:1"
			user := program.New(t, program.Options{})
			store := storetest.Dir(user)
			// All but the last of it comes: the file that keeps it says how far it is.
			proxy.SetIntercept(registrytest.When(func(r *http.Request) bool { return r.Header.Get("Range") == "" },
				registrytest.StallBlob("", came)))
			kept := func() int64 {
				files, _ := filepath.Glob(filepath.Join(store, "tmp", "*.part", "*"))
				var n int64
				for _, file := range files {
					if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
						n += info.Size()
					}
				}
				return n
			}
			end(user.Start("ocipkg", "get", name), func() bool { return kept() >= came-megabyte })
			storetest.CheckPackages(t, store, nil)

			proxy.SetIntercept(nil)
			proxy.ClearRequests()
			user.Run("ocipkg", "get", name).OK()
			var sent int64
			for _, request := range proxy.Requests() {
				sent += request.Bytes
			}
			if most := int64(size - came + 2*megabyte); sent > most {
				t.Errorf("the next get was sent %d bytes, want at most %d", sent, most)
			}
			storetest.CheckPackages(t, store, want)
			storetest.CheckTmpEmpty(t, store)
		})
	}
}
