//go:build unix

package registry

import (
	"io/fs"
	"os"
	"syscall"
)

// isPrivate tells whether nobody else can read or write a file or directory.
func isPrivate(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}
