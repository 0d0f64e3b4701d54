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
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	bin := program.SharedDir(t, "offline")
	if err := program.Build(filepath.Join(root, "e2e"), bin, "./internal/offline"); err != nil {
		t.Fatal(err)
	}
	run := func(s *program.Session, arguments ...string) *program.Result {
		t.Helper()
		trace := filepath.Join(s.Dir, "trace")
		// A helper for credentials may ask whom it likes.
		s.WriteFile("bin/docker-credential-asked", "#!/bin/sh\ntouch "+filepath.Join(s.Dir, "asked")+"\nexit 1\n", 0o755)
		s.WriteFile(filepath.Join(s.Home, ".docker/config.json"), `{"credsStore": "asked"}`, 0o644)
		s.Env = append(s.Env, "PATH="+filepath.Join(s.Dir, "bin")+":/usr/bin:/bin")
		got := s.Run("strace", append([]string{"-f", "-qq", "-e", "trace=network", "-o", trace, filepath.Join(bin, "offline")}, arguments...)...)
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
		got := run(s, command, name)
		if got.ExitCode != 1 || strings.Count(got.Stderr, "\n") != 1 {
			t.Errorf("it is not one error: %s", got)
		}
		got.Says("not asked, since this runs offline", "OCIPKG_MIRROR=oci:DIR")
	}
	run(s, "login", origin.Host).Says("this runs offline")

	// A registry that is a mirror is not asked either, and a layout serves.
	s = with(t, "OCIPKG_MIRROR="+origin.Host+","+vendored)
	for _, command := range []string{"get", "inspect", "link", "copy"} {
		if got := run(s, command, name).OK(); got.Stderr != "" {
			t.Errorf("a warning: %s", got)
		}
	}
	checkGot(t, s, name)
	run(s, "get", origin.Host+"/acme/z:2").Says("this runs offline", vendored)
	s = with(t, "OCIPKG_MIRROR="+vendored+",off")
	run(s, "get", name).OK()
	run(s, "get", origin.Host+"/acme/z:2").Says("is off", vendored)
	s = with(t, "OCIPKG_MIRROR="+origin.Host+",off")
	run(s, "get", name).Says("not asked: offline", "is off")
	if n := origin.Count("", ""); n != 0 {
		t.Errorf("the registry was asked %d times", n)
	}
}
