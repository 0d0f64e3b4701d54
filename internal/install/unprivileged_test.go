//go:build unix

package install_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/reexec"
)

func TestAUserWithoutPrivilegesInstallsReplacesAndRemoves(t *testing.T) {
	if !reexec.Unprivileged(t) {
		return
	}
	m, s := newMemory(), newStore(t)
	first := build(t, m, library)
	changed := maps.Clone(library)
	changed["include/foo.h"] = "int foo(int);\n"
	second := build(t, m, changed)
	for _, options := range []install.Options{{}, {Replace: true}} {
		p, err := install.Package(t.Context(), s, m, first, nil, options)
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, p.Root); !maps.Equal(got, library) {
			t.Error("the tree is another")
		}
		if err := os.WriteFile(filepath.Join(p.Root, "new"), nil, 0o644); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a file can be made in the tree: %v", err)
		}
		if f, err := os.OpenFile(filepath.Join(p.Root, "include/foo.h"), os.O_WRONLY, 0); !errors.Is(err, fs.ErrPermission) {
			f.Close()
			t.Errorf("a file in the tree can be written to: %v", err)
		}
	}
	clear(m.fetched)
	if _, err := install.Package(t.Context(), s, m, second, nil, install.Options{}); err != nil {
		t.Fatal(err)
	}
	if total, _ := m.fetches(second.Digest); total != 2 { // the config, and the layer that changed
		t.Errorf("%d blobs were fetched: the layers are not shared", total)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
	if err := layer.Remove(s.Path("packages")); err != nil {
		t.Error(err)
	}
}

func TestAPackageOfAStoreThatIsReadOnlyIsFound(t *testing.T) {
	if !reexec.Unprivileged(t) {
		return
	}
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	p, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"packages/sha256/" + desc.Digest.Encoded(), "packages/sha256", "packages", "locks", "tmp", "."} {
		if err := os.Chmod(s.Path(dir), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Chmod(s.Dir(), 0o755)
	if again, err := install.Package(t.Context(), s, m, desc, nil, install.Options{}); err != nil || again.Root != p.Root {
		t.Errorf("it is %v, %v", again, err)
	}
	s.Use(p.Digest) // keeps no note, and says nothing
	if _, err := install.Package(t.Context(), s, m, build(t, m, map[string]string{"a": "b"}), nil, install.Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("another package: %v", err)
	}
}

// A limit on the size of files stands for a full disk.
func TestAFullDiskIsNoFaultOfThePackageAndLeavesNothing(t *testing.T) {
	if !reexec.Alone(t) {
		return
	}
	m, s := newMemory(), newStore(t)
	desc := build(t, m, library)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(bytes uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	for _, bytes := range []uint64{0, 10, 200, 1 << 10, 1 << 20} {
		limit(bytes)
		_, err := install.Package(t.Context(), s, m, desc, nil, install.Options{})
		limit(before.Cur)
		if !errors.Is(err, syscall.EFBIG) || errors.Is(err, errdef.ErrVerification) {
			t.Errorf("with %d bytes: %v", bytes, err)
		}
		if left := leftovers(t, s); len(left) > 0 {
			t.Errorf("with %d bytes, left in tmp: %v", bytes, left)
		}
		if have, err := s.Packages(); err != nil || len(have) > 0 {
			t.Errorf("with %d bytes the store has %v (%v)", bytes, have, err)
		}
	}
	if _, err := install.Package(t.Context(), s, m, desc, nil, install.Options{}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
