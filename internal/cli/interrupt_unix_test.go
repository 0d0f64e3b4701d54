//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/ocipkg/ocipkg/internal/reexec"
)

// A signal that comes when all is done and told is not the end of the process:
// its exit code is still to come.
func TestASignalAfterTheResultDoesNotKill(t *testing.T) {
	if !reexec.Alone(t) {
		return
	}
	stdout := os.Stdout
	os.Stdout = devNull(t)
	code := Main([]string{"version"})
	os.Stdout = stdout
	if code != 0 {
		t.Fatalf("the exit code is %d", code)
	}
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, syscall.SIGUSR1)
	for _, number := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1} { // a second one is meant to kill
		if err := syscall.Kill(os.Getpid(), number); err != nil {
			t.Fatal(err)
		}
	}
	<-arrived // after the other, which would have killed us
}

func devNull(t *testing.T) *os.File {
	file, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}
