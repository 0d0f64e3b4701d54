//go:build linux

// Package syscalls runs a program and decides on each of its system calls that
// change files: whether it is made, fails, or is what the program does not live
// to see. That is exact where a time, or a count that strace keeps of each
// thread, is not: the calls of all threads come here one after the other.
//
// The kernel asks by seccomp's user notification:
// https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html
package syscalls

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// Call is a system call that a program is about to make.
type Call struct {
	// Name is that of the manual page in section 2, without what tells variants
	// apart: open is one that may make a file, write any that puts bytes into
	// one.
	Name string
	// Path is of the file that is written to, made, removed or, for rename and
	// link, the new name; absolute. The random number in the name of a temporary
	// file is a star, so that two runs have the same calls.
	Path string
}

func (c Call) String() string { return c.Name + " " + c.Path }

// Verdict is what becomes of a call: nil, it is made; [ErrKill], the program is
// killed before; any [syscall.Errno], it fails so.
type Verdict error

// ErrKill ends the program, with all that it started.
var ErrKill Verdict = errors.New("kill")

// kind says how a system call gives the file that it changes: a directory's
// descriptor, where fd is -1 the working directory, and a path; or, where path
// is -1, a descriptor of the file.
type kind struct {
	name     string
	fd, path int // which arguments
}

var kinds = map[int32]kind{
	unix.SYS_OPENAT:          {"open", 0, 1},
	unix.SYS_MKDIRAT:         {"mkdir", 0, 1},
	unix.SYS_UNLINKAT:        {"unlink", 0, 1},
	unix.SYS_RENAMEAT:        {"rename", 2, 3},
	unix.SYS_RENAMEAT2:       {"rename", 2, 3},
	unix.SYS_LINKAT:          {"link", 2, 3},
	unix.SYS_SYMLINKAT:       {"symlink", 1, 2},
	unix.SYS_WRITE:           {"write", 0, -1},
	unix.SYS_WRITEV:          {"write", 0, -1},
	unix.SYS_PWRITE64:        {"write", 0, -1},
	unix.SYS_SENDFILE:        {"write", 0, -1},
	unix.SYS_COPY_FILE_RANGE: {"write", 2, -1},
	unix.SYS_SPLICE:          {"write", 2, -1},
	unix.SYS_FALLOCATE:       {"fallocate", 0, -1},
	unix.SYS_FTRUNCATE:       {"truncate", 0, -1},
}

// Changes are the names of all calls there are.
var Changes = []string{"open", "mkdir", "unlink", "rename", "link", "symlink", "write", "fallocate", "truncate"}

var notifier struct {
	sync.Once
	err error
}

// random is what os.CreateTemp and os.MkdirTemp put in place of a star, in the
// names that the program gives; that of the session's own directory stays.
var random = regexp.MustCompile(`(/\.[a-z-]+|/blob-|/ocipkg-pkg-config-|/oras_credstore_temp_)[0-9]+`)

// Run runs a program of a session to its end, and asks decide about each of its
// calls of the given names, one at a time, in another goroutine than the
// caller's. Of write and open, those that are about no file of a directory, or
// make none, are not asked about.
func Run(t testing.TB, s *program.Session, names []string, decide func(Call) Verdict, command string, arguments ...string) *program.Result {
	t.Helper()
	bin := program.Bin(t)
	notifier.Do(func() {
		var root string
		if root, notifier.err = program.Root(); notifier.err == nil {
			notifier.err = program.Build(filepath.Join(root, "e2e"), bin, "./internal/syscalls/notifier")
		}
	})
	if notifier.err != nil {
		t.Fatal(notifier.err)
	}
	var numbers []string
	for number, k := range kinds {
		if slices.Contains(names, k.name) {
			numbers = append(numbers, strconv.Itoa(int(number)))
		}
	}
	slices.Sort(numbers)
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@ocipkg-e2e-" + rand.Text()})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Start(filepath.Join(bin, "notifier"), append([]string{socket.Addr().String(), strings.Join(numbers, ","), command}, arguments...)...)
	served := make(chan error, 1)
	go func() { served <- serve(socket, decide) }()
	r := p.Wait()
	socket.Close()
	if err := <-served; err != nil {
		t.Errorf("watch %s: %v\n%s", command, err, r)
	}
	return r
}

// Plan says at which of a command's calls something happens, and what.
type Plan struct {
	// Names are those of the calls.
	Names []string
	// Skip tells which of them are passed over; nil are none.
	Skip func(Call) bool
	// Kind says which calls are of one kind, of which only the first is decided
	// on; nil takes all calls for different.
	Kind func(Call) string
	// Verdict is given to one call in each run, and if Stays is set to each that
	// comes after it.
	Verdict Verdict
	Stays   bool
	// Prepare makes all runs the same: that a run does not come to its call is an
	// error of the test.
	Prepare func()
	// Check is given the call and what became of the run.
	Check func(at Call, r *program.Result)
}

