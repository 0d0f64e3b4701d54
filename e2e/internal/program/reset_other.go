//go:build !linux

package program

// resetPeak does nothing: only Linux counts this process's memory as that of
// a program it starts.
func resetPeak() {}
