// Package flags tests, with the tools themselves, that nothing of what a package
// asks of them runs, and that names of any kind reach them as they are.
package flags

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

func TestMain(m *testing.M) { program.Main(m) }

// newBuilder gives a user who has Go, cargo and what the system has. It is the
// account of the tests: rustup keeps its toolchains in a home directory, which
// others cannot read.
func newBuilder(t *testing.T, env ...string) *program.Session {
	t.Helper()
	var path []string
	for _, tool := range []string{"go", "cargo"} {
		found, err := exec.LookPath(tool)
		if err != nil {
			t.Fatalf("%v; install it: see scripts/tools", err)
		}
		path = append(path, filepath.Dir(found))
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	rustup := filepath.Join(home, ".rustup")
	if set := os.Getenv("RUSTUP_HOME"); set != "" {
		rustup = set
	}
	env = append(env, "RUSTUP_HOME="+rustup, "CARGO_NET_OFFLINE=true", "CARGO_TERM_COLOR=never", "GOCACHE="+program.GoCache(t),
		"GOPROXY=off", "GOTOOLCHAIN=local", "GOTELEMETRY=off", "GOFLAGS=-mod=mod", "PKG_CONFIG=ocipkg-pkg-config")
	if set := os.Getenv("RUSTUP_TOOLCHAIN"); set != "" {
		env = append(env, "RUSTUP_TOOLCHAIN="+set)
	}
	s := program.New(t, program.Options{Privileged: true, Path: path, Env: env})
	s.Env = append(s.Env, "GOMODCACHE="+filepath.Join(s.Home, "modules"))
	return s
}

// buildScript is a build.rs that hands on what ocipkg says of each of the
// packages that the environment lists, where it says something.
const buildScript = `fn main() {
    for arguments in std::env::var("PACKAGES").unwrap().lines() {
        let output = std::process::Command::new("ocipkg").args(["link", "--format", "cargo"]).args(arguments.split(' ')).output().unwrap();
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            println!("{}", String::from_utf8(output.stdout).unwrap());
        }
    }
}
`

const cargoToml = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n"

// provider has CMake use ocipkg's dependency provider.
const provider = `-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES="$(ocipkg cmake-dir)/ocipkg.cmake"`

// tiny makes a package with the library libtiny in both kinds, each of which
// says which it is, in directories of the given names, and pushes it.
func tiny(t *testing.T, registry *registrytest.Registry, include, lib string) (name string) {
	t.Helper()
	p := program.New(t, program.Options{})
	p.WriteFile("tiny/"+include+"/tiny.h", "const char *tiny(void);\n", 0o644)
	p.WriteFile("tiny.c", "const char *tiny(void) { return KIND; }\n", 0o644)
	p.WriteFile("tiny/"+lib+"/README", "the libraries\n", 0o644)
	p.Run("gcc", "-c", "-fPIC", `-DKIND="static"`, "tiny.c").OK()
	p.Run("ar", "rcs", "tiny/"+lib+"/libtiny.a", "tiny.o").OK()
	p.Run("gcc", "-shared", "-fPIC", `-DKIND="shared"`, "-o", "tiny/"+lib+"/libtiny.so", "tiny.c", "-Wl,-soname,libtiny.so").OK()
	p.WriteFile("tiny/tiny.cps", document(t, map[string]any{
		"tiny-static": map[string]any{"type": "archive", "location": "@prefix@/" + lib + "/libtiny.a", "includes": []string{"@prefix@/" + include}},
		"tiny-shared": map[string]any{"type": "dylib", "location": "@prefix@/" + lib + "/libtiny.so", "includes": []string{"@prefix@/" + include}},
		"tiny": map[string]any{"type": "interface", "requires": []string{":tiny-static"}, "configurations": map[string]any{
			"static": map[string]any{"requires": []string{":tiny-static"}}, "shared": map[string]any{"requires": []string{":tiny-shared"}},
		}},
	}), 0o644)
	name = registry.Host + "/acme/tiny:1"
	p.Run("ocipkg", "push", "tiny", name).OK()
	return name
}
