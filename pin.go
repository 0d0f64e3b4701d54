package ocipkg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/gosource"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/scratch"
)

// PinOptions say how names are pinned. The zero value pins those that are not.
type PinOptions struct {
	// Update looks every tag up in its registry, and moves the pins that are
	// behind.
	Update bool
	// Check changes no file; see [Client.Pin].
	Check bool
}

// Pin is a package's name in a #cgo pkg-config directive.
type Pin struct {
	File string `json:"file"` // as the patterns lead to it
	Line int    `json:"line"` // from 1
	// Name is what the file said before.
	Name string `json:"name"`
	// Pinned is the name with the digest that it should have, which is in the
	// file now unless that was only checked; empty when nobody was asked.
	Pinned string `json:"pinned,omitempty"`
}

// Changed tells whether the name is not what it should be, or was not before.
func (p Pin) Changed() bool { return p.Name != p.Pinned }

// Pin writes into the Go files of the packages that patterns name the digest of
// each package that a #cgo pkg-config directive asks for by its tag, which it
// keeps: ghcr.io/acme/zstd:1.5@sha256:…. A digest is that of an index, where
// there is one, and so good for all platforms. Patterns are directories, and
// DIR/... for all that are below. Aliases and names of the system's packages
// stay as they are. It gives all names that it looked at, in order.
//
// A name gets the digest that the lock of the project in the working directory
// has for it, else the one that the same name has elsewhere in these files, else
// the store's, so that what was built with is pinned, else the registry's. With Check nothing is written, and names that are not as
// they should be are an error of kind [ErrLock].
func (c *Client) Pin(ctx context.Context, patterns []string, options PinOptions) ([]Pin, error) {
	ctx, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	pins, err := c.pin(ctx, patterns, options)
	if err != nil {
		return nil, fmt.Errorf("pin %s: %w", strings.Join(patterns, " "), err)
	}
	if options.Check {
		if own, err := project.Find("."); err == nil {
			c.warnSystemAliases(own)
		}
		return pins, checkPins(pins, patterns, options)
	}
	return pins, nil
}

func (c *Client) pin(ctx context.Context, patterns []string, options PinOptions) ([]Pin, error) {
	paths, err := gosource.Files(patterns)
	if err != nil {
		return nil, err
	}
	var sources []*goSource
	for _, path := range paths {
		source, err := readGoSource(path)
		if err != nil {
			return nil, err
		}
		if len(source.refs) == 0 {
			continue
		}
		if !options.Check && project.Foreign(filepath.Dir(path)) {
			return nil, errdef.Errorf(errdef.ErrUsage, "%s is not yours to change: Go's module cache and vendor directories hold what others wrote; pin it where it comes from", path)
		}
		sources = append(sources, source)
	}
	digests, err := c.pinDigests(ctx, sources, options)
	if err != nil {
		return nil, err
	}
	var pins []Pin
	for _, source := range sources {
		source.pin(digests, options.Update)
		pins = append(pins, source.pins()...)
	}
	if options.Check {
		return pins, nil
	}
	for _, source := range sources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := source.write(); err != nil {
			return nil, err
		}
	}
	return pins, nil
}

// checkPins gives the error for names that are not as they should be.
func checkPins(pins []Pin, patterns []string, options PinOptions) error {
	var wrong []Pin
	for _, p := range pins {
		if p.Changed() {
			wrong = append(wrong, p)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	what, flag := "not pinned", ""
	if options.Update {
		what, flag = "not pinned to what their tags stand for now", "--update "
	}
	first := wrong[0]
	return errdef.Errorf(errdef.ErrLock, "check the pins in %s: %d of %d names are %s, the first at %s:%d: %s; run: ocipkg pin %s%s",
		strings.Join(patterns, " "), len(wrong), len(pins), what, first.File, first.Line, first.Name, flag, strings.Join(patterns, " "))
}

// goSource is a Go file with the packages that it asks for.
type goSource struct {
	path  string
	text  []byte
	names []gosource.Name
	// By the text of a name that is a package's:
	refs   map[string]reference.Reference
	pinned map[string]string // what it should be; empty when that is not known

	overridden map[reference.Reference]bool // those that the project links another for
}

func readGoSource(path string) (*goSource, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &goSource{path: path, text: text, refs: map[string]reference.Reference{}, pinned: map[string]string{}, overridden: map[reference.Reference]bool{}}
	if s.names, err = gosource.Names(path, text); err != nil {
		return nil, err
	}
	for _, name := range s.names {
		if !reference.InPkgConfig(name.Text) {
			continue
		}
		ref, _ := reference.CutModule(name.Text)
		if s.refs[name.Text], err = reference.ParseRepository(ref); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, name.Line, err)
		}
	}
	return s, nil
}

// pin finds out what the names should be, from the digests of tags. A name that
// has a digest already keeps it, unless pins are to move.
func (s *goSource) pin(digests map[reference.Reference]string, move bool) {
	for name, ref := range s.refs {
		digest, known := digests[tagOf(ref)]
		switch {
		case s.overridden[ref], ref.Digest != "" && !(known && move):
			s.pinned[name] = name
		case known:
			// In the user's own words, short forms and all.
			text, module := reference.CutModule(name)
			text, _, _ = strings.Cut(text, "@")
			if ref.Tag == "" {
				text += ":" + reference.DefaultTag
			}
			if module != "" {
				digest += "+" + module
			}
			s.pinned[name] = text + "@" + digest
		}
	}
}

