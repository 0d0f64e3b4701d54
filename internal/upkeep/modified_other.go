//go:build !unix

package upkeep

import (
	"os"
	"path/filepath"
	"time"
)

// modified gives when a file in an open directory was last changed; zero when it
// is not there.
func modified(dir *os.File, name string) time.Time {
	info, err := os.Lstat(filepath.Join(dir.Name(), name))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
