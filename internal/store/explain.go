package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Explain adds to an error what to do about it, where the store's disk is full
// or the user may not write there. Others stay as they are.
func (s *Store) Explain(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w; make room for the store %s, as by ocipkg store prune, or have it on another disk by OCIPKG_HOME", err, s.dir)
	case isRefused(err) && s.names(err):
		return fmt.Errorf("%w; the store %s is not this user's to write to: choose one that is by OCIPKG_HOME, or change its modes", err, s.dir)
	}
	return err
}

// isRefused tells whether somebody may not write, there or at all.
func isRefused(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// names tells whether an error is about a file of the store: who brings a
// package also reads elsewhere.
func (s *Store) names(err error) bool {
	var of *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &of):
		return strings.HasPrefix(of.Path, s.dir)
	case errors.As(err, &link):
		return strings.HasPrefix(link.New, s.dir)
	}
	return false
}
