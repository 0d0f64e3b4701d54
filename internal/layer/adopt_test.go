package layer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/internal/limit"
)

// owner is a tree that has the files of listed.
func owner(t *testing.T) string {
	b := newBox(t, limit.Default)
	must(t, b.Expand(ctx, bytes.NewReader(archive(t, good()...)), None, listed))
	return filepath.Join(b.dir, "root")
}

func TestAdoptedFilesAreTheSameFiles(t *testing.T) {
	from := owner(t)
	b := newBox(t, limit.Limits{Entries: 4, Bytes: 8})
	must(t, b.Adopt(listed, from))
	b.check(t, "bin/run=run", "empty/", "lib/a=bytes", "lib/l->a")
	for _, name := range []string{"bin/run", "lib/a"} {
		if !sameFile(t, filepath.Join(from, name), filepath.Join(b.dir, "root", name)) {
			t.Errorf("%s is a copy", name)
		}
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	must(t, err)
	y, err := os.Stat(b)
	must(t, err)
	return os.SameFile(x, y)
}

func TestFilesAreCopiedWhereThereAreNoLinks(t *testing.T) {
	link = func(string, string) error { return errors.New("too many links") }
	t.Cleanup(func() { link = os.Link })
	from := owner(t)
	b := newBox(t, limit.Limits{Entries: 4, Bytes: 8})
	must(t, b.Adopt(listed, from))
	b.check(t, "bin/run=run", "empty/", "lib/a=bytes", "lib/l->a")
	if sameFile(t, filepath.Join(from, "lib/a"), filepath.Join(b.dir, "root/lib/a")) {
		t.Error("it is the same file")
	}
	if info, err := b.root.Lstat("bin/run"); err != nil || info.Mode() != 0o555 {
		t.Errorf("the copy has the mode %v (%v)", info.Mode(), err)
	}
}

func TestAFailedAdoptionLeavesRoomForTheLayer(t *testing.T) {
	for name, spoil := range map[string]func(at string) error{
		"a file that is gone":      os.Remove,
		"a file that is shorter":   func(at string) error { return errors.Join(os.Chmod(at, 0o644), os.Truncate(at, 2)) },
		"a link in its place":      func(at string) error { return errors.Join(os.Remove(at), os.Symlink("/etc/passwd", at)) },
		"a directory in its place": func(at string) error { return errors.Join(os.Remove(at), os.Mkdir(at, 0o755)) },
	} {
		for _, spoiled := range []string{"bin/run", "lib/a"} {
			t.Run(name+" "+spoiled, func(t *testing.T) {
				from := owner(t)
				must(t, spoil(filepath.Join(from, spoiled)))
				b := newBox(t, limit.Limits{Entries: 4, Bytes: 8}) // no room for a second count
				if err := b.Adopt(listed, from); err == nil {
					t.Fatal("it was adopted")
				}
				must(t, b.Expand(ctx, bytes.NewReader(archive(t, good()...)), None, listed))
				b.check(t, "bin/run=run", "empty/", "lib/a=bytes", "lib/l->a")
			})
		}
	}
}
