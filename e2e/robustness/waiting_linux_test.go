package robustness

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// Whatever a get waits for, Ctrl-C is the end of it. Without that, each of these
// would wait for half a minute and longer.
func TestAGetIsInterruptedWhateverItWaitsFor(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	producer := program.New(t, program.Options{})
	makePackage(t, producer, 4*megabyte)
	digest := producer.Run("ocipkg", "push", "in", registry.Host+"/acme/library:1").Digest()
	silent := func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }
	blobs := registrytest.BlobGet("")
	for name, fault := range map[string]registrytest.Intercept{
		"an answer":                          silent,
		"the answer to a blob":               registrytest.When(blobs, silent),
		"the rest of a blob":                 registrytest.StallBlob("", 200),
		"a registry that asks for a wait":    registrytest.Status(http.StatusTooManyRequests, 50*time.Second),
		"a registry that asks for one later": registrytest.When(blobs, registrytest.Status(http.StatusServiceUnavailable, 50*time.Second)),
		"a connection that keeps breaking":   registrytest.When(blobs, registrytest.Reset()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := registrytest.StartProxy(t, registry)
			proxy.SetIntercept(fault)
			s := program.New(t, program.Options{})
			before := tree.Of(t, s.Dir)
			began := time.Now()
			p := s.Start("ocipkg", "get", proxy.Host+"/acme/library:1")
			p.When(func() bool {
				began = time.Now()
				return proxy.Count("GET", "") > 0 && (name == "an answer" || name == "a registry that asks for a wait" || proxy.Count("GET", "/blobs/") > 0)
			})
			checkInterrupted(t, s, p.InterruptAfter(0), before)
			checkPrompt(t, began)
		})
	}
	// A host to which no way leads, or none that answers.
	t.Run("a connection", func(t *testing.T) {
		t.Parallel()
		host := deaf(t)
		s := program.New(t, program.Options{})
		before := tree.Of(t, s.Dir)
		p := s.Start("ocipkg", "get", host+"/acme/library:1")
		began := time.Now()
		p.When(func() bool { began = time.Now(); return connecting(t, host) })
		checkInterrupted(t, s, p.InterruptAfter(0), before)
		checkPrompt(t, began)
	})
	t.Run("a lock", func(t *testing.T) {
		t.Parallel()
		proxy := registrytest.StartProxy(t, registry)
		s := program.New(t, program.Options{})
		before := tree.Of(t, s.Dir)
		store := storetest.Dir(s)
		holdLock(t, s, strings.TrimPrefix(digest, "sha256:"))
		p := s.Start("ocipkg", "get", proxy.Host+"/acme/library:1")
		began := time.Now()
		p.When(func() bool { began = time.Now(); return proxy.Count("GET", "/manifests/") > 0 })
		checkInterrupted(t, s, p.InterruptAfter(0), before)
		checkPrompt(t, began)
		storetest.CheckPackages(t, store, nil)
	})
}

// checkPrompt checks that not much time has gone since the program was ended. It
// may be a second on a machine that has nothing else to do.
func checkPrompt(t *testing.T, began time.Time) {
	t.Helper()
	took := time.Since(began)
	t.Logf("it took %v to end", took)
	if took > prompt {
		t.Errorf("it took %v to end", took)
	}
}

// holdLock holds a lock of a session's store until the test ends.
func holdLock(t *testing.T, s *program.Session, name string) {
	t.Helper()
	path := filepath.Join(storetest.Dir(s), "locks", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	s.Own(s.Home)
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

// deaf gives a host whose connections do not come about: its queue of them is
// full.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	host := fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
	for range 3 {
		conn, err := net.DialTimeout("tcp", host, 300*time.Millisecond)
		if err != nil {
			return host
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("its queue is never full")
	return ""
}

// connecting tells whether somebody waits for a connection to a host on this
// machine.
// https://man7.org/linux/man-pages/man5/proc_pid_net.5.html
func connecting(t *testing.T, host string) bool {
	t.Helper()
	_, port, _ := strings.Cut(host, ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	const sent = " 02 " // SYN_SENT
	return strings.Contains(string(raw), fmt.Sprintf("0100007F:%04X%s", n, sent))
}
