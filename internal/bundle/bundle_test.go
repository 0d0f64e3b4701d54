package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// image is a DLL as far as it is looked at here: one without imports, and with
// a name of no meaning in it so that two can be told apart.
func image(mark string) []byte {
	var b bytes.Buffer
	dos := make([]byte, 64)
	copy(dos, "MZ")
	dos[60] = 64
	b.Write(dos)
	b.WriteString("PE\x00\x00")
	// Machine, sections, time, symbols, optional header's size, characteristics: a DLL.
	for _, v := range []any{uint16(0x8664), uint16(0), uint32(0), uint32(0), uint32(0), uint16(240), uint16(0x2022)} {
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	optional := make([]byte, 240)
	binary.LittleEndian.PutUint16(optional, 0x20b)
	binary.LittleEndian.PutUint32(optional[108:], 16)
	b.Write(optional)
	b.WriteString(mark)
	return b.Bytes()
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o444); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDLLsAreCopiedUnderTheirOwnNames(t *testing.T) {
	store, dir := t.TempDir(), t.TempDir()
	foo := write(t, filepath.Join(store, "a", "bin", "foo.dll"), image("foo"))
	bar := write(t, filepath.Join(store, "b", "bin", "libbar-1.dll"), image("bar"))
	got, err := Copy(dir, []string{foo, bar, foo}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(dir, "foo.dll"), filepath.Join(dir, "libbar-1.dll")}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, file := range got {
		// The store's are read-only; a copy can be replaced and removed.
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o200 == 0 {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
	}
}

func TestTwoDifferentLibrariesOfOneNameAreRefused(t *testing.T) {
	store, dir := t.TempDir(), t.TempDir()
	first := write(t, filepath.Join(store, "a", "foo.dll"), image("a"))
	second := write(t, filepath.Join(store, "b", "foo.dll"), image("b"))
	same := write(t, filepath.Join(store, "c", "foo.dll"), image("a"))
	if _, err := Copy(dir, []string{first, second}, Options{Force: true}); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), "would both be foo.dll") {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
	if got, err := Copy(dir, []string{first, same}, Options{}); err != nil || len(got) != 1 {
		t.Errorf("two that are the same: got %q, %v", got, err)
	}
}

func TestALinkerScriptIsNoLibraryToCopy(t *testing.T) {
	script := write(t, filepath.Join(t.TempDir(), "libfoo.so"), []byte("INPUT(-lbar)\n"))
	if got, err := Copy(t.TempDir(), []string{script}, Options{Links: true}); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("got %q, %v", got, err)
	}
	gone := filepath.Join(t.TempDir(), "gone.so")
	if _, err := Copy(t.TempDir(), []string{gone}, Options{Links: true}); err == nil || !strings.Contains(err.Error(), "gone.so") {
		t.Errorf("got %v", err)
	}
}
