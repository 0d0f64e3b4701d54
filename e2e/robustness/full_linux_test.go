package robustness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/syscalls"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// world is a user with a project, a store and a registry, whose directories can
// be made again what they were.
type world struct {
	*program.Session
	t        *testing.T
	registry *registrytest.Registry
	kept     string // a copy of the directories
}

// package names of a world.
func (w *world) name(tag string) string { return w.registry.Host + "/acme/library:" + tag }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Session: program.New(t, program.Options{}), t: t, registry: registrytest.StartMemory(t), kept: tempdir.New(t)}
	tree.WriteRandom(t, filepath.Join(w.Dir, "in/lib/large.bin"), megabyte+megabyte/2, 1)
	w.WriteFile("in/include/library.h", "#define LIBRARY 1\n", 0o644)
	w.Own(filepath.Join(w.Dir, "in"))
	for _, tag := range []string{"1", "2"} {
		w.WriteFile("in/version", tag, 0o644)
		w.Run("ocipkg", "push", "in", w.name(tag)).OK()
	}
	w.WriteFile("in2/lib/libx.c", "int x(void) { return 1; }\n", 0o644)
	w.Run("sh", "-c", "cc -shared -o in2/lib/libx.so.1.0 -Wl,-soname,libx.so.1 in2/lib/libx.c && rm in2/lib/libx.c && ln -s libx.so.1.0 in2/lib/libx.so").OK()
	w.Run("ocipkg", "push", "in2", w.name("lib")).OK()
	w.Run("ocipkg", "pack", "in", "out.tar", "-t", w.name("2")).OK()
	w.Run("ocipkg", "copy", "out.tar", "oci:layout").OK()
	return w
}

// keep notes what is there, for restore.
func (w *world) keep() {
	w.t.Helper()
	w.copyAll(filepath.Dir(w.Home), w.kept)
}

func (w *world) restore() {
	w.t.Helper()
	w.copyAll(w.kept, filepath.Dir(w.Home))
}

// copyAll makes the directories of to those of from, times and owners included.
func (w *world) copyAll(from, to string) {
	w.t.Helper()
	for _, dir := range []string{w.Home, w.Dir, w.Temp} {
		at := filepath.Join(to, filepath.Base(dir))
		if err := tempdir.Remove(at); err != nil {
			w.t.Fatal(err)
		}
		if output, err := exec.Command("cp", "-a", filepath.Join(from, filepath.Base(dir)), at).CombinedOutput(); err != nil {
			w.t.Fatalf("copy %s: %v: %s", dir, err, output)
		}
	}
}

