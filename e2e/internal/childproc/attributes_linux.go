package childproc

import (
	"os/exec"
	"syscall"
)

func setAttributes(cmd *exec.Cmd, account *Account) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Pdeathsig:  syscall.SIGKILL,
		Credential: credential(account),
	}
	return nil
}
