// Package layer turns files into compressed tar archives and back.
//
// Packing is reproducible: the same files give the same bytes, whatever their
// owner, time, umask, and the machine's number of processors. Unpacking is
// confined: nothing an archive contains can touch a path outside the directory
// that it is unpacked into.
//
// The archives are what the OCI image specification calls layers:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
package layer

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

// File is one entry of a package: a regular file, a symbolic link, or an empty
// directory. Directories that hold something are implied by what they hold.
type File struct {
	// Path is where the file is in the package: slash-separated, relative,
	// clean. An empty directory's ends in a slash.
	Path string
	// Size is that of a regular file in bytes, zero for anything else.
	Size int64
	// Mode is 0644 or 0755 for a regular file, 0755 for a directory, and 0777
	// for a symbolic link.
	Mode fs.FileMode
	// Target is what a symbolic link points to, and empty for anything else.
	Target string
	// Digest is that of a regular file's bytes; empty where it is not known.
	Digest digest.Digest
	// Layer is the index of the layer that the file's content came from.
	Layer int

	origin *origin // nil in a package that was read, which may have very many files
}

// origin is the file that is to be packed.
type origin struct {
	source string
	stamp  Stamp
}

// Stamp tells one state of a file on this machine from the next: its device, its
// inode, and the times in nanoseconds when its content and its inode were last
// changed. The zero value tells nothing. A file that changes twice within the
// resolution of its times keeps its stamp.
type Stamp [4]int64

// stamp makes a stamp. File systems that know times only to the second, such as
// images, FAT and some of the network, often have for the time of change what a
// program has set: their stamps tell nothing.
func stamp(device, inode, modified, changed int64) Stamp {
	if modified%1e9 == 0 && changed%1e9 == 0 {
		return Stamp{}
	}
	return Stamp{device, inode, modified, changed}
}

// Before tells whether the stamp's file was last changed before a time, in
// nanoseconds since 1970.
func (s Stamp) Before(at int64) bool { return s != Stamp{} && s[2] < at && s[3] < at }

// IsDir tells whether f is an empty directory.
func (f File) IsDir() bool { return strings.HasSuffix(f.Path, "/") }

// IsRoot tells whether f is the package's root itself, which archives may have.
func (f File) IsRoot() bool { return f.Path == "/" || f.Path == "./" }

// IsSymlink tells whether f is a symbolic link.
func (f File) IsSymlink() bool { return f.Target != "" }

// IsRegular tells whether f is a regular file.
func (f File) IsRegular() bool { return !f.IsDir() && !f.IsSymlink() }

// Stamp gives the stamp that f's source had when it was listed.
func (f File) Stamp() Stamp {
	if f.origin == nil {
		return Stamp{}
	}
	return f.origin.stamp
}

// Source gives the path of the file that f was made from; empty for anything
// but a regular file that is to be packed.
func (f File) Source() string {
	if f.origin == nil {
		return ""
	}
	return f.origin.source
}

const (
	maxName   = 255  // bytes in one element of a path: no file system has more
	maxTarget = 4096 // bytes in a link, likewise
)

// CheckPath tells whether p can be a path in a package: relative, clean, UTF-8,
// and short enough for every file system. The error, of kind
// [errdef.ErrVerification], says what is wrong without naming p.
func CheckPath(p string) error { return checkPath(p, limit.Default) }

// checkPath is [CheckPath] with other limits on length and depth than those that
// every file system keeps to.
func checkPath(p string, limits limit.Limits) error {
	p = strings.TrimSuffix(p, "/")
	fail := func(reason string) error { return errdef.Errorf(errdef.ErrVerification, "%s", reason) }
	switch {
	case p == "" || p == ".":
		return fail("the path is empty")
	case limits.Path > 0 && int64(len(p)) > limits.Path:
		return limits.Exceeded("path", "the path has %d bytes", len(p))
	case !utf8.ValidString(p):
		return fail("the path is not UTF-8")
	case strings.IndexByte(p, 0) >= 0:
		return fail("the path contains a NUL byte")
	case strings.HasPrefix(p, "/"):
		return fail("the path is absolute")
	case p == ".." || strings.HasPrefix(p, "../") || strings.Contains(p, "/../") || strings.HasSuffix(p, "/.."):
		return fail("the path leads out of the package")
	case path.Clean(p) != p:
		return fail("the path is not clean")
	case limits.Depth > 0 && int64(strings.Count(p, "/")) > limits.Depth:
		return limits.Exceeded("depth", "the path has %d directories one in another", strings.Count(p, "/"))
	case runtime.GOOS == "windows" && !windowsPath(p):
		return fail("the path means something else on Windows")
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > maxName {
			return fail(fmt.Sprintf("a name in the path is longer than %d bytes", maxName))
		}
	}
	return nil
}

