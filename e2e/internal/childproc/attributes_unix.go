//go:build unix && !linux

package childproc

import (
	"os/exec"
	"syscall"
)

func setAttributes(cmd *exec.Cmd, account *Account) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential(account)}
	return nil
}
