package robustness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// Users of the machine, other than the tests' own accounts.
const (
	owner    = 71001
	stranger = 71002
	group    = 71000 // which both are of
)

// as runs a command as one of them, whose home is the session's.
func as(s *program.Session, user int, name string, arguments ...string) *program.Result {
	return s.Run("setpriv", append([]string{fmt.Sprintf("--reuid=%d", user), fmt.Sprintf("--regid=%d", group), "--clear-groups", name}, arguments...)...)
}

// newUser gives a session of one of them with a store.
func newUser(t *testing.T, store string, user int) *program.Session {
	t.Helper()
	s := program.New(t, program.Options{Privileged: true, Store: store})
	for _, dir := range []string{s.Home, s.Dir, s.Temp} {
		if err := os.Chown(dir, user, group); err != nil {
			t.Fatalf("%v; run these tests as root", err)
		}
	}
	return s
}

// storeOf makes the directory of a user's store, of a mode that chmod takes.
func storeOf(t *testing.T, user int, mode fs.FileMode) string {
	t.Helper()
	dir := filepath.Join(tempdir.New(t), "store")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, user, group), os.Chmod(dir, mode)); err != nil {
		t.Fatalf("%v; run these tests as root", err)
	}
	return dir
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

// Whoever may write to a store could change what is linked, and plant links for
// others to follow.
func TestAStoreThatOthersMayWriteToIsRefused(t *testing.T) {
	t.Parallel()
	one, _, _ := publishTwo(t)
	for _, mode := range []fs.FileMode{0o775 | fs.ModeSetgid, 0o777 | fs.ModeSticky, 0o777, 0o720} {
		store := storeOf(t, owner, mode)
		s := newUser(t, store, owner)
		for _, command := range [][]string{{"get", one}, {"link", one}, {"list"}, {"cmake-dir"}, {"store", "prune"}} {
			as(s, owner, "ocipkg", command...).Fails(2, store, "chmod go-w", "OCIPKG_HOME")
		}
		as(s, owner, "ocipkg-pkg-config", "--cflags", one).Exit(1).Says(store)
		as(s, owner, "chmod", "go-w", store).OK()
		as(s, owner, "ocipkg", "get", one).OK()
	}
}

