package platform

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Host gives the platform of the running system, its C library and the version
// of that read from the system's own files: the interpreter of its programs, and
// the library beside that. On macOS, OSVersion is what MACOSX_DEPLOYMENT_TARGET
// says, else the system's.
func Host() Platform { return host() }

var host = sync.OnceValue(func() Platform {
	p := Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}
	switch p.OS {
	case "linux":
		p.Libc, p.LibcVersion = hostLibc("/bin/sh", "/bin/ls", "/usr/bin/env")
	case "darwin":
		if p.OSVersion = os.Getenv("MACOSX_DEPLOYMENT_TARGET"); p.OSVersion == "" {
			p.OSVersion = systemVersion()
		}
	}
	return p
})

// hostLibc reads the C library off the first of programs that has an
// interpreter; empty when none has one.
func hostLibc(programs ...string) (libc, version string) {
	for _, program := range programs {
		interp := interpreter(program)
		switch {
		case strings.Contains(interp, "ld-musl"):
			return "musl", muslVersion(interp)
		case strings.Contains(interp, "/ld-linux") || strings.Contains(interp, "/ld64.so") || strings.Contains(interp, "/ld.so"):
			return "glibc", glibcVersion(interp)
		}
	}
	return "", ""
}

// glibcVersion gives the version of the glibc that a loader belongs to: the
// highest version of symbols that the library beside it defines, which is what
// decides on whether a program can be loaded. Empty when it cannot be read.
func glibcVersion(loader string) string {
	real, err := filepath.EvalSymlinks(loader)
	if err != nil {
		return ""
	}
	f, err := openELF(filepath.Join(filepath.Dir(real), "libc.so.6"))
	if err != nil {
		return ""
	}
	defer f.Close()
	highest := ""
	for _, name := range f.definedVersions() {
		version, ok := strings.CutPrefix(name, "GLIBC_")
		if ok && IsVersion(version) && CompareVersions(version, highest) > 0 {
			highest = version
		}
	}
	return highest
}

// muslVersion gives the version in musl's loader, which is the library too: a
// string of its own, as in "1.2.3". Empty when there is none.
func muslVersion(loader string) string {
	raw, err := os.ReadFile(loader)
	if err != nil {
		return ""
	}
	for _, text := range bytes.Split(raw, []byte{0}) {
		if len(text) >= 5 && len(text) <= 16 && text[0] == '1' && bytes.Count(text, []byte{'.'}) == 2 && len(bytes.Trim(text, "0123456789.")) == 0 {
			return string(text)
		}
	}
	return ""
}

// interpreter reads the interpreter of an ELF program of this machine; empty
// when it has none.
func interpreter(program string) string {
	f, err := openELF(program)
	if err != nil {
		return ""
	}
	defer f.Close()
	const ptInterp = 3
	s, ok := f.segment(ptInterp)
	if !ok {
		return ""
	}
	path, _, _ := bytes.Cut(f.read(s.offset, min(s.size, 4096)), []byte{0})
	return string(path)
}
