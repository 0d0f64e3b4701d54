// Package survey looks through the compiled files of a package that is made: for
// what platform they are together, and what in them will trouble those who link
// them.
package survey

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/internal/rawfile"
	"github.com/ocipkg/ocipkg/platform"
)

// Survey is what is known of the files of a package.
type Survey struct {
	files    []layer.File
	compiled []compiled

	// elsewhere is the symbols that static libraries do not need of the system's
	// C and C++ libraries, whatever else these have them for.
	elsewhere binfmt.Elsewhere
}

// compiled is one compiled file of a package.
type compiled struct {
	path string
	info *binfmt.File
}

// Of reads the compiled files among files.
func Of(files []layer.File) (*Survey, error) {
	infos := make([]*binfmt.File, len(files))
	var workers errgroup.Group
	workers.SetLimit(min(runtime.GOMAXPROCS(0), maxWorkers))
	for i, f := range files {
		if !f.IsRegular() || path.Base(f.Path)[0] == '.' { // hidden files are never linked
			continue
		}
		workers.Go(func() (err error) {
			infos[i], err = Inspect(f.Source())
			if errors.Is(err, binfmt.ErrNotBinary) || errors.Is(err, binfmt.ErrMalformed) {
				infos[i], err = nil, nil // a header, say; or damaged, which the linker tells better
			}
			return err
		})
	}
	if err := workers.Wait(); err != nil {
		return nil, err
	}
	s := &Survey{files: files}
	for i, info := range infos {
		if info != nil {
			s.compiled = append(s.compiled, compiled{files[i].Path, info})
			s.elsewhere.AddFile(info)
		}
	}
	for _, c := range s.compiled {
		if c.info.Libc == "" && c.info.ProvesGlibc(&s.elsewhere) {
			c.info.Libc = binfmt.Glibc
		}
	}
	return s, nil
}

// LinkedWith takes note of what a package is linked with: the names in its link
// description, nil for none, and the other packages that it requires. Of some
// libraries it is known which symbols of newer C libraries they have.
func (s *Survey) LinkedWith(document *cps.Package, requires []string) {
	for _, name := range requires {
		s.elsewhere.AddLibrary(name)
	}
	eachString(document, func(text string) {
		for _, word := range words(text) {
			// -lbsd, bsd, libbsd, libbsd:component
			name, _, _ := strings.Cut(strings.TrimPrefix(word, "-l"), ":")
			s.elsewhere.AddLibrary(name)
		}
	})
}

// maxWorkers bounds the files that are looked at at once, whose tables of names
// are held in memory.
const maxWorkers = 4

// Inspect reads a file of this machine, with the errors of [binfmt.Inspect].
func Inspect(name string) (*binfmt.File, error) {
	f, err := rawfile.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return binfmt.Inspect(f, size)
}

// Platform gives what the files are for together: given, which is zero when
// nothing is known from elsewhere, completed by what they say. Files for
// different platforms, or for another than given, are an error of kind
// [errdef.ErrPlatform] that says which is which.
//
// The libc of a package is proven by one file for all, except that a static
// library proves nothing against musl, if that is given.
func (s *Survey) Platform(given platform.Platform) (platform.Platform, error) {
	var sum platform.Platform
	for _, c := range s.compiled {
		if c.info.Conflict != nil {
			return sum, errdef.Errorf(errdef.ErrPlatform, "%s: %w; build it for one platform, or give --platform any", c.path, c.info.Conflict)
		}
		if c.lacks(given.Architecture) {
			return sum, errdef.Errorf(errdef.ErrPlatform, "%s is universal, and has no code for %s; leave the platform out, or give any", c.path, given.Architecture)
		}
		if !merge(&sum, c.forLibc(given).platform(given.Architecture)) {
			return sum, errdef.Errorf(errdef.ErrPlatform, "the files are for different platforms: %s; make a package for each, or give --platform any", s.list())
		}
	}
	found := sum
	sum = given
	if !merge(&sum, found) {
		return sum, errdef.Errorf(errdef.ErrPlatform, "the platform %s was asked for, and the files are for %s: %s; leave the platform out, or give any", given, found, s.list())
	}
	return sum, nil
}

