package publish

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestCargoCollectsLibrariesHeadersAndAnnotations(t *testing.T) {
	dir := greetCrate(t)
	out, _ := mustCargo(t, CargoOptions{Dir: dir})

	hash := command(t, dir, "git", "rev-parse", "HEAD")
	if want := "localhost:5000/acme/greet:" + hash[:7]; out.Name != want || out.Package != "greet-it" {
		t.Errorf("package %q named %q, want %q", out.Package, out.Name, want)
	}
	want := map[string]string{
		"org.opencontainers.image.authors":       "Ann <ann@example.com>, Bob",
		"org.opencontainers.image.description":   "Greets.",
		"org.opencontainers.image.documentation": "https://example.com/doc",
		"org.opencontainers.image.licenses":      "MIT OR Apache-2.0",
		"org.opencontainers.image.revision":      hash,
		"org.opencontainers.image.source":        "https://example.com/src",
		"org.opencontainers.image.url":           "https://example.com",
		"org.opencontainers.image.version":       "1.2.3",
	}
	if !maps.Equal(out.Annotations, want) {
		t.Errorf("annotations\n%v\nwant\n%v", out.Annotations, want)
	}
	if want := hostTriple(t); out.Target != want {
		t.Errorf("target %q, want %q", out.Target, want)
	}
	if got := filepath.Join(dir, "target", "debug"); !sameFile(filepath.Dir(out.Archive), got) {
		t.Errorf("archive %q is not in %q", out.Archive, got)
	}
	var dests []string
	for _, f := range out.Files {
		dests = append(dests, f.Dest)
		if info, err := os.Stat(f.Path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", f.Path, err)
		}
	}
	if want := []string{"include/ffi.h", "include/greet/it.h", "lib/libgreet_it.a", "lib/libgreet_it.so"}; !slices.Equal(dests, want) {
		t.Errorf("files %q, want %q", dests, want)
	}
}

func TestNativeStaticLibsLinkTheStaticLibraryIntoACProgram(t *testing.T) {
	dir := greetCrate(t)
	out, _ := mustCargo(t, CargoOptions{Dir: dir, Release: true})
	if len(out.NativeStaticLibs) == 0 {
		t.Fatal("no native static libs for a library that uses std")
	}
	source := filepath.Join(t.TempDir(), "main.c")
	writeFile(t, source, "#include <greet/it.h>\nint main(void) { return greet() == 42 ? 0 : 1; }\n")
	program := filepath.Join(t.TempDir(), "main")
	args := append([]string{"-o", program, "-I", filepath.Join(dir, "include"), source, fileAt(t, out, "lib/libgreet_it.a")}, out.NativeStaticLibs...)
	command(t, dir, "cc", args...)
	command(t, dir, program)
}

func TestALibraryWithoutStdNeedsNothing(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"Cargo.toml": memberManifest("bare", "staticlib") + "[profile.dev]\npanic = \"abort\"\n",
		"src/lib.rs": "#![no_std]\n#[panic_handler]\nfn stop(_: &core::panic::PanicInfo) -> ! { loop {} }\n",
	})
	out, _ := mustCargo(t, CargoOptions{Dir: dir, Tag: "localhost:5000/bare:1"})
	if len(out.NativeStaticLibs) != 0 || len(out.Files) != 1 || out.Files[0].Dest != "lib/libbare.a" {
		t.Errorf("output %+v", out)
	}
}

