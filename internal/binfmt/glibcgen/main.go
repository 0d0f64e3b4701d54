// Command glibcgen makes the tables of the versions of symbols from Debian packages: glibc's from libc6, libc6-…-cross for
// architectures that Debian does not release, and musl, of which it notes what glibc has, too; libstdc++'s from libstdc++6 and
// libstdc++6-…-cross.
//
//	go run ./internal/binfmt/glibcgen libc6*.deb musl_*.deb >internal/binfmt/glibc.txt
//	go run ./internal/binfmt/glibcgen libstdc++6*.deb >internal/binfmt/libstdcxx.txt
//
// The newest packages are enough, since the libraries keep the versions that they ever had. It needs dpkg-deb.
package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"

	"github.com/ocipkg/ocipkg/internal/binfmt"
)

// libraries matches the sonames of the libraries that glibc's functions are in, or once were, and libstdc++'s.
var libraries = regexp.MustCompile(`^(lib(c|m|pthread|dl|rt|util|resolv|anl|mvec|stdc\+\+)\.so\.|ld[-.])`)

// versioned matches the versions of symbols that count.
var versioned = regexp.MustCompile(`^(GLIBC|GLIBCXX|CXXABI)_([0-9.]+)$`)

// abis maps the versions of CXXABI to those of GLIBCXX that came with the same GCC. Older ones are below what the table begins with.
// See https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html.
var abis = map[string]string{
	"1.3.10": "3.4.22", "1.3.11": "3.4.23", "1.3.12": "3.4.26", "1.3.13": "3.4.29",
	"1.3.14": "3.4.31", "1.3.15": "3.4.33", "1.3.16": "3.4.34", "1.3.17": "3.4.35",
}

func main() {
	if err := generate(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "glibcgen:", err)
		os.Exit(1)
	}
}

func generate(packages []string) error {
	t := table{symbols: make(map[string]map[string]*symbol), musl: make(map[string]bool)}
	var sources []string
	for _, file := range packages {
		name, err := exec.Command("dpkg-deb", "--show", "--showformat=${Package}:${Architecture} ${Version}", file).Output()
		if err != nil {
			return fmt.Errorf("read the name of %s: %w", file, err)
		}
		if err := t.readPackage(file); err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		sources = append(sources, string(name))
	}
	t.addStatic()
	return t.write(os.Stdout, sources)
}

// readPackage adds the symbols of a package's libraries.
func (t *table) readPackage(file string) error {
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	files := tar.NewReader(out)
	for {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg || !strings.Contains(path.Base(header.Name), ".so") {
			continue
		}
		b, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		if err := t.readLibrary(b); err != nil {
			return fmt.Errorf("read %s: %w", header.Name, err)
		}
	}
	return cmd.Wait()
}

// readLibrary adds the symbols of one file, if it is one of the libraries.
func (t *table) readLibrary(b []byte) error {
	info, err := binfmt.Inspect(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil // a linker script, say
	}
	isMusl := info.Soname == "libc.so" || strings.HasPrefix(info.Soname, "libc.musl-")
	if !isMusl && !libraries.MatchString(info.Soname) {
		return nil
	}
	if strings.HasPrefix(info.Soname, "libstdc++") {
		t.library, t.oldest = "libstdc++", oldestLibstdcxx
	} else {
		t.library, t.oldest = "glibc", oldestGlibc
	}
	file, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return err
	}
	for _, s := range symbols {
		match := versioned.FindStringSubmatch(s.Version)
		switch {
		case s.Section == elf.SHN_UNDEF:
		case isMusl:
			t.musl[s.Name] = true
		case match == nil || s.Name == s.Version: // versions are symbols too
		case match[1] == "CXXABI":
			t.add(info.Platform.Architecture, s.Name, cmp.Or(abis[match[2]], t.oldest), !s.VersionIndex.IsHidden())
		default:
			t.add(info.Platform.Architecture, s.Name, match[2], !s.VersionIndex.IsHidden())
		}
	}
	return nil
}

// table is the symbols of one library.
type table struct {
	library string
	oldest  string                        // the version to which older ones are raised
	symbols map[string]map[string]*symbol // by architecture and name
	musl    map[string]bool
}

type symbol struct {
	versions []string
	links    bool // some version is a default: not all are kept only for programs that were linked long ago
}

func (t *table) add(architecture, name, version string, isDefault bool) {
	if t.symbols[architecture] == nil {
		t.symbols[architecture] = make(map[string]*symbol)
	}
	s := t.symbols[architecture][name]
	if s == nil {
		s = &symbol{}
		t.symbols[architecture][name] = s
	}
	s.versions = append(s.versions, version)
	s.links = s.links || isDefault
}
