package program

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
)

func TestMain(m *testing.M) { Main(m) }

// session starts a session that has the program of testdata/probe.
func session(t *testing.T, options Options) *Session {
	t.Helper()
	dir := tempdir.New(t)
	if err := Build(".", dir, "./testdata/probe"); err != nil {
		t.Fatal(err)
	}
	return newSession(t, dir, options)
}

func TestOutputInputAndExitCodeAreReturned(t *testing.T) {
	r := session(t, Options{}).RunInput("the input", "probe", "say", "a b", "c").Exit(3)
	if r.Stdout != "[\"a b\" \"c\"]\nthe input" || r.Stderr != "on stderr\n" {
		t.Errorf("got %+v", r)
	}
	if r.Command != "probe say a b c" || r.Killed || r.Elapsed <= 0 {
		t.Errorf("got %+v", r)
	}
}

func TestEnvironmentHasNothingOfTheTests(t *testing.T) {
	t.Setenv("OCIPKG_HOME", "/nonexistent")
	t.Setenv("DOCKER_CONFIG", "/nonexistent")
	s := session(t, Options{Env: []string{"LANG=de_DE.UTF-8"}})
	got := strings.Fields(s.Run("env").OK().Stdout)
	var names []string
	for _, variable := range got {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"COMPILER_PATH", "HOME", "LANG", "PATH", "PWD", "TMPDIR"}; !slices.Equal(names, want) {
		t.Errorf("the environment has %v, want %v", names, want)
	}
	if !slices.Contains(got, "LANG=de_DE.UTF-8") || !slices.Contains(got, "HOME="+s.Home) {
		t.Errorf("the environment is %v", got)
	}
	s = session(t, Options{Store: "/store"})
	if got := s.Run("env").OK().Stdout; !strings.Contains(got, "OCIPKG_HOME=/store\n") {
		t.Errorf("the environment is %s, without OCIPKG_HOME", got)
	}
}

func TestForeignToolsHaveAnEnvironmentOfTheirOwn(t *testing.T) {
	s := session(t, Options{Env: []string{"XDG_RUNTIME_DIR=/nonexistent", "REGISTRY_AUTH_FILE=/nonexistent"}})
	s.Foreign("sh", "-ec", `for dir in "$HOME" "$XDG_RUNTIME_DIR" "$DOCKER_CONFIG"; do touch "$dir/written"; done
		test "$(cat "$REGISTRY_AUTH_FILE")" = {} && test "$HOME" != "$0"`, s.Home).OK()
	if r := s.Run("sh", "-c", `echo "$HOME $XDG_RUNTIME_DIR"`).OK(); r.Stdout != s.Home+" /nonexistent\n" {
		t.Errorf("afterwards the session has %s", r.Stdout)
	}
	if got := s.Foreign("id", "-u").OK().Stdout; got != s.Run("id", "-u").OK().Stdout {
		t.Errorf("a foreign tool is user %s", got)
	}
}

func TestAccountIsUnprivilegedUnlessAskedOtherwise(t *testing.T) {
	want := fmt.Sprint(os.Getuid())
	if got := strings.TrimSpace(session(t, Options{Privileged: true}).Run("id", "-u").OK().Stdout); got != want {
		t.Errorf("a privileged session is user %s, want %s", got, want)
	}
	if os.Getuid() == 0 {
		want = "65534"
	}
	s := session(t, Options{})
	if got := strings.TrimSpace(s.Run("id", "-u").OK().Stdout); got != want {
		t.Errorf("a session is user %s, want %s", got, want)
	}
	source := tempdir.New(t)
	for name, target := range map[string]string{"libz.so": "libz.so.1", "libm.so": "/nonexistent/libm.so.6"} {
		if err := os.Symlink(target, filepath.Join(source, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.CopyTree(source, "in/copy")
	s.WriteFile("in/new/file", "content", 0o600)
	s.Run("sh", "-c", `mkdir -m 0500 kept && cat in/new/file && touch in/x in/new/x in/copy/x "$HOME/x" "$TMPDIR/x" &&
		test "$(readlink in/copy/libz.so)" = libz.so.1`).OK()
}

func TestPeakMemoryIsThatOfTheProgram(t *testing.T) {
	s := session(t, Options{})
	// Memory that this process had once, and has no more, does not count.
	mine := make([]byte, 300<<20)
	for i := 0; i < len(mine); i += 4096 {
		mine[i] = 1
	}
	runtime.KeepAlive(mine)
	mine = nil
	small := s.Run("probe", "allocate", "0").OK().PeakRSS
	large := s.Run("probe", "allocate", fmt.Sprint(200<<20)).OK().PeakRSS
	if small < 1<<20 || small > 64<<20 {
		t.Errorf("a program that does nothing has a peak of %d bytes", small)
	}
	if large < 200<<20 || large > 280<<20 {
		t.Errorf("a program that uses 200 MiB has a peak of %d bytes", large)
	}
}

// endless starts a program that never ends, and returns what tells that it runs.
func endless(t *testing.T, s *Session) (p *Process, begun func() bool) {
	t.Helper()
	mark := filepath.Join(s.Dir, "begun")
	if err := os.RemoveAll(mark); err != nil {
		t.Fatal(err)
	}
	return s.Start("probe", "endless"), func() bool {
		_, err := os.Stat(mark)
		return err == nil
	}
}

func TestProgramCanBeKilledInTheMiddle(t *testing.T) {
	s := session(t, Options{})
	p, begun := endless(t, s)
	if r := p.KillWhen(begun); !r.Killed || r.ExitCode != -1 || !begun() {
		t.Errorf("killed at a condition: %+v", r)
	}
	p, _ = endless(t, s)
	if r := p.KillAfter(20 * time.Millisecond); !r.Killed || r.Elapsed < 20*time.Millisecond {
		t.Errorf("killed after 20 ms: %+v", r)
	}
	if r := s.Start("probe", "allocate", "0").KillAfter(time.Hour); r.Killed || r.ExitCode != 0 {
		t.Errorf("a program that ends before it is killed: %+v", r)
	}
	if r := s.Start("probe", "allocate", "0").KillWhen(func() bool { return false }); r.Killed || r.ExitCode != 0 {
		t.Errorf("a program that ends before the condition: %+v", r)
	}
}

func TestInterruptIsThatOfATerminal(t *testing.T) {
	p, begun := endless(t, session(t, Options{}))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !begun() {
		<-tick.C
	}
	p.Signal(os.Interrupt)
	if r := p.Wait(); r.Killed || r.ExitCode != -1 {
		t.Errorf("interrupted: %+v", r)
	}
}

func TestProgramsOfTheProjectAreFirstInThePath(t *testing.T) {
	s := New(t, Options{})
	for _, name := range []string{"ocipkg", "cargo-ocipkg"} {
		got := strings.TrimSpace(s.Run("sh", "-c", "command -v "+name).OK().Stdout)
		if want := filepath.Join(Bin(t), name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
