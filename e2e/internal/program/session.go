package program

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/childproc"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
)

// Options say how a Session differs from the usual one.
type Options struct {
	// Privileged runs programs as the account of the tests. Otherwise, when
	// that is root, they run as uid 65534, which owns the session's
	// directories.
	Privileged bool
	// Store is the value of OCIPKG_HOME; empty leaves it unset.
	Store string
	// Path holds directories to search after the project's programs and
	// before the system's.
	Path []string
	// Env holds further variables, as NAME=value; they win over the
	// session's own.
	Env []string
}

// Session is a user at a machine, with directories and an environment of
// their own. All of it is removed when the test ends.
type Session struct {
	// Home is the user's home directory; empty at first.
	Home string
	// Dir is the working directory of what is run; empty at first. It may be
	// changed.
	Dir string
	// Temp is the value of TMPDIR; empty at first.
	Temp string
	// Env is the environment of what is run, as NAME=value. It may be
	// changed; the last value of a name counts.
	Env []string

	t       testing.TB
	account *childproc.Account
	path    []string
	// foreign reports whether containerTools may be run.
	foreign bool
}

// New starts a session that has the project's programs first in its PATH.
func New(t testing.TB, options Options) *Session {
	t.Helper()
	return newSession(t, Bin(t), options)
}

func newSession(t testing.TB, bin string, options Options) *Session {
	t.Helper()
	dir := tempdir.New(t)
	s := &Session{
		Home: filepath.Join(dir, "home"),
		Dir:  filepath.Join(dir, "work"),
		Temp: filepath.Join(dir, "tmp"),
		t:    t,
		path: slices.Concat([]string{bin}, options.Path, systemPath()),
	}
	if os.Geteuid() == 0 && !options.Privileged {
		s.account = &childproc.Nobody
	}
	for _, path := range []string{s.Home, s.Dir, s.Temp} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		s.Own(path)
	}
	s.Env = append(s.environment(), options.Env...)
	if options.Store != "" {
		s.Env = append(s.Env, "OCIPKG_HOME="+options.Store)
	}
	s.guardLinks()
	return s
}

// environment returns what a user has in every shell.
func (s *Session) environment() []string {
	env := []string{
		"HOME=" + s.Home,
		"PATH=" + strings.Join(s.path, string(os.PathListSeparator)),
		"TMPDIR=" + s.Temp,
		"LANG=C.UTF-8",
	}
	if runtime.GOOS == "windows" {
		// Programs do not start without these.
		env = append(env, "USERPROFILE="+s.Home, "LOCALAPPDATA="+filepath.Join(s.Home, "local"), "TEMP="+s.Temp, "TMP="+s.Temp,
			"SYSTEMROOT="+os.Getenv("SYSTEMROOT"), "PATHEXT="+os.Getenv("PATHEXT"))
	}
	return env
}

func systemPath() []string {
	if runtime.GOOS == "windows" {
		return []string{filepath.Join(os.Getenv("SYSTEMROOT"), "System32")}
	}
	return []string{"/usr/local/bin", "/usr/bin", "/bin"}
}

// Own gives a file, or a directory with all that is in it, to the session's
// account.
func (s *Session) Own(path string) {
	s.t.Helper()
	if s.account == nil {
		return
	}
	err := filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(s.account.UID), int(s.account.GID))
	})
	if err != nil {
		s.t.Fatalf("give %s to the session's account: %v", path, err)
	}
}

// WriteFile writes a file of the session's account, at a path relative to Dir
// or absolute; its directory is made when it is missing.
func (s *Session) WriteFile(path, content string, mode fs.FileMode) string {
	s.t.Helper()
	path = s.absolute(path)
	s.mkdirAll(filepath.Dir(path))
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		s.t.Fatal(err)
	}
	s.Own(path)
	return path
}

// CopyTree copies what is in the directory from, symlinks as they are, to a
// path relative to Dir or absolute, and gives it to the session's account. It
// returns the absolute path.
func (s *Session) CopyTree(from, to string) string {
	s.t.Helper()
	to = s.absolute(to)
	s.mkdirAll(filepath.Dir(to))
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		s.t.Fatalf("copy %s: %v", from, err)
	}
	s.Own(to)
	return to
}

// mkdirAll makes the directories that are missing, for the session's account.
func (s *Session) mkdirAll(dir string) {
	s.t.Helper()
	first := dir
	for {
		parent := filepath.Dir(first)
		if _, err := os.Lstat(parent); err == nil || parent == first {
			break
		}
		first = parent
	}
	if _, err := os.Lstat(dir); err == nil {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.Own(first)
}

func (s *Session) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.Dir, path)
}

// lookPath finds a program in the session's PATH, not in that of the tests.
func (s *Session) lookPath(name string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		return s.absolute(name), nil
	}
	for _, dir := range s.path {
		path := filepath.Join(dir, name)
		if runtime.GOOS == "windows" && filepath.Ext(path) == "" {
			path += ".exe"
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() &&
			(runtime.GOOS == "windows" || info.Mode().Perm()&0o111 != 0) {
			return path, nil
		}
	}
	return "", fmt.Errorf("find the program %s: not in %s", name, strings.Join(s.path, ", "))
}
