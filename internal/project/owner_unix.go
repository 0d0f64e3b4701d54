//go:build unix

package project

import (
	"os"
	"path/filepath"
	"syscall"
)

// ownerOf gives the user that a directory or a file belongs to; -1 when that cannot be
// told.
func ownerOf(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// planted tells whether a file may be anybody's: everybody can write to its
// directory, and it belongs neither to the user nor to owner, who has the source
// that is built. (Runners of CI let everybody write to all that they check out.)
func planted(path string, owner int) bool {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || info.Mode().Perm()&0o002 == 0 {
		return false
	}
	of := ownerOf(path)
	return of != owner && of != os.Geteuid()
}
