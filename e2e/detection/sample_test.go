package detection

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/debian"
	"github.com/ocipkg/ocipkg/e2e/internal/tempdir"
)

// sampleSize is the number of files that are compared unless all are.
const sampleSize = 300

// group is a set of files of which the sample has some.
type group struct {
	name  string
	files []string
	share int // of the sample; of a smaller group all are in it
}

// processors are those, besides the most frequent, that Debian has a C library
// for.
var processors = []string{
	"armhf", "armel", "riscv64", "s390x", "ppc64el", "ppc64", "powerpc", "i386", "x32", "mips", "mips64el", "mipsn32", "sparc64", "m68k", "hppa",
}

// groups gives where the files are from.
func groups(t testing.TB) []group {
	t.Helper()
	here := debian.Fetch(t, "zlib1g", "zlib1g-dev", "libssl3", "libssl-dev", "libsqlite3-0", "libsqlite3-dev",
		"libstdc++6", "ninja-build", "libc6", "libc6-dev", "coreutils", "busybox-static", "musl", "musl-dev")
	arm64 := debian.Fetch(t, "libc6-dev-arm64-cross", "libc6-arm64-cross", "libgcc-s1-arm64-cross", "libstdc++6-arm64-cross")
	crossed := search(t, arm64, "*.so", "*.so.*", "*.a", "*.o")
	for _, processor := range processors {
		crossed = append(crossed, search(t, debian.Fetch(t, "libc6-"+processor+"-cross"), "*.so", "*.so.*")...)
	}
	windows := debian.Fetch(t, "mingw-w64-x86-64-dev", "mingw-w64-i686-dev", "gcc-mingw-w64-x86-64-win32-runtime",
		"libz-mingw-w64", "libz-mingw-w64-dev", "libmono-posix4.0-cil", "systemd-boot-efi", "grub-efi-amd64-bin")
	dir := tempdir.New(t)
	extracted := extract(t, dir, append(search(t, here, "libssl.a", "libz.a", "libm-*.a", "libpthread.a"), search(t, arm64, "libm-*.a", "libresolv.a")...))
	made := filepath.Join(dir, "made")
	if err := os.Mkdir(made, 0o755); err != nil {
		t.Fatal(err)
	}
	musl := search(t, here, "libc.so") // glibc has a linker script of that name
	if len(musl) != 1 {
		t.Fatalf("found musl's library as %v, want one", musl)
	}
	return []group{
		{"made here", workshop{t, made, filepath.Dir(musl[0])}.make(), 140},
		{"shared libraries", search(t, here, "*.so", "*.so.*"), 30},
		{"programs", search(t, here, "busybox", "ls", "sort", "ninja", "ldconfig", "cp"), 8},
		{"archives", search(t, here, "*.a"), 14},
		{"objects", search(t, here, "*.o"), 12},
		{"objects of archives", extracted, 30},
		{"other processors", crossed, 80},
		{"Windows", search(t, windows, "*.dll", "*.exe", "*.efi", "*.stub", "*.o"), 25},
		{"import libraries", search(t, windows, "*.a"), 20},
		{"ELF modules", search(t, windows, "*.mod"), 2},
		{"Go", search(t, filepath.Join(output(t, "go", "env", "GOROOT"), "src"), "*.syso", "*.obj", "gcc-*-exec", "*-mingw-*"), 12},
		{"Rust", search(t, output(t, "rustc", "--print", "sysroot"), "*.so", "*.rlib"), 6},
	}
}

// sample picks files evenly from each group.
func sample(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, g := range groups(t) {
		if len(g.files) == 0 {
			t.Fatalf("there are no %s", g.name)
		}
		n := min(g.share, len(g.files))
		for i := range n {
			all = append(all, g.files[i*len(g.files)/n])
		}
	}
	if len(all) < sampleSize {
		t.Fatalf("the sample has %d files, want %d", len(all), sampleSize)
	}
	return all[:sampleSize]
}

// everything gives all libraries and objects of this machine, and those of the
// sample's groups.
func everything(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, g := range groups(t) {
		all = append(all, g.files...)
	}
	for _, dir := range []string{"/usr/lib", "/usr/x86_64-w64-mingw32", "/usr/i686-w64-mingw32", output(t, "go", "env", "GOROOT"), output(t, "rustc", "--print", "sysroot")} {
		if _, err := os.Stat(dir); err == nil {
			all = append(all, search(t, dir, "*")...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// output gives the line that a program prints.
func output(t testing.TB, name string, arguments ...string) string {
	t.Helper()
	out, err := exec.Command(name, arguments...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// search lists the files below a directory whose names match one of the
// patterns and that begin as compiled code does, sorted. Links are not followed.
func search(t testing.TB, dir string, patterns ...string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		matches := slices.ContainsFunc(patterns, func(pattern string) bool {
			ok, err := filepath.Match(pattern, entry.Name())
			return ok && err == nil
		})
		// The tools put members and architectures into brackets behind paths.
		if !matches || strings.ContainsAny(path, "([:") {
			return nil
		}
		if isCode, err := beginsAsCode(path); err != nil || !isCode {
			return err
		}
		all = append(all, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// magics are what files of compiled code begin with.
var magics = []string{
	"\x7fELF", "!<arch>\n", "!<thin>\n", "MZ", "BC\xc0\xde", "\xca\xfe\xba\xbe\x00\x00\x00\x02", "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe",
	"\x64\x86", "\x4c\x01", "\x64\xaa", "\xc4\x01",
}

func beginsAsCode(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	head := make([]byte, 8)
	if _, err := io.ReadFull(file, head); err != nil {
		return false, nil // too short
	}
	return slices.ContainsFunc(magics, func(magic string) bool { return strings.HasPrefix(string(head), magic) }), nil
}

// extract unpacks archives, each in a directory of its own, and lists what
// comes out.
func extract(t testing.TB, dir string, archives []string) []string {
	t.Helper()
	var all []string
	for i, archive := range archives {
		to := filepath.Join(dir, "extracted", string(rune('a'+i)))
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("ar", "x", archive)
		cmd.Dir = to
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		all = append(all, search(t, to, "*.o")...)
	}
	return all
}
