package layer

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Expand unpacks a layer that must hold exactly files: each of them, with its
// type, size, mode and target, and nothing else. The files' paths must have
// passed [CheckFiles]. A difference is an error of kind
// [errdef.ErrVerification].
func (t *Tree) Expand(ctx context.Context, r io.Reader, compression Compression, files []File) error {
	want := make(map[string]File, len(files))
	for _, f := range files {
		want[f.Path] = f
	}
	err := t.readEntries(ctx, r, compression, func(header *tar.Header, content io.Reader) error {
		got, err := entryOf(header)
		if err != nil {
			return err
		}
		if got.IsRoot() {
			return nil
		}
		f, ok := want[got.Path]
		if !ok {
			return errdef.Errorf(errdef.ErrVerification, "the layer holds %q, which the package's config does not list there", header.Name)
		}
		if got.Size != f.Size || got.Mode != f.Mode || got.Target != f.Target {
			return errdef.Errorf(errdef.ErrVerification, "the layer holds %s, where the package's config lists %s", describe(got), describe(f))
		}
		delete(want, got.Path)
		return t.create(got, content, nil)
	})
	if err != nil {
		return err
	}
	for p := range want {
		return errdef.Errorf(errdef.ErrVerification, "the layer does not hold %q, which the package's config lists there", p)
	}
	return nil
}

func describe(f File) string {
	s := fmt.Sprintf("%q with %d bytes and mode %04o", f.Path, f.Size, f.Mode)
	if f.IsSymlink() {
		s += fmt.Sprintf(" as a link to %q", f.Target)
	}
	return s
}

// entryOf reads what our own layers can hold: files, links, empty directories.
func entryOf(header *tar.Header) (File, error) {
	name := strings.TrimPrefix(header.Name, "./")
	f := File{Path: name, Mode: fs.FileMode(header.Mode)}
	switch header.Typeflag {
	case tar.TypeReg:
		f.Size = header.Size
	case tar.TypeSymlink:
		if f.Target = header.Linkname; f.Target == "" {
			return File{}, errdef.Errorf(errdef.ErrVerification, "the layer holds %q, a link to nothing", header.Name)
		}
	case tar.TypeDir:
		f.Path = strings.TrimSuffix(name, "/") + "/"
	default:
		return File{}, errdef.Errorf(errdef.ErrVerification, "the layer holds %q of the type %s, which no package has", header.Name, typeFlagName(header.Typeflag))
	}
	return f, nil
}

func typeFlagName(flag byte) string {
	switch flag {
	case tar.TypeLink:
		return "hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "FIFO"
	}
	return fmt.Sprintf("%q", flag)
}
