//go:build unix

package layout

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reexec"
)

func TestAnArchiveIsNotWrittenIntoADirectoryThatIsReadOnly(t *testing.T) {
	if !reexec.Unprivileged(t) {
		return
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o555))
	defer os.Chmod(dir, 0o755)
	if _, err := CreateArchive(filepath.Join(dir, "a.tar"), false); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the error is %v", err)
	}
}

func TestTheUmaskHoldsForWhatIsWritten(t *testing.T) {
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	dir := t.TempDir()
	archiveAt(t, filepath.Join(dir, "a.tar"), "")
	w, err := CreateDir(filepath.Join(dir, "l"))
	must(t, err)
	defer w.Close()
	must(t, w.Finish(build(t, w), ""))
	for name, want := range map[string]fs.FileMode{"a.tar": 0o600, "l": fs.ModeDir | 0o700} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s has the mode %v, want %v", name, info.Mode(), want)
		}
	}
}

// A limit on the size of files stands for a full disk.
func TestAFullDiskLeavesNothingAndKeepsWhatWasThere(t *testing.T) {
	if !reexec.Alone(t) {
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a.tar")
	must(t, os.WriteFile(path, []byte("old"), 0o644))
	for _, size := range []uint64{100, 1 << 10, 3 << 10} {
		w, err := CreateArchive(path, true)
		must(t, err)
		var full error
		of := spec(t)
		withFileSizeLimit(t, size, func() {
			desc, err := artifact.Build(ctx, w, of)
			if full = err; err == nil {
				full = w.Finish(desc, "")
			}
		})
		if !errors.Is(full, syscall.EFBIG) {
			t.Errorf("with %d bytes the error is %v", size, full)
		}
		must(t, w.Close())
		if raw, err := os.ReadFile(path); err != nil || string(raw) != "old" {
			t.Errorf("what was there holds %q, %v", raw, err)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"a.tar"}) {
			t.Errorf("%q is left", got)
		}
	}
}

func withFileSizeLimit(t *testing.T, size uint64, do func()) {
	t.Helper()
	var before syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}))
	defer func() { must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)) }()
	do()
}

func TestAFIFOIsNotWaitedFor(t *testing.T) {
	files := parts(t)
	delete(files, "index.json")
	dir := writeDir(t, files)
	must(t, syscall.Mkfifo(filepath.Join(dir, "index.json"), 0o644))
	_, err := OpenDir(ctx, dir)
	is(t, err, errdef.ErrVerification, "no regular file")
	_, err = OpenArchive(ctx, filepath.Join(dir, "index.json"))
	is(t, err, errdef.ErrUsage, "is no file")
}
