package layer

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func TestFSIsAFileSystem(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		"include/a.h": "text", "lib/libz.so": "-> libz.so.1", "lib/libz.so.1": "elf", "empty/dir/": "", "top": "", "l/up": "-> ../lib",
	})
	if err := fstest.TestFS(FS(scan(t, dir)), "include/a.h", "lib/libz.so", "lib/libz.so.1", "empty/dir", "top", "l/up"); err != nil {
		t.Error(err)
	}
}

func TestFSFollowsLinksWithinThePackage(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		"lib/libz.so.1": "elf", "lib/libz.so": "-> libz.so.1", "usr": "-> .", "lib64": "-> lib", "loop": "-> loop2", "loop2": "-> loop", "gone": "-> nothing",
		"a/b/l": "-> ../../lib64",
	})
	files := FS(scan(t, dir))
	for _, name := range []string{"lib/libz.so", "lib64/libz.so", "usr/usr/lib64/libz.so", "a/b/l/libz.so.1"} {
		raw, err := fs.ReadFile(files, name)
		if err != nil || string(raw) != "elf" {
			t.Errorf("%s holds %q, %v", name, raw, err)
		}
	}
	for _, name := range []string{"loop", "loop/x", "gone", "lib/libz.so.1/x", "nothing", "../lib", "/lib"} {
		if _, err := fs.ReadFile(files, name); err == nil {
			t.Errorf("%s can be read", name)
		}
		if _, err := fs.Stat(files, name); err == nil {
			t.Errorf("%s can be described", name)
		}
	}
	if target, err := fs.ReadLink(files, "usr/lib64"); err != nil || target != "lib" {
		t.Errorf("the link is to %q, %v", target, err)
	}
	if _, err := fs.ReadLink(files, "lib"); err == nil {
		t.Error("a directory is read as a link")
	}
	if info, err := fs.Lstat(files, "lib64"); err != nil || info.Mode() != fs.ModeSymlink|0o777 {
		t.Errorf("the link is described as %v, %v", info, err)
	}
}

func TestFilesOfFSCanBeReadAnywhere(t *testing.T) {
	f, err := FS(scan(t, write(t, t.TempDir(), map[string]string{"a": "0123"}))).Open("a")
	must(t, err)
	defer f.Close()
	buf := make([]byte, 2)
	if _, err := f.(io.ReaderAt).ReadAt(buf, 1); err != nil || string(buf) != "12" {
		t.Errorf("it reads %q, %v", buf, err)
	}
}

func TestFSReportsAFileThatVanished(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"a": "0123"})
	files := FS(scan(t, dir))
	must(t, os.Remove(filepath.Join(dir, "a")))
	if _, err := files.Open("a"); !os.IsNotExist(err) {
		t.Errorf("the error is %v", err)
	}
}
