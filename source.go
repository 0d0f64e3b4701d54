package ocipkg

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layout"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/registry"
)

// openLayout opens the layout that source names, and gives its manifest or
// index. Warnings about it go to warn.
func openLayout(ctx context.Context, source string, warn func(string)) (*layout.Layout, Descriptor, error) {
	l, tag, err := openPath(ctx, source)
	if err != nil {
		return nil, Descriptor{}, err
	}
	for _, line := range l.Warnings {
		warn(line)
	}
	root, err := l.Root(tag)
	if err != nil {
		l.Close()
		return nil, Descriptor{}, err
	}
	return l, root, nil
}

func openPath(ctx context.Context, source string) (_ *layout.Layout, tag string, err error) {
	if file, ok := strings.CutPrefix(source, "oci-archive:"); ok {
		l, err := layout.OpenArchive(ctx, file)
		return l, "", err
	}
	if rest, ok := strings.CutPrefix(source, "oci:"); ok {
		dir, tag := splitTag(rest)
		l, err := layout.OpenDir(ctx, dir)
		return l, tag, err
	}
	info, err := os.Stat(source)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", errdef.Errorf(errdef.ErrNotFound, "%s does not exist; check the name", source)
	case err != nil:
		return nil, "", err
	case info.IsDir():
		l, err := layout.OpenDir(ctx, source)
		return l, "", err
	}
	l, err := layout.OpenArchive(ctx, source)
	return l, "", err
}

// reader is where a package, and what refers to it, is read from.
type reader interface {
	artifact.Fetcher
	Referrers(ctx context.Context, desc Descriptor) ([]Descriptor, error)
}

// opened is a package in a registry or a layout, ready to be read.
type opened struct {
	reader
	root Descriptor
	// name is what it is called in a layout: its whole name, or what the layout
	// that it is in has.
	name string
	// ref is what it was asked for by; the zero value for a layout.
	ref reference.Reference
	// path is the layout's; empty for a registry.
	path  string
	close func() error
}

// openPackage opens a source of any kind but a directory of files. Mirrors that
// skip names are not asked.
func (c *Client) openPackage(ctx context.Context, source string, skip func(layout string, repo *registry.Repository) bool) (*opened, error) {
	if isDir(source) {
		return nil, errdef.Errorf(errdef.ErrUsage, "%s is a directory of files, and no package yet; make one with: ocipkg pack %s OUTPUT", source, source)
	}
	if isLayout(source) {
		l, root, err := openLayout(ctx, source, c.warn)
		if err != nil {
			return nil, err
		}
		return &opened{reader: l, root: root, name: artifact.Name(root), path: l.Path, close: l.Close}, nil
	}
	ref, err := c.named(source)
	if err != nil {
		return nil, err
	}
	mirrors, err := c.mirrors()
	if err != nil {
		return nil, err
	}
	from := mirrors.Source(ref, skip)
	root, _, err := from.Manifest(ctx, ref.Target())
	if err != nil {
		return nil, err
	}
	name := ref
	if ref.Tag != "" {
		name.Digest = "" // a layout says itself what a name stands for
	}
	return &opened{reader: from, root: root, name: name.String(), ref: ref, close: func() error { return nil }}, nil
}

// isLayout tells whether a source is written as a layout, or is one. What
// looks like a file's name is one even when it is not there: the error is about
// the file then, and not about a registry that nobody meant.
func isLayout(source string) bool {
	if strings.HasPrefix(source, "oci:") || strings.HasPrefix(source, "oci-archive:") {
		return true
	}
	info, err := os.Stat(source)
	if err != nil {
		return strings.HasSuffix(source, ".tar") || strings.HasPrefix(source, ".") || filepath.IsAbs(source)
	}
	if !info.IsDir() {
		return true
	}
	_, index := os.Stat(filepath.Join(source, "index.json"))
	_, blobs := os.Stat(filepath.Join(source, "blobs"))
	return index == nil && blobs == nil
}

// isDir tells whether source is the path of a directory that is no layout: one
// whose files are to be packed.
func isDir(source string) bool {
	info, err := os.Stat(source)
	return err == nil && info.IsDir() && !isLayout(source)
}

// IsSource tells whether what a user wrote in the place of a source or a name is
// a layout, a file or a directory on this machine, and not a name in a registry.
func IsSource(arg string) bool { return isLayout(arg) || isDir(arg) }
