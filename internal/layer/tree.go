package layer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

// Tree is a directory being filled from layers. It is confined to its root: no
// entry, whatever its name or the links before it, reaches outside. Several
// layers may be expanded at once; they are applied one after the other.
type Tree struct {
	root   *os.Root // nil when the tree is only listed
	in     handles  // of root
	limits limit.Limits
	files  map[string]*File // what Apply and AddFile unpacked

	mu     sync.Mutex
	dirs   map[string]*directory // those that exist
	bytes  int64
	seen   int64
	excess int64 // bytes beyond the ratio, of all layers
}

// directory is one of a tree.
type directory struct {
	layer  int             // the last one that listed it or something in it
	hidden int             // the last one that hid what those before it had put there
	names  map[string]bool // what Apply put into it
}

// NewTree starts a tree in root, an empty directory.
func NewTree(root *os.Root, limits limit.Limits) *Tree {
	return &Tree{root: root, in: handles{root: root}, limits: limits, dirs: map[string]*directory{".": {names: map[string]bool{}}}, files: map[string]*File{}}
}

// create makes one entry and copies a regular file's content, also to sum
// where that is not nil. Nothing may be at its path.
func (t *Tree) create(f File, content io.Reader, sum io.Writer) error {
	if err := t.count(f); err != nil {
		return err
	}
	return t.place(f, content, sum)
}

// place is create for an entry that was counted.
func (t *Tree) place(f File, content io.Reader, sum io.Writer) error {
	p := strings.TrimSuffix(f.Path, "/")
	if f.IsDir() {
		return t.mkdirs(p, f.Layer)
	}
	if err := t.mkdirs(path.Dir(p), f.Layer); err != nil {
		return err
	}
	if f.IsRegular() {
		return t.writeFile(p, f, content, sum)
	}
	if t.root == nil {
		return nil
	}
	return taken(p, t.in.symlink(f.Target, p))
}

// taken explains why something is at a path although no entry named it: the file
// system takes two names for one.
func taken(p string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return errdef.Errorf(errdef.ErrVerification, "%q is there already, under a name that this disk takes for the same", p)
	}
	return err
}

// count holds the tree to its limits before anything is written.
func (t *Tree) count(f File) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limits.Entries > 0 && t.seen >= t.limits.Entries {
		return t.limits.Exceeded("entries", "the package has more than %d entries", t.limits.Entries)
	}
	if t.limits.Bytes > 0 && f.Size > t.limits.Bytes-t.bytes {
		return t.limits.Exceeded("bytes", "with %q the package has more than %d bytes unpacked", f.Path, t.limits.Bytes)
	}
	t.seen++
	t.bytes += f.Size
	return nil
}

// discount takes back what count did.
func (t *Tree) discount(f File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen--
	t.bytes -= f.Size
}

// writeFile creates the file p, read-only from the start, or nothing.
func (t *Tree) writeFile(p string, f File, content io.Reader, sum io.Writer) (err error) {
	if t.root == nil {
		if sum == nil {
			sum = io.Discard
		}
		return copyExactly(sum, content, f)
	}
	mode := StoredMode(f.Mode)
	file, err := t.in.create(p, mode)
	if err != nil {
		return taken(p, err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			_ = t.root.Remove(p)
		}
	}()
	w := io.Writer(file)
	if sum != nil {
		w = io.MultiWriter(file, sum)
	}
	if err := copyExactly(w, content, f); err != nil {
		return err
	}
	return file.Chmod(mode) // the umask may have taken bits away
}

// copyBuffers are what files are copied through: one for each is more than most
// of them need, and the collector's work.
var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

const copyBuffer = 128 << 10 // bytes; a block of zstd

func copyExactly(w io.Writer, content io.Reader, f File) error {
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	n, err := io.CopyBuffer(onlyWriter{w}, onlyReader{content}, buf[:])
	if err != nil {
		return fmt.Errorf("unpack %s: %w", f.Path, err)
	}
	if n != f.Size {
		return errdef.Errorf(errdef.ErrVerification, "%q has %d bytes, not %d", f.Path, n, f.Size)
	}
	return nil
}

// StoredMode gives the mode that a file of a package has in the store, where
// nothing is writable.
func StoredMode(mode fs.FileMode) fs.FileMode {
	if mode&0o111 != 0 {
		return 0o555
	}
	return 0o444
}

// mkdirs makes the directory dir and those above it, where they are not there,
// and notes that the layer of that number has them.
func (t *Tree) mkdirs(dir string, layer int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mkdirsLocked(dir, layer)
}

func (t *Tree) mkdirsLocked(dir string, layer int) error {
	if d := t.dirs[dir]; d != nil {
		if d.layer >= layer {
			return nil
		}
		d.layer = layer // also stops at the root, which is its own parent
		return t.mkdirsLocked(path.Dir(dir), layer)
	}
	if err := t.mkdirsLocked(path.Dir(dir), layer); err != nil {
		return err
	}
	if err := t.mkdir(dir); err != nil {
		return err
	}
	t.dirs[dir] = &directory{layer: layer, names: map[string]bool{}}
	t.dirs[path.Dir(dir)].names[path.Base(dir)] = true
	return nil
}

// mkdir makes one directory. Where one is there although no entry named it, the
// file system takes two names for one; it must not be a link that leads
// elsewhere.
func (t *Tree) mkdir(dir string) error {
	if t.root == nil {
		return nil
	}
	err := t.in.mkdir(dir)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := t.root.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = errdef.Errorf(errdef.ErrVerification, "%q is a directory and a file at once, as this file system has names", dir)
	}
	return err
}

// Seal makes every directory of the tree read-only. Nothing can be added then.
func (t *Tree) Seal() error {
	defer t.Close()
	for dir := range t.dirs {
		if err := t.in.seal(dir); err != nil {
			return err
		}
	}
	return nil
}

// Close closes what the tree has open, but for its root.
func (t *Tree) Close() { t.in.forget() }
