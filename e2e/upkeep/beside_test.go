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

// Every path that a build is told of must be there when it looks, for which it
// has a day; here the packages look as if nobody had used them for a month, each
// time before they are asked for.
func TestPruningBesideBuildsTakesNothingFromThem(t *testing.T) {
	s := newSite(t)
	var names []string
	for i := range 3 {
		name, _ := s.publish(numbered(i))
		names = append(names, name)
		s.Run("ocipkg", "get", name).OK()
	}
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
				name := names[i%len(names)]
				var paths []string
				if b%2 == 0 {
					result := s.Run("ocipkg", "link", "--format", "json", name)
					var flags struct{ Includes []string }
					if result.ExitCode != 0 {
						t.Errorf("%s", result)
						return
					}
					if err := json.Unmarshal([]byte(result.Stdout), &flags); err != nil {
						t.Error(err)
					}
					for word := range strings.SplitSeq(result.Stdout, `"`) {
						if filepath.IsAbs(word) && strings.Contains(word, "root") {
							paths = append(paths, word)
						}
					}
				} else {
					result := s.Run("ocipkg", "get", "--json", name)
					var p struct{ Directory string }
					if err := json.Unmarshal([]byte(result.Stdout), &p); err != nil || result.ExitCode != 0 {
						t.Errorf("%v\n%s", err, result)
						return
					}
					paths = append(paths, filepath.Join(p.Directory, "lib/large.bin"), filepath.Join(p.Directory, "include/library.h"))
				}
				if len(paths) == 0 {
					t.Error("no path is printed")
				}
				for _, path := range paths {
					if _, err := os.Stat(path); err != nil {
						t.Errorf("a build was told of %s, and then: %v", path, err)
					}
				}
				built.Add(1)
			}
		})
	}
	// What is used now and then, and was long ago.
	aging := make(chan struct{})
	go func() {
		defer close(aging)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
				ageOne(s.store, i)
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

// ageOne makes one of the packages look unused, as if a month had gone by after
// the builds that asked for it; those that ask now see to it again. It takes the
// package's lock, so that it makes nobody's new note old.
func ageOne(store string, i int) {
	dirs, err := filepath.Glob(filepath.Join(store, "packages", "sha256", "*"))
	if err != nil || len(dirs) == 0 {
		return
	}
	dir := dirs[i%len(dirs)]
	used := filepath.Join(store, "used", filepath.Base(dir))
	then := time.Now().Add(-40 * day)
	_ = os.Chtimes(dir, then, then)
	_ = os.Chtimes(used, then, then)
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

const kills = 24

func TestARemovalThatIsKilledLeavesAGoodStore(t *testing.T) {
	s := newSite(t)
	var names []string
	for i := range 4 {
		name, _ := s.publish(numbered(i))
		names = append(names, name)
	}
	fill := func() {
		for _, name := range names {
			s.Run("ocipkg", "get", name).OK()
		}
		s.age(40 * day)
	}
	for what, command := range map[string][]string{
		"prune":  {"store", "prune"},
		"remove": append([]string{"store", "remove"}, names...),
	} {
		fill()
		duration := s.Run("ocipkg", command...).OK().Elapsed
		killed, halfDone := 0, 0
		for i := range kills {
			fill()
			if s.Start("ocipkg", command...).KillAfter(duration * time.Duration(i) / kills).Killed {
				killed++
			}
			if left, err := os.ReadDir(filepath.Join(s.store, "tmp")); err == nil && len(left) > 0 {
				halfDone++
			}
			s.checkGood()
			if t.Failed() {
				t.Fatalf("%s killed after %d/%d of %v", what, i, kills, duration)
			}
		}
		t.Logf("%s: %d of %d killed, %d of them half done", what, killed, kills, halfDone)
		if killed < kills/2 {
			t.Errorf("%s: %d of %d were killed", what, killed, kills)
		}
	}
}
