//go:build unix

package layer

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/reexec"
)

func TestScanRefusesSpecialFiles(t *testing.T) {
	for name, create := range map[string]func(at string) error{
		"FIFO": func(at string) error { return syscall.Mkfifo(at, 0o644) },
		"socket": func(at string) error {
			listener, err := net.Listen("unix", at)
			if err == nil {
				t.Cleanup(func() { listener.Close() })
			}
			return err
		},
	} {
		dir, err := os.MkdirTemp("", "") // a socket's path must be short
		must(t, err)
		defer os.RemoveAll(dir)
		must(t, create(filepath.Join(dir, "special")))
		if _, err := Scan(dir, nil); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), "it is a "+name) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if _, err := Entry(filepath.Join(dir, "special"), "special", nil); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the error of an entry is %v", name, err)
		}
	}
	if _, err := Entry(os.DevNull, "null", nil); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), "it is a device") {
		t.Errorf("the error of a device is %v", err)
	}
}

func TestTheUmaskDoesNotShowInAPackage(t *testing.T) {
	want, _ := packed(t, scan(t, smallTree(t)), Zstd)
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	dir := smallTree(t)
	if got, _ := packed(t, scan(t, dir), Zstd); !bytes.Equal(got, want) {
		t.Error("the bytes are others")
	}
}

func TestTheUmaskDoesNotShowInATree(t *testing.T) {
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	tree := NewTree(root, limit.Limits{})
	must(t, tree.Apply(ctx, bytes.NewReader(archive(t, file("d/a", ""), entry{name: "d/x", mode: 0o4700})), None, 0))
	must(t, tree.Seal())
	for name, want := range map[string]fs.FileMode{"d": fs.ModeDir | 0o555, ".": fs.ModeDir | 0o555, "d/a": 0o444, "d/x": 0o555} {
		if info, err := root.Lstat(name); err != nil || info.Mode() != want {
			t.Errorf("%s has the mode %v (%v), want %v", name, info.Mode(), err, want)
		}
	}
	must(t, Remove(dir))
}

func TestAnUnreadableDirectoryStopsTheWorkBeforeItBegan(t *testing.T) {
	if !reexec.Unprivileged(t) {
		return
	}
	dir := write(t, t.TempDir(), map[string]string{"ok": "", "secret/x": ""})
	must(t, os.Chmod(filepath.Join(dir, "secret"), 0))
	if _, err := Scan(dir, nil); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
	must(t, os.Chmod(filepath.Join(dir, "secret"), 0o755))
}

func TestAReadOnlyTreeIsRemovedByWhoeverOwnsIt(t *testing.T) {
	if !reexec.Unprivileged(t) {
		return
	}
	dir := t.TempDir()
	at := filepath.Join(dir, "tree")
	must(t, os.Mkdir(at, 0o755))
	root, err := os.OpenRoot(at)
	must(t, err)
	defer root.Close()
	tree := NewTree(root, limit.Limits{})
	must(t, tree.Apply(ctx, bytes.NewReader(archive(t, file("a/b/c/d", "x"), dirEntry("a/e"), symlink("a/l", "b"), symlink("out", "/a"))), None, 0))
	must(t, tree.Seal())
	if err := os.RemoveAll(at); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("the tree is not read-only: %v", err)
	}
	must(t, Remove(at))
	if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	must(t, Remove(at)) // what is not there is removed
}