// windowsPath tells whether Windows takes p for the path that it is: it has
// characters, endings and names with a meaning of their own.
func windowsPath(p string) bool {
	for name := range strings.SplitSeq(p, "/") {
		if strings.ContainsAny(name, `\:*?"<>|`) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") {
			return false
		}
	}
	return filepath.IsLocal(filepath.FromSlash(p))
}

// CheckTarget tells whether a symbolic link at the path link may point to
// target: to something in the package, by a relative path that goes up first
// and down then, so that no other link on the way makes it lead elsewhere. The
// error is of kind [errdef.ErrVerification].
func CheckTarget(link, target string) error {
	switch {
	case target == "":
		return errdef.Errorf(errdef.ErrVerification, "the link's target is empty")
	case len(target) > maxTarget || strings.IndexByte(target, 0) >= 0 || !utf8.ValidString(target):
		return errdef.Errorf(errdef.ErrVerification, "the link's target is no path")
	case strings.HasPrefix(target, "/"):
		return errdef.Errorf(errdef.ErrVerification, "it links to the absolute path %q", target)
	case isWindowsPath(target):
		return errdef.Errorf(errdef.ErrVerification, "it links to %q, which Windows would take for a path of its own", target)
	}
	if at := path.Join(path.Dir(link), target); at == ".." || strings.HasPrefix(at, "../") {
		return errdef.Errorf(errdef.ErrVerification, "it links to %q, which is out of the tree", target)
	}
	down := false
	for name := range strings.SplitSeq(target, "/") {
		if name == ".." && down {
			return errdef.Errorf(errdef.ErrVerification, "it links to %q, which goes up after it went down", target)
		}
		down = down || name != ".." && name != "." && name != ""
	}
	return nil
}

// isWindowsPath recognises a drive letter and the separator of Windows, which
// mean nothing on Unix and a way out there.
func isWindowsPath(target string) bool {
	drive := len(target) >= 2 && target[1] == ':' && (target[0]|0x20) >= 'a' && (target[0]|0x20) <= 'z'
	return drive || strings.Contains(target, `\`)
}

// CheckFiles tells whether files can be the content of one package: each path
// and link is allowed, none comes twice, and none lies below another that is
// not a directory. The error is of kind [errdef.ErrVerification].
func CheckFiles(files []File, limits limit.Limits) error {
	seen := make(map[string]bool, len(files)) // path → may hold others
	for _, f := range files {
		if err := checkPath(f.Path, limits); err != nil {
			return fmt.Errorf("%q: %w", f.Path, err)
		}
		if f.Size < 0 {
			return errdef.Errorf(errdef.ErrVerification, "%q: its size %d is negative", f.Path, f.Size)
		}
		if f.IsDir() && f.IsSymlink() || f.Size > 0 && !f.IsRegular() {
			return errdef.Errorf(errdef.ErrVerification, "%q: it is said to be several things at once", f.Path)
		}
		if f.IsSymlink() {
			if err := CheckTarget(f.Path, f.Target); err != nil {
				return fmt.Errorf("%q: %w", f.Path, err)
			}
		}
		p := strings.TrimSuffix(f.Path, "/")
		if _, twice := seen[p]; twice {
			return errdef.Errorf(errdef.ErrVerification, "%q: it is there twice", f.Path)
		}
		seen[p] = false
	}
	for _, f := range files {
		p := strings.TrimSuffix(f.Path, "/")
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if holds, ok := seen[dir]; ok && !holds {
				return errdef.Errorf(errdef.ErrVerification, "%q: it lies in %q, which is not a directory", f.Path, dir)
			} else if ok {
				break
			}
			seen[dir] = true
		}
	}
	return nil
}