func TestNothingIsCompiledAgainWhenNothingChanged(t *testing.T) {
	for _, crateType := range []string{`["staticlib", "cdylib", "rlib"]`, `["staticlib"]`, `["staticlib", "lib"]`} {
		dir := greetCrate(t)
		manifest := strings.Replace(greetManifest, `["staticlib", "cdylib", "rlib"]`, crateType, 1)
		manifest = strings.Replace(manifest, "[features]", "[profile.dev]\nlto = true\n\n[features]", 1)
		writeFile(t, filepath.Join(dir, "Cargo.toml"), manifest)
		os.Remove(filepath.Join(dir, "src", "main.rs"))

		command(t, dir, "cargo", "build", "--quiet")
		opts := CargoOptions{Dir: dir, Tag: "localhost:5000/greet:1"}
		first, _ := mustCargo(t, opts)
		built, err := os.ReadFile(fileAt(t, first, "lib/libgreet_it.a"))
		if err != nil {
			t.Fatal(err)
		}
		second, said := mustCargo(t, opts)
		if strings.Contains(said, "Compiling") {
			t.Errorf("%s: compiled again:\n%s", crateType, said)
		}
		if len(first.NativeStaticLibs) == 0 || !slices.Equal(first.NativeStaticLibs, second.NativeStaticLibs) {
			t.Errorf("%s: native static libs %q, then %q", crateType, first.NativeStaticLibs, second.NativeStaticLibs)
		}
		var log bytes.Buffer
		c := newCargo(CargoOptions{Dir: dir, Stderr: &log})
		if _, err := c.output(t.Context(), "build"); err != nil || strings.Contains(log.String(), "Compiling") {
			t.Errorf("%s: cargo build afterwards: %v\n%s", crateType, err, log.String())
		}
		after, err := os.ReadFile(fileAt(t, second, "lib/libgreet_it.a"))
		if err != nil || !bytes.Equal(built, after) {
			t.Errorf("%s: the static library is not the one of cargo build (%v)", crateType, err)
		}
	}
}

func TestTargetFeaturesAndProfileReachCargo(t *testing.T) {
	dir := greetCrate(t)
	triple := hostTriple(t)
	plain, _ := mustCargo(t, CargoOptions{Dir: dir})
	out, _ := mustCargo(t, CargoOptions{
		Dir: filepath.Dir(dir), ManifestPath: filepath.Join("a crate", "Cargo.toml"),
		Target: triple, Profile: "release", Features: []string{"extra"}, TargetDir: "elsewhere", Locked: true, Offline: true,
	})
	if want := filepath.Join(filepath.Dir(dir), "elsewhere", triple, "release"); !sameFile(filepath.Dir(out.Archive), want) {
		t.Errorf("archive %q is not in %q", out.Archive, want)
	}
	if out.Target != triple {
		t.Errorf("target %q, want %q", out.Target, triple)
	}
	for _, tc := range []struct {
		out  *Output
		want bool
	}{{plain, false}, {out, true}} {
		lib, err := os.ReadFile(fileAt(t, tc.out, "lib/libgreet_it.so"))
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(lib, []byte("greet_extra_symbol")); got != tc.want {
			t.Errorf("feature's symbol in %s: %v, want %v", tc.out.Archive, got, tc.want)
		}
	}
}

func TestAFailedBuildReturnsCargosExitCodeAndShowsTheReason(t *testing.T) {
	for _, crateType := range []string{`["cdylib"]`, `["staticlib"]`} {
		dir := greetCrate(t)
		writeFile(t, filepath.Join(dir, "Cargo.toml"), strings.Replace(greetManifest, `["staticlib", "cdylib", "rlib"]`, crateType, 1))
		writeFile(t, filepath.Join(dir, "src", "lib.rs"), "pub fn broken() -> u32 { unheard_of }\n")
		var stderr bytes.Buffer
		_, err := Cargo(t.Context(), CargoOptions{Dir: dir, Tag: "localhost:5000/greet:1", Stderr: &stderr})
		var exit *ExitError
		if !errors.As(err, &exit) || exit.Code != 101 {
			t.Errorf("%s: error %v, want exit code 101", crateType, err)
		}
		if got := strings.Count(stderr.String(), "cannot find value `unheard_of`"); got != 1 {
			t.Errorf("%s: the compiler's reason is there %d times:\n%s", crateType, got, stderr.String())
		}
	}
}

func TestAWarningIsShownOnce(t *testing.T) {
	dir := greetCrate(t)
	writeFile(t, filepath.Join(dir, "src", "lib.rs"), greetSource+"fn idle() {}\n")
	_, said := mustCargo(t, CargoOptions{Dir: dir, Tag: "localhost:5000/greet:1"})
	if got := strings.Count(said, "function `idle` is never used"); got != 1 {
		t.Errorf("the warning is there %d times:\n%s", got, said)
	}
}

func TestAMissingManifestIsCargosError(t *testing.T) {
	var exit *ExitError
	err := cargoError(t, CargoOptions{Dir: t.TempDir(), ManifestPath: "none/Cargo.toml"})
	if !errors.As(err, &exit) || exit.Code != 101 {
		t.Errorf("error %v, want exit code 101", err)
	}
}