// pins gives the packages' names of the file.
func (s *goSource) pins() []Pin {
	var pins []Pin
	for _, name := range s.names {
		if _, ok := s.refs[name.Text]; ok {
			pins = append(pins, Pin{File: s.path, Line: name.Line, Name: name.Text, Pinned: s.pinned[name.Text]})
		}
	}
	return pins
}

// tagOf gives the reference that the digest of ref is looked up by. It has no
// tag when ref has nothing but a digest.
func tagOf(ref reference.Reference) reference.Reference {
	if ref.Tag == "" && ref.Digest == "" {
		ref.Tag = reference.DefaultTag
	}
	ref.Digest = ""
	return ref
}

// write puts the file in place with its names pinned, if that changes it.
func (s *goSource) write() error {
	text := gosource.Rewrite(s.text, s.names, func(name gosource.Name) string {
		if _, ok := s.refs[name.Text]; ok {
			return s.pinned[name.Text]
		}
		return name.Text
	})
	if string(text) == string(s.text) {
		if len(s.refs) > 0 {
			scratch.Sweep(filepath.Dir(s.path)) // an earlier one may have been killed when it was done
		}
		return nil
	}
	return rewriteFile(s.path, text)
}

// pinDigests finds the digests that names should have, by name and tag. Of a
// name that is as it should be there need be none.
func (c *Client) pinDigests(ctx context.Context, sources []*goSource, options PinOptions) (map[reference.Reference]string, error) {
	digests := map[reference.Reference]string{}
	wanted := map[reference.Reference]bool{}
	had := pinsBefore(sources)
	own, err := project.Find(".")
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		for _, ref := range source.refs {
			tag := tagOf(ref)
			locked, err := own.Locked(tag)
			switch {
			case err != nil:
				return nil, err
			case own.Overridden(ref):
				c.warn(fmt.Sprintf("%s is not pinned: the project links %s in its place, whatever digest it has", ref, own.Overrides[ref.Name()]))
				source.overridden[ref] = true
			case tag.Tag == "" || !options.Update && (ref.Digest != "" || options.Check):
			case locked != nil:
				digests[tag] = locked.Digest
			case !options.Update && had[tag] != "":
				digests[tag] = had[tag]
			case c.Locked:
				return nil, errdef.Errorf(errdef.ErrLock, "%s is not in the lock of the project here; run: ocipkg add %s, or pin it without --locked", tag, tag)
			default:
				wanted[tag] = true
			}
		}
	}
	found, err := c.lookUpTags(ctx, wanted, options.Update)
	for tag, digest := range found {
		digests[tag] = digest
	}
	return digests, err
}

// pinsBefore gives the digest that a name is pinned to, where it is the same
// everywhere.
func pinsBefore(sources []*goSource) map[reference.Reference]string {
	had := map[reference.Reference]string{}
	for _, source := range sources {
		for _, ref := range source.refs {
			tag := tagOf(ref)
			if before, ok := had[tag]; ref.Digest != "" && ok && before != ref.Digest {
				had[tag] = ""
			} else if ref.Digest != "" {
				had[tag] = ref.Digest
			}
		}
	}
	return had
}

// maxLookUps bounds the requests that are under way at once.
const maxLookUps = 8

// lookUpTags gives what tags stand for: as the store has it, unless anew, else
// as the registries do.
func (c *Client) lookUpTags(ctx context.Context, tags map[reference.Reference]bool, anew bool) (map[reference.Reference]string, error) {
	type found struct {
		tag    reference.Reference
		digest string
	}
	all := make(chan found, len(tags))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxLookUps)
	for tag := range tags {
		group.Go(func() error {
			if known, err := c.store.Ref(tag); err == nil && !anew {
				all <- found{tag, known.Digest}
				return nil
			}
			from, err := c.source(tag)
			if err != nil {
				return err
			}
			top, err := from.Resolve(ctx, tag.Tag)
			if err != nil {
				return fmt.Errorf("look up %s: %w", tag, err)
			}
			all <- found{tag, top.Digest.String()}
			return nil
		})
	}
	err := group.Wait()
	close(all)
	digests := map[reference.Reference]string{}
	for f := range all {
		digests[f.tag] = f.digest
	}
	return digests, err
}

// rewriteFile replaces the content of a file at once, so that nobody sees half
// of it. Its mode stays, and a link to it stays a link. A file that nobody may
// write to is left alone.
func rewriteFile(path string, text []byte) error {
	next, err := stageFile(path, text)
	if err != nil {
		return err
	}
	return next.place()
}

// stagedFile is written, and lacks only its name.
type stagedFile struct {
	tmp  *scratch.Dir
	path string
}

func (f *stagedFile) name() string { return filepath.Join(f.tmp.Path, "file") }

// stageFile is the first half of [rewriteFile]: what can fail for want of room
// is done. A file that is not there will be.
func stageFile(path string, text []byte) (*stagedFile, error) {
	mode := fs.FileMode(0o644)
	real, err := filepath.EvalSymlinks(path)
	switch {
	case err == nil:
		path = real
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if mode = info.Mode().Perm(); mode&0o222 == 0 {
			return nil, fmt.Errorf("%s is read-only; make it writable", path)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	tmp, err := scratch.New(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	f := &stagedFile{tmp, path}
	if err := errors.Join(os.WriteFile(f.name(), text, 0o600), os.Chmod(f.name(), mode)); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), tmp.Close())
	}
	return f, nil
}

// place gives the file its name; when that fails, it is gone.
func (f *stagedFile) place() error {
	err := os.Rename(f.name(), f.path)
	f.drop()
	return err
}

// drop removes the file where it is not in place. Nil is no file. Once is enough.
func (f *stagedFile) drop() {
	if f != nil && f.tmp != nil {
		f.tmp.Close()
		f.tmp = nil
	}
}
