package childproc

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// orphanVariable makes the test program the parent that dies in
// TestProgramDiesWithTheTestProcess.
const orphanVariable = "CHILDPROC_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(orphanVariable) != "" {
		startAndAnnounce()
	}
	os.Exit(m.Run())
}

// startAndAnnounce starts a program that never ends, says so, and waits.
func startAndAnnounce() {
	cmd := exec.Command("sleep", "infinity")
	cmd.Stderr = os.Stderr
	if _, err := Start(cmd, nil); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("started")
	select {}
}

func TestProgramDiesWithTheTestProcess(t *testing.T) {
	held, gone := endOfFile(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanVariable+"=1")
	cmd.Stderr = held
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("started\n"))
	if _, err := io.ReadFull(stdout, line); err != nil || string(line) != "started\n" {
		t.Fatalf("the parent said %q (%v)", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The parent is killed, so its state is an error by design.
	_ = cmd.Wait()
	gone()
}
