package workload

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// candidate is a file on the machine that a set may take.
type candidate struct {
	path string
	size int64
	exec bool
}

// find lists the files that a shape may be made of, each content that has
// several names once.
func find(ctx context.Context, shape Shape) ([]candidate, error) {
	roots, err := roots(ctx, shape.Binary)
	if err != nil {
		return nil, err
	}
	machine, err := thisMachine()
	if err != nil {
		return nil, err
	}
	var found []candidate
	seen := map[uint64]bool{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return fs.SkipDir // what may not be read is not taken
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if entry.Name() == "testdata" && !shape.Binary {
				return fs.SkipDir // programs for other machines, among much else
			}
			if !entry.Type().IsRegular() {
				return nil
			}
			info, err := entry.Info()
			if err != nil || info.Size() == 0 || info.Size() > shape.Largest {
				return nil
			}
			inode := info.Sys().(*syscall.Stat_t).Ino
			if seen[inode] || shape.Binary && (info.Size() < 4<<10 || !machine.runs(name)) {
				return nil
			}
			seen[inode] = true
			found = append(found, candidate{name, info.Size(), info.Mode()&0o111 != 0})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// roots are where content comes from: the toolchains of Go and Rust, and
// Debian's libraries; or headers, documents and source.
func roots(ctx context.Context, binary bool) ([]string, error) {
	goroot, err := output(ctx, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	if !binary {
		return []string{"/usr/include", "/usr/share/doc", filepath.Join(goroot, "src")}, nil
	}
	sysroot, err := output(ctx, "rustc", "--print", "sysroot")
	if err != nil {
		return nil, err
	}
	return []string{filepath.Join(goroot, "bin"), filepath.Join(goroot, "pkg", "tool"), sysroot, "/usr/lib"}, nil
}

func output(ctx context.Context, program string, args ...string) (string, error) {
	text, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return "", fmt.Errorf("ask %s where its toolchain is: %w; the sets of files are made from it", program, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// machine is what programs of this machine have in their ELF header: class,
// byte order and machine.
type machine struct {
	class, order byte
	number       uint16
	name         string // as it is in directories of libraries
}

func thisMachine() (machine, error) {
	m, ok := readMachine("/proc/self/exe")
	if !ok {
		return m, fmt.Errorf("this program is no ELF file: the benchmarks run on Linux")
	}
	var name syscall.Utsname
	if err := syscall.Uname(&name); err != nil {
		return m, err
	}
	for _, c := range name.Machine {
		if c == 0 {
			break
		}
		m.name += string(rune(c))
	}
	return m, nil
}

// runs tells whether a file is a program or a library for the machine. Archives
// are told by their directory, which must be that of Debian for the machine or
// rustc's.
func (m machine) runs(name string) bool {
	of, ok := readMachine(name)
	if !ok {
		dir := filepath.Base(strings.TrimSuffix(filepath.Dir(name), "/lib"))
		return strings.HasPrefix(dir, m.name+"-") && strings.HasSuffix(dir, "linux-gnu") && isArchive(name)
	}
	of.name = m.name
	return of == m
}

func readMachine(name string) (machine, bool) {
	head := head(name, 20)
	if len(head) < 20 || !bytes.HasPrefix(head, []byte("\x7fELF")) {
		return machine{}, false
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if head[5] == 2 {
		order = binary.BigEndian
	}
	return machine{class: head[4], order: head[5], number: order.Uint16(head[18:])}, true
}

func isArchive(name string) bool { return string(head(name, 8)) == "!<arch>\n" }

func head(name string, n int) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, n)
	if n, err = f.Read(buf); err != nil {
		return nil
	}
	return buf[:n]
}
