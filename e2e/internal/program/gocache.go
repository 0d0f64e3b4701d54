package program

import (
	"os/exec"
	"strings"
	"testing"
)

// GoCache returns the build cache of the account of the tests, for a privileged
// session that runs the go command: the standard library, which takes 20 s of
// processor time to build, is in it since the tests themselves were built.
func GoCache(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatalf("find Go's build cache: %v; install Go: https://go.dev/dl", err)
	}
	return strings.TrimSpace(string(out))
}
