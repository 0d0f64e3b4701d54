package install

import (
	"bufio"
	"encoding/json"
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

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/jsonstream"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/limit"
	"github.com/ocipkg/ocipkg/internal/linkable"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// filesDoc is the file called files: what fsck, layer sharing and the check
// after a start of the machine need. It vouches for itself and for link.json, so
// that a byte which changed on the disk is found wherever it is. The files
// themselves, under "files", may be very many: they are read and written one by one.
type filesDoc struct {
	Layers []digest.Digest
	Link   digest.Digest // of link.json without the start of the machine, which changes
	Sum    digest.Digest // of this document without it
}

// sumWithout gives the digest of a JSON object without one of its keys,
// whatever other keys another version wrote.
func sumWithout(key string, raw []byte) (digest.Digest, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		return "", err
	}
	delete(doc, key)
	rest, err := json.Marshal(doc)
	return digest.FromBytes(rest), err
}

// write writes the document as ReadContents reads it, in the order in which the
// sum is made.
func (d filesDoc) write(w io.Writer, files []layer.File) error {
	layers, err := json.Marshal(d.Layers)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	sum := digest.SHA256.Digester()
	all := io.MultiWriter(out, sum.Hash())
	io.WriteString(all, `{"files":`)
	if err := artifact.WriteFiles(all, files); err != nil {
		return err
	}
	fmt.Fprintf(all, `,"layers":%s,"link":%q`, layers, d.Link)
	sum.Hash().Write([]byte("}"))
	io.WriteString(out, sumEnd(sum.Digest()))
	return out.Flush()
}

// sumEnd gives what ends a document with that sum.
func sumEnd(sum digest.Digest) string { return fmt.Sprintf(`,"sum":%q}`, sum) }

// read reads the document, and its files.
func (d *filesDoc) read(r io.Reader) (files []layer.File, err error) {
	return files, jsonstream.Object(r, func(key string, decoder *json.Decoder) error {
		switch key {
		case "files":
			files, err = artifact.ReadFiles(decoder, limit.Limits{}, func() {}) // whatever was allowed when they came
			return err
		case "layers":
			return decoder.Decode(&d.Layers)
		case "link":
			return decoder.Decode(&d.Link)
		case "sum":
			return decoder.Decode(&d.Sum)
		}
		return jsonstream.Skip(decoder)
	})
}

