// Package store is the local store: unpacked packages by digest, and the names
// that they were asked for by.
//
//	packages/sha256/<digest>/root/      the tree, read-only
//	                         link.json  all that linking reads
//	                         files      path, size, mode and digest of each file
//	                         static/ shared/  links to the libraries of one kind
//	blobs/sha256/<digest>               indexes, manifests and configs as they came
//	blobs/sha256/<digest>.platforms     what packages of an index are for, where it does not say
//	refs/<hash of the name>             what a name stood for when it was looked up
//	layers/<digest>                     the packages that had the layer last
//	pushed/<repository>/<directory>     what was pushed, by the hashes of their names
//	used/<digest>                       touched when the package is used
//	roots/<hash of the path>            a lock file whose packages are kept
//	tmp/  locks/
//
// This package finds and reads packages, and names them; package install brings
// them in. It stands at the start of every link, and so imports nothing that
// takes time to start: no registry, no compression, no regular expressions.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/jsonstream"
	"github.com/ocipkg/ocipkg/internal/owned"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/platform"
)

// Store is a directory of packages, which one user writes to and others may
// read. Any number of processes may use one at once.
type Store struct {
	dir    string
	others bool     // it belongs to another user, and nothing is written to it
	shared []*Store // which are only read, for what this one does not have
}

// SharedVar is the environment variable that lists further stores, as PATH does
// directories: what they have is used where it lies.
const SharedVar = "OCIPKG_SHARED_STORES"

// DefaultDir gives where the store is: $OCIPKG_HOME, else the system's place
// for a user's data.
func DefaultDir() (string, error) {
	if dir := os.Getenv("OCIPKG_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the store: %w; set OCIPKG_HOME", err)
	}
	switch runtime.GOOS {
	case "darwin":
		// Not in "Application Support": a blank in the path does not survive
		// cc $(ocipkg link …).
		return filepath.Join(home, "Library", "ocipkg", "v1"), nil
	case "windows":
		if dir := os.Getenv("LOCALAPPDATA"); dir != "" {
			return filepath.Join(dir, "ocipkg", "v1"), nil
		}
		return filepath.Join(home, "AppData", "Local", "ocipkg", "v1"), nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ocipkg", "v1"), nil
	}
	return filepath.Join(home, ".local", "share", "ocipkg", "v1"), nil
}

// Open gives the store in dir, which need not exist; empty is [DefaultDir]. It is
// an error of kind [errdef.ErrUsage] when others than its owner may write to it:
// they could change what is linked, and have what they put there followed.
func Open(dir string) (*Store, error) {
	if dir == "" {
		var err error
		if dir, err = DefaultDir(); err != nil {
			return nil, err
		}
	}
	s, err := openOne(dir)
	if err != nil {
		return nil, err
	}
	for _, dir := range filepath.SplitList(os.Getenv(SharedVar)) {
		shared, err := openOne(dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", SharedVar, err)
		}
		s.shared = append(s.shared, shared)
	}
	return s, nil
}

// openOne opens a store without shared ones.
func openOne(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir}
	info, err := os.Stat(dir)
	switch {
	case err != nil: // it is made when something comes
	case !info.IsDir():
		return nil, errdef.Errorf(errdef.ErrUsage, "the store %s is not a directory; set OCIPKG_HOME to one", dir)
	case owned.Writable(info):
		return nil, errdef.Errorf(errdef.ErrUsage, "others may write to the store %s, and so change what is linked; run: chmod go-w %[1]s, or set OCIPKG_HOME to a directory of your own; others can be given it in %s, to read", dir, SharedVar)
	default:
		s.others = !owned.Mine(info)
	}
	return s, nil
}

// Dir gives the store's directory.
func (s *Store) Dir() string { return s.dir }

// Others reports whether the store belongs to another user: it is read, and never
// written to.
func (s *Store) Others() bool { return s.others }

// Path gives the path of a part of the store.
func (s *Store) Path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// PackageDir gives the directory that the package of a digest has, or would
// have.
func (s *Store) PackageDir(digest string) string {
	algorithm, encoded, _ := reference.SplitDigest(digest)
	return s.Path("packages", algorithm, encoded)
}

