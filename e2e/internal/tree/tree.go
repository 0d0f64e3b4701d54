// Package tree describes and makes directories of files: what a package was
// made of, what the store made of it, and what a failed command left behind.
package tree

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Tree describes what is in a directory: slash-separated paths, with a line on
// each. Directories are in it under a name with a slash at the end.
type Tree map[string]string

// Of describes all that is below dir: kind, permissions, and the size and
// digest of what a file holds, or the target of a link. What disappears
// meanwhile is left out.
func Of(t testing.TB, dir string) Tree {
	t.Helper()
	return walk(t, dir, func(info fs.FileInfo, path string) (string, error) {
		line, err := content(info, path)
		return fmt.Sprintf("%v %s", info.Mode(), line), err
	})
}

// Content is Of without permissions and directories: what a package keeps
// wherever it is unpacked. Of the permissions it has whether the owner may
// execute a file.
func Content(t testing.TB, dir string) Tree {
	t.Helper()
	all := walk(t, dir, func(info fs.FileInfo, path string) (string, error) {
		line, err := content(info, path)
		return fmt.Sprintf("%v executable=%t %s", info.Mode().Type(), info.Mode().IsRegular() && info.Mode()&0o100 != 0, line), err
	})
	maps.DeleteFunc(all, func(name, _ string) bool { return strings.HasSuffix(name, "/") })
	return all
}

func walk(t testing.TB, dir string, describe func(info fs.FileInfo, path string) (string, error)) Tree {
	t.Helper()
	all := Tree{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil
		}
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			var line string
			if line, err = describe(info, path); err == nil {
				name := filepath.ToSlash(rel)
				if entry.IsDir() {
					name += "/"
				}
				all[name] = line
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatalf("list %s: %v", dir, err)
	}
	return all
}

func content(info fs.FileInfo, path string) (string, error) {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return "-> " + target, err
	case info.Mode().IsRegular():
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		hash := sha256.New()
		n, err := io.Copy(hash, file)
		return fmt.Sprintf("%d bytes %x", n, hash.Sum(nil)), err
	}
	return "", nil
}

// Check reports each difference between two trees as an error of the test.
func Check(t testing.TB, what string, got, want Tree) {
	t.Helper()
	for _, line := range Diff(got, want) {
		t.Errorf("%s: %s", what, line)
	}
}

// Diff lists what is missing, additional or different in got.
func Diff(got, want Tree) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if line, ok := got[name]; !ok {
			lines = append(lines, name+" is missing")
		} else if line != want[name] {
			lines = append(lines, fmt.Sprintf("%s is %q, and was %q", name, line, want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			lines = append(lines, name+" is new")
		}
	}
	return lines
}
