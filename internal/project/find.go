package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/owned"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// Project is a project with its root.
type Project struct {
	// Root is the absolute path of the directory that has the project file.
	Root string
	File

	// inner is the project that somebody else's source in the working
	// directory is part of, where the root is known to be another: its aliases
	// are those of its source. Nil for none.
	inner *Project
	// foreign says that the file is one of somebody else's source, and was
	// found because it is there.
	foreign bool
	lock    func() (*Lock, error)
}

func newProject(root string, file File) *Project {
	p := &Project{Root: root, File: file}
	p.lock = sync.OnceValues(func() (*Lock, error) { return ReadLock(p.LockPath()) })
	return p
}

// Dependency gives the dependency of that alias. A nil Project has none.
func (p *Project) Dependency(alias string) (Dependency, bool) {
	if p == nil {
		return Dependency{}, false
	}
	if d, ok := p.inner.Dependency(alias); ok {
		return d, true
	}
	d, ok := p.Dependencies[alias]
	return d, ok
}

// Sharing returns how the package of a name is linked: as its dependency says, else as the table [link] of the root does.
// It is empty where neither says it.
func (p *Project) Sharing(name string) Sharing {
	if d, _ := p.Dependency(name); d.Shared != "" || p == nil {
		return d.Shared
	}
	return p.File.Shared
}

// Aliases returns the names of all dependencies, and of each whether the user has
// chosen it, and not source of others. A nil Project has none.
func (p *Project) Aliases() map[string]bool {
	all := map[string]bool{}
	for ; p != nil; p = p.inner {
		for alias := range p.Dependencies {
			all[alias] = !p.foreign
		}
	}
	return all
}

// AllowFlags are the flags that packages may ask for by the word of the user: the
// root's, and not of somebody else's source. A nil Project allows none.
func (p *Project) AllowFlags() []string {
	if p == nil || p.foreign {
		return nil
	}
	return p.Trust.AllowFlags
}

// Reference gives the package that a name stands for, an alias or a reference,
// before the lock is asked. A nil Project has no aliases.
func (p *Project) Reference(name string) (reference.Reference, error) {
	if d, ok := p.Dependency(name); ok {
		name = d.Reference()
	}
	ref, err := reference.Parse(name)
	if p != nil && err == nil {
		if by, ok := p.Overrides[ref.Name()]; ok {
			return by, nil
		}
	}
	return ref, err
}

// Overridden tells whether the project links another package in the place of ref.
func (p *Project) Overridden(ref reference.Reference) bool {
	if p == nil {
		return false
	}
	by, ok := p.Overrides[ref.Name()]
	return ok && by != ref
}

// Lock gives what the project's lock file says; nil when there is none, and for
// a nil Project. It is read once.
func (p *Project) Lock() (*Lock, error) {
	if p == nil || p.lock == nil {
		return nil, nil
	}
	return p.lock()
}

// LockPath gives the place of the project's lock file, which need not be there.
func (p *Project) LockPath() string { return filepath.Join(p.Root, LockName) }

// Locked gives what the lock says of a name; nil when it says nothing. Where
// there is another root, the lock of somebody else's source counts for what the
// root's does not have.
func (p *Project) Locked(ref reference.Reference) (*LockedPackage, error) {
	for ; p != nil; p = p.inner {
		lock, err := p.Lock()
		if err != nil {
			return nil, err
		}
		if locked := lock.Find(ref); locked != nil {
			locked.file = p.LockPath()
			return locked, nil
		}
	}
	return nil, nil
}

// Find returns the project that a build in the directory dir is part of; nil when
// there is none. It is the nearest at or above dir; where there is none, the one in
// the directory that OCIPKG_PROJECT names, which a shell may still have from another
// project, else, under cargo, the nearest above OUT_DIR. Source of others belongs to
// one of these two, where there is one. Looking upwards ends at the first
// ocipkg.toml, at .git or go.mod, at the user's home, and at a directory that belongs
// to somebody else; in one that everybody can write to, a file of somebody else is
// passed over.
func Find(dir string) (*Project, error) {
	near, err := above(dir)
	if err != nil || near != nil && !near.foreign && !setByCMake() {
		return near, err
	}
	root, err := named()
	if err != nil || root != nil && near != nil && !near.foreign {
		return root, err
	}
	return root.Within(near), nil
}

// setByCMake reports whether OCIPKG_PROJECT is from ocipkg.cmake, which knows the
// project: CMake runs programs in the directory that it was started in, and that may
// be in another one.
func setByCMake() bool {
	return os.Getenv("OCIPKG_CALLER") == "cmake" && os.Getenv("OCIPKG_PROJECT") != ""
}

// named returns the project that the environment says; nil when it says none.
func named() (*Project, error) {
	name := os.Getenv("OCIPKG_PROJECT")
	if name == "" {
		if out := os.Getenv("OUT_DIR"); out != "" && os.Getenv("CARGO") != "" {
			return above(out)
		}
		return nil, nil
	}
	dir, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	file, err := Read(filepath.Join(dir, FileName))
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "OCIPKG_PROJECT is %q, and there is no %s in it; correct or unset it", name, FileName)
	}
	return newProject(dir, file), err
}

// For returns the project that source in dir belongs to in a build of which p is the
// root, nil for none: the nearest one, and for source of others p, with the aliases of
// the nearest.
func (p *Project) For(dir string) (*Project, error) {
	near, err := above(dir)
	if err != nil || near != nil && !near.foreign {
		return near, err
	}
	return p.Within(near), nil
}

// At gives the project whose root is the directory dir, and whose project file
// says file.
func At(dir string, file File) (*Project, error) {
	dir, err := filepath.Abs(dir)
	return newProject(dir, file), err
}

// WithText gives the project as it is when its project file says text.
func (p *Project) WithText(text []byte) (*Project, error) {
	file, err := parse(text)
	return newProject(p.Root, file), err
}

// Again reads the project's files anew.
func (p *Project) Again() (*Project, error) {
	file, err := Read(filepath.Join(p.Root, FileName))
	return newProject(p.Root, file), err
}

// Within gives the project as the root of a build that source of another
// project is part of.
func (p *Project) Within(inner *Project) *Project {
	if p == nil || inner == nil || inner.Root == p.Root {
		if p == nil {
			return inner
		}
		return p
	}
	outer := *p
	outer.inner = inner
	return &outer
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
		if path := filepath.Join(dir, FileName); !planted(path, owner) {
			file, err := Read(path)
			if !errors.Is(err, errdef.ErrNotFound) {
				p := newProject(dir, file)
				p.foreign = Foreign(dir)
				return p, err
			}
		}
		if dir == home || dir == filepath.Dir(dir) || exists(dir, ".git") || exists(dir, "go.mod") {
			return nil, nil
		}
	}
}

// ownerOf returns the user that a directory belongs to.
func ownerOf(dir string) int {
	if info, err := os.Stat(dir); err == nil {
		return owned.By(info)
	}
	return owned.Unknown
}

// planted reports whether a file may be anybody's: others may write to its
// directory, and it, or the link that has its name, belongs neither to the user
// nor to owner, who has the source that is built. (Runners of CI let everybody
// write to all that they check out.)
func planted(path string, owner int) bool {
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil || !owned.Writable(dir) {
		return false
	}
	link, err := os.Lstat(path)
	if err != nil {
		return false // and nothing to be read
	}
	file, err := os.Stat(path)
	theirs := func(info fs.FileInfo) bool { return owned.By(info) != owner && !owned.Mine(info) }
	return err != nil || theirs(link) || theirs(file)
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
