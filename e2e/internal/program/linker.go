package program

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// linkerScript stands before a linker. It has the linker list the files that it read in a new file
// of the directory LISTS, or copies the list that the caller asks for.
const linkerScript = `#!/bin/sh
real=NATIVE list=
for argument; do
	case $argument in
	aarch64linux* | -maarch64linux*) real=aarch64-linux-gnu-NAME ;;
	i386pep) real=x86_64-w64-mingw32-NAME ;;
	--dependency-file=*) list=${argument#*=} ;;
	esac
done
[ -n "$list" ] || exec "$real" "$@" --dependency-file="LISTS/$$"
"$real" "$@" || exit
cp "$list" "LISTS/$$"
`

// guardLinks makes the session's compilers call linkers by linkerScript, and fails the test when a
// linker read a library of the system. A test brings what it links; otherwise it passes only on
// machines where somebody has installed the library. Compilers look for linkers in COMPILER_PATH
// first. A compiler that is told another directory, as rustup's rustc is, goes unchecked.
// https://gcc.gnu.org/onlinedocs/gcc/Environment-Variables.html
func (s *Session) guardLinks() {
	s.t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	dir := filepath.Join(filepath.Dir(s.Home), "linkers")
	lists := filepath.Join(dir, "lists")
	if err := os.MkdirAll(lists, 0o755); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{"ld", "ld.bfd", "ld.gold", "ld.lld"} {
		native := filepath.Join("/usr/bin", name)
		if _, err := os.Stat(native); err != nil {
			continue
		}
		script := strings.NewReplacer("NATIVE", native, "NAME", name, "LISTS", lists).Replace(linkerScript)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	s.Own(dir)
	s.Env = append(s.Env, "COMPILER_PATH="+dir)
	s.t.Cleanup(func() {
		found, err := linkedOfSystem(lists)
		if err != nil {
			s.t.Error(err)
		}
		for _, line := range found {
			s.t.Error(line)
		}
	})
}

// linkedOfSystem returns a line for each library of the system in the linkers' lists.
func linkedOfSystem(lists string) ([]string, error) {
	entries, err := os.ReadDir(lists)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		text, err := fs.ReadFile(os.DirFS(lists), entry.Name())
		if err != nil {
			return nil, err
		}
		// The list is a rule of make, one file a line.
		rule, _, _ := strings.Cut(string(text), "\n\n")
		output, files, _ := strings.Cut(rule, ":")
		for line := range strings.Lines(files) {
			file := filepath.Clean(strings.Trim(line, " \t\n\\"))
			message := fmt.Sprintf("linking %s read %s of the system; a test must bring what it links", output, file)
			if ofSystem(file) && !slices.Contains(found, message) {
				found = append(found, message)
			}
		}
	}
	return found, nil
}

// compilerDir matches the directories of compilers, and those of C libraries for other targets.
var compilerDir = regexp.MustCompile(`^/usr/(lib/(gcc|gcc-cross|llvm-[0-9]+|musl|rustlib|[a-z0-9_]+-linux-musl)` +
	`|[a-z0-9_]+-linux-gnu[a-z0-9]*|[a-z0-9_]+-w64-mingw32)/`)

// runtimeFile matches the files of the C library and of compilers that are among the system's
// libraries.
var runtimeFile = regexp.MustCompile(`^([a-zA-Z]*crt[0-9in]+\.o|ld-linux.*\.so\.[0-9]+` +
	`|lib(c|m|mvec|dl|pthread|rt|util|resolv|anl|gcc_s|stdc\+\+|atomic|gomp)(-[0-9.]+|_nonshared)?\.(a|so)(\.[0-9.]+)?)$`)

// ofSystem reports whether file is one of the system's, and neither the C library's nor a compiler's.
func ofSystem(file string) bool {
	system := slices.ContainsFunc([]string{"/usr/", "/lib/", "/lib64/"}, func(dir string) bool { return strings.HasPrefix(file, dir) })
	return system && !compilerDir.MatchString(file) && !runtimeFile.MatchString(filepath.Base(file))
}
