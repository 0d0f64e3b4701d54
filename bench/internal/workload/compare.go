package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Compare tells whether the directory dir holds the files of the set and nothing
// else, each with its bytes and, where modes is set, its executable bit.
func (s *Set) Compare(dir string, modes bool) error {
	want := make(map[string]File, len(s.Files))
	for _, f := range s.Files {
		want[f.Path] = f
	}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		f, ok := want[rel]
		if !ok || !entry.Type().IsRegular() {
			return fmt.Errorf("%s is in it and should not be", rel)
		}
		delete(want, rel)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if exec := info.Mode()&0o100 != 0; modes && exec != f.Exec {
			return fmt.Errorf("%s has the mode %04o", rel, info.Mode().Perm())
		}
		sum, err := digestOf(name)
		if err == nil && sum != f.Digest {
			err = fmt.Errorf("%s has other bytes than it should", rel)
		}
		return err
	})
	for name := range want {
		err = errors.Join(err, fmt.Errorf("%s is missing (and perhaps others of %d)", name, len(want)))
		break
	}
	if err != nil {
		return fmt.Errorf("compare %s with the set %s: %w", dir, s.Name, err)
	}
	return nil
}

func digestOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// List gives the files of a directory, as those of a set.
func List(dir string) ([]File, error) {
	var list []File
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		sum, err := digestOf(name)
		list = append(list, File{Path: rel, Source: name, Size: info.Size(), Digest: sum, Exec: info.Mode()&0o100 != 0})
		return err
	})
	return list, err
}
