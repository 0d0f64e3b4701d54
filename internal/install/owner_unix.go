//go:build unix

package install

import (
	"os"
	"syscall"
)

// owner gives the user that something in the store belongs to, if that is
// another one, who alone can take away what is read-only in it.
func owner(path string) (uid int, other bool) {
	info, err := os.Lstat(path)
	if err != nil || os.Geteuid() == 0 {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return int(stat.Uid), ok && int(stat.Uid) != os.Geteuid()
}
