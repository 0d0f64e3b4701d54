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
	"github.com/ocipkg/ocipkg/internal/pkgconf"
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
		if supplement.Configuration == "" && strings.Contains(path.Base(name), "@") {
			d.warn("%s: it does not say its configuration, and is ignored", name) // as CMake does
			continue
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

// findDocument returns the tree's only .cps file, or the one of the package's name; empty when there is none. Of several
// versions of one document it is the highest.
func (d *derivation) findDocument() (string, error) {
	files, err := d.documents()
	if err != nil || len(files) == 0 {
		return "", err
	}
	named := func(name string) (list []string) {
		for _, file := range files {
			if strings.EqualFold(path.Base(file), name) {
				list = append(list, file)
			}
		}
		return list
	}
	if list := named(path.Base(files[0])); len(list) == len(files) {
		return d.newest(list)
	}
	if list := named(d.opts.Name + ".cps"); len(list) > 0 {
		return d.newest(list)
	}
	return "", fmt.Errorf("choose among the package's CPS documents: there are %s, and none is named as the package: name the one to use as cps in ocipkg.toml", strings.Join(files, ", "))
}

// newest returns the file of the highest version; of equal ones the first.
func (d *derivation) newest(files []string) (string, error) {
	if len(files) == 1 {
		return files[0], nil
	}
	newest, version := "", ""
	for _, file := range files {
		p, err := d.readDocument(file)
		if err != nil {
			return "", err
		}
		if newest == "" || pkgconf.CompareVersions(p.Version, version) > 0 {
			newest, version = file, p.Version
		}
	}
	d.warn("of the CPS documents %s, %s is taken, which has the highest version (%s): name another one as cps in ocipkg.toml", strings.Join(files, ", "), newest, version)
	return newest, nil
}

// documents lists the tree's .cps files, each once, at the places where the specification has them searched for, in
// <libdir>/cps/<name>/<version> and so on, and at the top. See https://cps-org.github.io/cps/searching.html.
func (d *derivation) documents() ([]string, error) {
	libs, err := d.tree.libDirs()
	if err != nil {
		return nil, err
	}
	type place struct {
		pattern string
		named   bool // the file is named as the first *
	}
	places := []place{{".", false}}
	for _, root := range slices.Concat([]string{"."}, libs, d.tree.inPrefixes("share")) {
		places = append(places, place{root + "/cps", false}, place{root + "/cps/*", false}, place{root + "/cps/*/*", true},
			place{root + "/*/cps", true}, place{root + "/*/*/cps", true})
	}
	places = append(places, place{"*.framework/Versions/*/Resources/CPS", true}, place{"*.framework/Resources/CPS", true})
	var files []string
	seen := map[string]bool{}
	for _, p := range places {
		found, err := d.tree.match(p.pattern)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			name := ""
			if p.named {
				name = strings.TrimSuffix(m.first, ".framework") + ".cps"
			}
			more, err := d.documentsIn(m.dir, name)
			if err != nil {
				return nil, err
			}
			for _, file := range more {
				if resolved, _, _ := d.tree.resolve(file); !seen[resolved] {
					seen[resolved] = true
					files = append(files, file)
				}
			}
		}
	}
	return files, nil
}

// documentsIn lists the documents in a directory, of the given name in any case; empty: of any.
func (d *derivation) documentsIn(dir, only string) ([]string, error) {
	names, err := d.tree.list(dir)
	var files []string
	for _, name := range names {
		file := path.Join(dir, name)
		if strings.HasSuffix(name, ".cps") && (only == "" || strings.EqualFold(name, only)) && d.tree.isFile(file) && !isSupplement(name, names) {
			files = append(files, file)
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
	if own, inside := unmarked(p.CPSPath); inside && d.tree.same(own, dir) {
		dir = own // which may be a link to where the file was found
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
	p.FillLocations()
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
