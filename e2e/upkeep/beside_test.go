package upkeep

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

const builders = 8

// Every path that a build is told of must be there when it looks. Here the
// packages look as if nobody had used them for a month again and again, when no
// build is at them, and prune meets the first build that asks then.
func TestPruningBesideBuildsTakesNothingFromThem(t *testing.T) {
	s := newSite(t)
	var names, digests []string
	for i := range 3 {
		name, digest := s.publish(numbered(i))
		names, digests = append(names, name), append(digests, digest)
		s.Run("ocipkg", "get", name).OK()
	}
	inUse := make([]sync.RWMutex, len(names))
	var built, pruned atomic.Int64
	var builds, prunes sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		prunes.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				result := s.Run("ocipkg", "store", "prune", "--all", "--json")
				var r removed
				if err := json.Unmarshal([]byte(result.Stdout), &r); err != nil || result.ExitCode != 0 {
					t.Errorf("%v\n%s", err, result)
					return
				}
				pruned.Add(int64(len(r.Packages)))
			}
		})
	}
	for b := range builders {
		builds.Go(func() {
			end := time.Now().Add(15 * time.Second)
			for i := b; time.Now().Before(end); i++ {
				at := i % len(names)
				inUse[at].RLock()
				for _, path := range s.told(b%2 == 0, names[at]) {
					if _, err := os.Stat(path); err != nil {
						t.Errorf("a build was told of %s, and then: %v", path, err)
					}
				}
				inUse[at].RUnlock()
				built.Add(1)
			}
		})
	}
	aging := make(chan struct{})
	go func() {
		defer close(aging)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
				at := i % len(names)
				inUse[at].Lock()
				s.ageOne(digests[at])
				inUse[at].Unlock()
			}
		}
	}()
	builds.Wait()
	close(done)
	prunes.Wait()
	<-aging
	t.Logf("%d builds, and %d packages pruned", built.Load(), pruned.Load())
	if built.Load() < builders || pruned.Load() == 0 {
		t.Error("nothing was tested")
	}
	s.checkGood()
}

// told asks for a package as a build does, and gives the paths that are printed.
func (s *site) told(link bool, name string) []string {
	if !link {
		result := s.Run("ocipkg", "get", "--json", name)
		var p struct{ Directory string }
		if err := json.Unmarshal([]byte(result.Stdout), &p); err != nil || result.ExitCode != 0 {
			s.t.Errorf("%v\n%s", err, result)
			return nil
		}
		return []string{filepath.Join(p.Directory, "lib/large.bin"), filepath.Join(p.Directory, "include/library.h")}
	}
	result := s.Run("ocipkg", "link", "--format", "cargo", name)
	var paths []string
	for word := range strings.FieldsFuncSeq(result.Stdout, func(r rune) bool { return r == '\n' || r == '=' }) {
		if filepath.IsAbs(word) {
			paths = append(paths, word)
		}
	}
	if result.ExitCode != 0 || len(paths) == 0 {
		s.t.Errorf("no path is printed\n%s", result)
	}
	return paths
}

// ageOne makes a package look as if a month had gone by.
func (s *site) ageOne(digest string) {
	encoded := strings.TrimPrefix(digest, "sha256:")
	then := time.Now().Add(-40 * day)
	_ = os.Chtimes(filepath.Join(s.store, "packages", "sha256", encoded), then, then)
	_ = os.Chtimes(filepath.Join(s.store, "used", encoded), then, then)
}

func TestRemovingBesideBuildsEndsWell(t *testing.T) {
	s := newSite(t)
	name, digest := s.publish("1")
	var all []*program.Process
	for range 6 {
		all = append(all, s.Start("ocipkg", "get", name), s.Start("ocipkg", "store", "remove", digest), s.Start("ocipkg", "store", "prune", "--all"), s.Start("ocipkg", "store", "fsck"))
	}
	for _, p := range all {
		result := p.Wait()
		if result.ExitCode == 3 && strings.Contains(result.Command, "store") {
			continue // it was not there yet, or not any more
		}
		result.OK()
	}
	s.Run("ocipkg", "get", name).OK()
	s.checkGood()
}

const kills = 12

func TestARemovalThatIsKilledLeavesAGoodStore(t *testing.T) {
	s := newSite(t)
	var names []string
	for i := range 4 {
		name, _ := s.publish(numbered(i))
		names = append(names, name)
	}
	command := append([]string{"store", "remove"}, names...)
	fill := func() {
		for _, name := range names {
			s.Run("ocipkg", "get", name).OK()
		}
	}
	fill()
	duration := s.Run("ocipkg", command...).OK().Elapsed
	killed, halfDone := 0, 0
	for tries := 0; killed < kills; tries++ {
		if tries == 10*kills {
			t.Fatalf("of %d removals only %d were still there to be killed", tries, killed)
		}
		fill()
		r := s.Start("ocipkg", command...).KillAfter(duration * time.Duration(killed) / kills)
		if !r.Killed { // it was quicker than the last time
			duration = r.Elapsed
			continue
		}
		killed++
		if left, err := os.ReadDir(filepath.Join(s.store, "tmp")); err == nil && len(left) > 0 {
			halfDone++
		}
		s.checkGood()
		if t.Failed() {
			t.Fatalf("killed after %d/%d of %v", killed-1, kills, duration)
		}
	}
	t.Logf("%d killed, %d of them half done", killed, halfDone)
}
