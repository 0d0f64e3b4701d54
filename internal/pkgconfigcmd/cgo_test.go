//go:build linux

package pkgconfigcmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goSession is a session in which cgo asks ocipkg-pkg-config. The build cache is
// the user's: its keys have the working directory and the source in them, which
// are new each time.
func goSession(t *testing.T) *session {
	s := newSession(t)
	s.set("PKG_CONFIG", program)
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	s.set("GOMODCACHE", lines[0])
	s.set("GOCACHE", lines[1])
	s.set("GOFLAGS", "-mod=mod")
	s.set("GOPROXY", "off")
	s.set("CGO_ENABLED", "1")
	return s
}

// answerPackage loads a package whose library, in both kinds, says which kind
// it is, and asks for all sorts of flags.
func answerPackage(s *session) (root string) {
	s.t.Helper()
	s.build("answer/lib/libanswer.a", "int answer(void) { return 1; }")
	s.build("answer/lib/libanswer.so", "int answer(void) { return 2; }")
	s.write("answer/include/answer.h", "#if !defined(SPOKEN) || LEVEL != 3\n#error the definitions did not come\n#endif\nint answer(void);\n")
	s.write("answer/lib/pkgconfig/answer.pc", "prefix=/x\nName: answer\nDescription: of a test\nVersion: 1\n"+
		"Cflags: -I${prefix}/include -DSPOKEN=\"a b\" -DLEVEL=3 -pthread\nLibs: -L${prefix}/lib -lanswer -Wl,-z,relro\nLibs.private: -lm -pthread\n")
	return s.root(s.load(filepath.Join(s.base, "answer"), "localhost:1/acme/answer:1"))
}

const cgoProgram = `package main

// #cgo pkg-config: DIRECTIVE
// #include <answer.h>
import "C"
import (
	"fmt"
	"os"
)

func main() {
	maps, _ := os.ReadFile("/proc/self/maps")
	fmt.Printf("%d\n%s", C.answer(), maps)
}
`

func TestCgoLinksAPackageByItsName(t *testing.T) {
	s := goSession(t)
	root := answerPackage(s)
	s.write("work/go.mod", "module example.org/program\n\ngo 1.26\n")
	s.write("work/ocipkg.toml", "[dependencies]\nanswer = \"localhost:1/acme/answer:1\"\n")
	digest := "sha256:" + filepath.Base(filepath.Dir(root))
	for directive, want := range map[string]string{
		"localhost:1/acme/answer:1":                 "1",
		"localhost:1/acme/answer:1@" + digest:       "1",
		"localhost:1/acme/answer@" + digest:         "1",
		"answer":                                    "1",
		"--static localhost:1/acme/answer:1":        "1",
		"--shared localhost:1/acme/answer:1":        "2",
		"answer localhost:1/acme/answer:1 --shared": "2",
	} {
		s.write("work/main.go", strings.Replace(cgoProgram, "DIRECTIVE", directive, 1))
		if r := s.exec("go", "build", "-o", "program", "."); r.code != 0 {
			t.Errorf("%s: %s", directive, r.err)
			continue
		}
		r := s.exec(filepath.Join(s.dir, "program"))
		got, maps, _ := strings.Cut(r.out, "\n")
		if r.code != 0 || got != want {
			t.Errorf("%s: the library says %q, want %s; %s", directive, got, want, r.err)
		}
		if loaded := strings.Contains(maps, root+"/lib/libanswer.so"); loaded != (want == "2") {
			t.Errorf("%s: the shared library of the store is loaded: %v", directive, loaded)
		}
	}
	if r := s.exec("go", "vet", "."); r.code != 0 {
		t.Errorf("go vet: %s", r.err)
	}
}

func TestAFailedGoBuildShowsTheReason(t *testing.T) {
	s := goSession(t)
	s.getter("echo 'get localhost:1/acme/answer:1: the registry does not know the tag' >&2; exit 3\n")
	s.write("work/go.mod", "module example.org/program\n\ngo 1.26\n")
	s.write("work/main.go", strings.Replace(cgoProgram, "DIRECTIVE", "localhost:1/acme/answer:1", 1))
	r := s.exec("go", "build", ".")
	if r.code == 0 || !strings.Contains(r.err, "\nget localhost:1/acme/answer:1: the registry does not know the tag\n") {
		t.Errorf("got %+v", r)
	}
}

func TestADependencyIsBuiltFromVendorWithAPinnedName(t *testing.T) {
	s := goSession(t)
	archive := s.archive(s.treeOf("one"), "localhost:1/acme/one:1")
	probe := newSession(t)
	digest := strings.TrimSpace(probe.exec(ocipkg, "load", archive).out)
	pinned := "localhost:1/acme/one:1@" + digest
	s.getter("exec '" + ocipkg + "' load '" + archive + "'\n")
	s.set("GOFLAGS", "-mod=vendor")
	s.write("work/go.mod", "module example.org/program\n\ngo 1.26\n\nrequire example.org/dep v1.0.0\n")
	s.write("work/vendor/modules.txt", "# example.org/dep v1.0.0\n## explicit; go 1.26\nexample.org/dep\n")
	s.write("work/main.go", "package main\n\nimport \"example.org/dep\"\n\nfunc main() { println(dep.One()) }\n")
	source := "package dep\n\n// #cgo pkg-config: NAME\n// int one(void);\nimport \"C\"\n\nfunc One() int { return int(C.one()) }\n"
	s.write("work/vendor/example.org/dep/dep.go", strings.Replace(source, "NAME", "localhost:1/acme/one:1", 1))
	if r := s.exec("go", "build", "."); r.code == 0 || !strings.Contains(r.err, "ocipkg pin") {
		t.Errorf("without a digest: got %+v", r)
	}
	s.write("work/vendor/example.org/dep/dep.go", strings.Replace(source, "NAME", pinned, 1))
	if r := s.exec("go", "build", "-o", "program", "."); r.code != 0 {
		t.Fatalf("with one: %s", r.err)
	}
	if r := s.exec(filepath.Join(s.dir, "program")); r.code != 0 || r.err != "1\n" {
		t.Errorf("the program: %+v", r)
	}
	if _, err := os.Stat(s.root(digest)); err != nil {
		t.Error(err)
	}
}
