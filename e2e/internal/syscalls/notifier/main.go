//go:build linux

// Command notifier runs a program of whose system calls another process is
// asked: it puts the filter that says which on itself, sends that process the
// descriptor to listen at, and becomes the program.
//
//	notifier SOCKET NUMBER,… PROGRAM [ARGUMENT…]
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "notifier:", err)
		os.Exit(125)
	}
}

func run(socket, numbers string, program []string) error {
	path, err := exec.LookPath(program[0])
	if err != nil {
		return err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: socket})
	if err != nil {
		return err
	}
	filter, err := filterOf(strings.Split(numbers, ","))
	if err != nil {
		return err
	}
	// The filter is this thread's, and what it becomes has it too.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	// Go signals its own threads all the time. A call that was asked about must
	// not begin anew for that.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return fmt.Errorf("filter system calls: %w", errno)
	}
	if _, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(int(listener)), nil); err != nil {
		return err
	}
	unix.CloseOnExec(int(listener))
	return syscall.Exec(path, program, os.Environ())
}

// filterOf gives the program of the filter: the given system calls ask, all
// others go on.
// https://docs.kernel.org/userspace-api/seccomp_filter.html
func filterOf(numbers []string) ([]unix.SockFilter, error) {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	for i, text := range numbers {
		number, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, err
		}
		toLast := uint8(len(numbers) - i)
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: toLast, K: uint32(number)})
	}
	return append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF}), nil
}
