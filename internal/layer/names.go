package layer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// CheckNames tells whether each of files can be what it is wherever a package for
// the system os, as Go calls it, is unpacked. Packages for Windows, for macOS and
// for no system in particular come to disks that take two names for one, when
// these differ in case or in how a letter is composed, and to systems on which
// some names stand for devices. Elsewhere names are bytes, and real packages have
// such: xt_MARK.h and xt_mark.h are two headers of Linux. The error is of kind
// [errdef.ErrVerification].
func CheckNames(files []File, os string) error {
	switch os {
	case "", "windows", "darwin", "ios", "invalid":
	default:
		return nil
	}
	of := "for " + os
	if os == "" || os == "invalid" {
		of = "that is for no system in particular"
	}
	// Names are noted with the number of the directory that they are in, and not
	// with their paths, which together are far longer than what is listed.
	type place struct {
		dir  int
		name string // as such a disk takes it
	}
	type found struct {
		number int
		name   string
	}
	seen := map[place]found{}
	for _, f := range files {
		dir := 0
		for name := range strings.SplitSeq(strings.TrimSuffix(f.Path, "/"), "/") {
			key := place{dir, folded(name)}
			other, ok := seen[key]
			switch {
			case ok && other.name != name:
				return errdef.Errorf(errdef.ErrVerification, "it holds %q, where there is %q already, which many disks take for the same as %q; no package %s may have both", f.Path, other.name, name, of)
			case !ok:
				if what := windowsMeaning(name, os); what != "" {
					return errdef.Errorf(errdef.ErrVerification, "it holds %q, which %s; no package %s may have that", f.Path, what, of)
				}
				other = found{len(seen) + 1, name}
				seen[key] = other
			}
			dir = other.number
		}
	}
	return nil
}

// windowsMeaning says what a name means on Windows beside itself; nothing for
// most. On macOS a colon is a letter, and manual pages of Perl have it.
func windowsMeaning(name, os string) string {
	switch {
	case isDevice(name):
		return "is a device on Windows"
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		return "has another name on Windows, where none ends in a dot or a space"
	case strings.Contains(name, `\`):
		return "is a path on Windows"
	case strings.Contains(name, ":") && os != "darwin" && os != "ios":
		return "is a stream of another file on Windows"
	case os == "windows" && strings.ContainsAny(name, `*?"<>|`):
		return "is no name on Windows"
	}
	return ""
}

// isDevice tells whether Windows takes a name, whatever extension it has, for a
// device.
// https://learn.microsoft.com/windows/win32/fileio/naming-a-file#naming-conventions
func isDevice(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	name, _, _ = strings.Cut(name, ":")
	name = strings.ToUpper(strings.TrimRight(name, " "))
	switch name {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	number, port := strings.CutPrefix(name, "COM")
	if !port {
		number, port = strings.CutPrefix(name, "LPT")
	}
	return port && number != "" && strings.Trim(number, "0123456789¹²³") == "" && len([]rune(number)) == 1
}

// folded gives the same for all names that a disk may take for one.
func folded(name string) string {
	ascii := true
	for i := range len(name) {
		ascii = ascii && name[i] < 0x80
	}
	if ascii {
		return strings.ToLower(name)
	}
	return norm.NFD.String(strings.Map(foldRune, norm.NFD.String(name)))
}

// foldRune gives one of the letters that differ in case alone.
func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return unicode.ToLower(least) // as ASCII has it
}
