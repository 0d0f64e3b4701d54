// Command glibcgen makes the table of the versions of glibc's symbols from Debian packages that hold glibc: libc6, and
// libc6-…-cross for architectures that Debian does not release.
//
//	go run ./internal/binfmt/glibcgen libc6_*.deb >internal/binfmt/glibc.txt
//
// The newest packages are enough, since glibc keeps the versions that it ever had. It needs dpkg-deb.
package main

import (
	"archive/tar"
	"bytes"
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

// libraries matches the sonames of the libraries that glibc's functions are in, or once were.
var libraries = regexp.MustCompile(`^(lib(c|m|pthread|dl|rt|util|resolv|anl|mvec)\.so\.|ld[-.])`)

func main() {
	if err := generate(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "glibcgen:", err)
		os.Exit(1)
	}
}

func generate(packages []string) error {
	t := make(table)
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
func (t table) readPackage(file string) error {
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
func (t table) readLibrary(b []byte) error {
	info, err := binfmt.Inspect(bytes.NewReader(b), int64(len(b)))
	if err != nil || !libraries.MatchString(info.Soname) {
		return err
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
		version, ok := strings.CutPrefix(s.Version, "GLIBC_")
		if s.Section == elf.SHN_UNDEF || !ok || strings.Trim(version, ".0123456789") != "" {
			continue
		}
		t.add(info.Platform.Architecture, s.Name, version, !s.VersionIndex.IsHidden())
	}
	return nil
}

// table maps architectures to symbols.
type table map[string]map[string]*symbol

type symbol struct {
	versions []string
	links    bool // some version is a default: not all are kept only for programs that were linked long ago
}

func (t table) add(architecture, name, version string, isDefault bool) {
	if t[architecture] == nil {
		t[architecture] = make(map[string]*symbol)
	}
	s := t[architecture][name]
	if s == nil {
		s = &symbol{}
		t[architecture][name] = s
	}
	s.versions = append(s.versions, version)
	s.links = s.links || isDefault
}
