// Package childproc starts programs that never outlive the test which started
// them: each is the leader of a process group of its own, which is killed as a
// whole when its leader has ended; on Linux it is also killed by the kernel
// when the test process dies, by a panic, a timeout or a signal.
package childproc

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// pipeGrace is how long the output of a program that has ended is waited for
// when a process that it left behind holds it open.
const pipeGrace = 5 * time.Second

// Account is the user and group that a program runs as, with no other groups.
type Account struct {
	UID, GID uint32
}

// Nobody is the unprivileged account that every Unix system has.
var Nobody = Account{UID: 65534, GID: 65534}

// Process is a started program.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts cmd as the given account; nil is the account of this process.
// It sets cmd.SysProcAttr and cmd.WaitDelay. Only root can start a program as
// another account.
func Start(cmd *exec.Cmd, account *Account) (*Process, error) {
	if err := setAttributes(cmd, account); err != nil {
		return nil, err
	}
	cmd.WaitDelay = pipeGrace
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel's parent-death signal is sent when the *thread* that
		// started the program ends, so that thread is kept for as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		killGroup(cmd.Process)
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// PID is the id of the process and, on Unix, of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended and its output is complete.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the program and returns its state. The error is
// that of exec.Cmd.Wait: an *exec.ExitError for a program that failed.
func (p *Process) Wait() (*os.ProcessState, error) {
	<-p.done
	return p.cmd.ProcessState, p.err
}

// Signal sends sig to every process of the group, as a terminal does. A
// program that has ended already is no error.
func (p *Process) Signal(sig os.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
		return signalGroup(p.cmd.Process, sig)
	}
}

// Kill ends every process of the group at once, and waits for the program.
func (p *Process) Kill() {
	select {
	case <-p.done:
	default:
		killGroup(p.cmd.Process)
		<-p.done
	}
}
