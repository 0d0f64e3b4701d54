package robustness

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// interrupted is the exit code of a program that Ctrl-C ended, as shells have
// it.
const interrupted = 130

// prompt is the longest that a program may take to end after Ctrl-C.
const prompt = 3 * time.Second

// checkInterrupted checks that a command said so, and left the user's
// directories as they were and the store without anything half-made.
func checkInterrupted(t *testing.T, s *program.Session, r *program.Result, before tree.Tree) {
	t.Helper()
	// On a busy machine the signal may come before the program has begun.
	if begun := r.ExitCode != -1 || r.Stdout+r.Stderr != ""; begun {
		r.Fails(interrupted, "interrupted")
	}
	tree.Check(t, "the working directory", tree.Of(t, s.Dir), before)
	tree.Check(t, "TMPDIR", tree.Of(t, s.Temp), tree.Tree{})
	storetest.CheckTmpEmpty(t, storetest.Dir(s))
	if roots := storetest.Roots(t, storetest.Dir(s)); len(roots) > 0 {
		t.Errorf("the store has %v", roots)
	}
}

func TestInterruptedGetLeavesNothingAndTheNextOneWorks(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	proxy := registrytest.StartProxy(t, registry)
	name := proxy.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	want := makePackage(t, s, 16*megabyte)
	s.Run("ocipkg", "push", "in", name).OK()
	before := tree.Of(t, s.Dir)

	proxy.SetIntercept(registrytest.StallBlob("", 100_000))
	partly := func() bool {
		entries, err := os.ReadDir(filepath.Join(storetest.Dir(s), "tmp"))
		return err == nil && len(entries) > 0
	}
	began := time.Now()
	p := s.Start("ocipkg", "get", name)
	// The config, which is smaller, came whole; a layer did not.
	p.When(func() bool { began = time.Now(); return partly() && proxy.Count("GET", "/blobs/") >= 2 })
	checkInterrupted(t, s, p.InterruptAfter(0), before)
	if took := time.Since(began); took > prompt {
		t.Errorf("it took %v to end", took)
	}

	proxy.SetIntercept(nil)
	s.Run("ocipkg", "get", name).OK()
	if n := storetest.CheckPackages(t, storetest.Dir(s), want); n != 1 {
		t.Errorf("the store has %d packages", n)
	}
}

func TestInterruptedPushLeavesNothingAndTheNextOneWorks(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	proxy := registrytest.StartProxy(t, registry)
	name := proxy.Host + "/acme/library:1"
	s := program.New(t, program.Options{})
	makePackage(t, s, 16*megabyte)
	digest := s.Run("ocipkg", "pack", "in", "out.tar", "-t", name).Digest()
	before := tree.Of(t, s.Dir)

	// An upload whose content is never read to its end.
	stall := registrytest.When(registrytest.Path("PUT", "/blobs/uploads/"), func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = r.Body.Read(make([]byte, 1000))
		<-r.Context().Done()
	})
	for _, arguments := range [][]string{{"push", "out.tar"}, {"push", "in", name}} {
		proxy.SetIntercept(stall)
		proxy.ClearRequests()
		p := s.Start("ocipkg", arguments...)
		began := time.Now()
		p.When(func() bool { began = time.Now(); return proxy.Count("PUT", "/blobs/uploads/") > 0 })
		checkInterrupted(t, s, p.InterruptAfter(0), before)
		if took := time.Since(began); took > prompt {
			t.Errorf("it took %v to end", took)
		}
		if n := proxy.Count("PUT", "/manifests/"); n != 0 {
			t.Errorf("an interrupted push sent %d manifests", n)
		}
	}

	proxy.SetIntercept(nil)
	if got := s.Run("ocipkg", "push", "out.tar").Digest(); got != digest {
		t.Errorf("pushed %s, want %s", got, digest)
	}
}

// interruptThroughout runs a command again and again, each time after prepare,
// and interrupts it at moments spread over the time that it takes. Runs that
// had ended already are not checked, and neither are those that were putting
// their result in place, which succeed all the same: but some must not have.
func interruptThroughout(t *testing.T, s *program.Session, prepare func(), check func(r *program.Result), arguments ...string) {
	t.Helper()
	duration := time.Hour
	for range 3 {
		prepare()
		duration = min(duration, s.Run("ocipkg", arguments...).OK().Elapsed)
	}
	const moments = 12
	done := 0
	for i := 2; i < moments; i++ {
		prepare()
		r := s.Start("ocipkg", arguments...).InterruptAfter(duration * time.Duration(i) / moments)
		if r.ExitCode == 0 {
			done++
			continue
		}
		check(r)
	}
	if interrupted := moments - 2 - done; interrupted < 3 {
		t.Errorf("of %d runs only %d were interrupted", moments-2, interrupted)
	}
}

func TestInterruptedPackLeavesNothingAndKeepsTheOldArchive(t *testing.T) {
	s := program.New(t, program.Options{})
	makePackage(t, s, 64*megabyte)
	digest := s.Run("ocipkg", "pack", "in", "new.tar").Digest()
	prepare := func() { s.WriteFile("out.tar", "the old one", 0o644) }
	prepare()
	before := tree.Of(t, s.Dir)
	interruptThroughout(t, s, prepare, func(r *program.Result) {
		checkInterrupted(t, s, r, before)
	}, "pack", "in", "out.tar", "--overwrite")
	if got := s.Run("ocipkg", "pack", "in", "out.tar", "--overwrite").Digest(); got != digest {
		t.Errorf("after all the digest is %s, want %s", got, digest)
	}
}

func TestInterruptedLoadLeavesNothingAndTheNextOneWorks(t *testing.T) {
	s := program.New(t, program.Options{})
	want := makePackage(t, s, 64*megabyte)
	s.Run("ocipkg", "pack", "in", "out.tar", "-t", "ghcr.io/acme/library:1").OK()
	before := tree.Of(t, s.Dir)
	forget := func() {
		if err := tempdir.Remove(storetest.Dir(s)); err != nil {
			t.Fatal(err)
		}
	}
	interruptThroughout(t, s, forget, func(r *program.Result) {
		checkInterrupted(t, s, r, before)
	}, "load", "out.tar")
	s.Run("ocipkg", "load", "out.tar").OK()
	storetest.CheckTmpEmpty(t, storetest.Dir(s))
	if n := storetest.CheckPackages(t, storetest.Dir(s), want); n != 1 {
		t.Errorf("the store has %d packages", n)
	}
}
