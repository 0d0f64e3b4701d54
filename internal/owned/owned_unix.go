//go:build unix

package owned

import (
	"io/fs"
	"os"
	"syscall"
)

// By returns the user who owns a file: a link itself, where info is of one.
func By(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return Unknown
}

// Mine reports whether a file belongs to the user who runs this.
func Mine(info fs.FileInfo) bool { return By(info) == os.Geteuid() }
