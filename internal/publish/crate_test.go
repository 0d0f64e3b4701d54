package publish

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	// The tests' crates and repositories stand for themselves.
	for _, name := range []string{"CARGO", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTFLAGS", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"} {
		os.Unsetenv(name)
	}
	os.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	os.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	// A directory above the temporary one may be a repository.
	os.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	os.Exit(m.Run())
}

// greetManifest is a package with a library, a program and all annotations.
const greetManifest = `[package]
name = "greet-it"
version = "1.2.3"
edition = "2021"
authors = ["Ann <ann@example.com>", "Bob"]
description = "Greets."
license = "MIT/Apache-2.0"
homepage = "https://example.com"
repository = "https://example.com/src"
documentation = "https://example.com/doc"

[lib]
crate-type = ["staticlib", "cdylib", "rlib"]

[features]
extra = []

[package.metadata.ocipkg]
registry = "localhost:5000/acme/greet"
include = ["include/**/*.h", "src/ffi.h"]
`

const greetSource = `#[no_mangle]
pub extern "C" fn greet() -> u32 { std::thread::spawn(|| 42).join().unwrap() }

#[cfg(feature = "extra")]
#[no_mangle]
pub extern "C" fn greet_extra_symbol() -> u32 { 1 }
`

// greetCrate writes the package, under git and committed, in a directory with a
// blank in its name.
func greetCrate(t *testing.T) string {
	t.Helper()
	dir := writeTree(t, map[string]string{
		"Cargo.toml":         greetManifest,
		".gitignore":         "/target\n",
		"src/lib.rs":         greetSource,
		"src/main.rs":        "fn main() {}\n",
		"src/ffi.h":          "#define FFI 1\n",
		"include/greet/it.h": "unsigned greet(void);\n",
	})
	command(t, dir, "cargo", "generate-lockfile", "--offline", "--quiet")
	commit(t, dir)
	return dir
}

func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a crate")
	for name, content := range files {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(name)), content)
	}
	return dir
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// commit makes dir a repository and commits all that is in it.
func commit(t *testing.T, dir string) {
	t.Helper()
	command(t, dir, "git", "init", "--quiet")
	command(t, dir, "git", "add", ".")
	command(t, dir, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "all")
}

// command runs a program and returns its trimmed standard output.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// mustCargo runs Cargo and returns its output and what cargo said.
func mustCargo(t *testing.T, opts CargoOptions) (*Output, string) {
	t.Helper()
	var stderr bytes.Buffer
	opts.Stderr = &stderr
	out, err := Cargo(t.Context(), opts)
	if err != nil {
		t.Fatalf("Cargo: %v\n%s", err, stderr.String())
	}
	return out, stderr.String()
}

// cargoError runs Cargo, which must fail, and returns its error.
func cargoError(t *testing.T, opts CargoOptions) error {
	t.Helper()
	out, err := Cargo(context.Background(), opts)
	if err == nil {
		t.Fatalf("Cargo succeeded with %+v", out)
	}
	return err
}

// wantWords checks that an error is one line and contains every word.
func wantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error of several lines: %q", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not mention %q", err, word)
		}
	}
}
