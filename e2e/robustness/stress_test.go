package robustness

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// stress is a store that many commands work in at once, while one after the
// other of them is killed.
type stress struct {
	*program.Session
	t        *testing.T
	store    string
	packages []stressed
	// bystander is never removed nor old enough to be pruned.
	bystander stressed

	mu      sync.Mutex
	running []*program.Process
	ended   atomic.Int64 // by themselves
	killed  atomic.Int64
}

type stressed struct {
	name, digest, archive string
	want                  tree.Tree
}

func newStress(t *testing.T) *stress {
	t.Helper()
	s := &stress{Session: program.New(t, program.Options{}), t: t}
	s.store = storetest.Dir(s.Session)
	registry := registrytest.StartMemory(t)
	makePackage(t, s.Session, 2*megabyte)
	for i := range 4 {
		s.WriteFile("in/version", fmt.Sprint(i), 0o644)
		if i%2 == 0 { // two share the large file, and two have one of their own
			tree.WriteRandom(t, filepath.Join(s.Dir, "in/lib/own"), megabyte, byte(40+i))
			s.Own(filepath.Join(s.Dir, "in/lib/own"))
		}
		p := stressed{name: fmt.Sprintf("%s/acme/library:%d", registry.Host, i), archive: fmt.Sprintf("%d.tar", i)}
		p.digest = s.Run("ocipkg", "push", "in", p.name).Digest()
		s.Run("ocipkg", "pack", "in", p.archive, "-t", p.name).OK()
		p.want = tree.Content(t, filepath.Join(s.Dir, "in"))
		s.packages = append(s.packages, p)
	}
	s.bystander, s.packages = s.packages[3], s.packages[:3]
	s.Run("ocipkg", "get", s.bystander.name).OK()
	return s
}

// run runs a command, which may be killed. Otherwise it must end with one of the
// exit codes.
func (s *stress) run(codes []int, arguments ...string) {
	p := s.Start("ocipkg", arguments...)
	s.mu.Lock()
	s.running = append(s.running, p)
	s.mu.Unlock()
	r := p.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.running {
		if s.running[i] == p {
			s.running = append(s.running[:i], s.running[i+1:]...)
			break
		}
	}
	if r.ExitCode == -1 {
		s.killed.Add(1)
		return
	}
	s.ended.Add(1)
	for _, code := range codes {
		if r.ExitCode == code {
			return
		}
	}
	s.t.Errorf("%s", r)
}

// killOne kills one of those that run.
func (s *stress) killOne(random *rand.Rand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.running) > 0 {
		s.running[random.IntN(len(s.running))].Signal(os.Kill)
	}
}

// something does one thing that users do.
func (s *stress) something(random *rand.Rand) {
	done, notThere := []int{0}, []int{0, 3}
	p := s.packages[random.IntN(len(s.packages))]
	switch random.IntN(12) {
	case 0, 1, 2:
		s.run(done, "get", p.name)
	case 3:
		s.run(done, "get", "--overwrite", p.name)
	case 4:
		s.run(done, "load", p.archive)
	case 5:
		s.run(notThere, "store", "remove", p.name)
	case 6:
		s.run(notThere, "store", "remove", p.digest)
	case 7:
		s.grow(p)
		s.run(done, "store", "prune", "--all")
	case 8:
		s.run(done, "store", "fsck")
	case 9:
		s.run(notThere, "link", p.name) // one that is removed at that time may be missed
	case 10:
		s.run(done, "list")
	case 11:
		s.run(done, "link", s.bystander.name)
	}
}

// grow makes a package so old that it may be pruned.
func (s *stress) grow(p stressed) {
	encoded := strings.TrimPrefix(p.digest, "sha256:")
	then := time.Now().Add(-40 * 24 * time.Hour)
	_ = os.Chtimes(filepath.Join(s.store, "packages/sha256", encoded), then, then)
	_ = os.Chtimes(filepath.Join(s.store, "used", encoded), then, then)
}

func TestManyCommandsOfWhichOneIsKilledAgainAndAgainLoseNothing(t *testing.T) {
	t.Parallel()
	const users = 6
	ends, kills := int64(80), int64(15)
	if os.Getenv("OCIPKG_SOAK") == "1" {
		ends, kills = 5000, 800
	}
	s := newStress(t)
	done := make(chan struct{})
	var killer, all sync.WaitGroup
	killer.Go(func() {
		random := rand.New(rand.NewPCG(77, 0))
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for last := int64(0); ; {
			select {
			case <-done:
				return
			case <-tick.C:
				// Where the machine is so slow that all would be killed, more rarely.
				if now := s.ended.Load(); now >= last+2 {
					s.killOne(random)
					last = now
				}
			}
		}
	})
	for user := range users {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(user), 1))
			for !t.Failed() && (s.ended.Load() < ends || s.killed.Load() < kills) && s.ended.Load() < 20*ends {
				s.something(random)
			}
		})
	}
	all.Wait()
	close(done)
	killer.Wait()
	t.Logf("%d commands ended, and %d were killed", s.ended.Load(), s.killed.Load())
	if s.killed.Load() < kills && !t.Failed() {
		t.Errorf("only %d commands were killed, and %d were not", s.killed.Load(), s.ended.Load())
	}

	s.Run("ocipkg", "store", "prune").OK()
	storetest.CheckTmpEmpty(t, s.store)
	tree.Check(t, "TMPDIR", tree.Of(t, s.Temp), tree.Tree{})
	s.Run("ocipkg", "store", "fsck").OK()
	s.check(s.bystander)
	for _, p := range s.packages {
		s.Run("ocipkg", "get", p.name).OK()
		s.check(p)
	}
	s.Run("ocipkg", "store", "fsck").OK()
	storetest.CheckTmpEmpty(t, s.store)
}

// check checks a package that is in the store.
func (s *stress) check(p stressed) {
	s.t.Helper()
	dir := strings.TrimSpace(s.Run("ocipkg", "image-directory", p.name).OK().Stdout)
	tree.Check(s.t, p.name, tree.Content(s.t, dir), p.want)
}
