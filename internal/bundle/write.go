package bundle

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/scratch"
)

// copy brings the entries into the directory, once it is known that each may
// be.
func (b *bundle) copy() ([]string, error) {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return nil, err
	}
	var paths, missing []string
	for name, e := range b.entries {
		at := filepath.Join(b.dir, name)
		paths = append(paths, at)
		there, err := b.there(at, e)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, name)
		}
	}
	slices.Sort(paths)
	// Files before the links to them, so that no link leads nowhere.
	slices.SortFunc(missing, func(x, y string) int {
		return strings.Compare(b.entries[x].target+"\x00"+x, b.entries[y].target+"\x00"+y)
	})
	if len(missing) == 0 {
		scratch.Sweep(b.dir)
		return paths, nil
	}
	tmp, err := scratch.New(b.dir)
	if err != nil {
		return nil, err
	}
	for _, name := range missing {
		if err := place(tmp.Path, filepath.Join(b.dir, name), b.entries[name]); err != nil {
			return nil, errors.Join(err, tmp.Close())
		}
	}
	return paths, tmp.Close()
}

// there tells whether an entry is at its place already. Something else at it
// is an error, unless it is to be replaced.
func (b *bundle) there(at string, e entry) (bool, error) {
	info, err := os.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	same := false
	switch {
	case info.IsDir():
		return false, errdef.Errorf(errdef.ErrUsage, "%s is a directory; remove it, or choose another directory", at)
	case e.target != "" && info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(at)
		if err != nil {
			return false, err
		}
		same = target == e.target
	case info.Mode().IsRegular():
		if same, err = sameContent(at, e.source); err != nil {
			return false, err
		}
	}
	if !same && !b.Force {
		return false, errdef.Errorf(errdef.ErrUsage, "%s is there and different; to replace it, add -f", at)
	}
	return same, nil
}

// place makes a file or a link in one step, by way of the directory tmp. Where
// links take a privilege, the file is there twice.
func place(tmp, at string, e entry) error {
	next := filepath.Join(tmp, "next")
	if e.target == "" || os.Symlink(e.target, next) != nil {
		if err := copyLibrary(e.source, next); err != nil {
			return err
		}
	}
	return os.Rename(next, at)
}

// copyLibrary copies a library. The store's files are read-only; a copy is its
// owner's.
func copyLibrary(source, to string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Chmod(mode), file.Close())
}

// sameContent compares two files.
func sameContent(a, b string) (bool, error) {
	x, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer y.Close()
	left, right := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(x, left)
		m, otherErr := io.ReadFull(y, right)
		switch {
		case !bytes.Equal(left[:n], right[:m]):
			return false, nil
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return true, nil
		case err != nil || otherErr != nil:
			return false, errors.Join(err, otherErr)
		}
	}
}
