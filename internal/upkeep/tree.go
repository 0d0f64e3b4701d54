package upkeep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/install"
	"github.com/ocipkg/ocipkg/internal/layer"
)

// treeCheck compares the directory of one package with what it is to hold.
type treeCheck struct {
	*fscker
	of  *Package
	dir string
}

// wanted is what is to be at a path.
type wanted struct {
	mode   fs.FileMode // type and permissions
	file   *layer.File // of a regular file
	target string      // of a symbolic link
}

func (c *treeCheck) run(ctx context.Context, contents *install.Contents) error {
	want := treeOf(contents.Files)
	addView(want, "static", contents.Static)
	addView(want, "shared", contents.Shared)
	group, inner := errgroup.WithContext(ctx)
	for _, top := range []string{"root", "static", "shared"} {
		err := filepath.WalkDir(filepath.Join(c.dir, top), func(at string, entry fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			rel, relErr := filepath.Rel(c.dir, at)
			if relErr != nil {
				return relErr
			}
			name := filepath.ToSlash(rel)
			if err != nil {
				if name != top || !errors.Is(err, fs.ErrNotExist) {
					c.found(c.of, name, reason(err))
				}
				return nil
			}
			w, ok := want[name]
			delete(want, name)
			if !ok {
				c.found(c.of, name, errors.New("it is not a part of the package"))
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			info, err := entry.Info()
			if err != nil {
				c.found(c.of, name, reason(err))
				return nil
			}
			c.compare(inner, group, name, w, info)
			return nil
		})
		if err != nil {
			return errors.Join(err, group.Wait())
		}
	}
	for name, w := range want {
		if w.file != nil {
			c.progress(w.file.Size)
		}
		c.found(c.of, name, errors.New("it is missing"))
	}
	return group.Wait()
}

// compare looks at one file, whose bytes are read by another goroutine.
func (c *treeCheck) compare(ctx context.Context, group *errgroup.Group, name string, w wanted, info fs.FileInfo) {
	at := filepath.Join(c.dir, filepath.FromSlash(name))
	mode := info.Mode()
	switch {
	case mode.Type() != w.mode.Type():
		c.found(c.of, name, fmt.Errorf("it is a %s, and was a %s", kind(mode), kind(w.mode)))
		return
	case mode&fs.ModeSymlink != 0:
		if target, err := os.Readlink(at); err != nil {
			c.found(c.of, name, reason(err))
		} else if filepath.ToSlash(target) != w.target {
			c.found(c.of, name, fmt.Errorf("it links to %q, and did to %q", target, w.target))
		}
		return
	case runtime.GOOS != "windows" && mode&^fs.ModeType != w.mode&^fs.ModeType:
		c.found(c.of, name, fmt.Errorf("its mode is %v, and was %v", mode, w.mode))
	}
	if w.file == nil {
		return
	}
	if info.Size() != w.file.Size {
		c.progress(w.file.Size)
		c.found(c.of, name, fmt.Errorf("it has %d bytes, and had %d", info.Size(), w.file.Size))
		return
	}
	if w.file.Digest == "" {
		c.progress(w.file.Size)
		return
	}
	c.tokens <- struct{}{} // before the goroutine, so that there are no thousands of them
	group.Go(func() error {
		defer func() { <-c.tokens }()
		sum, err := c.hashOnce(ctx, at, info, w.file.Digest.Algorithm())
		c.progress(w.file.Size)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && sum != w.file.Digest {
			err = errors.New("its bytes are not what they were")
		}
		if err != nil {
			c.found(c.of, name, reason(err))
		}
		return nil
	})
}

// treeOf gives what is to be in root/, the directories that files imply
// included, as [layer.Tree] makes them.
func treeOf(files []layer.File) map[string]wanted {
	want := map[string]wanted{"root": {mode: fs.ModeDir | 0o555}}
	for i, f := range files {
		name := path.Join("root", f.Path)
		switch {
		case f.IsDir():
			want[name] = wanted{mode: fs.ModeDir | 0o555}
		case f.IsSymlink():
			want[name] = wanted{mode: fs.ModeSymlink, target: f.Target}
		default:
			want[name] = wanted{mode: layer.StoredMode(f.Mode), file: &files[i]}
		}
		for dir := path.Dir(name); dir != "root" && dir != "."; dir = path.Dir(dir) {
			if _, ok := want[dir]; ok {
				break
			}
			want[dir] = wanted{mode: fs.ModeDir | 0o555}
		}
	}
	return want
}

// addView adds one of the directories of links to libraries.
func addView(want map[string]wanted, view string, links []cps.ViewEntry) {
	if links == nil {
		return
	}
	want[view] = wanted{mode: fs.ModeDir | 0o555}
	for _, l := range links {
		if runtime.GOOS == "windows" { // hard links there
			want[path.Join(view, l.Name)] = want[path.Join("root", l.Target)]
			continue
		}
		want[path.Join(view, l.Name)] = wanted{mode: fs.ModeSymlink, target: path.Join("..", "root", l.Target)}
	}
}

// hash is the digest of a file that has several names, made once.
type hash struct {
	once sync.Once
	sum  digest.Digest
	err  error
}

// hashOnce gives the digest of a file, which is read once whatever packages
// share it.
func (f *fscker) hashOnce(ctx context.Context, at string, info fs.FileInfo, algorithm digest.Algorithm) (digest.Digest, error) {
	id, names := identify(at, info)
	if names < 2 || algorithm != digest.SHA256 {
		return f.hashFile(ctx, at, algorithm)
	}
	f.mu.Lock()
	h := f.hashes[id]
	if h == nil {
		h = &hash{}
		f.hashes[id] = h
	}
	f.mu.Unlock()
	h.once.Do(func() { h.sum, h.err = f.hashFile(ctx, at, algorithm) })
	return h.sum, h.err
}

var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// hashFile reads a file and gives its digest.
func (f *fscker) hashFile(ctx context.Context, at string, algorithm digest.Algorithm) (digest.Digest, error) {
	file, err := os.Open(at)
	if err != nil {
		return "", err
	}
	defer file.Close()
	buffer := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buffer)
	sum := algorithm.Hash()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := file.Read(buffer[:])
		sum.Write(buffer[:n])
		if err == io.EOF {
			return digest.NewDigest(algorithm, sum), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// reason takes from an error the path, which is named beside it.
func reason(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "file"
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	}
	return "special file " + strings.TrimRight(mode.Type().String(), "-")
}