func TestTheCargoVariableNamesTheProgram(t *testing.T) {
	t.Setenv("CARGO", filepath.Join(t.TempDir(), "no-cargo"))
	err := cargoError(t, CargoOptions{Dir: t.TempDir()})
	wantWords(t, err, "no-cargo", "rustup.rs")
	if !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("error %v is not of kind not found", err)
	}
}

func TestCancellingStopsCargo(t *testing.T) {
	dir := greetCrate(t)
	writeFile(t, filepath.Join(dir, "build.rs"), "fn main() { std::thread::sleep(std::time::Duration::from_secs(10)); }\n")
	ctx, cancel := context.WithCancel(t.Context())
	watch := writerFunc(func(p []byte) {
		if bytes.Contains(p, []byte("Compiling")) {
			cancel()
		}
	})
	_, err := Cargo(ctx, CargoOptions{Dir: dir, Tag: "localhost:5000/greet:1", Stderr: watch})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

type writerFunc func([]byte)

func (w writerFunc) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func TestBuildingForSeveralTargetsIsRefused(t *testing.T) {
	var b built
	m := &message{}
	m.Target.CrateTypes = []string{"staticlib"}
	m.Filenames = []string{filepath.FromSlash("/t/a/debug/libx.a")}
	if err := b.add(m); err != nil {
		t.Fatal(err)
	}
	m.Filenames = []string{filepath.FromSlash("/t/b/debug/libx.a")}
	err := b.add(m)
	if err == nil {
		t.Fatal("two targets were accepted")
	}
	wantWords(t, err, "--target")
}

func TestLibrariesGoWhereEachSystemLooksForThem(t *testing.T) {
	both := []string{"staticlib", "cdylib", "rlib"}
	for _, tc := range []struct {
		name       string
		crateTypes []string
		want       string
	}{
		{"/t/debug/libx.a", both, "lib/libx.a"},
		{"/t/debug/libx.so", both, "lib/libx.so"},
		{"/t/debug/libx.dylib", both, "lib/libx.dylib"},
		{"/t/debug/x.dll", both, "bin/x.dll"},
		{"/t/debug/x.dll.lib", both, "lib/x.dll.lib"},
		{"/t/debug/libx.dll.a", both, "lib/libx.dll.a"},
		{"/t/debug/x.lib", both, "lib/x.lib"},
		{"/t/debug/x.wasm", both, "lib/x.wasm"},
		{"/t/debug/x.pdb", both, ""},
		{"/t/debug/libx.rlib", both, ""},
		{"/t/debug/libx.so", []string{"dylib", "staticlib"}, ""},
		{"/t/debug/libx.dll.a", []string{"dylib", "staticlib"}, ""},
		{"/t/debug/libx.a", []string{"cdylib"}, ""},
	} {
		if got := libraryDest(filepath.FromSlash(tc.name), tc.crateTypes); got != tc.want {
			t.Errorf("%s of %v goes to %q, want %q", tc.name, tc.crateTypes, got, tc.want)
		}
	}
}

func TestTheArchivesNameDependsOnNameAndTargetOnly(t *testing.T) {
	a := archiveName("localhost/a:1", "x86_64-unknown-linux-gnu")
	if a != archiveName("localhost/a:1", "x86_64-unknown-linux-gnu") || !strings.HasPrefix(a, "ocipkg_") || !strings.HasSuffix(a, ".tar") {
		t.Errorf("archive name %q", a)
	}
	if a == archiveName("localhost/a:2", "x86_64-unknown-linux-gnu") || a == archiveName("localhost/a:1", "aarch64-unknown-linux-gnu") {
		t.Errorf("archive name %q is given twice", a)
	}
}

func fileAt(t *testing.T, out *Output, dest string) string {
	t.Helper()
	for _, f := range out.Files {
		if f.Dest == dest {
			return f.Path
		}
	}
	t.Fatalf("no file at %s: %v", dest, out.Files)
	return ""
}

func hostTriple(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(command(t, ".", "rustc", "-vV")) {
		if host, ok := strings.CutPrefix(line, "host: "); ok {
			return strings.TrimSpace(host)
		}
	}
	t.Fatal("rustc -vV names no host")
	return ""
}
