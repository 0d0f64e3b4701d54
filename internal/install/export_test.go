package install

import "testing"

// KeepAll has layers of any size kept while they come, and all that came be worth
// keeping, until the test ends.
func KeepAll(t testing.TB) {
	spool, kept := spoolLeast, keptLeast
	spoolLeast, keptLeast = 100<<10, 1
	t.Cleanup(func() { spoolLeast, keptLeast = spool, kept })
}
