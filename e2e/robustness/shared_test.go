package robustness

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// sharers is what a store is shared by: users of one group, each with a umask.
const sharers = 71000

// colleague is one of the users of a store.
type colleague struct {
	*program.Session
	number int
	umask  string
}

// newColleague makes a user of the group, whose programs run without privileges.
func newColleague(t *testing.T, store string, number int, umask string) *colleague {
	t.Helper()
	c := &colleague{program.New(t, program.Options{Privileged: true, Store: store}), sharers + number, umask}
	for _, dir := range []string{c.Home, c.Dir, c.Temp} {
		if err := os.Chown(dir, c.number, sharers); err != nil {
			t.Fatalf("%v; run these tests as root", err)
		}
	}
	return c
}

// run runs ocipkg as this user.
func (c *colleague) run(arguments ...string) *program.Result {
	return c.Run("setpriv", append([]string{fmt.Sprintf("--reuid=%d", c.number), fmt.Sprintf("--regid=%d", sharers), "--clear-groups",
		"sh", "-c", "umask " + c.umask + ` && exec ocipkg "$@"`, "ocipkg"}, arguments...)...)
}

// sharedStore makes the directory of a store, of a mode that chmod takes.
func sharedStore(t *testing.T, mode fs.FileMode) string {
	t.Helper()
	dir := filepath.Join(tempdir.New(t), "store")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 0, sharers); err != nil {
		t.Fatalf("%v; run these tests as root", err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// checkNobodyElseWrites checks that nothing in a store can be written to by
// accounts that are not of the group.
func checkNobodyElseWrites(t *testing.T, store string) {
	t.Helper()
	for name, line := range tree.Of(t, store) {
		mode, _, _ := strings.Cut(line, " ")      // such as drwxrwxr-x
		lock := strings.HasPrefix(name, "locks/") // which has no content; as the umask has it
		if mode[0] != 'L' && mode[len(mode)-2] == 'w' && !lock {
			t.Errorf("everybody can write to %s: %s", name, mode)
		}
	}
}

// publishTwo publishes two packages that share a layer.
func publishTwo(t *testing.T) (one, two string, want map[string]tree.Tree) {
	t.Helper()
	registry := registrytest.StartMemory(t)
	producer := program.New(t, program.Options{})
	tree.WriteRandom(t, filepath.Join(producer.Dir, "in/lib/large"), megabyte+megabyte/4, 5)
	want = map[string]tree.Tree{}
	for _, name := range []string{registry.Host + "/acme/library:1", registry.Host + "/acme/library:2"} {
		producer.WriteFile("in/include/version.h", "// "+name+"\n", 0o644)
		producer.Own(producer.Dir)
		producer.Run("ocipkg", "push", "in", name).OK()
		want[name] = tree.Content(t, filepath.Join(producer.Dir, "in"))
	}
	return registry.Host + "/acme/library:1", registry.Host + "/acme/library:2", want
}

func TestAGroupSharesAStoreWhateverTheUmasks(t *testing.T) {
	t.Parallel()
	one, two, want := publishTwo(t)
	for _, umasks := range [][2]string{{"022", "077"}, {"077", "000"}} {
		store := sharedStore(t, 0o775|fs.ModeSetgid)
		a, b := newColleague(t, store, 1, umasks[0]), newColleague(t, store, 2, umasks[1])
		a.run("get", one).OK()
		for _, use := range [][]string{{"link", one}, {"list"}, {"image-directory", one}, {"get", one}, {"store", "fsck"}, {"get", two}} {
			b.run(use...).OK()
		}
		for _, use := range [][]string{{"link", two}, {"get", two}, {"store", "fsck"}, {"cmake-dir"}} {
			a.run(use...).OK()
		}
		for name := range want {
			dir := strings.TrimSpace(b.run("image-directory", name).OK().Stdout)
			tree.Check(t, name, tree.Content(t, dir), want[name])
		}
		checkNobodyElseWrites(t, store)

		// What one made is read-only also for the other.
		of := fmt.Sprint("belongs to user ", a.number)
		before := tree.Of(t, filepath.Join(store, "packages"))
		b.run("get", "--overwrite", one).Fails(1, one, of)
		b.run("store", "remove", two, one).Fails(1, of)
		storetest.Age(t, store, 40*24*time.Hour)
		tree.Check(t, "packages", tree.Of(t, filepath.Join(store, "packages")), before)
		b.run("store", "prune").OK().Says(two, "1 package")
		a.run("image-directory", two).Fails(3)
		a.run("get", "--overwrite", one).OK()
		b.run("link", one).OK()
		a.run("store", "remove", one).OK()
		storetest.CheckTmpEmpty(t, store)
		b.run("get", one).OK() // with what is there from the other
		checkNobodyElseWrites(t, store)
	}
}

// What was left by a command of the one that was killed must not keep the other
// from working, or must say whose it is.
func TestWhatAKilledColleagueLeftIsNotInTheWayOfOthers(t *testing.T) {
	t.Parallel()
	one, two, _ := publishTwo(t)
	store := sharedStore(t, 0o775|fs.ModeSetgid)
	a, b := newColleague(t, store, 1, "077"), newColleague(t, store, 2, "022")
	digest := strings.TrimPrefix(a.run("get", one).Digest(), "sha256:")
	a.run("store", "remove", one).OK()
	left := filepath.Join(store, "tmp", digest)
	for _, dir := range []string{left, filepath.Join(left, "root")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, a.number, sharers); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Base(a.refOf(t, two))
	file := filepath.Join(store, "tmp", "ref-"+name+".file")
	if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, a.number, sharers); err != nil {
		t.Fatal(err)
	}
	b.run("get", two).OK()
	b.run("get", one).Fails(1, one, fmt.Sprint("user ", a.number), left, "ocipkg store prune")
	a.run("store", "prune").OK()
	b.run("get", one).OK()
	storetest.CheckTmpEmpty(t, store)
}

// refOf gives the file in refs/ that the name has or will have.
func (c *colleague) refOf(t *testing.T, name string) string {
	t.Helper()
	return fmt.Sprintf("refs/%x", sha256.Sum256([]byte(name)))
}

func TestAStoreThatEverybodyMayWriteToHasNothingThatEverybodyMayWriteTo(t *testing.T) {
	t.Parallel()
	one, two, want := publishTwo(t)
	for _, mode := range []fs.FileMode{0o777 | fs.ModeSticky, 0o777} {
		store := sharedStore(t, mode)
		a, b := newColleague(t, store, 1, "000"), newColleague(t, store, 2, "000")
		a.run("get", one).OK()
		for _, use := range [][]string{{"link", one}, {"list"}, {"get", one}, {"store", "fsck"}} {
			b.run(use...).OK()
		}
		b.run("get", two).Fails(1, two, "permission denied", store, "OCIPKG_HOME")
		dir := strings.TrimSpace(b.run("image-directory", one).OK().Stdout)
		tree.Check(t, one, tree.Content(t, dir), want[one])
		a.run("get", two).OK()
		checkNobodyElseWrites(t, store)
	}
}

func TestAStoreOnADiskThatIsReadOnlyServesBuilds(t *testing.T) {
	t.Parallel()
	one, two, want := publishTwo(t)
	disk, remount := smallDisk(t, "20m")
	store := filepath.Join(disk, "store")
	s := program.New(t, program.Options{Store: store})
	s.Run("ocipkg", "get", one).OK()
	s.WriteFile("ocipkg.toml", "[dependencies]\nlibrary = \""+one+"\"\n", 0o644)
	s.Run("ocipkg", "lock").OK()
	serves := func(why string) {
		t.Helper()
		for _, use := range [][]string{{"link", one}, {"link", "library"}, {"--locked", "link", "library"}, {"list"}, {"image-directory", one}, {"get", one}, {"restore"}, {"store", "fsck"}, {"store", "prune", "--dry-run"}} {
			s.Run("ocipkg", use...).OK()
		}
		if r := s.Run("ocipkg-pkg-config", "--cflags", one).OK(); r.Stderr != "" {
			t.Errorf("pkg-config says %s", r)
		}
		dir := strings.TrimSpace(s.Run("ocipkg", "image-directory", one).OK().Stdout)
		tree.Check(t, one, tree.Content(t, dir), want[one])
		for _, command := range [][]string{{"get", two}, {"link", two}} {
			s.Run("ocipkg", command...).Fails(1, why, store, "OCIPKG_HOME")
		}
		for _, command := range [][]string{{"get", "--overwrite", one}, {"store", "remove", "--force", one}} {
			s.Run("ocipkg", command...).Exit(1)
		}
		s.Run("ocipkg", "link", one).OK()
		storetest.CheckTmpEmpty(t, store)
	}
	remount("20m,ro")
	serves("read-only file system")
	remount("20m,rw")
	// Of another user, who lets everybody read.
	if output, err := exec.Command("chown", "-R", "root", store).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if output, err := exec.Command("chmod", "-R", "a+rX", store).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	serves("permission denied")
	if output, err := exec.Command("chown", "-R", "65534", store).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	s.Run("ocipkg", "get", two).OK()
}
