//go:build unix

// Package reexec runs a test in a process of its own: as a user without
// privileges, since root is refused nothing and would see no error about
// permissions, or under limits that the test itself sets.
package reexec

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const (
	nobody = 65534                 // user and group, as most systems have it
	marker = "OCIPKG_TEST_PROCESS" // is set in a process that was made here
)

// Unprivileged tells whether the test that calls it is to go on, as an
// unprivileged user. When this process is root's, it is not: it then runs in
// another process that is not root's, which is reported.
func Unprivileged(t *testing.T) bool {
	t.Helper()
	if os.Getuid() != 0 {
		return true
	}
	run(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}})
	return false
}

// Alone tells whether the test that calls it is to go on, in a process that
// runs nothing else. If not, it runs in one, which is reported.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(marker) != "" {
		return true
	}
	run(t, nil)
	return false
}

// run runs the test in another process, with a temporary directory that every
// user can enter: that of t is this user's alone.
func run(t *testing.T, attributes *syscall.SysProcAttr) {
	t.Helper()
	dir, err := os.MkdirTemp("", "reexec-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program, temp := filepath.Join(dir, "test"), filepath.Join(dir, "tmp")
	if err := errors.Join(copyProgram(program), os.Chmod(dir, 0o755), os.Mkdir(temp, 0o755), os.Chmod(temp, 0o777)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = temp
	cmd.Env = append(os.Environ(), marker+"=1", "TMPDIR="+temp, "HOME="+temp)
	cmd.SysProcAttr = attributes
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
}

// copyProgram copies this test's program out of a directory that only its user
// can enter.
func copyProgram(to string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	return errors.Join(err, out.Chmod(0o755), out.Close())
}
