//go:build unix

package upkeep

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// modified gives when a file in an open directory was last changed; zero when it
// is not there. The system finds it by its name alone, which is a good deal
// quicker than by a whole path.
func modified(dir *os.File, name string) time.Time {
	var stat unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return time.Time{}
	}
	return time.Unix(stat.Mtim.Unix())
}
