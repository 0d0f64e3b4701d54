//go:build unix

package program

import (
	"os"
	"runtime"
	"syscall"
)

// peakRSS returns the maximum resident set size of a process, in bytes.
func peakRSS(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	peak := int64(usage.Maxrss)
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return peak
	}
	// The others count in KiB.
	return peak << 10
}
