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

// planted tells whether a file may be anybody's: it is not the user's own, and
// everybody can write to its directory.
func planted(path string) bool {
	info, err := os.Stat(filepath.Dir(path))
	return err == nil && info.Mode().Perm()&0o002 != 0 && ownerOf(path) != os.Geteuid()
}
