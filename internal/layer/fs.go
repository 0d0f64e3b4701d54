package layer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// FS shows files that are to be packed as the file system they will be once
// they are unpacked. It follows symbolic links within it, implements
// [fs.ReadLinkFS], and its regular files are [io.ReaderAt]s.
func FS(files []File) fs.FS {
	f := &fileSystem{files: map[string]*File{}, dirs: map[string][]string{".": nil}}
	for i := range files {
		p := strings.TrimSuffix(files[i].Path, "/")
		if files[i].IsDir() {
			f.addDir(p)
			continue
		}
		f.files[p] = &files[i]
		f.addDir(path.Dir(p))
		f.dirs[path.Dir(p)] = append(f.dirs[path.Dir(p)], path.Base(p))
	}
	return f
}

type fileSystem struct {
	files map[string]*File
	dirs  map[string][]string // names in each directory
}

func (f *fileSystem) addDir(dir string) {
	if _, ok := f.dirs[dir]; ok {
		return
	}
	f.dirs[dir] = nil
	f.addDir(path.Dir(dir))
	f.dirs[path.Dir(dir)] = append(f.dirs[path.Dir(dir)], path.Base(dir))
}

// resolve follows the links in name, the last element's too if follow is set.
func (f *fileSystem) resolve(op, name string, follow bool) (string, error) {
	fail := func(err error) (string, error) { return "", &fs.PathError{Op: op, Path: name, Err: err} }
	if !fs.ValidPath(name) {
		return fail(fs.ErrInvalid)
	}
	rest := strings.Split(name, "/")
	at := "."
	for links := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		file := f.files[next]
		if file == nil || !file.IsSymlink() || len(rest) == 0 && !follow {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return fail(errors.New("too many links"))
		}
		target := path.Join(at, file.Target)
		if target == ".." || strings.HasPrefix(target, "../") {
			return fail(fs.ErrNotExist)
		}
		rest = append(strings.Split(target, "/"), rest...)
		at = "."
	}
	if _, dir := f.dirs[at]; f.files[at] == nil && !dir {
		return fail(fs.ErrNotExist)
	}
	return at, nil
}

func (f *fileSystem) Open(name string) (fs.File, error) {
	at, err := f.resolve("open", name, true)
	if err != nil {
		return nil, err
	}
	file := f.files[at]
	if file == nil {
		return &openDir{info: f.info(at), entries: f.entries(at)}, nil
	}
	source, err := os.Open(file.Source())
	if err != nil {
		return nil, err
	}
	return &openFile{File: source, info: f.info(at)}, nil
}

// Stat describes what name stands for, links followed.
func (f *fileSystem) Stat(name string) (fs.FileInfo, error) {
	at, err := f.resolve("stat", name, true)
	if err != nil {
		return nil, err
	}
	return f.info(at), nil
}

// Lstat describes what is at name.
func (f *fileSystem) Lstat(name string) (fs.FileInfo, error) {
	at, err := f.resolve("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return f.info(at), nil
}

// ReadLink gives the target of a link.
func (f *fileSystem) ReadLink(name string) (string, error) {
	at, err := f.resolve("readlink", name, false)
	if err != nil {
		return "", err
	}
	if file := f.files[at]; file != nil && file.IsSymlink() {
		return file.Target, nil
	}
	return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
}

func (f *fileSystem) info(at string) fileInfo {
	if file := f.files[at]; file != nil {
		info := fileInfo{name: path.Base(at), size: file.Size, mode: file.Mode.Perm()}
		if file.IsSymlink() {
			info.mode |= fs.ModeSymlink
		}
		return info
	}
	return fileInfo{name: path.Base(at), mode: fs.ModeDir | 0o755}
}

func (f *fileSystem) entries(dir string) []fs.DirEntry {
	names := slices.Sorted(slices.Values(f.dirs[dir]))
	entries := make([]fs.DirEntry, len(names))
	for i, name := range names {
		entries[i] = fs.FileInfoToDirEntry(f.info(path.Join(dir, name)))
	}
	return entries
}

type fileInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return time.Unix(0, 0) }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

// openFile is a file on disk under the name that it has in the package.
type openFile struct {
	*os.File
	info fileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// openDir is a directory that exists only in the package.
type openDir struct {
	info    fileInfo
	entries []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errors.New("is a directory")}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		all := d.entries
		d.entries = nil
		return all, nil
	}
	if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	some := d.entries[:n]
	d.entries = d.entries[n:]
	return some, nil
}
