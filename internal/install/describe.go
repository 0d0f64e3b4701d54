package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/artifact"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// filesDoc is the file called files: what fsck, layer sharing and the check
// after a start of the machine need.
type filesDoc struct {
	Layers []digest.Digest `json:"layers"`
	Files  json.RawMessage `json:"files"`
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
	}
	var err error
	if link.Views, err = makeViews(staging, link.CPS, files); err != nil {
		return err
	}
	doc := filesDoc{}
	for _, l := range pkg.Manifest.Layers {
		doc.Layers = append(doc.Layers, l.Digest)
	}
	if doc.Files, err = artifact.MarshalFiles(files); err != nil {
		return err
	}
	return errors.Join(writeJSON(filepath.Join(staging, "files"), doc), writeJSON(filepath.Join(staging, "link.json"), link))
}

func writeJSON(name string, doc any) error {
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return os.WriteFile(name, raw, 0o644)
}

// readFiles lists the files of a package in the store, and its layers.
func readFiles(from *store.Store, of string) ([]layer.File, []digest.Digest, error) {
	raw, err := os.ReadFile(filepath.Join(from.PackageDir(of), "files"))
	if err != nil {
		return nil, nil, err
	}
	var doc filesDoc
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, nil, err
	}
	files, err := artifact.UnmarshalFiles(doc.Files)
	return files, doc.Layers, err
}

// makeViews gives a package that has libraries of both kinds the directories
// static/ and shared/, with links to those of one kind in each, and tells
// whether it did: beside its twin libz.so, -lz never finds libz.a.
func makeViews(staging string, document *cps.Package, files []layer.File) (bool, error) {
	if document == nil {
		return false, nil
	}
	static, shared := document.Views()
	if len(static) == 0 || len(shared) == 0 {
		return false, nil
	}
	known := map[string]bool{}
	for _, f := range files {
		known[f.Path] = true
	}
	return true, errors.Join(makeView(staging, "static", static, known), makeView(staging, "shared", shared, known))
}

// makeView makes one of the directories. The document is the package's own
// word: only plain names are made, and only for files that it has.
func makeView(staging, view string, links []cps.ViewEntry, known map[string]bool) error {
	dir := filepath.Join(staging, view)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, l := range links {
		if !known[l.Target] {
			continue
		}
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
// that takes a privilege, by a hard one.
func linkInto(name, staging, at string) error {
	if runtime.GOOS != "windows" {
		return os.Symlink(path.Join("..", "root", at), name)
	}
	return os.Link(filepath.Join(staging, "root", filepath.FromSlash(at)), name)
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
	for _, l := range pkg.Manifest.Layers {
		_ = in.WriteFile(in.lock, in.Path("layers", l.Digest.Encoded()), []byte(pkg.Descriptor.Digest))
	}
}
