//go:build unix

package publish

import (
	"os/exec"
	"syscall"
)

// killWithChildren makes the end of cmd's context end the compilers that it
// started, too: cargo alone, killed, would leave them to write on.
func killWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
