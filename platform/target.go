package platform

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// architectures maps the first part of a target triple to GOARCH and variant.
// Triples: https://doc.rust-lang.org/rustc/platform-support.html and
// https://wiki.debian.org/Multiarch/Tuples.
var architectures = map[string][2]string{
	"x86_64": {"amd64"}, "amd64": {"amd64"},
	"i386": {"386"}, "i486": {"386"}, "i586": {"386"}, "i686": {"386"},
	"aarch64": {"arm64"}, "arm64": {"arm64"}, "arm64e": {"arm64"},
	"arm": {"arm", "v6"}, "armv5te": {"arm", "v5"}, "armv6": {"arm", "v6"}, "armv7": {"arm", "v7"}, "armv7a": {"arm", "v7"}, "armv7l": {"arm", "v7"}, "thumbv7neon": {"arm", "v7"},
	"riscv64": {"riscv64"}, "riscv64gc": {"riscv64"}, "riscv64a23": {"riscv64"},
	"powerpc64": {"ppc64"}, "ppc64": {"ppc64"}, "powerpc64le": {"ppc64le"}, "ppc64le": {"ppc64le"},
	"s390x": {"s390x"}, "loongarch64": {"loong64"}, "loong64": {"loong64"},
	"mips": {"mips"}, "mipsel": {"mipsle"}, "mips64": {"mips64"}, "mips64el": {"mips64le"},
	"wasm32": {"wasm"},
}

// systems maps a system in a target triple to GOOS.
var systems = map[string]string{
	"linux": "linux", "darwin": "darwin", "macos": "darwin", "macosx": "darwin", "ios": "ios", "windows": "windows", "mingw32": "windows", "w64": "windows",
	"freebsd": "freebsd", "netbsd": "netbsd", "openbsd": "openbsd", "dragonfly": "dragonfly", "solaris": "solaris", "illumos": "illumos", "android": "android", "wasi": "wasip1", "wasip1": "wasip1",
}

// Parse reads a target as a user writes it: os/architecture[/variant], as
// Docker has it, or a target triple, as compilers have it. The error is of kind
// [errdef.ErrUsage].
func Parse(target string) (Platform, error) {
	if !strings.Contains(target, "/") {
		return FromTriple(target)
	}
	parts := strings.Split(target, "/")
	if len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "%q is not a platform: write it as os/architecture, such as linux/arm64, or as a target triple", target)
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if !isKnown(systems, p.OS) || !slices.ContainsFunc(slices.Collect(maps.Values(architectures)), func(a [2]string) bool { return a[0] == p.Architecture }) {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "%q is not a platform: its operating system or its architecture is not known; they have the values of GOOS and GOARCH, as in linux/arm64", target)
	}
	if len(parts) == 3 {
		if len(parts[2]) < 2 || parts[2][0] != 'v' {
			return Platform{}, errdef.Errorf(errdef.ErrUsage, "%q is not a platform: a variant is written v6, v7, v8", target)
		}
		p.Variant = parts[2]
	}
	return p, nil
}

func isKnown(values map[string]string, value string) bool {
	return slices.Contains(slices.Collect(maps.Values(values)), value)
}

// FromTriple reads a target triple, such as x86_64-unknown-linux-musl,
// aarch64-linux-gnu, x86_64-w64-mingw32 or arm64-apple-macos12. The error is of
// kind [errdef.ErrUsage].
func FromTriple(triple string) (Platform, error) {
	parts := strings.Split(triple, "-")
	arch, ok := architectures[parts[0]]
	if !ok {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "target %q has the unknown architecture %q; give the target as a triple, such as aarch64-linux-gnu, or as os/architecture", triple, parts[0])
	}
	p := Platform{Architecture: arch[0], Variant: arch[1]}
	for _, part := range parts[1:] {
		word := strings.TrimRight(part, "0123456789.")
		if os := systems[part]; os != "" {
			p.OS = os
		} else if os := systems[word]; os != "" {
			p.OS = os
			if os == "darwin" && word != "darwin" {
				p.OSVersion = part[len(word):]
			}
		}
	}
	if p.OS == "" {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "target %q has no operating system that is known here; give it as os/architecture, such as linux/arm64", triple)
	}
	abi := parts[len(parts)-1]
	p.setABI(abi)
	if p.Architecture == "arm" && len(parts) == 3 && abi == "gnueabihf" {
		p.Variant = "v7" // Debian's armhf is ARMv7, though its triple says only "arm"
	}
	return p, nil
}

