package buildsystems

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/debian"
	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// crates are Debian's packages of crates that probe pkg-config, and of what
// these need.
var crates = []string{"librust-libz-sys-dev", "librust-pkg-config-dev", "librust-vcpkg-dev"}

// rust returns the directory of cargo, and the variables with which another account's home has its toolchains.
func rust(t *testing.T) (path, env []string) {
	t.Helper()
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		t.Fatalf("%v; install it: apt-get install cargo, or https://rustup.rs", err)
	}
	env = []string{"CARGO_NET_OFFLINE=true", "CARGO_TERM_COLOR=never"}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for variable, value := range map[string]string{"RUSTUP_HOME": filepath.Join(home, ".rustup"), "RUSTUP_TOOLCHAIN": ""} {
		if set := os.Getenv(variable); set != "" {
			value = set
		}
		if value != "" {
			env = append(env, variable+"="+value)
		}
	}
	return []string{filepath.Dir(cargo)}, env
}

// rustUser returns a user who has cargo, and Debian's crates in place of
// crates.io's. It is the account of the tests: rustup keeps its toolchains in a
// home directory, which others cannot read.
func rustUser(t *testing.T) *user {
	t.Helper()
	path, env := rust(t)
	u := newUserWith(t, program.Options{Privileged: true, Path: path, Env: append(env, "PKG_CONFIG=ocipkg-pkg-config")})
	u.CopyTree("testdata/rust", "app")
	u.Dir = filepath.Join(u.Dir, "app")
	u.WriteFile(".cargo/config.toml", fmt.Sprintf("[source.crates-io]\nreplace-with = \"debian\"\n\n[source.debian]\ndirectory = %q\n",
		filepath.Join(debian.Fetch(t, crates...), "usr/share/cargo/registry")), 0o644)
	return u
}

func TestCratesThatProbePkgConfigLinkTheAliasesOfTheProject(t *testing.T) {
	t.Parallel()
	u := rustUser(t)
	u.follow(t, readSection(t, "rust.md", "Crates that probe pkg-config"))
	u.check(t, story{program: "target/release/app"})

	const shared = "%s = { image = %q, tag = %q, shared = true }\n"
	u.WriteFile("ocipkg.toml", "[dependencies]\n"+fmt.Sprintf(shared, "zlib", u.host+"/acme/zlib", "1.2")+
		fmt.Sprintf(shared, "libpng", u.host+"/acme/libpng", "1.6"), 0o644)
	u.Run("cargo", "clean", "--release", "-p", "libz-sys", "-p", "app").OK()
	u.Run("cargo", "build", "--release").OK()
	u.check(t, story{program: "target/release/app", shared: true})
}
