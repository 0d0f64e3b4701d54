// Package errdef names the kinds of failure that a caller decides on, and
// attaches one to an error without changing its text.
//
// Every room reports through these kinds; the programs turn them into exit
// codes.
package errdef

import (
	"errors"
	"fmt"
)

// The kinds of failure. Test for one with [errors.Is].
var (
	// ErrUsage marks input that can never work as it was written: a name that
	// does not parse, options that exclude each other.
	ErrUsage = errors.New("usage")
	// ErrNotFound marks a package, tag, blob or file that is not there.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized marks a registry's refusal: no, wrong or insufficient
	// credentials.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrVerification marks bytes that are not what a digest, a size or a
	// config says they are, or that a package must not contain.
	ErrVerification = errors.New("verification failed")
	// ErrLock marks a lock file that is missing or stale.
	ErrLock = errors.New("lock missing or stale")
	// ErrPlatform marks a package that has nothing for the target platform.
	ErrPlatform = errors.New("no fitting platform")
	// ErrNetwork marks a registry that could not be reached or kept failing.
	ErrNetwork = errors.New("network")
)

// marked is an error that is also of a kind; its text is the error's own.
type marked struct {
	kind error
	err  error
}

func (m *marked) Error() string   { return m.err.Error() }
func (m *marked) Unwrap() []error { return []error{m.kind, m.err} }

// Errorf formats an error as [fmt.Errorf] does and marks it as being of kind,
// whose own text does not appear.
func Errorf(kind error, format string, args ...any) error {
	return &marked{kind: kind, err: fmt.Errorf(format, args...)}
}

// Mark marks err as being of kind. A nil err stays nil.
func Mark(kind, err error) error {
	if err == nil || errors.Is(err, kind) {
		return err
	}
	return &marked{kind: kind, err: err}
}
