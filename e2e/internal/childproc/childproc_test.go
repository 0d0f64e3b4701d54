//go:build unix

package childproc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestExitCodeAndOutputAreReturned(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo out; exit 7")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	p, err := Start(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	state, err := p.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || state.ExitCode() != 7 {
		t.Errorf("got state %v, error %v, want exit code 7", state, err)
	}
	if stdout.String() != "out\n" {
		t.Errorf("stdout is %q", stdout.String())
	}
	p.Kill()
	if err := p.Signal(syscall.SIGINT); err != nil {
		t.Errorf("a signal to a program that has ended: %v", err)
	}
}

func TestMissingProgramIsAnError(t *testing.T) {
	if _, err := Start(exec.Command("/nonexistent/program"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want one that says the file does not exist", err)
	}
}

// endOfFile returns the write end of a pipe for a program to hold, and a
// function that waits until nobody holds it any more.
func endOfFile(t *testing.T) (held *os.File, gone func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return w, func() {
		w.Close()
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("wait for the end of the pipe: %v", err)
		}
	}
}

func TestKillEndsTheWholeGroup(t *testing.T) {
	held, gone := endOfFile(t)
	cmd := exec.Command("sh", "-c", "sleep infinity & echo ready; wait")
	cmd.ExtraFiles = []*os.File{held}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	gone()
}

func TestWhatAProgramLeavesBehindIsEnded(t *testing.T) {
	held, gone := endOfFile(t)
	cmd := exec.Command("sh", "-c", "sleep infinity &")
	cmd.ExtraFiles = []*os.File{held}
	p, err := Start(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	gone()
}

func TestSignalReachesTheProgram(t *testing.T) {
	cmd := exec.Command("sh", "-c", "trap 'exit 3' INT; echo ready; while :; do sleep 0.01; done")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	state, _ := p.Wait()
	if state.ExitCode() != 3 {
		t.Errorf("exit code %d, want 3", state.ExitCode())
	}
}

func TestAccountIsTheOneAskedFor(t *testing.T) {
	want := fmt.Sprint(os.Getuid(), os.Getgid())
	var account *Account
	if os.Getuid() == 0 {
		account = &Nobody
		want = fmt.Sprint(Nobody.UID, Nobody.GID)
	}
	cmd := exec.Command("sh", "-c", "id -u; id -g; id -G")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	p, err := Start(cmd, account)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(stdout.String())
	if got := strings.Join(fields[:2], " "); got != want {
		t.Errorf("ran as %s, want %s", got, want)
	}
	if account != nil && len(fields) != 3 {
		t.Errorf("has groups %v, want its own only", fields[2:])
	}
}
