// Package linkable looks at the files of a package that compilers and linkers read without being told of them one by one:
// libraries, which linkers take for scripts or hand to plugins when they are something else than code, and precompiled
// headers. What these may not be has no place in a package, unless its user trusts it.
package linkable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
	"github.com/ocipkg/ocipkg/platform"
)

// Finding is a file that has compilers or linkers do more than compile and link.
type Finding struct {
	File   string
	Reason string // a clause without its subject, which is the file
	Advice string // for its author
	// Intermediate reports whether it is a compiler's intermediate representation.
	Intermediate bool
	// Script reports whether linkers would read it as a script.
	Script bool
}

// Worst returns the first of what was found that nobody can allow, else the first; nil for nothing.
func Worst(found []Finding) *Finding {
	if i := slices.IndexFunc(found, func(f Finding) bool { return !f.Intermediate }); i >= 0 {
		return &found[i]
	}
	if len(found) > 0 {
		return &found[0]
	}
	return nil
}

// Check looks through the files of a package, whose bytes tree has, for a platform. It reads headers alone, and only of files
// that are called as libraries are.
func Check(tree fs.FS, files []layer.File, of platform.Platform) (found []Finding, err error) {
	for _, file := range files {
		name := candidate(file)
		if name == "" {
			continue
		}
		reason, advice, err := check(tree, name, of)
		var ir *binfmt.LinkError
		if err != nil && !errors.As(err, &ir) {
			return nil, err
		}
		if reason != "" {
			found = append(found, Finding{name, reason, advice, ir != nil && ir.Intermediate, strings.HasPrefix(reason, asScript)})
		}
	}
	return found, nil
}

// candidate returns the file that is looked at for an entry of a package, which is the entry itself but for links to
// frameworks; empty for an entry that nothing reads.
func candidate(file layer.File) string {
	if file.IsDir() {
		return ""
	}
	name := file.Path
	base := strings.ToLower(path.Base(name)) // as disks that fold case have it
	framework, isFramework := strings.CutSuffix(base, ".framework")
	switch {
	case precompiled(name), strings.HasSuffix(base, ".pch"), base[0] != '.' && (pkgconf.LibraryPath(base) || strings.HasSuffix(base, ".o") || strings.HasSuffix(base, ".obj")):
		return name
	case isFramework && file.IsSymlink(): // what stands in it may be in a directory of any name
		return name + "/" + path.Base(name)[:len(framework)]
	case strings.Contains(strings.ToLower("/"+name), "/"+base+".framework/"): // the framework's library
		return name
	}
	return ""
}

// precompiled reports whether GCC takes a file for a precompiled header, in place of the header that is included. It may
// have any name in a directory whose name ends in .gch.
func precompiled(name string) bool {
	return strings.Contains(strings.ToLower(name)+"/", ".gch/")
}

const asScript = "is called as a library is and is none"

// check returns what a file is that it must not be, and what its author does about it; empty for nothing. The error may be the
// [binfmt.LinkError] of that.
func check(tree fs.FS, name string, of platform.Platform) (reason, advice string, err error) {
	f, err := tree.Open(name)
	if err != nil {
		return "", "", nothing(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", "", err
	}
	if precompiled(name) {
		return "is a precompiled header, which GCC loads into its memory in place of the header", "delete it", nil
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		return "", "", fmt.Errorf("%s cannot be read at any place", name)
	}
	if strings.HasSuffix(strings.ToLower(name), ".pch") {
		if startsWith(r, "CPCH") {
			return "is a precompiled header, which Clang loads into its memory", "delete it", nil
		}
		return "", "", nil
	}
	err = binfmt.Linkable(r, info.Size(), binfmt.Platform{OS: of.OS, Architecture: of.Architecture})
	found := (*binfmt.LinkError)(nil)
	switch {
	case err == nil:
		return "", "", nil
	case errors.As(err, &found):
		if found.Member != "" {
			return fmt.Sprintf("has a member %q that %s", found.Member, found.Reason), advise(found), found
		}
		return found.Reason, advise(found), found
	case errors.Is(err, binfmt.ErrMalformed):
		return "is damaged: " + err.Error(), "build it anew", nil
	case !errors.Is(err, binfmt.ErrNotBinary):
		return "", "", err
	case isTextStub(name, r), info.Size() <= maxScript && isPlainScript(readAll(r, info.Size())):
		return "", "", nil
	}
	return asScript + " (" + err.Error() + "): linkers read it as a script, which may name any file", "have it name libraries without paths, as in INPUT(libfoo.so.1 -lbar), replace it by a link to the library that it stands for, or delete it", nil
}

// nothing passes over links that lead nowhere.
func nothing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil
	}
	return err
}

func advise(found *binfmt.LinkError) string {
	if found.Intermediate {
		return "build it with -fno-lto, or with -ffat-lto-objects and take the rest out: objcopy --remove-section='.gnu.lto_*' FILE"
	}
	return ""
}

// isTextStub reports whether a file is a description of a shared library, which Apple's linkers read in its place: it names
// libraries of the system and their symbols. To the script readers of other linkers its first byte is an error.
func isTextStub(name string, r io.ReaderAt) bool {
	return strings.HasSuffix(name, ".tbd") && (startsWith(r, "---") || startsWith(r, "{"))
}

func readAll(r io.ReaderAt, size int64) string {
	text := make([]byte, size)
	n, _ := r.ReadAt(text, 0)
	return string(text[:n])
}

func startsWith(r io.ReaderAt, text string) bool {
	head := make([]byte, len(text))
	n, _ := r.ReadAt(head, 0)
	return string(head[:n]) == text
}
