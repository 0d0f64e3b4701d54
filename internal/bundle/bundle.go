// Package bundle copies shared libraries to where a program finds them without
// the store: each real file once, with a link of the name that programs ask for.
package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/errdef"
)

// Options say how libraries are copied.
type Options struct {
	// Search lists directories in which those that the libraries load are
	// looked for, beside their own; nil is none.
	Search []string
	// Links makes links for the names that programs ask for. Otherwise each
	// library is one file of that name.
	Links bool
	// Force replaces files that are different.
	Force bool
}

// Copy copies libraries, and those beside them that they load, into the
// directory dir, which is made when it is not there. It gives the paths of all
// of them, sorted; what is there already and the same is left alone.
//
// What is there and different is an error of kind [errdef.ErrUsage] without
// Force; nothing is copied then. No libraries at all is one of kind
// [errdef.ErrNotFound].
func Copy(dir string, libraries []string, options Options) ([]string, error) {
	b := bundle{Options: options, dir: dir, entries: map[string]entry{}}
	if err := b.add(libraries); err != nil {
		return nil, err
	}
	if len(b.entries) == 0 {
		return nil, errdef.Errorf(errdef.ErrNotFound, "there are no shared libraries in these packages; a program that is linked statically needs none")
	}
	return b.copy()
}

// bundle is one call of Copy.
type bundle struct {
	Options
	dir     string
	entries map[string]entry // by name in dir
}

// entry is a file in a bundle, or a link to one.
type entry struct {
	source string // the file to copy
	target string // of a link
}

// add collects libraries, and those beside them that these load: a library that
// only another one of its package uses is in no description.
func (b *bundle) add(libraries []string) error {
	queue, dirs := slices.Clone(libraries), slices.Clone(b.Search)
	for _, file := range queue {
		if dir := filepath.Dir(file); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for seen := map[string]bool{}; len(queue) > 0; queue = queue[1:] {
		real, err := filepath.EvalSymlinks(queue[0])
		if err != nil {
			return err
		}
		if seen[real] {
			continue
		}
		seen[real] = true
		info, err := inspect(real)
		if errors.Is(err, binfmt.ErrNotBinary) {
			continue // a linker script, which nobody loads
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", real, err)
		}
		if err := b.addLibrary(real, runtimeName(queue[0], info)); err != nil {
			return err
		}
		queue = append(queue, findNeeded(info.Needed, dirs)...)
	}
	return nil
}

// inspect reads a library.
func inspect(name string) (*binfmt.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return binfmt.Inspect(f, stat.Size())
}

// runtimeName is the name that programs ask for a library by.
func runtimeName(file string, info *binfmt.File) string {
	name := filepath.Base(file)
	if len(info.Slices) > 0 {
		info = info.Slices[0]
	}
	if info.Format == binfmt.FormatPE {
		return name
	}
	if soname := info.Soname[strings.LastIndexAny(info.Soname, `/\`)+1:]; soname != "" && soname != "." && soname != ".." {
		name = soname
	}
	return name
}

// findNeeded gives those of the needed libraries that are in the directories of
// the packages. The others are the system's.
func findNeeded(needed, dirs []string) []string {
	var found []string
	for _, name := range needed {
		base := name[strings.LastIndexAny(name, `/\`)+1:]
		for _, dir := range dirs {
			file := filepath.Join(dir, base)
			if info, err := os.Stat(file); base != "" && err == nil && info.Mode().IsRegular() {
				found = append(found, file)
				break
			}
		}
	}
	return found
}

func (b *bundle) addLibrary(real, name string) error {
	file := filepath.Base(real)
	if !b.Links {
		file = name
	}
	if err := b.put(file, entry{source: real}); err != nil {
		return err
	}
	if file == name {
		return nil
	}
	return b.put(name, entry{source: real, target: file})
}

// put adds an entry. Two different libraries of one name cannot be in one
// directory.
func (b *bundle) put(name string, e entry) error {
	if other, ok := b.entries[name]; ok && other.source != e.source {
		same, err := sameContent(other.source, e.source)
		if err == nil && !same {
			err = errdef.Errorf(errdef.ErrUsage, "%s and %s would both be %s; bundle the packages into different directories", other.source, e.source, name)
		}
		return err
	}
	b.entries[name] = e
	return nil
}
