package layer

import (
	"io/fs"
	"syscall"
)

func stampOf(info fs.FileInfo) Stamp {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Stamp{}
	}
	return stamp(int64(s.Dev), int64(s.Ino), s.Mtim.Nano(), s.Ctim.Nano())
}
