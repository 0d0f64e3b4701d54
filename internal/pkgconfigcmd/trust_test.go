//go:build linux

package pkgconfigcmd_test

import (
	"path/filepath"
	"strings"
	"testing"
)

const force = "localhost:1/acme/force:1"

// loadForce puts a package into the store that asks for a flag which is not harmless, and gives its root.
func loadForce(s *session) string {
	s.t.Helper()
	s.write("force/include/force.h", "int force;\n")
	s.write("force/lib/pkgconfig/force.pc", "prefix=/x\nevil=-imacros\nName: force\nDescription: of a test\nVersion: 1\nCflags: ${evil} ${prefix}/include/force.h\nRequires: \n")
	return s.root(s.load(filepath.Join(s.base, "force"), force))
}

func TestTheProjectAllowsAFlagThatNoOptionCan(t *testing.T) {
	s := newSession(t)
	root := loadForce(s)
	line := s.refusal("--cflags", force)
	const flag = "-imacros @prefix@/include/force.h"
	if !strings.Contains(line, flag) || !strings.Contains(line, "force") || !strings.Contains(line, "[trust]") {
		t.Errorf("got %s", line)
	}
	s.system("other", "3", "Requires: force\n")
	if r := s.ours("--cflags", "--define-variable=a=b", force); r.code == 0 || strings.Contains(r.out, "-imacros") {
		t.Errorf("by way of the real pkg-config: %+v", r)
	}
	s.write("work/ocipkg.toml", "[trust]\nallow-flags = [\""+flag+"x\", \"-imacros\"]\n")
	s.refusal("--cflags", force)
	s.write("work/vendor/dep/ocipkg.toml", "[trust]\nallow-flags = [\""+flag+"\"]\n")
	s.set("OCIPKG_ALLOW_UNPINNED", "1")
	s.dir = filepath.Join(s.base, "work", "vendor", "dep")
	s.refusal("--cflags", force)
	s.dir = filepath.Join(s.base, "work")
	s.write("work/ocipkg.toml", "[trust]\nallow-flags = [\""+flag+"\"]\n")
	if got := s.answer("--cflags", force); got != "-imacros "+quoted(root)+"/include/force.h \n" && got != "-I"+quoted(root)+"/include -imacros "+quoted(root)+"/include/force.h \n" {
		t.Errorf("allowed: got %s", got)
	}
}

func TestAPackageOfTheSystemDoesNotCarryWhatOursMayNotAskFor(t *testing.T) {
	s := newSession(t)
	s.write("shell/shell.cps", `{"cps_version": "0.13.0", "cps_path": "@prefix@", "name": "shell", "components": {"shell": {"type": "interface",
		"definitions": {"*": {"X": "$(touch ran)"}}}, "fine": {"type": "interface", "definitions": {"*": {"Y": "\"a b\";(c)"}}}}}`)
	s.load(filepath.Join(s.base, "shell"), "localhost:1/acme/shell:1")
	loadGreet(s)
	s.system("sysdep", "2.1", "")
	s.system("other", "3", "Requires: shell\n")
	// pkgconf prints $(…) as it is.
	if r := s.ours("--cflags", "other", greet, "localhost:1/acme/shell:1"); r.code == 0 || strings.Contains(r.out, "$(") {
		t.Errorf("got %+v", r)
	}
	if r := s.ours("--cflags", "--define-variable=a=b", "localhost:1/acme/shell:1"); r.code == 0 || strings.Contains(r.out, "$(") {
		t.Errorf("by way of the real pkg-config: got %+v", r)
	}
}

func TestTheGoCommandIsToldWhatItCannotTake(t *testing.T) {
	s := goSession(t)
	s.home = filepath.Join(s.base, `a "store"`)
	s.set("OCIPKG_HOME", s.home)
	answerPackage(s)
	s.write("work/go.mod", "module example.org/program\n\ngo 1.26\n")
	s.write("work/main.go", strings.Replace(cgoProgram, "DIRECTIVE", "localhost:1/acme/answer:1", 1))
	r := s.exec("go", "build", ".")
	if r.code == 0 || !strings.Contains(r.err, "OCIPKG_HOME") {
		t.Errorf("got %+v", r)
	}
	if got := s.answer("--libs-only-l", "localhost:1/acme/answer:1"); !strings.HasPrefix(got, "-lanswer ") {
		t.Errorf("others may have it: got %s", got)
	}
}
