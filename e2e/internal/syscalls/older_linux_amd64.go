package syscalls

import (
	"maps"

	"golang.org/x/sys/unix"
)

// What came before there was a directory's descriptor among the arguments, and
// some C libraries still use here.
func init() {
	maps.Copy(kinds, map[int32]kind{
		unix.SYS_MKDIR:   {"mkdir", -1, 0},
		unix.SYS_RMDIR:   {"unlink", -1, 0},
		unix.SYS_UNLINK:  {"unlink", -1, 0},
		unix.SYS_RENAME:  {"rename", -1, 1},
		unix.SYS_LINK:    {"link", -1, 1},
		unix.SYS_SYMLINK: {"symlink", -1, 1},
	})
}
