package robustness

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// published is a package in a docker-registry, behind a proxy for faults, and
// a user who has not got it.
type published struct {
	registry *registrytest.Registry
	proxy    *registrytest.Registry
	name     string
	digest   string
	want     tree.Tree
	user     *program.Session
}

func publish(t *testing.T, size int64) *published {
	t.Helper()
	p := &published{registry: registrytest.StartDistribution(t, registrytest.Options{})}
	p.proxy = registrytest.StartProxy(t, p.registry)
	p.name = p.proxy.Host + "/acme/library:1"
	producer := program.New(t, program.Options{})
	p.want = makePackage(t, producer, size)
	p.digest = producer.Run("ocipkg", "push", "in", p.name).Digest()
	p.proxy.ClearRequests()
	p.user = program.New(t, program.Options{})
	return p
}

// checkGot checks that the user now has the package.
func (p *published) checkGot(t *testing.T, r *program.Result) {
	t.Helper()
	if got := r.Digest(); got != p.digest {
		t.Errorf("got %s, want %s", got, p.digest)
	}
	storetest.CheckTmpEmpty(t, storetest.Dir(p.user))
	if n := storetest.CheckPackages(t, storetest.Dir(p.user), p.want); n != 1 {
		t.Errorf("the store has %d packages", n)
	}
}

// downloaded gives how many bytes of blobs were sent.
func (p *published) downloaded() int64 {
	var n int64
	for _, request := range p.proxy.Requests() {
		if request.Method == http.MethodGet && strings.Contains(request.Path, "/blobs/") {
			n += request.Bytes
		}
	}
	return n
}

// ranges lists the Range headers of requests for blobs.
func (p *published) ranges() []string {
	var all []string
	for _, request := range p.proxy.Requests() {
		if value := request.Header.Get("Range"); value != "" && strings.Contains(request.Path, "/blobs/") {
			all = append(all, value)
		}
	}
	return all
}

// cutAt is where the tests break a download off: every layer of a large file is
// longer.
const cutAt = 700_000

func TestDownloadThatBreaksOffIsResumedWhereItBroke(t *testing.T) {
	t.Parallel()
	faults := map[string]registrytest.Intercept{
		"reset":     registrytest.ResetBlob("", cutAt),
		"truncated": registrytest.TruncateBlob("", cutAt),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			p := publish(t, 16*megabyte)
			// Each of the first downloads of a layer breaks once, and goes on.
			p.proxy.SetIntercept(registrytest.When(
				func(r *http.Request) bool { return r.Header.Get("Range") == "" }, fault))
			p.checkGot(t, p.user.Run("ocipkg", "get", p.name))
			ranges := p.ranges()
			if len(ranges) != 5 {
				t.Errorf("the requests had the ranges %q, want one for each of 5 large files", ranges)
			}
			for _, value := range ranges {
				// A reset also takes what was on its way.
				if name == "truncated" && !strings.HasPrefix(value, "bytes=700000-") || strings.HasPrefix(value, "bytes=0-") {
					t.Errorf("a download was resumed with Range: %s", value)
				}
			}
			if n := p.downloaded(); n > 16*megabyte+5*cutAt {
				t.Errorf("%d bytes were sent for a package of 16 MiB", n)
			}
		})
	}
}

func TestDownloadThatBreaksOffGoesOnWithRegistriesThatKnowNoRanges(t *testing.T) {
	t.Parallel()
	servers := map[string]registrytest.Intercept{
		"the whole is sent":    registrytest.IgnoreRange(),
		"the range is refused": registrytest.RefuseRange(),
	}
	for name, server := range servers {
		t.Run(name, func(t *testing.T) {
			p := publish(t, 16*megabyte)
			p.proxy.SetIntercept(registrytest.Chain(server,
				registrytest.When(registrytest.BlobGet(""), registrytest.Times(3, registrytest.ResetBlob("", cutAt)))))
			p.checkGot(t, p.user.Run("ocipkg", "get", p.name))
		})
	}
}

func TestRegistryThatFailsForAMomentIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{500, 502, 503, 504} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			p := publish(t, 2*megabyte)
			p.proxy.SetIntercept(registrytest.Times(2, registrytest.Status(status, 0)))
			p.checkGot(t, p.user.Run("ocipkg", "get", p.name))
			if n := p.proxy.Count("", "", status); n != 2 {
				t.Errorf("the registry answered %d times with %d, want 2", n, status)
			}

			makePackage(t, p.user, 2*megabyte)
			p.user.WriteFile("in/new", "new", 0o644)
			p.proxy.SetIntercept(registrytest.Chain(
				registrytest.When(registrytest.Path("PUT", "/blobs/uploads/"), registrytest.FailTimes(2, status)),
				registrytest.When(registrytest.Path("POST", "/blobs/uploads/"), registrytest.FailTimes(2, status)),
				registrytest.When(registrytest.Path("PUT", "/manifests/"), registrytest.FailTimes(2, status))))
			p.user.Run("ocipkg", "push", "in", p.proxy.Host+"/acme/library:2").OK()
		})
	}
}

func TestRegistryThatIsBusyIsWaitedForAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 503} {
		p := publish(t, 2*megabyte)
		p.proxy.SetIntercept(registrytest.Times(1, registrytest.Status(status, 2*time.Second)))
		r := p.user.Run("ocipkg", "get", p.name)
		p.checkGot(t, r)
		if r.Elapsed < 2*time.Second || r.Elapsed > 6*time.Second {
			t.Errorf("after status %d with Retry-After: 2 the get took %v", status, r.Elapsed)
		}
	}
}

func TestConnectionsThatBreakBeforeAnAnswerAreTriedAgain(t *testing.T) {
	t.Parallel()
	p := publish(t, 2*megabyte)
	p.proxy.SetIntercept(registrytest.Times(3, registrytest.Reset()))
	p.checkGot(t, p.user.Run("ocipkg", "get", p.name))

	makePackage(t, p.user, 4*megabyte)
	p.user.WriteFile("in/new", "new", 0o644)
	p.proxy.SetIntercept(registrytest.When(registrytest.Path("PUT", ""), registrytest.Times(2, registrytest.Reset())))
	p.user.Run("ocipkg", "push", "in", p.proxy.Host+"/acme/library:2").OK()
}

func TestRegistryThatKeepsFailingIsGivenUpWithAnErrorOfTheNetwork(t *testing.T) {
	t.Parallel()
	faults := map[string]registrytest.Intercept{
		"503":        registrytest.Status(503, 0),
		"blobs 500":  registrytest.When(registrytest.BlobGet(""), registrytest.Status(500, 0)),
		"reset":      registrytest.Reset(),
		"blob reset": registrytest.ResetBlob("", 0),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := publish(t, 4*megabyte)
			p.proxy.SetIntercept(fault)
			r := p.user.Run("ocipkg", "get", p.name).Fails(8, p.name, p.proxy.Host)
			if r.Elapsed > 60*time.Second {
				t.Errorf("it took %v to give up", r.Elapsed)
			}
			storetest.CheckTmpEmpty(t, storetest.Dir(p.user))
			storetest.CheckPackages(t, storetest.Dir(p.user), nil)
			p.proxy.SetIntercept(nil)
			p.checkGot(t, p.user.Run("ocipkg", "get", p.name))
		})
	}
}
