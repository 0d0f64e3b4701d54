package transfer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// read gives the text of a file.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOfflineNoSocketIsOpenedAndLayoutsServe(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatalf("%v; install it: apt-get install strace", err)
	}
	origin, producer, name := published(t)
	producer.Run("ocipkg", "copy", name, "oci:vendored").OK()
	vendored := "oci:" + filepath.Join(producer.Dir, "vendored")
	commands := map[string][]string{
		"get": {"get", name}, "inspect": {"inspect", name}, "link": {"link", name}, "tags": {"tags", strings.TrimSuffix(name, ":1.5")},
		"push": {"push", "in.tar", name}, "copy": {"copy", name, "out.tar"}, "add": {"index", "add", name, "in.tar"},
		"login": {"login", "-u", "user", "-p", "password", origin.Host},
	}
	// run runs a command, or some arguments, offline.
	run := func(s *program.Session, arguments ...string) *program.Result {
		t.Helper()
		if command := commands[arguments[0]]; command != nil && len(arguments) == 1 {
			arguments = command
		}
		trace := filepath.Join(s.Dir, "trace")
		// A helper for credentials may ask whom it likes.
		s.WriteFile("bin/docker-credential-asked", "#!/bin/sh\ntouch "+filepath.Join(s.Dir, "asked")+"\nexit 1\n", 0o755)
		s.WriteFile(filepath.Join(s.Home, ".docker/config.json"), `{"credsStore": "asked"}`, 0o644)
		s.Env = append(s.Env, "PATH="+strings.Join([]string{filepath.Join(s.Dir, "bin"), program.Bin(t), "/usr/bin", "/bin"}, ":"))
		got := s.Run("strace", append([]string{"-f", "-qq", "-e", "trace=network", "-o", trace, "ocipkg", "--offline"}, arguments...)...)
		if text := read(t, trace); strings.Contains(text, "socket(") || strings.Contains(text, "connect(") {
			t.Errorf("%s\n%s", got, text)
		}
		if _, err := os.Stat(filepath.Join(s.Dir, "asked")); err == nil {
			t.Errorf("a helper was asked for credentials: %s", got)
		}
		return got
	}

	s := with(t)
	// A program that is not offline is seen to open one.
	if s.Run("strace", "-f", "-qq", "-e", "trace=network", "-o", "trace", "ocipkg", "tags", name).OK(); !strings.Contains(read(t, filepath.Join(s.Dir, "trace")), "socket(") {
		t.Error("a socket leaves no trace")
	}
	origin.ClearRequests()
	s.Run("ocipkg", "pack", filepath.Dir(s.WriteFile("in/file", "x", 0o644)), "in.tar").OK()
	for _, command := range []string{"get", "inspect", "link", "tags", "push", "copy", "add"} {
		got := run(s, command)
		if got.ExitCode != 8 || strings.Count(got.Stderr, "\n") != 1 {
			t.Errorf("it is not one error: %s", got)
		}
		got.Says("not asked, since this runs offline", "OCIPKG_MIRROR=oci:DIR")
	}
	run(s, "login").Says("this runs offline")

	// A registry that is a mirror is not asked either, and a layout serves.
	s = with(t, "OCIPKG_MIRROR="+origin.Host+","+vendored)
	for _, command := range []string{"get", "inspect", "link", "copy"} {
		if got := run(s, command).OK(); strings.Contains(got.Stderr, "warning") {
			t.Errorf("a warning: %s", got)
		}
	}
	checkGot(t, s, name)
	run(s, "get", origin.Host+"/acme/z:2").Says("this runs offline", vendored)
	s = with(t, "OCIPKG_MIRROR="+vendored+",off")
	run(s, "get").OK()
	run(s, "get", origin.Host+"/acme/z:2").Says("is off", vendored)
	s = with(t, "OCIPKG_MIRROR="+origin.Host+",off")
	run(s, "get").Says("not asked: offline", "is off")
	if n := origin.Count("", ""); n != 0 {
		t.Errorf("the registry was asked %d times", n)
	}
}
