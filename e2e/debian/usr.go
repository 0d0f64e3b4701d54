package debian

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CopyUsr writes into the directory to, which is made, what a system has below
// /usr on which only the given packages are installed: as on all current ones,
// /lib is a part of it. Links are relative, so that the copy stands for itself.
func CopyUsr(t testing.TB, to string, packages ...string) {
	t.Helper()
	from := Fetch(t, packages...)
	for _, part := range []string{"usr", "lib", "lib64"} {
		top := filepath.Join(from, part)
		if _, err := os.Lstat(top); err != nil {
			continue
		}
		dest := to
		if part != "usr" {
			dest = filepath.Join(to, part)
		}
		if err := copyPart(top, dest, to); err != nil {
			t.Fatalf("copy the Debian packages %s: %v", strings.Join(packages, " "), err)
		}
	}
}

// copyPart copies a directory. usr is where the copy of /usr is.
func copyPart(from, to, usr string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch {
		case entry.IsDir():
			return os.MkdirAll(at, 0o755)
		case entry.Type()&fs.ModeSymlink != 0:
			return copyLink(path, at, usr)
		case !entry.Type().IsRegular():
			return nil
		}
		return copyFile(path, at)
	})
}

// copyLink copies a symbolic link, an absolute one as a relative one.
func copyLink(from, at, usr string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	if filepath.IsAbs(target) {
		inUsr := filepath.Join(usr, strings.TrimPrefix(strings.TrimPrefix(target, "/"), "usr/"))
		if target, err = filepath.Rel(filepath.Dir(at), inUsr); err != nil {
			return err
		}
	}
	return os.Symlink(target, at)
}

func copyFile(from, at string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(at, text, info.Mode().Perm())
}
