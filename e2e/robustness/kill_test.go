package robustness

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// checkVersion checks that a package's tree has a file named version with that
// text, and beside it what want has.
func checkVersion(t *testing.T, dir, version string, want tree.Tree) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "version"))
	if err != nil || string(text) != version {
		t.Errorf("%s/version is %q (%v), want %q", dir, text, err, version)
	}
	got := tree.Content(t, dir)
	delete(got, "version")
	tree.Check(t, dir, got, want)
}

// killedCommand is a command that is killed again and again.
type killedCommand struct {
	// prepare makes what the command will find.
	prepare   func()
	arguments []string
	// stage tells, from what a killed command left, how far it had come.
	stages []string
	stage  func() string
	// check looks at what it left, finish runs the command, or the one that a
	// user would run then, to its end and checks that all is well; it tells how
	// long that took, or zero when it had less to do than usual.
	check  func()
	finish func() time.Duration
}

// kills is how many there are of each command.
func kills() int {
	if os.Getenv("OCIPKG_SOAK") == "1" {
		return 250
	}
	return 15
}

// measured is after how many kills the duration of a command is measured again,
// since a machine does not stay as busy as it was.
const measured = 10

// killThroughout kills a command at moments drawn over the time that it takes,
// which is measured anew all along: one in each of as many parts of that time as
// there are kills. It prints at which of its stages the command died.
func killThroughout(t *testing.T, s *program.Session, seed uint64, c killedCommand) {
	t.Helper()
	var duration time.Duration
	random := rand.New(rand.NewPCG(seed, 0))
	histogram := map[string]int{}
	ended := 0
	for n := 0; n < kills(); {
		if n%measured == 0 {
			c.prepare()
			duration = s.Run("ocipkg", c.arguments...).OK().Elapsed
		}
		c.prepare()
		delay := time.Duration(float64(duration) * (float64(n) + random.Float64()) / float64(kills()))
		r := s.Start("ocipkg", c.arguments...).KillAfter(delay)
		if !r.Killed { // it was quicker than the last time
			r.OK()
			duration = r.Elapsed
			if ended++; ended > 10*kills() {
				t.Fatalf("of %d runs only %d were still there to be killed", n+ended, n)
			}
			continue
		}
		n++
		stage := c.stage()
		histogram[stage]++
		if !slices.Contains(c.stages, stage) {
			t.Errorf("%q is no stage", stage)
		}
		c.check()
		if took := c.finish(); took > 0 {
			duration = took
		}
		if t.Failed() {
			t.Fatalf("killed after %v of %v: %s", delay, duration, stage)
		}
	}
	t.Logf("%s: killed %d times within %v, and %d times it had ended before:", strings.Join(c.arguments, " "), kills(), duration.Round(time.Millisecond), ended)
	for _, stage := range c.stages {
		t.Logf("%6d  %-32s %s", histogram[stage], stage, strings.Repeat("#", (histogram[stage]*60+kills()-1)/kills()))
	}
	if len(histogram) < 2 {
		t.Error("the kills hit one stage only")
	}
}

// killSite is a user with a package in the store, which must outlive whatever
// happens to commands about another that shares a layer with it.
type killSite struct {
	*program.Session
	t         *testing.T
	registry  *registrytest.Registry
	store     string
	bystander string // its name
	beside    tree.Tree
	name      string // of the other, which is in the registry and in other.tar
	digest    string
	want      tree.Tree
	kept      string // a copy of the store
}

