package layer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

// Executable tells whether the file r of size bytes is a program, which decides
// its mode where the file system has no executable bit. A nil Executable knows
// only scripts.
type Executable func(r io.ReaderAt, size int64) bool

// Scan lists what is in the directory dir, sorted by path, ready to be packed.
// What a package cannot hold is refused by name: sockets, FIFOs, devices, links
// that lead out of dir, names that are not UTF-8. A link to an absolute path that
// dir has is made relative. A directory in which there is no file is an error.
func Scan(dir string, executable Executable) ([]File, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, notFound(err, "make the directory first, or check its name")
	}
	if !info.IsDir() {
		return nil, errdef.Errorf(errdef.ErrUsage, "%s is not a directory; to pack single files use compose", dir)
	}
	given, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(given); err != nil { // a walk does not enter a link
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	w := walk{executable: executable, root: root, names: []string{filepath.ToSlash(given), filepath.ToSlash(dir)}, occupied: map[string]bool{}}
	w.workers.SetLimit(runtime.GOMAXPROCS(0))
	w.enter(dir, "")
	_ = w.workers.Wait() // they note their errors themselves
	if w.err != nil {
		return nil, w.err
	}
	files := slices.DeleteFunc(slices.Concat(w.files...), func(f File) bool {
		return f.IsDir() && w.occupied[strings.TrimSuffix(f.Path, "/")]
	})
	if !slices.ContainsFunc(files, func(f File) bool { return !f.IsDir() }) {
		return nil, errdef.Errorf(errdef.ErrUsage, "%s has no files in it", dir)
	}
	return files, prepare(files)
}

// walk lists a directory, several of those in it at once.
type walk struct {
	executable Executable
	root       *os.Root // the directory
	names      []string // its absolute paths: as it was given, and without links
	workers    errgroup.Group

	mu       sync.Mutex
	files    [][]File        // of each directory
	occupied map[string]bool // directories in which there is something
	err      error           // of what comes first, by its path
	failed   string
}