// Estimate completes what [Survey.Platform] made of given by the versions of C
// and C++ libraries that static libraries are estimated to need. These count only
// where the package is known to be for the library, and give way to a version
// that is given.
func (s *Survey) Estimate(sum *platform.Platform, given platform.Platform) {
	for _, c := range s.compiled {
		libc, cxx := s.estimate(c)
		if sum.Libc == binfmt.Glibc && given.LibcVersion == "" && higher(sum.LibcVersion, libc) != sum.LibcVersion {
			sum.LibcVersion, sum.LibcEstimated = libc, true
		}
		if sum.Cxx == binfmt.Libstdcxx && given.CxxVersion == "" {
			sum.CxxVersion = higher(sum.CxxVersion, cxx)
		}
	}
}

// estimate returns the oldest glibc and the oldest libstdc++ that a static library
// is estimated to link with; empty for none. With a shared twin there is no need
// to estimate: what that was linked with is written in it, and a function that
// glibc has only of late, such as strlcpy, was then found in another library.
func (s *Survey) estimate(c compiled) (libc, cxx string) {
	stem, isArchive := strings.CutSuffix(c.path, ".a")
	if isArchive && slices.ContainsFunc(s.compiled, func(other compiled) bool {
		return strings.HasPrefix(other.path, stem+".so") && other.info.Kind == binfmt.KindShared && other.info.LibcVersion != ""
	}) {
		return "", ""
	}
	return c.info.LinkableOn("", &s.elsewhere), c.info.LinkableWithLibstdcxx(&s.elsewhere)
}

// forLibc returns a compiled file without the glibc that the symbols of objects
// prove, where the package is to be for musl: [Survey.Lint] tells of them.
func (c compiled) forLibc(given platform.Platform) compiled {
	if given.Libc == binfmt.Musl && (c.info.Kind == binfmt.KindArchive || c.info.Kind == binfmt.KindObject) {
		info := *c.info
		info.Libc = ""
		c.info = &info
	}
	return c
}

// platform gives the platform of one compiled file. A universal file is for
// every architecture it has, which is left open, with the floors of all; or,
// where one architecture is asked for that it has, for that.
func (c compiled) platform(architecture string) platform.Platform {
	var sum platform.Platform
	for i, slice := range c.info.Slices {
		p := platformOf(slice)
		if p.Architecture == architecture {
			return p
		}
		p.Architecture, p.Variant = "", ""
		if i == 0 {
			sum = p
		}
		sum.OSVersion = higher(sum.OSVersion, p.OSVersion)
	}
	if len(c.info.Slices) > 0 {
		return sum
	}
	return platformOf(c.info)
}

func platformOf(info *binfmt.File) platform.Platform {
	return platform.Platform{
		OS: info.Platform.OS, Architecture: info.Platform.Architecture, Variant: info.Platform.Variant,
		OSVersion: info.OSVersion, Env: info.Env,
		Libc: info.Libc, LibcVersion: info.LibcVersion,
		Cxx: info.CXXRuntime, CxxVersion: info.CXXVersion,
	}
}

// lacks tells whether a file is universal, and has no code for an architecture.
func (c compiled) lacks(architecture string) bool {
	return architecture != "" && len(c.info.Slices) > 0 && c.platform(architecture).Architecture == ""
}

// merge adds what another file of the package is for: the same, or more
// closely told, with the higher of each floor. It tells whether that fits.
func merge(sum *platform.Platform, p platform.Platform) bool {
	for _, f := range []struct{ to, from *string }{
		{&sum.OS, &p.OS}, {&sum.Architecture, &p.Architecture}, {&sum.Libc, &p.Libc}, {&sum.Env, &p.Env}, {&sum.Cxx, &p.Cxx},
	} {
		if *f.to != "" && *f.from != "" && *f.to != *f.from {
			return false
		}
		*f.to = cmp.Or(*f.to, *f.from)
	}
	sum.Variant = higher(sum.Variant, p.Variant)
	sum.OSVersion = higher(sum.OSVersion, p.OSVersion)
	sum.LibcVersion = higher(sum.LibcVersion, p.LibcVersion)
	sum.CxxVersion = higher(sum.CxxVersion, p.CxxVersion)
	return true
}

// list says which file is for what.
func (s *Survey) list() string {
	const shown = 6
	var parts []string
	for i, c := range s.compiled {
		if i == shown {
			parts = append(parts, fmt.Sprintf("and %d more", len(s.compiled)-shown))
			break
		}
		parts = append(parts, c.path+" is for "+c.platform("").String())
	}
	return strings.Join(parts, ", ")
}

// higher gives the higher of two versions, or of two variants.
func higher(a, b string) string {
	if platform.CompareVersions(a, b) < 0 {
		return b
	}
	return a
}