func newKillSite(t *testing.T) *killSite {
	t.Helper()
	k := &killSite{Session: program.New(t, program.Options{}), t: t, registry: registrytest.StartMemory(t), kept: filepath.Join(tempdir.New(t), "store")}
	k.store = storetest.Dir(k.Session)
	k.bystander, k.name = k.registry.Host+"/acme/bystander:1", k.registry.Host+"/acme/library:1"
	tree.WriteRandom(t, filepath.Join(k.Dir, "beside/lib/shared"), megabyte+megabyte/4, 9)
	k.WriteFile("beside/include/beside.h", "#define BESIDE\n", 0o644)
	k.beside = tree.Content(t, filepath.Join(k.Dir, "beside"))
	makePackage(t, k.Session, 4*megabyte)
	tree.WriteRandom(t, filepath.Join(k.Dir, "in/lib/shared"), megabyte+megabyte/4, 9)
	k.want = tree.Content(t, filepath.Join(k.Dir, "in"))
	k.Own(k.Dir)
	k.Run("ocipkg", "push", "beside", k.bystander).OK()
	k.digest = k.Run("ocipkg", "push", "in", k.name).Digest()
	k.Run("ocipkg", "pack", "in", "other.tar", "-t", k.name).OK()
	k.Run("ocipkg", "get", k.bystander).OK()
	k.keep()
	return k
}

// keep notes the store as it is, for restore.
func (k *killSite) keep() { k.copyStore(k.store, k.kept) }

func (k *killSite) restore() { k.copyStore(k.kept, k.store) }

func (k *killSite) copyStore(from, to string) {
	k.t.Helper()
	if err := tempdir.Remove(to); err != nil {
		k.t.Fatal(err)
	}
	if output, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		k.t.Fatalf("copy the store: %v: %s", err, output)
	}
}

// has tells whether there is something at a path in the store, with patterns.
func (k *killSite) has(pattern string) bool {
	k.t.Helper()
	found, err := filepath.Glob(filepath.Join(k.store, pattern))
	if err != nil {
		k.t.Fatal(err)
	}
	return len(found) > 0
}

func (k *killSite) count(dir string) int {
	entries, _ := os.ReadDir(filepath.Join(k.store, dir))
	return len(entries)
}

// checkPackages checks that the store has the bystander, whole, and the other
// whole or not at all; must says that it must be there.
func (k *killSite) checkPackages(must bool) {
	k.t.Helper()
	other := false
	for _, root := range storetest.Roots(k.t, k.store) {
		dir := filepath.Dir(root)
		want := k.beside
		if filepath.Base(dir) == strings.TrimPrefix(k.digest, "sha256:") {
			want, other = k.want, true
		}
		tree.Check(k.t, dir, tree.Content(k.t, root), want)
	}
	if must && !other {
		k.t.Error("the package is not there")
	}
	if r := k.Run("ocipkg", "image-directory", k.bystander); r.ExitCode != 0 {
		k.t.Errorf("the other package is lost: %s", r)
	}
}

// checkGood checks the store by its own means, once commands have ended.
func (k *killSite) checkGood() {
	k.t.Helper()
	storetest.CheckTmpEmpty(k.t, k.store)
	if r := k.Run("ocipkg", "store", "fsck"); r.ExitCode != 0 {
		k.t.Errorf("%s", r)
	}
}

func TestAGetKilledAtAnyMomentLosesNothing(t *testing.T) {
	t.Parallel()
	k := newKillSite(t)
	k.killIncoming(1, "get", k.name)
}

func TestALoadKilledAtAnyMomentLosesNothing(t *testing.T) {
	t.Parallel()
	k := newKillSite(t)
	k.killIncoming(2, "load", "other.tar")
}

