//go:build !linux && !darwin

package install

import (
	"errors"
	"fmt"
)

// exchange would swap two directories at once.
func exchange(a, b string) error {
	return fmt.Errorf("exchange %s and %s: %w", a, b, errors.ErrUnsupported)
}
