package resolve

import "github.com/ocipkg/ocipkg/internal/errdef"

// The most packages that are required together, and the longest way from what was
// asked for to one of them: more than any program has. A registry can invent
// packages that require others without end. Packages that require each other are
// no such thing.
const (
	maxPackages = 1000
	maxDepth    = 64
)

// Bound returns the error of kind [errdef.ErrVerification] of a closure that is
// too large: of so many packages, or with so many that require one another on the
// way to one.
func Bound(packages, depth int) error {
	switch {
	case packages > maxPackages:
		return errdef.Errorf(errdef.ErrVerification, "more than %d packages are required together, the most that are fetched; have the authors of those that require the others look at it", maxPackages)
	case depth > maxDepth:
		return errdef.Errorf(errdef.ErrVerification, "more than %d packages require one another in a row, the most that are followed; have their authors look at it", maxDepth)
	}
	return nil
}
