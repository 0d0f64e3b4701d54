//go:build unix

package project

import (
	"os"
	"path/filepath"
	"testing"
)

func TestALinkToAProjectFileIsItsMakers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of several users")
	}
	dir, theirs := t.TempDir(), filepath.Join(t.TempDir(), FileName)
	const other = 71003
	for name, test := range map[string]struct {
		mode    os.FileMode
		owner   int // of the link
		planted bool
	}{
		"one's own":              {0o777, os.Geteuid(), false},
		"another's":              {0o777, other, true},
		"another's, for a group": {0o775, other, true},
		"where nobody may write": {0o755, other, false},
	} {
		link := filepath.Join(dir, FileName)
		if err := os.WriteFile(theirs, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(link)
		if err := os.Symlink(theirs, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(link, test.owner, -1); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, test.mode); err != nil {
			t.Fatal(err)
		}
		if got := planted(link, os.Geteuid()); got != test.planted {
			t.Errorf("%s: %t", name, got)
		}
	}
}
