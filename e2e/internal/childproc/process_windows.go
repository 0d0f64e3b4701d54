package childproc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

func setAttributes(cmd *exec.Cmd, account *Account) error {
	if account != nil {
		return errors.New("run as another account: Windows has no user ids; leave the account nil")
	}
	return nil
}

func killGroup(leader *os.Process) {
	// A process that has ended is what is wanted, so that error is none.
	_ = leader.Kill()
}

func signalGroup(leader *os.Process, sig os.Signal) error {
	if err := leader.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to process %d: %w", sig, leader.Pid, err)
	}
	return nil
}
