//go:build unix

package registry

import (
	"io/fs"

	"github.com/ocipkg/ocipkg/internal/owned"
)

// isPrivate tells whether nobody else can read or write a file or directory.
func isPrivate(info fs.FileInfo) bool {
	return owned.Mine(info) && info.Mode().Perm()&0o077 == 0
}

// isForOthers tells whether a file's mode lets others read or change it.
func isForOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o066 != 0 }

// isOpenToOthers tells whether a directory's mode lets others reach what is in
// it.
func isOpenToOthers(dir fs.FileInfo) bool { return dir.Mode().Perm()&0o011 != 0 }