// killIncoming kills a command that brings the package.
func (k *killSite) killIncoming(seed uint64, arguments ...string) {
	k.t.Helper()
	encoded := strings.TrimPrefix(k.digest, "sha256:")
	refs := k.count("refs")
	blobs := k.count("blobs/sha256")
	stages := []string{"before it asked or wrote anything", "asking the registry", "unpacking", "writing the note of a blob", "moving it into place", "writing its name", "done, and about to end"}
	killThroughout(k.t, k.Session, seed, killedCommand{
		prepare: func() { k.restore(); k.registry.ClearRequests() }, arguments: arguments, stages: stages,
		stage: func() string {
			switch {
			case k.count("refs") > refs:
				return stages[6]
			case k.has("packages/sha256/" + encoded):
				return stages[5]
			case k.has("tmp/"+encoded) && k.count("blobs/sha256") >= blobs+2:
				return stages[4]
			case k.has("tmp/"+encoded+"/link.json") || k.has("tmp/*.file"):
				return stages[3]
			case k.has("tmp/" + encoded):
				return stages[2]
			case len(k.registry.Requests()) > 0:
				return stages[1]
			}
			return stages[0]
		},
		check: func() { k.checkPackages(false) },
		finish: func() (took time.Duration) {
			whole := !k.has("packages/sha256/" + encoded)
			r := k.Run("ocipkg", arguments...).OK()
			if whole {
				took = r.Elapsed
			}
			k.checkPackages(true)
			k.checkGood()
			return took
		},
	})
}

func TestAPushKilledAtAnyMomentLeavesTheOldPackageOrTheNewOne(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/library:1"
	for i := range 60 {
		s.WriteFile(fmt.Sprintf("in/include/header-%d.h", i), fmt.Sprintf("#define HEADER %d\n", i), 0o644)
	}
	version := uint64(0)
	s.WriteFile("in/version", "0", 0o644)
	before := s.Run("ocipkg", "push", "in", name).Digest()
	stages := []string{"before it asked or wrote anything", "asking the registry", "packing", "asking what the registry has", "sending layers", "sending the manifest", "the tag is moved"}
	tag := func() string {
		fields := strings.Fields(s.Run("ocipkg", "inspect", "--verify", "--json", name).OK().Stdout)
		return strings.Join(fields, " ")
	}
	old := tag()
	killThroughout(t, s, 3, killedCommand{
		prepare: func() {
			old = tag()
			version++
			s.WriteFile("in/version", fmt.Sprint(version), 0o644)
			random := make([]byte, megabyte/2)
			_, _ = rand.NewChaCha8([32]byte{byte(version), byte(version >> 8)}).Read(random)
			s.WriteFile("in/lib/large", string(random), 0o644)
			registry.ClearRequests()
		},
		arguments: []string{"push", "in", name}, stages: stages,
		stage: func() string {
			left, _ := os.ReadDir(s.Temp)
			switch {
			case registry.Count("PUT", "/manifests/", 201) > 0:
				return stages[6]
			case registry.Count("PUT", "/manifests/") > 0:
				return stages[5]
			case registry.Count("PUT", "/blobs/")+registry.Count("POST", "/blobs/")+registry.Count("PATCH", "/blobs/") > 0:
				return stages[4]
			case registry.Count("HEAD", "/blobs/") > 0:
				return stages[3]
			case len(left) > 0:
				return stages[2]
			case len(registry.Requests()) > 0:
				return stages[1]
			}
			return stages[0]
		},
		check: func() {
			moved := registry.Count("PUT", "/manifests/", 201) > 0
			if now := tag(); now != old && !moved {
				t.Errorf("the tag stands for something else, though no manifest came:\n%s\n%s", old, now)
			}
		},
		finish: func() (took time.Duration) {
			moved := registry.Count("PUT", "/manifests/") > 0
			r := s.Run("ocipkg", "push", "in", name)
			digest := r.Digest()
			if digest == before {
				t.Error("nothing new was pushed")
			}
			before = digest
			if !moved {
				took = r.Elapsed
			}
			if now := tag(); !strings.Contains(now, digest) {
				t.Errorf("the tag does not stand for %s: %s", digest, now)
			}
			tree.Check(t, "TMPDIR", tree.Of(t, s.Temp), tree.Tree{})
			storetest.CheckTmpEmpty(t, storetest.Dir(s))
			return took
		},
	})
}

