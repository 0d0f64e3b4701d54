//go:build unix

package childproc

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

func killGroup(leader *os.Process) {
	// A group with no process left is what is wanted, so that error is none.
	_ = syscall.Kill(-leader.Pid, syscall.SIGKILL)
}

func signalGroup(leader *os.Process, sig os.Signal) error {
	number, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("send %v to process group %d: not a signal of this system", sig, leader.Pid)
	}
	if err := syscall.Kill(-leader.Pid, number); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %v to process group %d: %w", sig, leader.Pid, err)
	}
	return nil
}

func credential(account *Account) *syscall.Credential {
	if account == nil {
		return nil
	}
	return &syscall.Credential{Uid: account.UID, Gid: account.GID}
}
