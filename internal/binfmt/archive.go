package binfmt

import (
	"errors"
	"fmt"
)

// MemberPlatform is what one member of an archive is for.
type MemberPlatform struct {
	Name     string
	Format   Format
	Platform Platform
	Env      string // as [File.Env]
}

// String is a phrase for a message.
func (m MemberPlatform) String() string {
	s := fmt.Sprintf("%q is %s for %s", m.Name, m.Format, m.Platform)
	if m.Env != "" {
		s += " (" + m.Env + ")"
	}
	return s
}

// Conflict names the first two members of an archive whose platforms differ in more than what linkers merge. It is an error value, for
// callers to whom it is one.
type Conflict struct {
	First, Second MemberPlatform
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("archive members are for different platforms: %s, but %s", c.First, c.Second)
}

// archive inspects the members of an archive and says what they are together.
func (in *inspector) archive(s *source) (*File, error) {
	a := &archiveSummary{file: File{Kind: KindArchive}}
	err := eachMember(s, func(m *member) error {
		c, err := m.content()
		if err != nil || c == contentOther {
			return err
		}
		f, err := in.object(m.s, c)
		if errors.Is(err, ErrNotBinary) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive member %q: %w", m.name, err)
		}
		a.add(m.name, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if a.file.Members == 0 {
		return nil, fmt.Errorf("%w: an archive without objects", ErrNotBinary)
	}
	if err := in.dropHidden(s); err != nil {
		return nil, err
	}
	f := a.conclude()
	in.conclude(f)
	return f, nil
}

// thinArchive counts the members of a thin archive and checks that their names can be read.
func (in *inspector) thinArchive(s *source) (*File, error) {
	f := &File{Kind: KindThinArchive}
	err := eachMember(s, func(*member) error {
		f.Members++
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// archiveSummary adds up the objects of an archive.
type archiveSummary struct {
	file         File
	architecture MemberPlatform // the member that settled it
	system       MemberPlatform
	imports      int    // members that belong to an import library
	dll          string // that they import from, "?" when there are several
}

// add takes in one object.
func (a *archiveSummary) add(name string, f *File) {
	a.file.Members++
	a.file.SlimLTO = a.file.SlimLTO || f.SlimLTO
	a.file.CXX = a.file.CXX || f.CXX
	a.file.OSVersion = higherVersion(a.file.OSVersion, f.OSVersion)
	a.addImport(f)
	if a.file.Format == "" || a.file.Format == FormatBitcode {
		a.file.Format = f.Format
	}
	a.addPlatform(name, f)
}

// addPlatform merges the platform of one object with that of those before it, as a linker would: what is unknown fits any, an assumed
// system gives way to a proven one, and of two variants the higher is needed.
func (a *archiveSummary) addPlatform(name string, f *File) {
	if a.file.Conflict != nil {
		return
	}
	mine, theirs := &a.file.Platform, f.Platform
	member := MemberPlatform{Name: name, Format: f.Format, Platform: theirs, Env: f.Env}
	switch {
	case theirs.Architecture == "":
	case mine.Architecture == "":
		mine.Architecture, a.file.Bits, a.architecture = theirs.Architecture, f.Bits, member
	case mine.Architecture != theirs.Architecture, !mixable(a.architecture.Format, f.Format):
		a.file.Conflict = &Conflict{a.architecture, member}
		return
	}
	mine.Variant = max(mine.Variant, theirs.Variant) // "v5" to "v9", "" lowest
	switch {
	case theirs.OS == "", f.assumedOS && mine.OS != "":
	case mine.OS == "", a.file.assumedOS:
		mine.OS, a.file.Env, a.file.assumedOS, a.system = theirs.OS, f.Env, f.assumedOS, member
	case mine.OS != theirs.OS, a.file.Env != f.Env:
		a.file.Conflict = &Conflict{a.system, member}
	}
}

// mixable says whether objects of two formats may be linked into one file.
func mixable(a, b Format) bool {
	return a == b || a == FormatBitcode || b == FormatBitcode
}

// addImport takes note of members of an import library.
func (a *archiveSummary) addImport(f *File) {
	if f.imports == "" {
		return
	}
	a.imports++
	switch {
	case f.imports == "?", f.imports == a.dll:
	case a.dll == "":
		a.dll = f.imports
	default:
		a.dll = "?"
	}
}

// conclude gives what all members say together.
func (a *archiveSummary) conclude() *File {
	f := &a.file
	if f.Conflict != nil {
		f.Format = common(f.Conflict.First.Format, f.Conflict.Second.Format)
		f.Platform, f.Bits, f.Env, f.OSVersion, f.assumedOS = Platform{}, 0, "", "", false
	}
	if a.imports == f.Members {
		f.Kind = KindImportLibrary
		if a.dll != "?" {
			f.Soname = a.dll
		}
	}
	return f
}