// enter lists the directory at, which is rel in the package: empty, or with a
// slash at its end.
func (w *walk) enter(at, rel string) {
	entries, err := os.ReadDir(at)
	if err != nil {
		w.fail(rel, err)
	}
	files := make([]File, 0, len(entries))
	for _, entry := range entries {
		below := filepath.Join(at, entry.Name())
		name := rel + entry.Name()
		if end := below[len(below)-len(name):]; end == name {
			name = end // one string in memory for both
		}
		f, err := w.stat(below, name)
		if err != nil {
			w.fail(name, err)
			break
		}
		files = append(files, f)
		if f.IsDir() && !w.workers.TryGo(func() error { w.enter(below, f.Path); return nil }) {
			w.enter(below, f.Path)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = append(w.files, files)
	if len(files) > 0 {
		w.occupied[strings.TrimSuffix(rel, "/")] = true
	}
}

func (w *walk) fail(rel string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil || rel < w.failed {
		w.err, w.failed = err, rel
	}
}

// Entry makes the entry for the file at source, to be packed as the path dest.
// A symbolic link is followed: compose asks for files, not for links.
func Entry(source, dest string, executable Executable) (File, error) {
	info, err := os.Stat(source)
	if err != nil {
		return File{}, notFound(err, "check the name")
	}
	if info.IsDir() {
		return File{}, errdef.Errorf(errdef.ErrUsage, "%s is a directory; to pack a directory use pack", source)
	}
	return regular(source, dest, info, executable)
}

// Arrange sorts files for packing and checks that they can be one package.
func Arrange(files []File) error {
	if len(files) == 0 {
		return errdef.Errorf(errdef.ErrUsage, "there are no files to pack")
	}
	return prepare(files)
}

func prepare(files []File) error {
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	if err := CheckFiles(files, limit.Default); err != nil {
		return unfit(err)
	}
	return nil
}

// unfit turns an error about what a package may hold, which is one of
// verification where a package is read, into one about the input.
func unfit(err error) error { return errdef.Errorf(errdef.ErrUsage, "%v", err) }

// stat makes the entry for what is at the path at, without following a link.
func (w *walk) stat(at, rel string) (File, error) {
	info, err := os.Lstat(at)
	if err != nil {
		return File{}, err
	}
	if err := CheckPath(rel); err != nil {
		return File{}, unfit(fmt.Errorf("%q cannot be packed: %w; rename it", at, err))
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		return File{Path: rel + "/", Mode: 0o755}, nil
	case fs.ModeSymlink:
		target, err := os.Readlink(at)
		if err != nil {
			return File{}, err
		}
		target = filepath.ToSlash(target)
		if CheckTarget(rel, target) != nil {
			target = straighten(filepath.Dir(at), w.relative(rel, target))
		}
		if err := CheckTarget(rel, target); err != nil {
			return File{}, unfit(fmt.Errorf("%s cannot be packed: %w; copy the file in, or leave the link out", at, err))
		}
		return File{Path: rel, Mode: 0o777, Target: target}, nil
	}
	return regular(at, rel, info, w.executable)
}

// relative returns the target of the link rel without the absolute path in it, if
// the directory has what that means: a path of the directory itself, or of the
// root directory that it is to become, all of it or the part that its own path
// ends with. On systems of today /lib is /usr/lib.
func (w *walk) relative(rel, target string) string {
	var inside []string
	for _, name := range w.names {
		for i := range len(name) {
			if rest, ok := strings.CutPrefix(target, name[i:]+"/"); ok && (i == 0 || name[i] == '/') {
				inside = append(inside, rest)
			}
		}
	}
	if strings.HasPrefix(target, "/") {
		inside = append(inside, target, "usr"+target, strings.TrimPrefix(target, "/usr/"))
	}
	for _, name := range inside {
		name = path.Clean("/" + name)[1:]
		if _, err := w.root.Lstat(filepath.FromSlash(name)); name == "" || err != nil {
			continue
		}
		if to, err := filepath.Rel(path.Dir(rel), name); err == nil {
			return filepath.ToSlash(to)
		}
	}
	return target
}

// straighten drops from the target of a link in dir what goes down and up
// again, where that leads to the same file.
func straighten(dir, target string) string {
	clean := path.Clean(target)
	before, err := os.Stat(dir + string(filepath.Separator) + filepath.FromSlash(target))
	if err != nil {
		return target
	}
	after, err := os.Stat(filepath.Join(dir, filepath.FromSlash(clean)))
	if err != nil || !os.SameFile(before, after) {
		return target
	}
	return clean
}

func regular(at, rel string, info fs.FileInfo, executable Executable) (File, error) {
	if !info.Mode().IsRegular() {
		return File{}, errdef.Errorf(errdef.ErrUsage, "%s cannot be packed: it is a %s; a package holds files, directories and links", at, typeName(info.Mode()))
	}
	f := File{Path: rel, Size: info.Size(), Mode: 0o644, origin: &origin{at, stampOf(info)}}
	ok, err := isExecutable(at, info, executable)
	if ok {
		f.Mode = 0o755
	}
	return f, err
}

// isExecutable asks the executable bit where there is one, the bytes elsewhere.
func isExecutable(at string, info fs.FileInfo, executable Executable) (bool, error) {
	if runtime.GOOS != "windows" {
		return info.Mode()&0o100 != 0, nil
	}
	f, err := os.Open(at)
	if err != nil {
		return false, err
	}
	defer f.Close()
	magic := make([]byte, 2)
	if _, err := f.ReadAt(magic, 0); err == nil && string(magic) == "#!" {
		return true, nil
	}
	return executable != nil && executable(f, info.Size()), nil
}

func typeName(mode fs.FileMode) string {
	switch mode.Type() {
	case fs.ModeNamedPipe:
		return "FIFO"
	case fs.ModeSocket:
		return "socket"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		return "device"
	}
	return "special file"
}

// notFound adds the next step to an error about a missing file.
func notFound(err error, next string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errdef.Errorf(errdef.ErrNotFound, "%w; %s", err, next)
	}
	return err
}