// Package is one that is in the store.
type Package struct {
	Digest string // of its manifest
	Root   string // the tree: an absolute path
	// Static and Shared are directories of links to the libraries of one
	// kind, for a package that has both, or whose shared libraries lack a name
	// that is looked for; empty otherwise.
	Static, Shared string
	Link
}

// Link is link.json: what a look-up reads.
type Link struct {
	Version    int                     `json:"version"`          // [LinkVersion]
	BootID     string                  `json:"bootID,omitempty"` // the start of the machine in which sizes were checked
	Platform   platform.Platform       `json:"platform"`
	Views      bool                    `json:"views,omitempty"`      // there are static/ and shared/
	SharedView bool                    `json:"sharedView,omitempty"` // there is shared/ alone
	Size       int64                   `json:"size"`                 // bytes of all files
	CPS        *cps.Package            `json:"cps,omitempty"`        // nil when there is nothing to link
	Requires   []reference.Requirement `json:"requires,omitempty"`
	// Derived reports whether CPS was made from the files when the package came, since its producer had said nothing.
	Derived bool `json:"derived,omitempty"`
	// Unlinkable is a file that linkers may read, and must not; nil: there is none.
	Unlinkable *Unlinkable `json:"unlinkable,omitempty"`
}

// Unlinkable is what a package has that must not come before a linker.
type Unlinkable struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
	// IR reports whether it is a compiler's intermediate representation, which a project may allow.
	IR bool `json:"ir,omitempty"`
}

// LinkVersion is that of the link.json which is written and read here.
const LinkVersion = 2

// Package gives the package of that digest. When the store does not have it,
// whole, the error is of kind [errdef.ErrNotFound].
func (s *Store) Package(digest string) (*Package, error) {
	p, err := s.own(digest)
	for _, shared := range s.shared {
		if !errors.Is(err, errdef.ErrNotFound) {
			break
		}
		if found, otherErr := shared.own(digest); otherErr == nil {
			return found, nil
		}
	}
	return p, err
}

