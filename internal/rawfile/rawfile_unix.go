//go:build linux || darwin

// Package rawfile reads and writes regular files with one system call for each
// thing that is done. Those that package os opens are first offered to the
// runtime's poller, which takes no regular file: five system calls and a
// finalizer for each, which count where a package has thousands of small files.
//
// It is for files whose names are known to be of regular files. Where there is
// no need to care, as on Windows, a File is one of package os.
package rawfile

import (
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// File is an open file. Unlike an [os.File] it is not for several goroutines at
// once, and is not closed when it is forgotten.
type File struct {
	fd   int
	name string
}

// Open opens a file for reading. The error is that of [os.Open].
func Open(name string) (*File, error) {
	fd, err := retry(func() (int, error) { return unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &File{fd, name}, nil
}

// Create makes a file for writing in a directory that is open; shown is what
// errors call it. Something that is there under the name, a link included, is an
// error of kind [fs.ErrExist]. The name must have no slash in it.
func Create(dir *os.File, name string, mode fs.FileMode, shown string) (*File, error) {
	var fd int
	err := At(dir, "create", shown, func(at int) (err error) {
		fd, err = unix.Openat(at, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode.Perm()))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &File{fd, shown}, nil
}

// At does something with the number of a directory that is open, again where a
// signal came in between. When the directory is not open any more, the error is
// of kind [fs.ErrClosed].
func At(dir *os.File, op, shown string, do func(fd int) error) error {
	conn, err := dir.SyscallConn()
	if err == nil {
		var failed error
		err = conn.Control(func(fd uintptr) {
			_, failed = retry(func() (int, error) { return 0, do(int(fd)) })
		})
		if err == nil && failed == nil {
			return nil
		}
		if err == nil {
			return &fs.PathError{Op: op, Path: shown, Err: failed}
		}
	}
	return &fs.PathError{Op: op, Path: shown, Err: fs.ErrClosed} // all that can be wrong with it
}

// retry does something again as long as signals interrupt it.
func retry(do func() (int, error)) (int, error) {
	for {
		n, err := do()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// Size gives the number of bytes in the file.
func (f *File) Size() (int64, error) {
	var stat unix.Stat_t
	_, err := retry(func() (int, error) { return 0, unix.Fstat(f.fd, &stat) })
	return stat.Size, f.failed("stat", err)
}

func (f *File) Read(p []byte) (int, error) {
	n, err := retry(func() (int, error) { return unix.Read(f.fd, p) })
	return f.read(n, len(p), err)
}

// ReadAt reads as [io.ReaderAt] has it.
func (f *File) ReadAt(p []byte, offset int64) (read int, err error) {
	if offset < 0 {
		return 0, f.failed("readat", fs.ErrInvalid)
	}
	for read < len(p) && err == nil {
		var n int
		n, err = retry(func() (int, error) { return unix.Pread(f.fd, p[read:], offset+int64(read)) })
		n, err = f.read(n, len(p)-read, err)
		read += n
	}
	return read, err
}

// read makes of what a system call said what a reader says.
func (f *File) read(n, wanted int, err error) (int, error) {
	if err != nil {
		return 0, f.failed("read", err)
	}
	if n == 0 && wanted > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *File) Write(p []byte) (written int, err error) {
	for written < len(p) {
		n, err := retry(func() (int, error) { return unix.Write(f.fd, p[written:]) })
		if err != nil {
			return written, f.failed("write", err)
		}
		written += n
	}
	return written, nil
}

// Chmod sets the file's mode.
func (f *File) Chmod(mode fs.FileMode) error {
	_, err := retry(func() (int, error) { return 0, unix.Fchmod(f.fd, uint32(mode.Perm())) })
	return f.failed("chmod", err)
}

// Close closes the file, once.
func (f *File) Close() error {
	if f.fd < 0 {
		return f.failed("close", fs.ErrClosed)
	}
	err := unix.Close(f.fd)
	f.fd = -1
	if err == unix.EINTR {
		err = nil // it is closed
	}
	return f.failed("close", err)
}

func (f *File) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}
