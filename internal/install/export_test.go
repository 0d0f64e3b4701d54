package install

import (
	"errors"
	"testing"
)

// KeepAll has layers of any size kept while they come, and all that came be worth
// keeping, until the test ends.
func KeepAll(t testing.TB) {
	spool, kept := spoolLeast, keptLeast
	spoolLeast, keptLeast = 100<<10, 1
	t.Cleanup(func() { spoolLeast, keptLeast = spool, kept })
}

// LinkOrCopy is what makes the entries of views where symbolic links take a
// privilege, here on a file system that refuses hard links too.
func LinkOrCopy(file, name string) error {
	defer func(was func(string, string) error) { hardLink = was }(hardLink)
	hardLink = func(string, string) error { return errors.ErrUnsupported }
	return linkOrCopy(file, name)
}
