package layout

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
)

// maxArchiveFiles bounds the files of an archive that are remembered: far more
// than a layout has blobs.
const maxArchiveFiles = 1 << 20

// archive is a layout's files in a tar archive, found by one pass over its
// headers.
type archive struct {
	file *os.File
	at   map[string]span
}

// span is where a file's bytes are in the archive.
type span struct{ offset, size int64 }

func openArchive(name string) (_ *archive, err error) {
	// Before it is opened: that would wait for the other end of a FIFO.
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errdef.Errorf(errdef.ErrNotFound, "%s does not exist; check the name", name)
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errdef.Errorf(errdef.ErrUsage, "%s is no file; give an oci-archive, or a layout as oci:DIR", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, at: map[string]span{}}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if err := a.scan(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return a, nil
}

// scan notes where each file of the archive is.
func (a *archive) scan() error {
	r := tar.NewReader(a.file)
	for entries := 0; ; entries++ {
		header, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) && entries == 0 {
			return errdef.Errorf(errdef.ErrVerification, "it is no tar archive, or was cut short in its first block; give an oci-archive")
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return errdef.Errorf(errdef.ErrVerification, "the archive was cut short; make or fetch it anew")
		}
		if err != nil {
			return errdef.Errorf(errdef.ErrVerification, "it is no tar archive: %w", err)
		}
		name := path.Clean(header.Name)
		if name != indexFile && name != layoutFile && !strings.HasPrefix(name, "blobs/") {
			continue
		}
		if layer.IsSparse(header) {
			return errdef.Errorf(errdef.ErrVerification, "it holds %s as a sparse file; make it anew without that option of tar", name)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if len(a.at) >= maxArchiveFiles {
			return errdef.Errorf(errdef.ErrVerification, "the archive has more than %d files; it is no image layout", maxArchiveFiles)
		}
		// The tar reader reads headers block by block and never ahead, so the
		// file stands where the content begins.
		offset, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		a.at[name] = span{offset, header.Size}
	}
}

func (a *archive) open(name string) (io.ReadCloser, int64, error) {
	s, ok := a.at[name]
	if !ok {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(io.NewSectionReader(a.file, s.offset, s.size)), s.size, nil
}

func (a *archive) close() error { return a.file.Close() }
