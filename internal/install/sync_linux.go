package install

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll writes all of the file system that dir is on to the disk: one call,
// where syncing thousands of files one by one would take seconds.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
