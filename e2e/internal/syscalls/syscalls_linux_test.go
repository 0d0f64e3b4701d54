package syscalls

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

func TestMain(m *testing.M) { program.Main(m) }

func TestEachCallOfAllProcessesIsSeenAndDecidedOn(t *testing.T) {
	s := program.New(t, program.Options{})
	const script = `mkdir a && (echo text > a/b) && mv a/b a/c && ln a/c a/d && ln -s x a/e && rm a/d`
	want := []string{"mkdir a", "open a/b", "write a/b", "rename a/c", "link a/d", "symlink a/e", "unlink a/d"}
	restore := func() {
		if err := os.RemoveAll(filepath.Join(s.Dir, "a")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range len(want) + 1 {
		for _, verdict := range []Verdict{ErrKill, syscall.ENOSPC} {
			restore()
			var got []string
			r := Run(t, s, Changes, func(c Call) Verdict {
				rel, err := filepath.Rel(s.Dir, c.Path)
				if err != nil || strings.HasPrefix(rel, "..") {
					return nil
				}
				if got = append(got, c.Name+" "+rel); len(got) == i+1 {
					return verdict
				}
				return nil
			}, "sh", "-c", script)
			if i == len(want) {
				r.OK()
			} else if killed := r.ExitCode == -1; killed != (verdict == ErrKill) || r.ExitCode == 0 {
				t.Errorf("%v at %s: %s", verdict, want[i], r)
			}
			if !slices.Equal(got, want[:min(i+1, len(want))]) {
				t.Errorf("%v at call %d: %q", verdict, i, got)
			}
		}
	}
}