// check tells whether the document in file is what was written.
func (d *filesDoc) check(file *os.File) error {
	if d.Sum == "" && d.Link == "" {
		return nil // of a version that made no sum
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	end := sumEnd(d.Sum)
	last := make([]byte, len(end))
	summed := info.Size() - int64(len(end))
	if _, err := file.ReadAt(last, max(summed, 0)); err == nil && string(last) == end {
		sum := digest.SHA256.Digester()
		if _, err := io.Copy(sum.Hash(), io.NewSectionReader(file, 0, summed)); err != nil {
			return err
		}
		if sum.Hash().Write([]byte("}")); sum.Digest() == d.Sum {
			return nil
		}
	}
	// Another version may have written it in another order.
	raw, err := os.ReadFile(file.Name())
	if err != nil {
		return err
	}
	if sum, err := sumWithout("sum", raw); err != nil || sum != d.Sum {
		return errors.New("it is not what was written")
	}
	return nil
}

// describe writes what stands beside the tree: link.json, files, and the views.
func (in *installer) describe(staging string, root *os.Root, pkg *artifact.Package, files []layer.File) error {
	link := store.Link{
		Version: store.LinkVersion, BootID: store.BootID(),
		Platform: pkg.Config.Platform, CPS: pkg.Config.CPS, Requires: pkg.Config.Requires,
	}
	for _, p := range []platform.Platform{in.Platform, pkg.ImagePlatform()} {
		if link.Platform.IsZero() {
			link.Platform = p
		}
	}
	for _, f := range files {
		link.Size += f.Size
	}
	if link.CPS == nil && in.Derive != nil {
		var err error
		if link.CPS, err = in.Derive(root); err != nil {
			return fmt.Errorf("find out how it is linked: %w", err)
		}
		link.Derived = link.CPS != nil
	}
	unlinkable, err := linkable.Check(root.FS(), files, link.Platform)
	if err != nil {
		return fmt.Errorf("look for what must not come before a linker: %w", err)
	}
	if worst := linkable.Worst(unlinkable); worst != nil {
		link.Unlinkable = &store.Unlinkable{Path: worst.File, Reason: worst.Reason, IR: worst.Intermediate}
	}
	if err := makeViews(staging, &link, files); err != nil {
		return err
	}
	doc := filesDoc{}
	for _, l := range pkg.Manifest.Layers {
		doc.Layers = append(doc.Layers, l.Digest)
	}
	rawLink, err := json.Marshal(link)
	if err != nil {
		return err
	}
	if doc.Link, err = sumWithout("bootID", rawLink); err != nil {
		return err
	}
	list, err := os.OpenFile(filepath.Join(staging, "files"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(doc.write(list, files), list.Close(), os.WriteFile(filepath.Join(staging, "link.json"), rawLink, 0o644))
}

// Contents is what a package in the store is to hold.
type Contents struct {
	Files  []layer.File
	Layers []digest.Digest
	// Static and Shared are the links of its views.
	Static, Shared []cps.ViewEntry
}

// ReadContents says what a package in the store is to hold, as it was noted when
// it came. A note that is not what it was is an error of kind
// [errdef.ErrVerification].
func ReadContents(from *store.Store, of string) (*Contents, error) {
	damaged := func(name string, err error) error {
		if of := (*fs.PathError)(nil); errors.As(err, &of) {
			err = of.Err
		}
		return errdef.Errorf(errdef.ErrVerification, "%s is damaged: %w", name, err)
	}
	file, err := os.Open(filepath.Join(from.PackageDir(of), "files"))
	if err != nil {
		return nil, damaged("files", err)
	}
	defer file.Close()
	var doc filesDoc
	c := &Contents{}
	if c.Files, err = doc.read(file); err == nil {
		err = doc.check(file)
	}
	if err != nil {
		return nil, damaged("files", err)
	}
	c.Layers = doc.Layers
	var link store.Link
	raw, err := os.ReadFile(filepath.Join(from.PackageDir(of), "link.json"))
	if err == nil {
		err = json.Unmarshal(raw, &link)
	}
	if err != nil {
		return nil, damaged("link.json", err)
	}
	if sum, err := sumWithout("bootID", raw); err != nil || link.Version != store.LinkVersion || doc.Link != "" && sum != doc.Link {
		return nil, damaged("link.json", errors.New("it is not what was written"))
	}
	if (link.Views || link.SharedView) && link.CPS != nil {
		c.Static, c.Shared = viewLinks(link.CPS, c.Files)
	}
	return c, nil
}

// viewLinks returns the links in the directories static/ and shared/: both when a
// package has libraries of both kinds, and shared/ alone when a shared library is
// not in its directory under all the names by which linkers and programs ask for
// it. Beside what the document names they have the other libraries of their kind in
// the same directories, such as libpng.a, a link to libpng16.a: builds of others ask
// for these, and would get the system's.
func viewLinks(document *cps.Package, files []layer.File) (static, shared []cps.ViewEntry) {
	tree := layer.FS(files)
	missing := func(name string) bool {
		info, err := fs.Stat(tree, name)
		return err != nil || !info.Mode().IsRegular()
	}
	another := func(name, target string) bool { // a file of its own, such as a linker script, and neither a link nor a copy
		info, err := fs.Lstat(tree, name)
		library, errLibrary := fs.Stat(tree, target)
		return err == nil && errLibrary == nil && info.Mode().IsRegular() && info.Size() != library.Size()
	}
	unknown := func(l cps.ViewEntry) bool { return missing(l.Target) }
	static, shared = document.Views()
	both := len(static) > 0 && len(shared) > 0
	static, shared = slices.DeleteFunc(static, unknown), slices.DeleteFunc(shared, unknown)
	switch {
	case both:
		return withOthers(tree, static, cps.Archive), withOthers(tree, shared, cps.Dylib)
	case slices.ContainsFunc(shared, func(l cps.ViewEntry) bool {
		beside := path.Join(path.Dir(l.Target), l.Name)
		return missing(beside) || beside != l.Target && another(beside, l.Target)
	}):
		return nil, withOthers(tree, shared, cps.Dylib)
	}
	return nil, nil
}

// withOthers adds the libraries of a kind that are in the directories of links. Those for debugging are found only by who
// is told of them.
func withOthers(tree fs.FS, links []cps.ViewEntry, kind string) []cps.ViewEntry {
	names := map[string]bool{}
	for _, l := range links {
		names[l.Name] = true
	}
	for _, l := range links[:len(links):len(links)] {
		dir := path.Dir(l.Target)
		if dir == "debug" || strings.HasPrefix(dir, "debug/") {
			continue
		}
		files, _ := fs.ReadDir(tree, dir) // which has a file of the package
		for _, f := range files {
			name := f.Name()
			archive := strings.HasSuffix(name, ".a") && !strings.HasSuffix(name, ".dll.a")
			dylib := strings.HasSuffix(name, ".so") || strings.Contains(name, ".so.") || strings.HasSuffix(name, ".dylib")
			if names[name] || !strings.HasPrefix(name, "lib") || (kind == cps.Archive) != archive || (kind == cps.Dylib) != dylib {
				continue
			}
			if info, err := fs.Stat(tree, path.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				names[name] = true
				links = append(links, cps.ViewEntry{Name: name, Target: path.Join(dir, name)})
			}
		}
	}
	return links
}

// makeViews makes the directories of [viewLinks] for a package, and notes which:
// beside its twin libz.so, -lz never finds libz.a.
func makeViews(staging string, link *store.Link, files []layer.File) error {
	if link.CPS == nil {
		return nil
	}
	static, shared := viewLinks(link.CPS, files)
	if static != nil && shared != nil {
		link.Views = true
		return errors.Join(makeView(staging, "static", static), makeView(staging, "shared", shared))
	}
	if link.SharedView = shared != nil; link.SharedView {
		return makeView(staging, "shared", shared)
	}
	return nil
}

// makeView makes one of the directories. The document is the package's own
// word: only plain names are made, and only for files that it has.
func makeView(staging, view string, links []cps.ViewEntry) error {
	dir := filepath.Join(staging, view)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, l := range links {
		if layer.CheckPath(l.Name) != nil || path.Base(l.Name) != l.Name {
			return errdef.Errorf(errdef.ErrVerification, "its link description calls a library %q, which is no file name", l.Name)
		}
		if err := linkInto(filepath.Join(dir, l.Name), staging, l.Target); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o555)
}

// linkInto links to a file of the tree: by a relative symbolic link, or, where
// that takes a privilege, by a hard one, or a copy where there are none.
func linkInto(name, staging, at string) error {
	if runtime.GOOS != "windows" {
		return os.Symlink(path.Join("..", "root", at), name)
	}
	return linkOrCopy(filepath.Join(staging, "root", filepath.FromSlash(at)), name)
}

var hardLink = os.Link // replaced to see what comes of a file system without links

func linkOrCopy(file, name string) error {
	if hardLink(file, name) == nil {
		return nil
	}
	from, err := os.Open(file)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

// place moves a package from tmp/ to where it belongs. One that is there is
// replaced: it is damaged, or the user asked for it.
func (in *installer) place(staging, of string) error {
	dir := in.PackageDir(of)
	if err := in.Mkdir("packages", filepath.Base(filepath.Dir(dir))); err != nil {
		return err
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(staging, dir)
	} else if err != nil {
		return err
	}
	// At once where the system can: a name that was there is there at every
	// instant. The old package is then what is cleaned up in tmp/.
	if err := exchange(staging, dir); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	old := staging + oldSuffix
	if err := errors.Join(layer.Remove(old), os.Rename(dir, old), os.Rename(staging, dir)); err != nil {
		return errors.Join(err, putBack(old, dir))
	}
	return layer.Remove(old)
}

// oldSuffix tells, in tmp/, a package that is being replaced.
const oldSuffix = ".old"

// putBack undoes the move of a package out of the way.
func putBack(old, dir string) error {
	if err := os.Rename(old, dir); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// noteLayers notes that the package has its layers, for the next package with
// one of them. Only those count whose archives held nothing but what is there.
// The package is good without the notes.
func (in *installer) noteLayers(pkg *artifact.Package) {
	if !pkg.ListsFiles() {
		return
	}
	if in.Mkdir("layers") != nil {
		return
	}
	for _, l := range pkg.Manifest.Layers {
		in.NoteLayer(l.Digest.String(), pkg.Descriptor.Digest.String(), in.ownersOf(l.Digest))
	}
}
