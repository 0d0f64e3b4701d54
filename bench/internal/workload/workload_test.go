package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// made is a set of three files.
func made(t *testing.T) *Set {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"bin/a": 0o755, "lib/b": 0o644, "lib/c": 0o644} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	files, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &Set{Name: "made", Dir: dir, Files: files}
}

func TestCompareFindsWhatIsNotTheSame(t *testing.T) {
	for name, test := range map[string]struct {
		change func(dir string) error
		want   string // "" when it must be taken for the same
	}{
		"nothing":      {func(string) error { return nil }, ""},
		"other bytes":  {func(dir string) error { return os.WriteFile(filepath.Join(dir, "lib/b"), []byte("lib/x"), 0o644) }, "lib/b has other bytes"},
		"a mode":       {func(dir string) error { return os.Chmod(filepath.Join(dir, "bin/a"), 0o644) }, "bin/a has the mode 0644"},
		"one less":     {func(dir string) error { return os.Remove(filepath.Join(dir, "lib/c")) }, "lib/c is missing"},
		"one more":     {func(dir string) error { return os.WriteFile(filepath.Join(dir, "d"), nil, 0o644) }, "d is in it"},
		"a link to it": {func(dir string) error { return relink(filepath.Join(dir, "lib/c")) }, "lib/c is in it"},
	} {
		t.Run(name, func(t *testing.T) {
			set := made(t)
			if err := test.change(set.Dir); err != nil {
				t.Fatal(err)
			}
			err := set.Compare(set.Dir, true)
			if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func relink(name string) error {
	if err := os.Rename(name, name+"-real"); err != nil {
		return err
	}
	return os.Symlink(name+"-real", name)
}

func TestChooseComesNearToWhatIsWanted(t *testing.T) {
	var candidates []candidate
	for i := range 1000 {
		candidates = append(candidates, candidate{path: fmt.Sprintf("/f%d", i), size: int64(1 + i*i)})
	}
	shape := Shape{Files: 20, Bytes: 10e6}
	chosen, err := choose(candidates, shape)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	seen := map[string]bool{}
	for _, c := range chosen {
		sum += c.size
		seen[c.path] = true
	}
	if len(seen) != shape.Files || sum < shape.Bytes || sum > shape.Bytes*102/100 {
		t.Errorf("%d files with %d bytes", len(seen), sum)
	}
	for _, impossible := range []Shape{{Files: 2000, Bytes: 1}, {Files: 2, Bytes: 1e9}} {
		if _, err := choose(candidates, impossible); err == nil {
			t.Errorf("%+v was made", impossible)
		}
	}
}
