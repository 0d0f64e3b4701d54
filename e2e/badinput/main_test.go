// Package badinput tests what the programs make of input that cannot work: an
// exit code that says what kind of failure it is, one line that says what was
// being done, why it failed and what to do next, and no trace of the attempt.
package badinput

import (
	"maps"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestMain(m *testing.M) { program.Main(m) }

// The exit codes of the programs.
const (
	failed       = 1
	usage        = 2
	notFound     = 3
	verification = 5
	noPlatform   = 7
	network      = 8
)

// files describes all that a user has. Of the store, its lock files and empty
// directories do not count.
func files(t *testing.T, s *program.Session) tree.Tree {
	t.Helper()
	all := tree.Tree{}
	for name, dir := range map[string]string{"home/": s.Home, "work/": s.Dir, "tmp/": s.Temp} {
		for path, line := range tree.Of(t, dir) {
			all[name+path] = line
		}
	}
	maps.DeleteFunc(all, func(path, _ string) bool {
		return strings.HasPrefix(path, "home/.local/") &&
			(strings.HasSuffix(path, "/") || strings.HasPrefix(path, "home/.local/share/ocipkg/v1/locks/"))
	})
	return all
}

// refuses runs a command that must fail, with words in its error, and change
// nothing that the user has.
func refuses(t *testing.T, s *program.Session, code int, words []string, arguments ...string) {
	t.Helper()
	before := files(t, s)
	s.Run("ocipkg", arguments...).Fails(code, words...)
	tree.Check(t, "after ocipkg "+strings.Join(arguments, " "), files(t, s), before)
}
