package project

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/platform"
)

// LockName is the name of the lock file, which stands beside the project file.
const LockName = "ocipkg.lock"

// LockVersion is that of the lock files which are written and read here.
const LockVersion = 1

// Lock is what a lock file says: which packages the names stand for that a
// project links, with all that these require.
type Lock struct {
	// Platforms are the targets that were asked for when it was written; empty
	// when it has all builds that there are.
	Platforms []string
	// Packages are sorted by name.
	Packages []LockedPackage
}

// LockedPackage is what a name stands for.
type LockedPackage struct {
	// Name is that of the package, whole: registry/repository:tag.
	Name string `toml:"name"`
	// Blob is the image index of all builds, or the manifest of the only one.
	Blob
	// Builds are in the order of the index, by which equals are told apart.
	Builds []LockedBuild `toml:"build"`

	within []string // the platforms of the lock
	file   string   // the lock
}

// File gives the path of the lock file that has the package.
func (p *LockedPackage) File() string { return p.file }

// LockedBuild is the package for one platform, with all that is fetched of it.
type LockedBuild struct {
	// Platform is what the index says of the build.
	Platform platform.Platform `toml:"platform"`
	Blob                       // the manifest
	Config   Blob              `toml:"config"`
	Layers   []Blob            `toml:"layers"`
	// Requires names the packages that this one needs, whole, as it asks for
	// them.
	Requires []string `toml:"requires"`

	builtWith map[string]string
}

// BuiltWith gives the digest that a requirement had when the package was built;
// empty when that is not known, as of a build that is in a lock.
func (b *LockedBuild) BuiltWith(required string) string { return b.builtWith[required] }

// Require notes that the package needs another, and with which it was built;
// empty when that is not known.
func (b *LockedBuild) Require(name, builtWith string) {
	if slices.Contains(b.Requires, name) {
		return
	}
	b.Requires = append(b.Requires, name)
	slices.Sort(b.Requires)
	if builtWith != "" {
		if b.builtWith == nil {
			b.builtWith = map[string]string{}
		}
		b.builtWith[name] = builtWith
	}
}

// Blob is the digest and the size in bytes of something in a registry.
type Blob struct {
	Digest string `toml:"digest"`
	Size   int64  `toml:"size"`
}

// IsIndex tells whether the name stands for an index, and not for the manifest
// of a single build.
func (p *LockedPackage) IsIndex() bool {
	return len(p.Builds) != 1 || p.Builds[0].Digest != p.Digest
}

// Choose gives the build that serves a target best. The target is asked for
// only where there is a choice.
func (p *LockedPackage) Choose(target func() (platform.Platform, error)) (*LockedBuild, error) {
	if !p.IsIndex() {
		return &p.Builds[0], nil
	}
	on, err := target()
	if err != nil {
		return nil, err
	}
	platforms := make([]platform.Platform, len(p.Builds))
	for i, b := range p.Builds {
		platforms[i] = b.Platform
	}
	best, reasons := platform.Best(on, platforms)
	switch {
	case best >= 0:
		return &p.Builds[best], nil
	case len(p.within) > 0:
		return nil, errdef.Errorf(errdef.ErrLock, "%s has %s for %s alone, and the target is %s; run: ocipkg lock --platform %s",
			LockName, p.Name, strings.Join(p.within, ", "), on, shellWord(strings.Join(append(slices.Clone(p.within), on.String()), ",")))
	}
	return nil, platform.Unfit(on, "the index "+p.Digest+", which the lock has for "+p.Name, platforms, reasons)
}

// shellWord quotes a word with blanks in it for a shell.
func shellWord(s string) string {
	if strings.Contains(s, " ") {
		return "'" + s + "'"
	}
	return s
}

// Find gives what the lock says of a name: of its tag, where it has one, even
// when it has a digest too. It is nil when the lock, which may be nil, does not
// have the name.
func (l *Lock) Find(ref reference.Reference) *LockedPackage {
	if l == nil {
		return nil
	}
	names := []string{ref.String()}
	if ref.Tag != "" && ref.Digest != "" {
		ref.Digest = ""
		names = append(names, ref.String())
	}
	for _, name := range names {
		at, ok := slices.BinarySearchFunc(l.Packages, name, func(p LockedPackage, name string) int { return cmp.Compare(p.Name, name) })
		if ok {
			p := l.Packages[at]
			p.within = l.Platforms
			return &p
		}
	}
	return nil
}

// ReadLock reads the lock file at path. One that is not there gives nil. One
// that makes no sense is an error of kind [errdef.ErrLock].
func ReadLock(path string) (*Lock, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := parseLock(raw)
	if err != nil {
		return nil, errdef.Errorf(errdef.ErrLock, "read %s: %w", path, err)
	}
	return l, nil
}

// lockDoc is the file's text.
type lockDoc struct {
	Version   int             `toml:"version"`
	Platforms []string        `toml:"platforms"`
	Packages  []LockedPackage `toml:"package"`
}

// mendLock is the next step for a lock that somebody edited.
const mendLock = "take it from version control again, or remove it and run: ocipkg lock"