// own is [Store.Package] without the shared stores.
func (s *Store) own(digest string) (*Package, error) {
	if _, _, ok := reference.SplitDigest(digest); !ok {
		return nil, errdef.Errorf(errdef.ErrUsage, "%q is not a digest; write it as sha256: and 64 digits", digest)
	}
	dir := s.PackageDir(digest)
	raw, err := os.ReadFile(filepath.Join(dir, "link.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "package %s is not in the store", digest)
	}
	if err != nil {
		return nil, err
	}
	p := &Package{Digest: digest, Root: filepath.Join(dir, "root")}
	if err := json.Unmarshal(raw, &p.Link); err != nil || p.Version != LinkVersion {
		// Cut short when the power went, or by another version: not whole.
		return nil, errdef.Errorf(errdef.ErrNotFound, "package %s in the store is damaged", digest)
	}
	if p.Views {
		p.Static = filepath.Join(dir, "static")
	}
	if p.Views || p.SharedView {
		p.Shared = filepath.Join(dir, "shared")
	}
	if id := BootID(); id != p.BootID {
		if err := s.checkAfterBoot(p, raw, id); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// checkAfterBoot compares the sizes of a package's files with what they were,
// at its first use after the machine started: nothing was synced to the disk
// when it was unpacked, and a power cut may have cut files short. Of link.json,
// which was read as raw, the start of the machine is all that changes then.
func (s *Store) checkAfterBoot(p *Package, raw []byte, id string) error {
	var link map[string]json.RawMessage
	err := json.Unmarshal(raw, &link)
	if err == nil {
		err = p.checkSizes(filepath.Join(s.PackageDir(p.Digest), "files"))
	}
	if err != nil {
		return errdef.Errorf(errdef.ErrNotFound, "package %s in the store is damaged: %v", p.Digest, err)
	}
	p.BootID = id
	if link["bootID"], err = json.Marshal(id); err != nil {
		return err
	}
	if raw, err = json.Marshal(link); err != nil {
		return err
	}
	// Where the store cannot be written to, or another process is at it, the
	// check is made again next time.
	if lock, err := s.TryLock(LockName(p.Digest), false); err == nil {
		if s.has(p.Digest) { // it may have been removed meanwhile, and half of it must not come back
			_ = s.WriteFile(lock, filepath.Join(s.PackageDir(p.Digest), "link.json"), raw)
		}
		lock.Release()
	}
	return nil
}

// checkSizes looks whether what list says is in the tree, with its sizes.
func (p *Package) checkSizes(list string) error {
	file, err := os.Open(list)
	if err != nil {
		return err
	}
	defer file.Close()
	return jsonstream.Object(file, func(key string, d *json.Decoder) error {
		if key != "files" {
			return jsonstream.Skip(d)
		}
		return jsonstream.List(d, func() error {
			var f struct {
				Path   string `json:"path"`
				Size   int64  `json:"size"`
				Target string `json:"target"`
			}
			if err := d.Decode(&f); err != nil {
				return err
			}
			info, err := os.Lstat(filepath.Join(p.Root, filepath.FromSlash(f.Path)))
			regular := f.Target == "" && !strings.HasSuffix(f.Path, "/")
			if err != nil || regular != info.Mode().IsRegular() || regular && info.Size() != f.Size {
				return fmt.Errorf("%s is not what it was", f.Path)
			}
			return nil
		})
	})
}

const usedInterval = time.Hour

// Use notes that a package is in use, which keeps it from being pruned, and
// then tells whether it is still there. Who found a package may give it out once
// this is true: until it was noted, it could be pruned. The note is kept to the
// hour, and a store that is read-only keeps none.
func (s *Store) Use(digest string) bool {
	s.touch(s.Path("used", LockName(digest)))
	return s.has(digest) || slices.ContainsFunc(s.shared, func(shared *Store) bool { return shared.has(digest) })
}

func (s *Store) has(digest string) bool {
	_, err := os.Lstat(filepath.Join(s.PackageDir(digest), "link.json"))
	return err == nil
}

func (s *Store) touch(name string) {
	if s.others {
		return
	}
	info, err := os.Stat(name)
	if err == nil && time.Since(info.ModTime()) < usedInterval {
		return
	}
	now := time.Now()
	if err == nil && os.Chtimes(name, now, now) == nil {
		return
	}
	if s.Mkdir("used") == nil {
		_ = os.WriteFile(name, nil, 0o600)
	}
}

// LastUsed gives when a package was last used, to the hour; zero when that is
// not known.
func (s *Store) LastUsed(digest string) time.Time {
	info, err := os.Stat(s.Path("used", LockName(digest)))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Mkdir makes a directory of the store, and the store where it is not there:
// for the user alone, unless the store's directory was there before, and others
// may read it. Nothing is made in the store of another user, nor in a directory
// that is another's, a link, or one that others may write to.
func (s *Store) Mkdir(name ...string) error { return s.mkdirAll(s.Path(name...)) }

// MayWrite returns the error of writing to the store of another user; nil for one
// of one's own.
func (s *Store) MayWrite() error {
	if s.others {
		return s.Explain(&fs.PathError{Op: "write to", Path: s.dir, Err: fs.ErrPermission})
	}
	return nil
}

func (s *Store) mkdirAll(dir string) error {
	if err := s.MayWrite(); err != nil {
		return err
	}
	refused := &fs.PathError{Op: "write to", Path: dir, Err: fs.ErrPermission}
	mode := fs.FileMode(0o700)
	if info, err := os.Stat(s.dir); err == nil {
		mode = info.Mode().Perm()&^0o022 | 0o700
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err == nil && (!info.IsDir() || !owned.Mine(info) || owned.Writable(info)) && dir != s.dir {
		err = refused
	}
	return err
}

// WriteFile puts a file in place at once, by way of the temporary file that
// belongs to the lock. Directories above it are made.
func (s *Store) WriteFile(lock *Lock, name string, raw []byte) error {
	tmp := s.Path("tmp", lock.name+FileSuffix)
	if err := s.Mkdir("tmp"); err != nil {
		return err
	}
	err := os.WriteFile(tmp, raw, 0o644)
	if err == nil {
		err = s.mkdirAll(filepath.Dir(name))
	}
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}
