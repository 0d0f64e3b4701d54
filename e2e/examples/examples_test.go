// Package examples runs what is in the directory examples, copied out of the
// repository as a newcomer would, with the real toolchains.
package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

func TestMain(m *testing.M) { program.Main(m) }

// newcomer is a user with the toolchains of the machine and a copy of the
// repository's directories.
func newcomer(t *testing.T, directories ...string) *program.Session {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	// Privileged, since a Rust toolchain lives in the home of whoever runs the
	// tests.
	s := program.New(t, program.Options{Privileged: true, Path: toolchains(t)})
	s.Env = append(s.Env, "GOCACHE="+program.GoCache(t), "GOPATH="+filepath.Join(s.Home, "go"), "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local")
	for _, variable := range []string{"CARGO_HOME", "RUSTUP_HOME"} {
		value := os.Getenv(variable)
		if home, err := os.UserHomeDir(); value == "" && err == nil {
			value = filepath.Join(home, "."+strings.ToLower(strings.TrimSuffix(variable, "_HOME")))
		}
		s.Env = append(s.Env, variable+"="+value)
	}
	for _, dir := range directories {
		to := filepath.Join(s.Dir, filepath.FromSlash(dir))
		s.CopyTree(filepath.Join(root, filepath.FromSlash(dir)), to)
		for _, made := range []string{"build", "target"} { // by somebody who tried it in place
			if err := os.RemoveAll(filepath.Join(to, made)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// toolchains gives the directories of the compilers that the examples need.
func toolchains(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, tool := range []string{"go", "cargo", "cmake", "cc", "c++"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatalf("%s is missing; run: INSTALL=1 scripts/tools", tool)
		}
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}

// in runs a command in a directory of the copy.
func in(s *program.Session, dir, name string, arguments ...string) *program.Result {
	top := s.Dir
	defer func() { s.Dir = top }()
	s.Dir = filepath.Join(top, filepath.FromSlash(dir))
	return s.Run(name, arguments...)
}

// publishCpp builds and pushes examples/cpp/lib, as its README says.
func publishCpp(t *testing.T, s *program.Session) (name string) {
	t.Helper()
	host := registrytest.StartMemory(t).Host
	in(s, "examples/cpp/lib", "cmake", "-S", ".", "-B", "build", "-DREGISTRY="+host+"/ocipkg-examples/cpp").OK()
	in(s, "examples/cpp/lib", "cmake", "--build", "build").OK()
	in(s, "examples/cpp/lib", "ocipkg", "push", "build/ocipkg_example.tar").OK()
	return host + "/ocipkg-examples/cpp:0.1.0"
}

func TestAGoProgramLinksTheCppLibrary(t *testing.T) {
	t.Parallel()
	s := newcomer(t, "examples/cpp/lib", "examples/go/exe")
	name := publishCpp(t, s)
	readme, err := os.ReadFile(filepath.Join(s.Dir, "examples", "go", "exe", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, commands, _ := strings.Cut(string(readme), "```sh\nNAME=")
	_, commands, _ = strings.Cut(commands, "\n")
	commands, _, _ = strings.Cut(commands, "```")
	// CGO_CFLAGS stays Go's default: else C would not be optimized.
	out := in(s, "examples/go/exe", "sh", "-c", "set -e\nNAME="+name+"\n"+commands+"go env CGO_CFLAGS\n").OK().Stdout
	if out != "Hello, Go, from C++!\n-O2 -g\n" {
		t.Errorf("the commands print %q", out)
	}
}

func TestARustProgramLinksTheCppLibrary(t *testing.T) {
	t.Parallel()
	s := newcomer(t, "examples/cpp/lib", "examples/rust/exe", "integrations/rust")
	s.Env = append(s.Env, "OCIPKG_EXAMPLE_IMAGE="+publishCpp(t, s))
	if out := in(s, "examples/rust/exe", "cargo", "run", "--quiet", "--offline").OK().Stdout; out != "Hello, Rust, from C++!\n" {
		t.Errorf("the program says %q", out)
	}
}

func TestACProgramLinksTheRustLibrary(t *testing.T) {
	t.Parallel()
	s := newcomer(t, "examples/rust/lib")
	name := registrytest.StartMemory(t).Host + "/ocipkg-examples/rust:0.1.0"
	in(s, "examples/rust/lib", "cargo", "ocipkg", "publish", "--release", "-t", name).OK()
	for _, kind := range [][]string{nil, {"--shared"}} {
		flags := strings.Fields(s.Run("ocipkg", append([]string{"link", name}, kind...)...).OK().Stdout)
		in(s, "examples/rust/lib", "cc", append([]string{"-o", "greet", "greet.c"}, flags...)...).OK()
		if out := in(s, "examples/rust/lib", "./greet").OK().Stdout; out != "Hello, C, from Rust!\n" {
			t.Errorf("%v: the program says %q", kind, out)
		}
	}
}

func TestTheQuickstartLinksWhatItFetched(t *testing.T) {
	t.Parallel()
	s := newcomer(t, "examples/quickstart")
	// Its registry is a module that the machine's cache has.
	s.Env = append(s.Env, "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOPROXY="+goEnv(t, "GOPROXY"), "GOFLAGS=-modcacherw -buildvcs=false")
	out := in(s, "examples/quickstart", "go", "run", ".").OK().Stdout
	if !strings.Contains(out, `crc32("123456789") = cbf43926`) {
		t.Errorf("it ends in:\n%s", out)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
