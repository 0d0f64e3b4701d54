package measure

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// helperName is the first argument of the program as the helper.
const helperName = "run-measured"

// reportFD is where the helper writes what the command cost.
const reportFD = 3

// Helper does the helper's work and exits, in the process that is one; in any
// other it returns at once.
func Helper() {
	if len(os.Args) != 3 || os.Args[1] != helperName {
		return
	}
	if err := help(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func help(script string) error {
	syscall.CloseOnExec(reportFD)
	// What the script leaves running becomes a child of ours, and is waited for.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return err
	}
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			break
		}
	}
	wall := time.Since(start)
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		return err
	}
	return json.NewEncoder(os.NewFile(reportFD, "report")).Encode(Cost{
		Wall: wall.Seconds(),
		CPU:  seconds(usage.Utime) + seconds(usage.Stime),
		Peak: usage.Maxrss << 10,
	})
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
