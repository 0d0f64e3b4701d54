package derive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// fromDocument takes the description that the project or the tree has ready.
func (d *derivation) fromDocument() error {
	if d.opts.Document != nil {
		return d.accept(d.opts.Document, ".", "the project's CPS document")
	}
	file := d.opts.CPS
	if file == "" {
		var err error
		if file, err = d.findDocument(); file == "" || err != nil {
			return err
		}
	}
	p, err := d.readDocument(file)
	if err != nil {
		return err
	}
	supplements, err := d.supplements(file)
	if err != nil {
		return err
	}
	for _, name := range supplements {
		supplement, err := d.readDocument(name)
		if err != nil {
			return err
		}
		if err := p.Merge(supplement); err != nil {
			return err
		}
	}
	return d.accept(p, path.Dir(file), file)
}

func (d *derivation) readDocument(file string) (*cps.Package, error) {
	text, err := d.tree.read(file, cps.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: the file is not in the package", file)
	}
	if err != nil {
		return nil, err
	}
	return cps.Read(bytes.NewReader(text), file)
}

// documentDirs are searched for .cps files, with the directories one level below those named cps.
var documentDirs = []string{".", "cps", "lib/cps", "lib64/cps", "share/cps"}

// findDocument gives the tree's only .cps file, or the one of the package's name; empty when there is none.
func (d *derivation) findDocument() (string, error) {
	dirs := slices.Clone(documentDirs)
	for _, lib := range []string{"lib", "lib64"} {
		sub, err := d.tree.multiarch(lib)
		if err != nil {
			return "", err
		}
		for _, dir := range sub {
			dirs = append(dirs, dir+"/cps")
		}
	}
	var files []string
	for _, dir := range dirs {
		found, err := d.documentsIn(dir, dir != ".")
		if err != nil {
			return "", err
		}
		files = append(files, found...)
	}
	if len(files) <= 1 {
		return strings.Join(files, ""), nil
	}
	for _, file := range files {
		if strings.EqualFold(path.Base(file), d.opts.Name+".cps") {
			return file, nil
		}
	}
	return "", fmt.Errorf("choose among the package's CPS documents: there are %s, and none is named as the package: name the one to use as cps in ocipkg.toml", strings.Join(files, ", "))
}

func (d *derivation) documentsIn(dir string, below bool) ([]string, error) {
	names, err := d.tree.list(dir)
	var files []string
	for _, name := range names {
		file := path.Join(dir, name)
		switch {
		case strings.HasSuffix(name, ".cps") && d.tree.isFile(file):
			if !isSupplement(name, names) {
				files = append(files, file)
			}
		case below && d.tree.isDir(file):
			sub, err := d.documentsIn(file, false)
			if err != nil {
				return nil, err
			}
			files = append(files, sub...)
		}
	}
	return files, err
}

// isSupplement says whether a .cps file belongs to another one beside it: NAME@x.cps, NAME:x.cps, NAME-x.cps.
func isSupplement(name string, beside []string) bool {
	return slices.ContainsFunc(beside, func(other string) bool {
		base, ok := strings.CutSuffix(other, ".cps")
		rest, extends := strings.CutPrefix(name, base)
		return ok && extends && rest != ".cps" && rest != "" && strings.ContainsRune("@:-", rune(rest[0]))
	})
}

// supplements lists the files that belong to a document, in the order in which they are merged: those with components
// before those with configurations of these.
func (d *derivation) supplements(file string) ([]string, error) {
	dir, base := path.Split(file)
	names, err := d.tree.list(path.Clean("./" + dir))
	var components, configurations []string
	for _, name := range names {
		switch {
		case !strings.HasSuffix(name, ".cps") || !isSupplement(name, []string{base}):
		case strings.Contains(name, "@"):
			configurations = append(configurations, dir+name)
		default:
			components = append(components, dir+name)
		}
	}
	return append(components, configurations...), err
}

// accept takes a document that stands in dir, after moving its locations to where the files are.
func (d *derivation) accept(p *cps.Package, dir, name string) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if cps.Newer(p.CPSVersion) {
		d.warn("%s: it is a document of CPS %s, which ocipkg does not know: what that version added is kept, but not used", name, p.CPSVersion)
	}
	if err := p.Anchor(dir); err != nil {
		return err
	}
	var missing []string
	p.MapPaths(func(file string) string {
		found, ok := d.locate(file)
		if !ok {
			missing = append(missing, file)
		}
		return found
	})
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("read %s: it names %s, which is not in the package", name, missing[0])
	}
	d.result, d.complete = p, true
	return nil
}

// locate gives the place of a library or directory that a document names; one that is not there may be in another
// directory of the package. Only what is a library has to be there at all.
func (d *derivation) locate(file string) (string, bool) {
	name, inside := unmarked(file)
	if !inside {
		return file, true
	}
	if _, _, err := d.tree.resolve(name); err == nil {
		return file, true
	}
	base := path.Base(name)
	for _, l := range d.libraries.list {
		for _, candidate := range []string{l.archive, l.link, l.runtime} {
			if candidate != "" && path.Base(candidate) == base {
				return marked(candidate), true
			}
		}
	}
	return file, cps.LibraryName(base) == ""
}
