package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// checkGlobal refuses a header for all entries that follow, where it says what they
// are: other readers of the archive would make other files of them. What the rest
// of it says, of times and owners, is not read.
// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03
func checkGlobal(records map[string]string) error {
	for key, value := range records {
		if value != "" && slices.Contains([]string{"path", "linkpath", "size"}, key) || strings.HasPrefix(key, "GNU.sparse.") {
			return errdef.Errorf(errdef.ErrVerification, "the layer has a global header with the key %q, which says for all files at once what each says for itself", key)
		}
	}
	return nil
}

// Apply unpacks a layer of a package whose content no config lists, on top of
// the layers before it: later entries replace earlier ones, and whiteouts, as
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
// has them, remove. An absolute link is taken as one from the tree's root.
// Number, which must grow from layer to layer, is what [File.Layer] becomes.
func (t *Tree) Apply(ctx context.Context, r io.Reader, compression Compression, number int) error {
	return t.readEntries(ctx, r, compression, func(header *tar.Header, content io.Reader) error {
		name := strings.TrimPrefix(path.Clean(header.Name), "/")
		root := name == "." || name == ""
		if header.Typeflag == tar.TypeXGlobalHeader {
			return checkGlobal(header.PAXRecords)
		}
		if root && header.Typeflag == tar.TypeDir {
			return nil
		}
		if err := checkPath(name, t.limits); err != nil {
			return fmt.Errorf("the layer holds %q: %w", header.Name, err)
		}
		at, err := t.resolveDir(name)
		if err != nil {
			return err
		}
		if done, err := t.whiteout(at, number); done || err != nil {
			return err
		}
		return t.apply(at, header, content, number)
	})
}

// AddFile makes the regular file name with the size bytes of content. It serves
// artifacts whose layers are single files.
func (t *Tree) AddFile(name string, size int64, content io.Reader, number int) error {
	name = path.Clean(name)
	if err := checkPath(name, t.limits); err != nil {
		return fmt.Errorf("the package holds %q: %w", name, err)
	}
	at, err := t.resolveDir(name)
	if err != nil {
		return err
	}
	return t.put(File{Path: at, Size: size, Mode: 0o644, Layer: number}, content)
}