func TestAPruneKilledAtAnyMomentLosesNothing(t *testing.T) {
	t.Parallel()
	k := newKillSite(t)
	for i := range 6 {
		k.WriteFile(fmt.Sprintf("beside/include/header-%d.h", i), "", 0o644)
	}
	var names []string
	for i := range 16 {
		k.WriteFile("beside/version", fmt.Sprint(i), 0o644)
		name := fmt.Sprintf("%s-%d", k.name, i)
		k.Run("ocipkg", "push", "beside", name).OK()
		k.Run("ocipkg", "get", name).OK()
		names = append(names, name)
	}
	storetest.Age(t, k.store, 40*24*time.Hour)
	k.Run("ocipkg", "link", k.bystander).OK() // which it may not take
	k.keep()
	packages, refs, blobs := k.count("packages/sha256"), k.count("refs"), k.count("blobs/sha256")
	stages := []string{"before it took anything", "taking a package away", "removing what was taken", "between packages", "removing names", "removing blobs", "removing notes"}
	killThroughout(t, k.Session, 4, killedCommand{
		prepare: k.restore, arguments: []string{"store", "prune"}, stages: stages,
		stage: func() string {
			switch left := k.count("packages/sha256"); {
			case k.has("tmp/*.old"):
				return stages[1]
			case k.has("tmp/*/root") || k.has("tmp/*/files"):
				return stages[2]
			case left > 1 && left < packages:
				return stages[3]
			case left == packages:
				return stages[0]
			case k.count("refs") > 1 && k.count("refs") <= refs:
				return stages[4]
			case k.count("blobs/sha256") > 2 && k.count("blobs/sha256") <= blobs:
				return stages[5]
			}
			return stages[6]
		},
		check: func() {
			if r := k.Run("ocipkg", "image-directory", k.bystander); r.ExitCode != 0 {
				t.Errorf("the package in use is lost: %s", r)
			}
			// What the names still lead to is whole, or is not there.
			if r := k.Run("ocipkg", "store", "fsck"); r.ExitCode != 0 {
				t.Errorf("%s", r)
			}
		},
		finish: func() time.Duration {
			k.Run("ocipkg", "store", "prune").OK()
			k.checkGood()
			for dir, n := range map[string]int{"packages/sha256": 1, "refs": 1, "blobs/sha256": 2} {
				if got := k.count(dir); got != n {
					t.Errorf("%s has %d, want %d", dir, got, n)
				}
			}
			tree.Check(t, "the package in use", tree.Content(t, storetest.Roots(t, k.store)[0]), k.beside)
			return 0
		},
	})
	for _, name := range names {
		k.Run("ocipkg", "image-directory", name).Fails(3)
	}
}

func TestPackKilledAtAnyMomentKeepsTheOldArchive(t *testing.T) {
	s := program.New(t, program.Options{})
	makePackage(t, s, 32*megabyte)
	s.WriteFile("old/file", "old", 0o644)
	s.Run("ocipkg", "pack", "old", "out.tar").OK()
	archive := filepath.Join(s.Dir, "out.tar")
	old := fileSum(t, archive)
	duration := s.Run("ocipkg", "pack", "in", "new.tar").OK().Elapsed
	whole := fileSum(t, filepath.Join(s.Dir, "new.tar"))
	for i := range 15 {
		s.Start("ocipkg", "pack", "-f", "in", "out.tar").KillAfter(duration * time.Duration(i) / 15)
		if sum := fileSum(t, archive); sum != old && sum != whole {
			t.Fatalf("a pack killed after %v of %v left an archive that is neither the old nor the new one", duration*time.Duration(i)/15, duration)
		}
	}
	s.Run("ocipkg", "pack", "-f", "in", "out.tar").OK()
	if fileSum(t, archive) != whole {
		t.Error("after the kills the archive differs")
	}
	// What the killed ones had begun does not pile up beside the archive.
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			t.Errorf("%s of a pack that was killed is still there after the next one", entry.Name())
		}
	}
}