// Each runs a command again and again: once to see which calls it makes, then
// once for each of them, by name, path and how often it was made before. Of the
// writes to a file, only the first counts: how many there are is up to how the
// bytes come.
func Each(t testing.TB, s *program.Session, p Plan, command string, arguments ...string) {
	t.Helper()
	wanted := func(c Call) bool { return p.Skip == nil || !p.Skip(c) }
	p.Prepare()
	count := map[Call]int{}
	Run(t, s, p.Names, func(c Call) Verdict {
		if wanted(c) && (c.Name != "write" || count[c] == 0) {
			count[c]++
		}
		return nil
	}, command, arguments...).OK()
	kinds := map[string]bool{}
	for _, at := range slices.SortedFunc(maps.Keys(count), func(a, b Call) int { return strings.Compare(a.String(), b.String()) }) {
		for before := range count[at] {
			if p.Kind != nil {
				if kinds[p.Kind(at)] {
					continue
				}
				kinds[p.Kind(at)] = true
			}
			p.Prepare()
			reached, left := false, before
			r := Run(t, s, p.Names, func(c Call) Verdict {
				switch {
				case reached && p.Stays && wanted(c):
					return p.Verdict
				case reached || c != at:
					return nil
				case left > 0:
					left--
					return nil
				}
				reached = true
				return p.Verdict
			}, command, arguments...)
			if !reached {
				t.Errorf("%s was not made for time %d of %d\n%s", at, before+1, count[at], r)
				continue
			}
			p.Check(at, r)
		}
	}
}

// serve answers until nobody is left to ask.
func serve(socket *net.UnixListener, decide func(Call) Verdict) error {
	conn, err := socket.AcceptUnix()
	if err != nil {
		return fmt.Errorf("the program did not begin: %w", err)
	}
	defer conn.Close()
	listener, err := receive(conn)
	if err != nil {
		return err
	}
	defer unix.Close(listener)
	for {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return err
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			return nil
		}
		if err := answer(listener, decide); err != nil {
			return err
		}
	}
}

// receive gets the descriptor to listen at.
func receive(conn *net.UnixConn) (int, error) {
	buffer := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 1), buffer)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(buffer[:n])
	if err != nil || len(messages) != 1 {
		return 0, fmt.Errorf("the program sent no descriptor (%v)", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, fmt.Errorf("the program sent %d descriptors (%v)", len(fds), err)
	}
	return fds[0], nil
}

// notification and response are struct seccomp_notif and seccomp_notif_resp.
type notification struct {
	id   uint64
	pid  uint32
	_    uint32
	nr   int32
	_    uint32
	_    uint64
	args [6]uint64
}

type response struct {
	id    uint64
	_     int64
	error int32
	flags uint32
}

const goOn = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE

func answer(listener int, decide func(Call) Verdict) error {
	var n notification
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
		if errno == unix.ENOENT || errno == unix.EINTR {
			return nil // who asked is gone
		}
		return fmt.Errorf("read a notification: %w", errno)
	}
	var verdict Verdict
	if c, ok := callOf(&n); ok {
		verdict = decide(c)
	}
	if verdict == ErrKill {
		group, err := unix.Getpgid(int(n.pid))
		if err == nil {
			err = unix.Kill(-group, unix.SIGKILL)
		}
		return err
	}
	r := response{id: n.id, flags: goOn}
	if verdict != nil {
		r.flags, r.error = 0, -int32(verdict.(syscall.Errno))
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r))); errno != 0 && errno != unix.ENOENT {
		return fmt.Errorf("answer a notification: %w", errno)
	}
	return nil
}

// callOf reads what a call is about; not ok is one that is about no file of a
// directory, changes none, or cannot be made.
func callOf(n *notification) (c Call, ok bool) {
	k := kinds[n.nr]
	if k.name == "open" && n.args[2]&unix.O_CREAT == 0 {
		return Call{}, false
	}
	proc := fmt.Sprintf("/proc/%d/", n.pid)
	of := func(fd int) string {
		link := proc + "cwd"
		if fd != unix.AT_FDCWD {
			link = fmt.Sprintf("%sfd/%d", proc, fd)
		}
		path, err := os.Readlink(link)
		if err != nil || !filepath.IsAbs(path) {
			return "" // a socket, or one that is not open
		}
		return path
	}
	if k.path < 0 {
		path := of(int(int32(n.args[k.fd])))
		return Call{k.name, random.ReplaceAllString(path, "${1}*")}, path != "" && !strings.HasPrefix(path, "/dev/") && !strings.HasPrefix(path, "/proc/")
	}
	path, err := stringAt(proc+"mem", n.args[k.path])
	if err != nil {
		return Call{}, false
	}
	if !filepath.IsAbs(path) {
		dir := unix.AT_FDCWD
		if k.fd >= 0 {
			dir = int(int32(n.args[k.fd]))
		}
		path = filepath.Join(of(dir), path)
	}
	return Call{k.name, random.ReplaceAllString(filepath.Clean(path), "${1}*")}, filepath.IsAbs(path)
}

// stringAt reads a string that ends with a zero byte.
func stringAt(memory string, address uint64) (string, error) {
	file, err := os.Open(memory)
	if err != nil {
		return "", err
	}
	defer file.Close()
	buffer := make([]byte, unix.PathMax)
	n, err := file.ReadAt(buffer, int64(address)) // less where the next page is not there
	if end := bytes.IndexByte(buffer[:n], 0); end >= 0 {
		return string(buffer[:end]), nil
	}
	return "", fmt.Errorf("no path at %#x: %w", address, err)
}