func parseLock(raw []byte) (*Lock, error) {
	var doc lockDoc
	err := toml.NewDecoder(bytes.NewReader(raw)).DisallowUnknownFields().Decode(&doc)
	if err != nil { // what a later version has more is no nonsense
		var of struct {
			Version int `toml:"version"`
		}
		if toml.Unmarshal(raw, &of) == nil {
			doc.Version = of.Version
		}
	}
	switch {
	case doc.Version > LockVersion:
		return nil, fmt.Errorf("it is of version %d, and this ocipkg reads %d at most; install a newer ocipkg", doc.Version, LockVersion)
	case err != nil:
		return nil, fmt.Errorf("%w; %s", lockError(err), mendLock)
	case doc.Version != LockVersion:
		return nil, fmt.Errorf("it has no version, which is %d; %s", LockVersion, mendLock)
	}
	l := &Lock{doc.Platforms, doc.Packages}
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("%w; %s", err, mendLock)
	}
	return l, nil
}

// lockError gives the line of a TOML error.
func lockError(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		line, _ := unknown.Errors[0].Position()
		return fmt.Errorf("line %d: the key %q is not known", line, strings.Join(unknown.Errors[0].Key(), "."))
	}
	return explain(err)
}

// check looks for what no lock that was written here has.
func (l *Lock) check() error {
	for _, target := range l.Platforms {
		if _, err := platform.Parse(target); err != nil {
			return err
		}
	}
	for i, p := range l.Packages {
		ref, err := reference.Parse(p.Name)
		switch {
		case err != nil:
			return fmt.Errorf("a package in it: %w", err)
		case ref.String() != p.Name:
			return fmt.Errorf("the name %q is not written whole, as %s", p.Name, ref)
		case i > 0 && l.Packages[i-1].Name == p.Name:
			return fmt.Errorf("the package %s is there twice", p.Name)
		case i > 0 && l.Packages[i-1].Name > p.Name:
			return fmt.Errorf("the package %s is not in its place: they are sorted by name", p.Name)
		case len(p.Builds) == 0:
			return fmt.Errorf("the package %s has no builds", p.Name)
		case ref.Digest != "" && ref.Digest != p.Digest:
			return fmt.Errorf("the package %s has the digest %s", p.Name, p.Digest)
		}
		blobs := []Blob{p.Blob}
		for _, b := range p.Builds {
			if b.Platform != b.Platform.Clean() {
				return fmt.Errorf("the package %s has a build for %q, which is no platform", p.Name, b.Platform)
			}
			blobs = append(append(blobs, b.Blob, b.Config), b.Layers...)
			for _, required := range b.Requires {
				if _, err := reference.Parse(required); err != nil {
					return fmt.Errorf("the package %s requires: %w", p.Name, err)
				}
			}
		}
		for _, b := range blobs {
			if _, _, ok := reference.SplitDigest(b.Digest); !ok || b.Size < 0 {
				return fmt.Errorf("the package %s has something with the digest %q and the size %d, which cannot be", p.Name, b.Digest, b.Size)
			}
		}
	}
	return nil
}

// Text gives the lock file: the same for the same content.
func (l *Lock) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written by ocipkg lock: what the names in %s stand for.\n", FileName)
	fmt.Fprintf(&b, "# Keep it in version control; ocipkg update moves it.\nversion = %d\n", LockVersion)
	if len(l.Platforms) > 0 {
		fmt.Fprintf(&b, "platforms = %s\n", quoted(l.Platforms))
	}
	for i := range l.Packages {
		b.WriteString(l.Packages[i].Text())
	}
	return b.Bytes()
}

// Text gives the package as it stands in the lock file.
func (p *LockedPackage) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n[[package]]\nname = %q\ndigest = %q\nsize = %d\n", p.Name, p.Digest, p.Size)
	for _, build := range p.Builds {
		fmt.Fprintf(&b, "\n[[package.build]]\nplatform = %s\ndigest = %q\nsize = %d\nconfig = %s\n", platformText(build.Platform), build.Digest, build.Size, build.Config.text())
		b.WriteString("layers = [")
		for _, layer := range build.Layers {
			fmt.Fprintf(&b, "\n  %s,", layer.text())
		}
		if len(build.Layers) > 0 {
			b.WriteString("\n")
		}
		b.WriteString("]\n")
		if len(build.Requires) > 0 {
			fmt.Fprintf(&b, "requires = %s\n", quoted(build.Requires))
		}
	}
	return b.String()
}

// platformText writes a platform under the keys that it has in JSON.
func platformText(p platform.Platform) string {
	var pairs []string
	for _, f := range []struct{ key, value string }{
		{"os", p.OS}, {"architecture", p.Architecture}, {"variant", p.Variant}, {"osVersion", p.OSVersion},
		{"libc", p.Libc}, {"libcVersion", p.LibcVersion}, {"env", p.Env}, {"cxx", p.Cxx}, {"cxxVersion", p.CxxVersion},
	} {
		if f.value != "" {
			pairs = append(pairs, fmt.Sprintf("%s = %q", f.key, f.value))
		}
	}
	if p.LibcEstimated {
		pairs = append(pairs, "libcEstimated = true")
	}
	if len(pairs) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(pairs, ", ") + " }"
}

func (b Blob) text() string { return fmt.Sprintf("{ digest = %q, size = %d }", b.Digest, b.Size) }

// quoted writes a list of strings. Names, digests and platforms have no
// character that is written otherwise in TOML than in Go.
func quoted(list []string) string {
	items := make([]string, len(list))
	for i, s := range list {
		items[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(items, ", ") + "]"
}
