// Package owned tells whom files belong to, and whether others may write to
// them. On Windows, where access lists say it, all are the user's.
package owned

import (
	"io/fs"
	"runtime"
)

// Unknown is the owner of a file where owners are not looked at.
const Unknown = -1

// Writable reports whether others than its owner may write to a file or
// directory, by its mode.
func Writable(info fs.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o022 != 0
}