// Files lists what [Tree.Apply] and [Tree.AddFile] made, sorted by path.
func (t *Tree) Files() []File {
	var files []File
	for _, f := range t.files {
		files = append(files, *f)
	}
	for p, d := range t.dirs {
		if len(d.names) == 0 && p != "." {
			files = append(files, File{Path: p + "/", Mode: 0o755, Layer: d.layer})
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// apply puts one entry of a layer into the tree, at a path that leads through
// no link.
func (t *Tree) apply(at string, header *tar.Header, content io.Reader, number int) error {
	f := File{Path: at, Layer: number, Mode: 0o644}
	if header.Mode&0o111 != 0 {
		f.Mode = 0o755
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return t.putDir(at, number)
	case tar.TypeReg:
		f.Size = header.Size
	case tar.TypeSymlink:
		if header.Linkname == "" {
			return errdef.Errorf(errdef.ErrVerification, "the layer holds %q, a link to nothing", header.Name)
		}
		f.Mode, f.Target = 0o777, relativeTarget(at, header.Linkname)
	case tar.TypeLink:
		return t.link(at, header.Linkname, number)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return errdef.Errorf(errdef.ErrVerification, "the layer holds %q, a %s, which is never unpacked", header.Name, typeFlagName(header.Typeflag))
	default:
		return errdef.Errorf(errdef.ErrVerification, "the layer holds %q of the unknown type %q", header.Name, header.Typeflag)
	}
	return t.put(f, content)
}

// put creates f in place of whatever was there, and remembers it.
func (t *Tree) put(f File, content io.Reader) error {
	if f.IsSymlink() {
		if err := CheckTarget(f.Path, f.Target); err != nil {
			return fmt.Errorf("the layer holds %q: %w", f.Path, err)
		}
	}
	if err := t.clear(f.Path); err != nil {
		return err
	}
	sum := newCounter()
	if err := t.create(f, content, sum); err != nil {
		return err
	}
	if f.IsRegular() {
		f.Digest = sum.digest()
	}
	t.remember(f)
	return nil
}

func (t *Tree) remember(f File) {
	t.files[f.Path] = &f
	t.dirs[path.Dir(f.Path)].names[path.Base(f.Path)] = true
}

// putDir makes the directory at, in place of a file that was there.
func (t *Tree) putDir(at string, number int) error {
	if t.dirs[at] == nil {
		if err := t.clear(at); err != nil {
			return err
		}
	}
	return t.create(File{Path: at + "/", Layer: number}, nil, nil)
}

// link makes at another name of a file of the tree: hard links are what
// archives have where a file came twice.
func (t *Tree) link(at, target string, number int) error {
	target = strings.TrimPrefix(path.Clean(target), "/")
	fail := func(reason string) error {
		return errdef.Errorf(errdef.ErrVerification, "the layer holds %q, a hard link to %q: %s", at, target, reason)
	}
	if err := checkPath(target, t.limits); err != nil {
		return fail(err.Error())
	}
	from, err := t.resolveDir(target)
	if err != nil {
		return err
	}
	original := t.files[from]
	if original == nil {
		return fail("no such file is in the package")
	}
	if at == from {
		return nil
	}
	f := *original
	f.Path, f.Layer = at, number
	if f.IsSymlink() {
		return t.put(f, nil) // not every system links to a link
	}
	if err := t.clear(at); err != nil {
		return err
	}
	if t.files[from] == nil {
		return fail("the link takes the place of the file")
	}
	if err := t.count(File{}); err != nil {
		return err
	}
	if err := t.mkdirs(path.Dir(at), number); err != nil {
		return err
	}
	if t.root != nil {
		if err := linkWithin(t.root, from, at); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return taken(at, err)
			}
			return t.copyLinked(from, f)
		}
	}
	t.remember(f)
	return nil
}

var linkWithin = (*os.Root).Link // replaced to see what comes of a file system without links

// copyLinked makes the file f, which the layer has as a hard link to from, where
// there are no such links, or no more for that file. Its bytes count again.
func (t *Tree) copyLinked(from string, f File) error {
	t.discount(File{})
	if err := t.count(f); err != nil {
		return err
	}
	content, err := t.root.Open(from)
	if err != nil {
		return err
	}
	defer content.Close()
	if err := t.writeFile(f.Path, f, content, nil); err != nil {
		return err
	}
	t.remember(f)
	return nil
}

const maxLinks = 40 // followed on one path, as Linux has it

// resolveDir gives p with every link in its directory part followed, within the
// tree.
func (t *Tree) resolveDir(p string) (string, error) {
	links := 0
	rest := strings.Split(p, "/")
	at := "."
	for len(rest) > 1 {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		f, ok := t.files[next]
		if !ok || !f.IsSymlink() {
			at = next
			if most := t.limits.Path; most > 0 && int64(len(at)) > most { // by way of links
				return "", fmt.Errorf("the layer holds %q: %w", p, t.limits.Exceeded("path", "it leads to a path of more than %d bytes", most))
			}
			continue
		}
		if links++; links > maxLinks {
			return "", errdef.Errorf(errdef.ErrVerification, "%q leads through more than %d links", p, maxLinks)
		}
		// A target goes up from where the link is before it goes down, and
		// stays in the tree: see CheckTarget.
		rest = append(strings.Split(path.Join(at, f.Target), "/"), rest...)
		at = "."
	}
	at = path.Join(at, rest[0])
	if err := checkPath(at, t.limits); err != nil {
		return "", fmt.Errorf("the layer holds %q, which leads to %q: %w", p, at, err)
	}
	return at, nil
}

// relativeTarget turns an absolute link, which in an image starts at the
// image's root, into a relative one.
func relativeTarget(link, target string) string {
	if !strings.HasPrefix(target, "/") {
		return target
	}
	up := strings.Repeat("../", strings.Count(link, "/"))
	return path.Clean(up + path.Clean(target)[1:])
}