// state is what a command is to have made: the user's files, and what the store
// has, without what is only a memory.
func (w *world) state() tree.Tree {
	w.t.Helper()
	all := tree.Tree{}
	add := func(prefix string, of tree.Tree) {
		for name, line := range of {
			all[prefix+name] = line
		}
	}
	add("work/", tree.Of(w.t, w.Dir))
	store := storetest.Dir(w.Session)
	for _, part := range []string{"packages", "blobs", "refs", "cmake"} {
		if _, err := os.Stat(filepath.Join(store, part)); err == nil {
			add(part+"/", tree.Content(w.t, filepath.Join(store, part)))
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "refs/") {
			all[name] = "" // the time is in it
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

var hexadecimal = regexp.MustCompile(`[0-9a-f]{32,}`)

// fullDisk is a command that meets a full disk.
type fullDisk struct {
	arguments []string
	// takes says that the command takes things away, of which it may have done a
	// part; the next prune does what is left. It makes room, too: only one call
	// fails.
	takes bool
	// short has the command tried in short test runs, too.
	short bool
}

// fillDisk runs the command with room up to a call for more of it, then without, at
// each call there is, or in a short run one of each kind.
func (w *world) fillDisk(c fullDisk) {
	t := w.t
	t.Helper()
	began := time.Now()
	command := strings.Join(c.arguments, " ")
	w.keep()
	before := w.state()
	w.Run("ocipkg", c.arguments...).OK()
	want := w.state()
	disk := filepath.Dir(w.Home)
	plan := syscalls.Plan{
		Names:   []string{"open", "mkdir", "rename", "link", "symlink", "write", "fallocate"},
		Verdict: syscall.ENOSPC, Stays: !c.takes,
		Skip: func(c syscalls.Call) bool { // what is there needs no room
			return !strings.HasPrefix(c.Path, disk+"/") || (c.Name == "open" || c.Name == "rename") && exists(c.Path)
		},
		Prepare: w.restore,
	}
	plan.Kind = w.kind()
	times := 0
	store := storetest.Dir(w.Session)
	plan.Check = func(at syscalls.Call, r *program.Result) {
		times++
		switch rel, _ := filepath.Rel(store, at.Path); {
		case r.ExitCode != 0:
			if r.Exit(1).Says("no space left on device"); !c.takes { // what went already, is told
				r.Fails(1)
			}
			if !strings.Contains(r.Stderr, disk) && !strings.Contains(r.Stderr, ".ocipkg-") { // below the working directory
				t.Errorf("the error does not say which disk is full\n%s", r)
			}
			for _, line := range tree.Diff(w.state(), before) {
				name, what, _ := strings.Cut(line, " ")
				harmless := what == "is new" && (strings.HasPrefix(name, "packages/") || strings.Contains(name, "blobs/"))
				if !harmless && !c.takes {
					t.Errorf("%s, without room at %s, changed something: %s", command, at, line)
				}
			}
		case !memory.MatchString(rel) && !strings.HasSuffix(at.Path, ".old.tmp"): // the latter is only tidying up
			t.Errorf("without room at %s it succeeds\n%s", at, r)
		default:
			tree.Check(t, command+", without room at "+at.String(), w.state(), want)
		}
		tree.Check(t, "TMPDIR", tree.Of(t, w.Temp), tree.Tree{})
		storetest.CheckTmpEmpty(t, store)
		if again := w.Run("ocipkg", c.arguments...); again.ExitCode != 0 && !(c.takes && again.ExitCode == 3) {
			t.Errorf("once there is room: %s", again)
		}
		w.checkMade(c, want)
		if t.Failed() {
			t.Fatalf("without room at %s", at)
		}
	}
	syscalls.Each(t, w.Session, plan, "ocipkg", c.arguments...)
	t.Logf("%s: the disk was full at %d calls, in %v", command, times, time.Since(began).Round(time.Millisecond))
	if times == 0 {
		t.Errorf("%s needs no room", command)
	}
	w.restore()
}

// memory is what the store has to be quicker the next time.
var memory = regexp.MustCompile(`^(roots|pushed|layers|used|summary|(locks|tmp)/(root-|pushed-|summary))`)

// commands are those that write something, in a world that has what they need.
func commands(t *testing.T) (w *world, all []fullDisk) {
	t.Helper()
	w = newWorld(t)
	w.WriteFile("ocipkg.toml", "[dependencies]\nlibrary = \""+w.name("1")+"\"\n", 0o644)
	w.WriteFile("main.go", "package main\n\n// #cgo pkg-config: "+w.name("1")+"\nimport \"C\"\n\nfunc main() {}\n", 0o644)
	w.WriteFile("go.mod", "module example.com/main\n", 0o644)
	all = []fullDisk{
		{arguments: []string{"get", w.name("1")}, short: true},
		{arguments: []string{"load", "out.tar"}},
		{arguments: []string{"push", "in", w.name("3")}},
		{arguments: []string{"pack", "--overwrite", "in", "new.tar"}},
		{arguments: []string{"pack", "in", "oci:new"}},
		{arguments: []string{"pack", "--overwrite", "in", "out.tar"}},
		{arguments: []string{"compose", "--overwrite", "in/version", "-o", "new.tar"}},
		{arguments: []string{"copy", "--overwrite", w.name("1"), "new.tar"}},
		{arguments: []string{"copy", w.name("1"), "oci:layout"}},
		{arguments: []string{"lock"}},
		{arguments: []string{"add", w.name("2")}, short: true},
		{arguments: []string{"vendor", "vendored"}},
		{arguments: []string{"restore"}},
		{arguments: []string{"link", "library"}},
		{arguments: []string{"pin"}},
		{arguments: []string{"cmake-dir"}},
		{arguments: []string{"bundle", "libraries", w.name("lib")}},
	}
	all = slices.DeleteFunc(all, func(c fullDisk) bool { return !c.short && os.Getenv("OCIPKG_SOAK") != "1" })
	return w, all
}

// getTwo brings packages into the store, one of which a removal can take away.
func (w *world) getTwo() (removal fullDisk) {
	w.t.Helper()
	for _, tag := range []string{"1", "2"} {
		w.Run("ocipkg", "get", w.name(tag)).OK()
	}
	return fullDisk{arguments: []string{"store", "remove", w.name("2")}, takes: true, short: true}
}

func TestCommandsThatMeetAFullDiskAtAnyCallSaySoAndLeaveNothingHalfMade(t *testing.T) {
	t.Parallel()
	w, all := commands(t)
	for _, c := range all {
		w.fillDisk(c)
	}
	w.fillDisk(w.getTwo())
}

func TestCommandsKilledAtAnyCallAreDoneByTheNextRun(t *testing.T) {
	t.Parallel()
	w, all := commands(t)
	for _, c := range all {
		if c.arguments[0] != "get" || os.Getenv("OCIPKG_SOAK") == "1" { // of which the renames are tried apart
			w.killEverywhere(c)
		}
	}
	w.killEverywhere(w.getTwo())
}

// killEverywhere kills the command before each call that changes something, or
// in a short run before one of each kind, and runs it again.
func (w *world) killEverywhere(c fullDisk) {
	t := w.t
	t.Helper()
	command := strings.Join(c.arguments, " ")
	w.keep()
	w.Run("ocipkg", c.arguments...).OK()
	want := w.state()
	plan := syscalls.Plan{Names: syscalls.Changes, Verdict: syscalls.ErrKill, Prepare: w.restore, Kind: w.kind()}
	plan.Skip = func(c syscalls.Call) bool { return !strings.HasPrefix(c.Path, filepath.Dir(w.Home)+"/") }
	times := 0
	plan.Check = func(at syscalls.Call, r *program.Result) {
		times++
		if !r.OrKilled() {
			t.Errorf("not killed at %s", at)
		}
		if again := w.Run("ocipkg", c.arguments...); again.ExitCode != 0 && !(c.takes && again.ExitCode == 3) {
			t.Errorf("after a kill: %s", again)
		}
		w.checkMade(c, want)
		if t.Failed() {
			t.Fatalf("%s, killed at %s", command, at)
		}
	}
	syscalls.Each(t, w.Session, plan, "ocipkg", c.arguments...)
	t.Logf("%s: killed at %d calls", command, times)
	w.restore()
}

// kind tells calls apart in short runs.
func (w *world) kind() func(syscalls.Call) string {
	if os.Getenv("OCIPKG_SOAK") == "1" {
		return nil
	}
	return func(at syscalls.Call) string {
		if rel, err := filepath.Rel(storetest.Dir(w.Session), at.Path); err == nil && filepath.IsLocal(rel) {
			part, rest, _ := strings.Cut(rel, "/")
			return fmt.Sprint(at.Name, part, strings.Count(rest, "/"))
		}
		return at.Name + hexadecimal.ReplaceAllString(at.Path, "")
	}
}

// checkMade checks that a command has made what it should, and nothing else.
func (w *world) checkMade(c fullDisk, want tree.Tree) {
	w.t.Helper()
	for _, line := range tree.Diff(w.state(), want) {
		if !c.takes || !strings.HasPrefix(line, "blobs/") {
			w.t.Errorf("%s: %s", strings.Join(c.arguments, " "), line)
		}
	}
	tree.Check(w.t, "TMPDIR", tree.Of(w.t, w.Temp), tree.Tree{})
	if c.takes { // what is half removed looks as what came halfway, which is kept for a while
		w.Run("ocipkg", "store", "prune").OK()
	}
	storetest.CheckTmpEmpty(w.t, storetest.Dir(w.Session))
}
