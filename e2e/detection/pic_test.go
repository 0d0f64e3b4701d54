package detection

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
	"github.com/ocipkg/ocipkg/internal/binfmt"
)

func TestCodeThatIsNotPositionIndependentIsWhatTheLinkerRefuses(t *testing.T) {
	dir := tempdir.New(t)
	source := filepath.Join(dir, "where.c")
	if err := os.WriteFile(source, []byte("int counter;\nint *where(void) { return &counter; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{
		"x86_64-linux-gnu", "x86_64-linux-gnu -mcmodel=large", "i386-linux-gnu", "armv7a-linux-gnueabihf", "aarch64-linux-gnu -mcmodel=large", "riscv64-linux-gnu",
	} {
		for _, mode := range []string{"-fno-pic", "-fPIC"} {
			if mode == "-fPIC" && strings.HasPrefix(target, "aarch64") {
				continue // LLVM ignores the one or the other
			}
			object := filepath.Join(dir, "where.o")
			arguments := append(strings.Fields("-target "+target+" "+mode), "-integrated-as", "-c", source, "-o", object)
			if out, err := exec.Command(program(t, "clang"), arguments...).CombinedOutput(); err != nil {
				t.Fatalf("%s %s: %v\n%s", target, mode, err, out)
			}
			out, err := exec.Command(program(t, "ld.lld"), "-shared", object, "-o", filepath.Join(dir, "where.so")).CombinedOutput()
			refused := err != nil && strings.Contains(string(out), "recompile with -fPIC")
			if refused != (mode == "-fno-pic") {
				t.Fatalf("%s %s: the linker says %v\n%s", target, mode, err, out)
			}
			if got := inspect(t, object).NonPIC; got != refused {
				t.Errorf("%s %s: not position-independent = %t, and the linker refuses it: %t", target, mode, got, refused)
			}
		}
	}
}

func TestCodeForProgramsAloneIsWhatTheLinkerRefuses(t *testing.T) {
	dir := tempdir.New(t)
	source, object := filepath.Join(dir, "where.c"), filepath.Join(dir, "where.o")
	for text, direct := range map[string]bool{
		"int counter = 1;\nint where(void) { return counter++; }\n":                                     true,
		"static __thread int counter;\nint where(void) { return counter++; }\n":                         true,
		"__attribute__((visibility(\"hidden\"))) int counter;\nint where(void) { return counter++; }\n": false,
		"int other(void);\nint where(void) { return other(); }\n":                                       false,
	} {
		if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, target := range []string{"x86_64-linux-gnu", "aarch64-linux-gnu"} {
			for _, mode := range []string{"-fPIE", "-fPIC"} {
				if out, err := exec.Command(program(t, "clang"), "-target", target, mode, "-O1", "-c", source, "-o", object).CombinedOutput(); err != nil {
					t.Fatalf("%s %s: %v\n%s", target, mode, err, out)
				}
				out, err := exec.Command(program(t, "ld.lld"), "-shared", object, "-o", filepath.Join(dir, "where.so")).CombinedOutput()
				if refused := err != nil; refused != (direct && mode == "-fPIE") {
					t.Fatalf("%s %s: the linker says %v\n%s", target, mode, err, out)
				}
				if got := inspect(t, object); got.PIEOnly != (err != nil) || got.NonPIC {
					t.Errorf("%s %s: for programs alone = %t, and the linker says %v", target, mode, got.PIEOnly, err)
				}
			}
		}
	}
}

func inspect(t testing.TB, path string) *binfmt.File {
	t.Helper()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := binfmt.Inspect(r, info.Size())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return file
}
