package ocipkg

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/platform"
)

// isExecutable tells a program by its bytes, where the file system has no mode
// to tell it by.
func isExecutable(r io.ReaderAt, size int64) bool {
	ok, err := binfmt.IsExecutable(r, size)
	return ok && err == nil
}

// built is one compiled file of a package.
type built struct {
	path     string
	platform Platform
}

// detect reads off the compiled files what platform a package is for. A package
// without any is for every platform; one with files for several is an error of
// kind [ErrPlatform] that says which is which.
func detect(files []layer.File) (Platform, error) {
	var all []built
	for _, f := range files {
		if !f.IsRegular() {
			continue
		}
		info, err := inspectBinary(f.Source())
		if errors.Is(err, binfmt.ErrNotBinary) || errors.Is(err, binfmt.ErrMalformed) {
			continue // a header, say; or damaged, which the linker tells better
		}
		if err != nil {
			return Platform{}, err
		}
		if info.Conflict != nil {
			return Platform{}, errdef.Errorf(errdef.ErrPlatform, "%s: %w; build it for one platform, or give --platform", f.Path, info.Conflict)
		}
		all = append(all, built{f.Path, platformOf(info)})
	}
	var sum Platform
	for _, b := range all {
		if !merge(&sum, b.platform) {
			return Platform{}, errdef.Errorf(errdef.ErrPlatform, "the files are for different platforms: %s; make a package for each, or give --platform any", list(all))
		}
	}
	return sum, nil
}

// platformOf gives the platform of one compiled file. A universal file is for
// every architecture it has, which is left open.
func platformOf(info *binfmt.File) Platform {
	if len(info.Slices) > 0 {
		sum := platformOf(info.Slices[0])
		sum.Architecture, sum.Variant = "", ""
		return sum
	}
	return Platform{
		OS: info.Platform.OS, Architecture: info.Platform.Architecture, Variant: info.Platform.Variant,
		OSVersion: info.OSVersion, Env: info.Env,
		Libc: info.Libc, LibcVersion: info.LibcVersion,
		Cxx: info.CXXRuntime, CxxVersion: info.CXXVersion,
	}
}

// merge adds what another file of the package is for: the same, or more
// closely told, with the higher of each floor. It tells whether that fits.
func merge(sum *Platform, p Platform) bool {
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

func list(all []built) string {
	const shown = 6
	var parts []string
	for i, b := range all {
		if i == shown {
			parts = append(parts, fmt.Sprintf("and %d more", len(all)-shown))
			break
		}
		parts = append(parts, b.path+" is for "+b.platform.String())
	}
	return strings.Join(parts, ", ")
}

// higher gives the higher of two versions, or of two variants.
func higher(a, b string) string {
	if platform.CompareVersions(strings.TrimPrefix(a, "v"), strings.TrimPrefix(b, "v")) < 0 {
		return b
	}
	return a
}
