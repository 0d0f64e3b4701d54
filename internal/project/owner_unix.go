//go:build unix

package project

import (
	"os"
	"syscall"
)

// ownerOf gives the user that a directory belongs to; -1 when that cannot be
// told.
func ownerOf(dir string) int {
	info, err := os.Stat(dir)
	if err != nil {
		return -1
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}
