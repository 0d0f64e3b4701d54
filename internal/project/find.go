package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Project is a project with its root.
type Project struct {
	// Root is the absolute path of the directory that has the project file.
	Root string
	File
}

// Dependency gives the dependency of that alias. A nil Project has none.
func (p *Project) Dependency(alias string) (Dependency, bool) {
	if p == nil {
		return Dependency{}, false
	}
	d, ok := p.Dependencies[alias]
	return d, ok
}

// Find gives the project that a build in the directory dir is part of; nil when
// there is none. It is the first of: the directory that OCIPKG_PROJECT names;
// the nearest at or above dir; under cargo, the nearest above OUT_DIR. Looking
// upwards ends at the first ocipkg.toml, at .git or go.mod, at the user's home,
// and at a directory that belongs to somebody else.
func Find(dir string) (*Project, error) {
	if named := os.Getenv("OCIPKG_PROJECT"); named != "" {
		abs, err := filepath.Abs(named)
		if err != nil {
			return nil, err
		}
		file, err := Read(filepath.Join(abs, FileName))
		if errors.Is(err, errdef.ErrNotFound) {
			return nil, errdef.Errorf(errdef.ErrNotFound, "OCIPKG_PROJECT is %q, and there is no %s in it; correct or unset it", named, FileName)
		}
		return &Project{abs, file}, err
	}
	p, err := above(dir)
	if p != nil || err != nil {
		return p, err
	}
	if out := os.Getenv("OUT_DIR"); out != "" && os.Getenv("CARGO") != "" {
		return above(out)
	}
	return nil, nil
}

// above looks for a project file at dir and upwards.
func above(dir string) (*Project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	home, _ := os.UserHomeDir()
	for owner := ownerOf(dir); ; dir = filepath.Dir(dir) {
		if ownerOf(dir) != owner {
			return nil, nil
		}
		file, err := Read(filepath.Join(dir, FileName))
		if !errors.Is(err, errdef.ErrNotFound) {
			return &Project{dir, file}, err
		}
		if dir == home || dir == filepath.Dir(dir) || exists(dir, ".git") || exists(dir, "go.mod") {
			return nil, nil
		}
	}
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// Foreign tells whether dir is in somebody else's source: Go's module cache, a
// vendor directory, cargo's registry. Its names were not chosen by the user.
func Foreign(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return true
	}
	slashed := filepath.ToSlash(dir) + "/"
	if cache := os.Getenv("GOMODCACHE"); cache != "" && strings.HasPrefix(slashed, filepath.ToSlash(filepath.Clean(cache))+"/") {
		return true
	}
	return strings.Contains(slashed, "/vendor/") || strings.Contains(slashed, "/pkg/mod/") ||
		strings.Contains(slashed, "/registry/src/") || strings.Contains(slashed, "/git/checkouts/")
}