// Root is a user like others.
func TestNothingIsWrittenToAStoreOfAnotherUser(t *testing.T) {
	t.Parallel()
	one, two, want := publishTwo(t)
	store := storeOf(t, owner, 0o755)
	secret := filepath.Join(tempdir.New(t), "secret")
	if err := os.WriteFile(secret, []byte("of root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	of := newUser(t, store, owner)
	as(of, owner, "ocipkg", "get", one).OK()
	// What the owner plants is followed by nobody.
	for _, part := range []string{"layers", "used", "roots", "pushed"} {
		as(of, owner, "rm", "-rf", filepath.Join(store, part)).OK()
		as(of, owner, "ln", "-s", filepath.Dir(secret), filepath.Join(store, part)).OK()
	}
	before := tree.Of(t, store)
	for _, user := range []int{stranger, 0} {
		s := newUser(t, store, user)
		for _, use := range [][]string{{"link", one}, {"list"}, {"get", one}, {"cmake-dir"}} {
			as(s, user, "ocipkg", use...).OK()
		}
		module := strings.TrimSpace(as(s, user, "ocipkg", "cmake-dir").OK().Stdout)
		if !strings.HasPrefix(module, s.Home) {
			t.Errorf("CMake runs %s", module)
		}
		dir := strings.TrimSpace(as(s, user, "ocipkg", "image-directory", one).OK().Stdout)
		tree.Check(t, one, tree.Content(t, dir), want[one])
		as(s, user, "ocipkg", "get", two).Fails(1, two, "permission denied", store, "OCIPKG_HOME")
		for _, command := range [][]string{{"get", "--overwrite", one}, {"store", "remove", "--force", one}, {"store", "prune"}} {
			as(s, user, "ocipkg", command...).Exit(1)
		}
	}
	tree.Check(t, "the store", tree.Of(t, store), before)
	if text, err := os.ReadFile(secret); err != nil || string(text) != "of root\n" {
		t.Errorf("the file of root has %q, %v", text, err)
	}
}

func TestSharedStoresServeWhatOnesOwnDoesNotHave(t *testing.T) {
	t.Parallel()
	one, two, want := publishTwo(t)
	shared := storeOf(t, owner, 0o755)
	as(newUser(t, shared, owner), owner, "ocipkg", "get", one).OK()
	before := tree.Of(t, shared)
	own := storeOf(t, stranger, 0o700)
	s := newUser(t, own, stranger)
	s.Env = append(s.Env, "OCIPKG_SHARED_STORES="+shared)
	dir := strings.TrimSpace(as(s, stranger, "ocipkg", "--offline", "image-directory", one).OK().Stdout)
	if !strings.HasPrefix(dir, shared+"/") {
		t.Errorf("the package is in %s", dir)
	}
	tree.Check(t, one, tree.Content(t, dir), want[one])
	as(s, stranger, "ocipkg-pkg-config", "--cflags", one).OK().Says(shared)
	as(s, stranger, "ocipkg", "get", one).OK()
	as(s, stranger, "ocipkg", "get", two).OK()
	if dir := strings.TrimSpace(as(s, stranger, "ocipkg", "image-directory", two).OK().Stdout); !strings.HasPrefix(dir, own+"/") {
		t.Errorf("the other package is in %s", dir)
	}
	as(s, stranger, "ocipkg", "store", "fsck").OK()
	tree.Check(t, "the shared store", tree.Of(t, shared), before)
	if err := os.Chmod(shared, 0o775); err != nil {
		t.Fatal(err)
	}
	as(s, stranger, "ocipkg", "link", one).Fails(2, "OCIPKG_SHARED_STORES", shared)
}

// Who may read a store may not keep its owner waiting.
func TestAReaderCannotHoldTheLocksOfAStore(t *testing.T) {
	t.Parallel()
	one, _, _ := publishTwo(t)
	store := storeOf(t, owner, 0o755)
	s := newUser(t, store, owner)
	as(s, owner, "ocipkg", "get", one).OK()
	locks, err := os.ReadDir(filepath.Join(store, "locks"))
	if err != nil || len(locks) == 0 {
		t.Fatalf("there are %d locks, %v", len(locks), err)
	}
	reader := newUser(t, store, stranger)
	for _, lock := range locks {
		if r := as(reader, stranger, "flock", "--nonblock", filepath.Join(store, "locks", lock.Name()), "true"); r.ExitCode == 0 {
			t.Errorf("a reader can hold %s", lock.Name())
		}
	}
}

// Any user of the machine may leave something in /tmp that is called as our
// temporary directories are.
func TestTemporaryDirectoriesOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := tempdir.New(t)
	if err := os.Chmod(dir, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	s := newUser(t, "", owner)
	left, made := filepath.Join(dir, ".ocipkg-1.tmp"), filepath.Join(s.Dir, "made")
	fifo := filepath.Join(dir, ".ocipkg-2.tmp")
	as(s, stranger, "sh", "-c", fmt.Sprintf("mkdir -m 755 %s %s && ln -s %s %[1]s/lock && mkfifo -m 666 %[2]s/lock", left, fifo, made)).OK()
	as(s, owner, "sh", "-c", "mkdir in && echo >in/a.h").OK()
	as(s, owner, "ocipkg", "pack", "in", filepath.Join(dir, "out.tar")).OK()
	if _, err := os.Lstat(made); err == nil {
		t.Error("the link of another user was followed")
	}
	for _, path := range []string{left, fifo} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("what is another user's is gone: %v", err)
		}
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
