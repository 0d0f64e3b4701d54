//go:build !unix

package registry

import "io/fs"

// isPrivate leaves it to the directory, which is the user's own.
func isPrivate(fs.FileInfo) bool { return true }

// Modes say nothing here of what others may do.
func isForOthers(fs.FileInfo) bool    { return false }
func isOpenToOthers(fs.FileInfo) bool { return false }
