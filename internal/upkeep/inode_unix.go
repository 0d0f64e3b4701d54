//go:build unix

package upkeep

import (
	"io/fs"
	"syscall"
)

// identify tells which file it is, and how many names it has.
func identify(_ string, info fs.FileInfo) (inode, uint64) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}, 1
	}
	return inode{uint64(stat.Dev), uint64(stat.Ino)}, uint64(stat.Nlink)
}