// setABI reads the last part of a triple: the C library or the ABI.
func (p *Platform) setABI(abi string) {
	switch {
	case p.OS == "windows" && abi == "msvc":
		p.Env = "msvc"
	case p.OS == "windows":
		p.Env = "gnu"
	case strings.HasPrefix(abi, "android"):
		p.OS = "android"
	case p.OS == "linux" && strings.HasPrefix(abi, "musl"):
		p.Libc = "musl"
	case p.OS == "linux" && strings.HasPrefix(abi, "gnu"):
		p.Libc = "glibc"
	}
}

// Host gives the platform of the running system, its C library read from the
// interpreter of the system's own programs. LibcVersion stays empty.
func Host() Platform {
	p := Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}
	if p.OS == "linux" {
		p.Libc = hostLibc("/bin/sh", "/bin/ls", "/usr/bin/env")
	}
	return p
}

// hostLibc reads the C library off the first of programs that has an
// interpreter; empty when none has one.
func hostLibc(programs ...string) string {
	for _, program := range programs {
		interp := interpreter(program)
		switch {
		case strings.Contains(interp, "ld-musl"):
			return "musl"
		case strings.Contains(interp, "/ld-linux") || strings.Contains(interp, "/ld64.so") || strings.Contains(interp, "/ld.so"):
			return "glibc"
		}
	}
	return ""
}

// interpreter reads the interpreter of an ELF program of this machine, its
// PT_INTERP (https://gabi.xinuos.com/elf/07-pheader.html); empty when it has
// none. It reads the first page alone, where linkers put it, and not through
// debug/elf, since it runs at the start of each link.
func interpreter(program string) string {
	f, err := os.Open(program)
	if err != nil {
		return ""
	}
	defer f.Close()
	page := make([]byte, 4096)
	n, _ := f.ReadAt(page, 0)
	page = page[:n]
	const is64 = 2
	if n < 64 || string(page[:4]) != "\x7fELF" {
		return ""
	}
	order := binary.NativeEndian // a program that runs here
	table, entry, count := int(order.Uint32(page[0x1c:])), int(order.Uint16(page[0x2a:])), int(order.Uint16(page[0x2c:]))
	if page[4] == is64 {
		table, entry, count = int(order.Uint64(page[0x20:])), int(order.Uint16(page[0x36:])), int(order.Uint16(page[0x38:]))
	}
	for i := range count {
		at := table + i*entry
		if at < 0 || at+entry > n || entry < 32 {
			return ""
		}
		header := page[at : at+entry]
		const ptInterp = 3
		if order.Uint32(header) != ptInterp {
			continue
		}
		offset := int(order.Uint32(header[4:]))
		if page[4] == is64 {
			offset = int(order.Uint64(header[8:]))
		}
		if offset < 0 || offset >= n {
			return ""
		}
		path, _, _ := bytes.Cut(page[offset:], []byte{0})
		return string(path)
	}
	return ""
}

// Target gives the platform that a build is for: explicit where it is not
// empty (a command's --platform or --target), else OCIPKG_TARGET, else GOOS and
// GOARCH with the C library from CC's name, else TARGET where CARGO is set,
// else the host. A GOOS or GOARCH that contradicts OCIPKG_TARGET is an error of
// kind [errdef.ErrUsage].
func Target(explicit string) (Platform, error) {
	if explicit != "" {
		return Parse(explicit)
	}
	fromGo, hasGo := fromGoEnv()
	if named := os.Getenv("OCIPKG_TARGET"); named != "" {
		p, err := Parse(named)
		if err != nil {
			return p, err
		}
		if hasGo && (p.OS != fromGo.OS || p.Architecture != fromGo.Architecture) {
			return p, errdef.Errorf(errdef.ErrUsage, "OCIPKG_TARGET is %q, but GOOS/GOARCH is %s/%s; unset one of them", named, fromGo.OS, fromGo.Architecture)
		}
		return p, nil
	}
	if hasGo {
		return fromGo, nil
	}
	if triple := os.Getenv("TARGET"); triple != "" && os.Getenv("CARGO") != "" {
		return FromTriple(triple)
	}
	return Host(), nil
}

// fromGoEnv reads GOOS and GOARCH, which cmd/go always sets for the programs
// that it runs, and which a user sets to cross-build.
func fromGoEnv() (Platform, bool) {
	p := Platform{OS: os.Getenv("GOOS"), Architecture: os.Getenv("GOARCH")}
	if p.OS == "" && p.Architecture == "" {
		return Platform{}, false
	}
	host := Host()
	if p.OS == "" {
		p.OS = host.OS
	}
	if p.Architecture == "" {
		p.Architecture = host.Architecture
	}
	if p.OS == "linux" {
		switch cc := os.Getenv("CC"); {
		case strings.Contains(cc, "musl"):
			p.Libc = "musl"
		case strings.Contains(cc, "gnu"):
			p.Libc = "glibc"
		case p.Architecture == host.Architecture && host.OS == "linux":
			p.Libc = host.Libc
		}
	}
	return p, true
}
