package platform

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestTargetsAreReadAsCompilersAndDockerWriteThem(t *testing.T) {
	for target, want := range map[string]Platform{
		"linux/amd64":                   {OS: "linux", Architecture: "amd64"},
		"linux/arm/v7":                  {OS: "linux", Architecture: "arm", Variant: "v7"},
		"x86_64-unknown-linux-gnu":      {OS: "linux", Architecture: "amd64", Libc: "glibc"},
		"x86_64-linux-gnu":              {OS: "linux", Architecture: "amd64", Libc: "glibc"},
		"aarch64-linux-musl":            {OS: "linux", Architecture: "arm64", Libc: "musl"},
		"x86_64-unknown-linux-musl":     {OS: "linux", Architecture: "amd64", Libc: "musl"},
		"arm-linux-gnueabihf":           {OS: "linux", Architecture: "arm", Variant: "v7", Libc: "glibc"},
		"arm-unknown-linux-gnueabihf":   {OS: "linux", Architecture: "arm", Variant: "v6", Libc: "glibc"},
		"armv7-unknown-linux-gnueabihf": {OS: "linux", Architecture: "arm", Variant: "v7", Libc: "glibc"},
		"i686-linux-gnu":                {OS: "linux", Architecture: "386", Libc: "glibc"},
		"x86_64-pc-windows-msvc":        {OS: "windows", Architecture: "amd64", Env: "msvc"},
		"x86_64-pc-windows-gnu":         {OS: "windows", Architecture: "amd64", Env: "gnu"},
		"x86_64-w64-mingw32":            {OS: "windows", Architecture: "amd64", Env: "gnu"},
		"aarch64-apple-darwin":          {OS: "darwin", Architecture: "arm64"},
		"arm64-apple-macos12.3":         {OS: "darwin", Architecture: "arm64", OSVersion: "12.3"},
		"aarch64-linux-android":         {OS: "android", Architecture: "arm64"},
		"x86_64-unknown-freebsd":        {OS: "freebsd", Architecture: "amd64"},
		"riscv64gc-unknown-linux-gnu":   {OS: "linux", Architecture: "riscv64", Libc: "glibc"},
		"x86_64-linux-gnu.2.28":         {OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.28"},
		"x86_64-linux-gnux32":           {OS: "linux", Architecture: "amd64p32", Libc: "glibc"},
		"aarch64-apple-ios-sim":         {OS: "ios", Architecture: "arm64", Env: "simulator"},
		"linux/arm64/v8":                {OS: "linux", Architecture: "arm64"},
		"linux/amd64 musl":              {OS: "linux", Architecture: "amd64", Libc: "musl"},
		"aarch64-linux-gnu glibc 2.31":  {OS: "linux", Architecture: "arm64", Libc: "glibc", LibcVersion: "2.31"},
	} {
		if got, err := Parse(target); err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", target, got, err, want)
		}
	}
	for _, target := range []string{"", "pdp11-dec-unix", "x86_64", "linux/", "/amd64", "linux/arm/7", "a/b/c/d", "x86_64-unknown-none", "linux/amd46", "lunix/amd64", "linux/amd64 uclibc", "aarch64-linux-gnu musl", "windows/amd64 glibc", "linux/amd64 2.28 2.29", "  ", "linux/amd64 glibc glibc 2.28 2.29", "any", "x86_64-linux-gnu.zz", "linux/amd64 glibc 2.x"} {
		if p, err := Parse(target); !errors.Is(err, errdef.ErrUsage) {
			t.Errorf("Parse(%q) = %+v, %v; want a usage error", target, p, err)
		}
	}
}

func TestOnlyWhatRunsOnTheTargetFits(t *testing.T) {
	linux := Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.36"}
	for _, c := range []struct {
		name string
		have Platform
		want bool
	}{
		{"what is for no platform", Platform{}, true},
		{"the same platform", linux, true},
		{"an unknown libc", Platform{OS: "linux", Architecture: "amd64"}, true},
		{"an older floor, as numbers", Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.9"}, true},
		{"a newer floor", Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.38"}, false},
		{"another libc", Platform{OS: "linux", Architecture: "amd64", Libc: "musl"}, false},
		{"another architecture", Platform{OS: "linux", Architecture: "arm64"}, false},
		{"another system", Platform{OS: "darwin", Architecture: "amd64"}, false},
	} {
		if reason, ok := c.have.Fits(linux); ok != c.want || ok != (reason == "") {
			t.Errorf("%s: fits %t (%q), want %t", c.name, ok, reason, c.want)
		}
	}
	if _, ok := (Platform{Architecture: "arm", Variant: "v7"}).Fits(Platform{Architecture: "arm", Variant: "v6"}); ok {
		t.Error("ARMv7 code fits an ARMv6 target")
	}
}

func TestTheMostSpecificThenTheHighestFloorIsTaken(t *testing.T) {
	linux := func(libc, version string) Platform {
		return Platform{OS: "linux", Architecture: "amd64", Libc: libc, LibcVersion: version}
	}
	v := func(variant string) Platform {
		return Platform{OS: "linux", Architecture: "amd64", Variant: variant}
	}
	mac := func(version string) Platform {
		return Platform{OS: "darwin", Architecture: "arm64", OSVersion: version}
	}
	for _, c := range []struct {
		name       string
		target     Platform
		candidates []Platform // the best first
	}{
		{"an exact libc, then one that is not known, then any platform", linux("glibc", "2.36"), []Platform{linux("glibc", "2.17"), linux("", ""), {}}},
		{"one that asks for no libc when the target does not say which, then glibc", linux("", ""), []Platform{linux("", ""), linux("glibc", "2.38"), linux("musl", "")}},
		{"one that is not for a simulator", Platform{OS: "ios", Architecture: "arm64"}, []Platform{{OS: "ios", Architecture: "arm64"}, {OS: "ios", Architecture: "arm64", Env: "simulator"}}},
		{"the C++ runtime of the target", Platform{OS: "linux", Architecture: "amd64", Cxx: "libc++"}, []Platform{
			{OS: "linux", Architecture: "amd64", Cxx: "libc++"}, {OS: "linux", Architecture: "amd64", Cxx: "libstdc++", CxxVersion: "3.4.30"}}},
		{"of several floors the highest that the target has", linux("glibc", "2.36"), []Platform{linux("glibc", "2.28"), linux("glibc", "2.9"), linux("glibc", "2.38")}},
		{"the lowest floor when the target does not say what it has", linux("glibc", ""), []Platform{linux("glibc", "2.9"), linux("glibc", "2.28"), linux("glibc", "")}},
		{"glibc when the target does not say which libc", linux("", ""), []Platform{linux("glibc", "2.38"), linux("musl", "")}},
		{"the highest variant that the target runs", v("v3"), []Platform{v("v3"), v("v2"), v(""), v("v4")}},
		{"the lowest variant when the target says none", v(""), []Platform{v(""), v("v2"), v("v3")}},
		{"the newest system that the target has", mac("13.1"), []Platform{mac("13"), mac("11"), mac("14")}},
		{"the first of two for the same", linux("musl", ""), []Platform{linux("musl", ""), linux("musl", "")}},
	} {
		for i := range c.candidates {
			// Whatever the order, the one that comes first in the list wins
			// over each after it.
			for j := i + 1; j < len(c.candidates); j++ {
				pair := []Platform{c.candidates[j], c.candidates[i]}
				want := 1
				if pair[0] == pair[1] {
					want = 0
				}
				best, reasons := Best(c.target, pair)
				if _, fits := pair[1].Fits(c.target); !fits {
					t.Errorf("%s: %v does not fit %v", c.name, pair[1], c.target)
				}
				if best != want || reasons[want] != "" || reasons[1-want] == "" {
					t.Errorf("%s: of %v for %v, %d was taken: %q", c.name, pair, c.target, best, reasons)
				}
			}
		}
	}
}

func TestARefusalNamesBothVersions(t *testing.T) {
	target := Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.36"}
	new := target
	new.LibcVersion = "2.38"
	estimated := new
	estimated.LibcEstimated = true
	best, reasons := Best(target, []Platform{new, estimated})
	if best >= 0 || reasons[0] != "needs glibc 2.38, the target has 2.36" || reasons[1] != "needs glibc 2.38 (estimated), the target has 2.36" {
		t.Errorf("%d was taken: %q", best, reasons)
	}
	err := Unfit(target, "the index", []Platform{new, estimated}, reasons)
	for _, part := range []string{"linux/amd64 glibc 2.36", "linux/amd64 glibc 2.38", reasons[0]} {
		if !errors.Is(err, errdef.ErrPlatform) || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}

func TestAPlatformIsReadAsItIsPrinted(t *testing.T) {
	for _, p := range []Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm", Variant: "v7", Libc: "musl"},
		{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.28", Cxx: "libstdc++", CxxVersion: "3.4.22"},
		{OS: "windows", Architecture: "amd64", Env: "msvc"},
		{OS: "darwin", Architecture: "arm64", OSVersion: "12.0", Cxx: "libc++"},
		{OS: "darwin", OSVersion: "12.0"},
		{OS: "ios", Architecture: "arm64", OSVersion: "17.0", Env: "simulator"},
		{Architecture: "riscv64"},
	} {
		if got, err := Parse(p.String()); err != nil || got != p {
			t.Errorf("%q is read as %+v, %v", p, got, err)
		}
	}
}

// Each system and architecture that Go has a port for is one of an image index
// by the same name; and the triples that compilers and Rust have for it lead
// there.
func TestTriplesAndGoNamesAndOCIPlatformsCorrespond(t *testing.T) {
	table := map[string][]string{
		"aix/ppc64":       {"powerpc64-ibm-aix"},
		"android/386":     {"i686-linux-android"},
		"android/amd64":   {"x86_64-linux-android"},
		"android/arm":     {"armv7-linux-androideabi"},
		"android/arm64":   {"aarch64-linux-android", "aarch64-linux-android21"},
		"darwin/amd64":    {"x86_64-apple-darwin", "x86_64-apple-macos10.15", "x86_64-apple-darwin23"},
		"darwin/arm64":    {"aarch64-apple-darwin", "arm64-apple-macos12", "arm64e-apple-darwin"},
		"dragonfly/amd64": {"x86_64-unknown-dragonfly"},
		"freebsd/386":     {"i686-unknown-freebsd"},
		"freebsd/amd64":   {"x86_64-unknown-freebsd", "x86_64-unknown-freebsd14.0"},
		"freebsd/arm":     {"armv7-unknown-freebsd"},
		"freebsd/arm64":   {"aarch64-unknown-freebsd"},
		"freebsd/riscv64": {"riscv64gc-unknown-freebsd"},
		"illumos/amd64":   {"x86_64-unknown-illumos"},
		"ios/amd64":       {"x86_64-apple-ios"},
		"ios/arm64":       {"aarch64-apple-ios", "arm64-apple-ios17.0"},
		"js/wasm":         nil,
		"linux/386":       {"i686-unknown-linux-gnu", "i386-linux-gnu", "i586-unknown-linux-gnu", "i686-unknown-linux-musl"},
		"linux/amd64":     {"x86_64-unknown-linux-gnu", "x86_64-linux-gnu", "x86_64-unknown-linux-musl", "x86_64-alpine-linux-musl"},
		"linux/arm":       {"armv7-unknown-linux-gnueabihf", "arm-linux-gnueabi", "arm-linux-gnueabihf", "armv5te-unknown-linux-gnueabi"},
		"linux/arm64":     {"aarch64-unknown-linux-gnu", "aarch64-linux-gnu", "aarch64-unknown-linux-musl"},
		"linux/loong64":   {"loongarch64-unknown-linux-gnu", "loongarch64-linux-gnu"},
		"linux/mips":      {"mips-unknown-linux-gnu", "mips-linux-gnu"},
		"linux/mips64":    {"mips64-unknown-linux-gnuabi64"},
		"linux/mips64le":  {"mips64el-unknown-linux-gnuabi64", "mips64el-linux-gnuabi64"},
		"linux/mipsle":    {"mipsel-unknown-linux-gnu", "mipsel-linux-gnu"},
		"linux/ppc64":     {"powerpc64-unknown-linux-gnu", "powerpc64-linux-gnu"},
		"linux/ppc64le":   {"powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu"},
		"linux/riscv64":   {"riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu"},
		"linux/s390x":     {"s390x-unknown-linux-gnu", "s390x-linux-gnu"},
		"netbsd/386":      {"i686-unknown-netbsd"},
		"netbsd/amd64":    {"x86_64-unknown-netbsd"},
		"netbsd/arm":      {"armv7-unknown-netbsd-eabihf"},
		"netbsd/arm64":    {"aarch64-unknown-netbsd"},
		"openbsd/386":     {"i686-unknown-openbsd"},
		"openbsd/amd64":   {"x86_64-unknown-openbsd"},
		"openbsd/arm":     nil,
		"openbsd/arm64":   {"aarch64-unknown-openbsd"},
		"openbsd/ppc64":   {"powerpc64-unknown-openbsd"},
		"openbsd/riscv64": {"riscv64gc-unknown-openbsd"},
		"plan9/386":       nil,
		"plan9/amd64":     nil,
		"plan9/arm":       nil,
		"solaris/amd64":   {"x86_64-pc-solaris"},
		"wasip1/wasm":     {"wasm32-wasip1", "wasm32-wasi", "wasm32-unknown-wasi"},
		"windows/386":     {"i686-pc-windows-msvc", "i686-pc-windows-gnu", "i686-w64-mingw32"},
		"windows/amd64":   {"x86_64-pc-windows-msvc", "x86_64-pc-windows-gnu", "x86_64-w64-mingw32"},
		"windows/arm64":   {"aarch64-pc-windows-msvc", "aarch64-pc-windows-gnullvm"},
	}
	ports, err := exec.Command("go", "tool", "dist", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range strings.Fields(string(ports)) {
		if _, ok := table[port]; !ok {
			t.Errorf("Go has a port for %s, which is not in the table", port)
		}
	}
	reached := map[string]bool{}
	for name, triples := range table {
		os, arch, _ := strings.Cut(name, "/")
		p, err := Parse(name)
		if err != nil || p.OS != os || p.Architecture != arch {
			t.Errorf("%s is read as %+v, %v", name, p, err)
		}
		if oci, _ := p.ToOCI(); oci.OS != os || oci.Architecture != arch || FromOCI(oci, nil) != p {
			t.Errorf("%s is %+v in an index", name, oci)
		}
		for _, triple := range triples {
			got, err := Parse(triple)
			if err != nil || got.OS != os || got.Architecture != arch {
				t.Errorf("%s leads to %+v, %v; want %s", triple, got, err, name)
			}
			reached[strings.Split(triple, "-")[0]] = true
		}
	}
	for word, arch := range architectures {
		if p, err := FromTriple(word + "-unknown-linux-gnu"); err != nil || p.Architecture != arch[0] {
			t.Errorf("%s leads to %+v, %v; want the architecture %s", word, p, err, arch[0])
		}
	}
	if len(reached) < 20 {
		t.Errorf("only the architectures %v are tried by a triple", reached)
	}
}

func TestWhatNoPlatformHasFitsNothing(t *testing.T) {
	for _, p := range []Platform{
		{OS: "linux\nFAKE", Architecture: "amd64"},
		{OS: "linux", Architecture: "amd64", Libc: "\x1b[2J"},
		{OS: strings.Repeat("x", 65), Architecture: "amd64"},
	} {
		clean := p.Clean()
		if _, fits := clean.Fits(Platform{OS: "linux", Architecture: "amd64", Libc: "glibc"}); fits || strings.ContainsAny(clean.String(), "\n\x1b") {
			t.Errorf("%q becomes %q, which fits", p, clean)
		}
	}
	if got := (Platform{OS: "linux", Architecture: "amd64", Variant: "é"}).Clean().Variant; got != "" {
		t.Errorf("a variant that is none is kept: %q", got)
	}
}

func TestAHomebrewIndexIsRead(t *testing.T) {
	for _, c := range []struct {
		oci         OCI
		annotations map[string]string
		want        Platform
	}{
		{OCI{OS: "darwin", Architecture: "arm64", OSVersion: "macOS 12.0"}, nil, Platform{OS: "darwin", Architecture: "arm64", OSVersion: "12.0"}},
		{
			OCI{OS: "linux", Architecture: "amd64", OSVersion: "Ubuntu 16.04.7"},
			map[string]string{"sh.brew.bottle.glibc.version": "2.23", "sh.brew.bottle.cpu.variant": "core2"},
			Platform{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.23"},
		},
	} {
		if got := FromOCI(c.oci, c.annotations); got != c.want {
			t.Errorf("%+v is read as %+v, want %+v", c.oci, got, c.want)
		}
	}
}

func TestAnIndexCarriesThePlatformWhole(t *testing.T) {
	for _, p := range []Platform{
		{},
		{OS: "linux", Architecture: "arm", Variant: "v7", Libc: "musl"},
		{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.28", Cxx: "libstdc++", CxxVersion: "3.4.22"},
		{OS: "windows", Architecture: "amd64", Env: "msvc"},
		{OS: "darwin", Architecture: "arm64", OSVersion: "12.0", Cxx: "libc++"},
		{OS: "linux", Architecture: "amd64", Libc: "glibc", LibcVersion: "2.14", LibcEstimated: true},
		{OS: "darwin", OSVersion: "12.0"},
	} {
		if got := FromOCI(p.ToOCI()); got != p {
			t.Errorf("%+v comes back as %+v", p, got)
		}
	}
}

func TestTheTargetIsTheFirstThatApplies(t *testing.T) {
	clear := func(t *testing.T) {
		for _, v := range []string{"OCIPKG_TARGET", "GOOS", "GOARCH", "GOAMD64", "GOARM", "CC", "TARGET", "HOST", "CARGO", "MACOSX_DEPLOYMENT_TARGET"} {
			t.Setenv(v, "")
		}
	}
	// The triple of this machine.
	native := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] +
		map[string]string{"linux": "-unknown-linux-gnu", "darwin": "-apple-darwin", "windows": "-pc-windows-msvc"}[runtime.GOOS]
	if Host().Libc == "musl" {
		native = strings.ReplaceAll(native, "gnu", "musl")
	}
	for _, c := range []struct {
		name, explicit string
		env            map[string]string
		want           string
	}{
		{"the flag wins", "linux/s390x", map[string]string{"OCIPKG_TARGET": "linux/arm64"}, "linux/s390x"},
		{"OCIPKG_TARGET", "", map[string]string{"OCIPKG_TARGET": "aarch64-linux-musl", "TARGET": "x", "CARGO": "c"}, "linux/arm64 musl"},
		{"GOOS and GOARCH", "", map[string]string{"GOOS": "darwin", "GOARCH": "arm64"}, "darwin/arm64"},
		{"the libc from CC", "", map[string]string{"GOOS": "linux", "GOARCH": "s390x", "CC": "s390x-linux-musl-gcc"}, "linux/s390x musl"},
		{"the libc from the target of CC", "", map[string]string{"GOOS": "linux", "GOARCH": "arm64", "CC": "zig cc -target aarch64-linux-gnu.2.28"}, "linux/arm64 glibc 2.28"},
		{"the target of CC says nothing of another architecture", "", map[string]string{"GOOS": "linux", "GOARCH": "s390x", "CC": "clang --target=aarch64-linux-musl"}, "linux/s390x"},
		{"a cross-compiler's libc has no known version", "", map[string]string{"GOOS": "linux", "GOARCH": "arm64", "CC": "/usr/bin/aarch64-linux-gnu-gcc-12"}, "linux/arm64 glibc"},
		{"a compiler is called musl by its name, not by an option or a place", "", map[string]string{"GOOS": "linux", "GOARCH": "s390x", "CC": "/opt/musl/bin/gcc -std=gnu17"}, "linux/s390x"},
		{"a compiler behind a cache", "", map[string]string{"GOOS": "linux", "GOARCH": "s390x", "CC": "ccache musl-gcc"}, "linux/s390x musl"},
		{"the variants of Go", "", map[string]string{"GOOS": "linux", "GOARCH": "arm", "GOARM": "6,softfloat"}, "linux/arm/v6"},
		{"cgo on Windows is GNU's", "", map[string]string{"GOOS": "windows", "GOARCH": "amd64", "GOAMD64": "v2"}, "windows/amd64/v2 gnu"},
		{"macOS at the version that is built for", "", map[string]string{"GOOS": "darwin", "GOARCH": "arm64", "MACOSX_DEPLOYMENT_TARGET": "12.3"}, "darwin/arm64 12.3"},
		{"what this machine has, for a build on it", "", map[string]string{"GOOS": runtime.GOOS, "GOARCH": runtime.GOARCH}, Host().String()},
		{"macOS by its name, at the version that is built for", "darwin/arm64", map[string]string{"MACOSX_DEPLOYMENT_TARGET": "12.3"}, "darwin/arm64 12.3"},
		{"macOS by its triple", "", map[string]string{"OCIPKG_TARGET": "aarch64-apple-darwin", "MACOSX_DEPLOYMENT_TARGET": "12.3"}, "darwin/arm64 12.3"},
		{"macOS of cargo", "", map[string]string{"TARGET": "aarch64-apple-darwin", "CARGO": "cargo", "MACOSX_DEPLOYMENT_TARGET": "12.3"}, "darwin/arm64 12.3"},
		{"macOS at a version that is given", "darwin/arm64 13", map[string]string{"MACOSX_DEPLOYMENT_TARGET": "12.3"}, "darwin/arm64 13"},
		{"the version of macOS means nothing elsewhere", "freebsd/arm64", map[string]string{"MACOSX_DEPLOYMENT_TARGET": "12.3"}, "freebsd/arm64"},
		{"a cross-compiler", "", map[string]string{"CC": "aarch64-linux-gnu-gcc"}, "linux/arm64 glibc"},
		{"a cross-compiler with a version", "", map[string]string{"CC": "/usr/bin/arm-linux-gnueabihf-gcc-12 -O2"}, "linux/arm/v7 glibc"},
		{"a cross-compiler behind a cache", "", map[string]string{"CC": "ccache s390x-linux-musl-gcc -m64"}, "linux/s390x musl"},
		{"a compiler for Windows", "", map[string]string{"CC": "x86_64-w64-mingw32-gcc"}, "windows/amd64 gnu"},
		{"a compiler for 32 bits", "", map[string]string{"CC": "x86_64-linux-musl-gcc -m32"}, "linux/386 musl"},
		{"the target of CC", "", map[string]string{"CC": "zig cc -target aarch64-linux-gnu.2.28"}, "linux/arm64 glibc 2.28"},
		{"a compiler for musl", "", map[string]string{"CC": "musl-gcc"}, runtime.GOOS + "/" + runtime.GOARCH + " musl"},
		{"a compiler of this machine", "", map[string]string{"CC": "/usr/bin/gcc-12 -std=gnu17"}, Host().String()},
		{"CC after cargo's TARGET", "", map[string]string{"CC": "s390x-linux-gnu-gcc", "TARGET": "aarch64-unknown-linux-musl", "CARGO": "cargo"}, "linux/arm64 musl"},
		{"CC after OCIPKG_TARGET", "", map[string]string{"CC": "s390x-linux-gnu-gcc", "OCIPKG_TARGET": "linux/arm64"}, "linux/arm64"},
		{"CC after the flag", "linux/arm64", map[string]string{"CC": "s390x-linux-gnu-gcc"}, "linux/arm64"},
		{"cargo's TARGET", "", map[string]string{"TARGET": "aarch64-unknown-linux-gnu", "CARGO": "cargo"}, "linux/arm64 glibc"},
		{"cargo's own machine", "", map[string]string{"TARGET": native, "HOST": native, "CARGO": "cargo"}, Host().String()},
		{"cargo's own machine, as the crate hands it on", native, map[string]string{"TARGET": native, "HOST": native, "CARGO": "cargo"}, Host().String()},
		{"a triple of this machine is taken as it is elsewhere", native, nil, strings.TrimSuffix(Host().String(), " "+Host().LibcVersion)},
		{"TARGET means nothing outside cargo", "", map[string]string{"TARGET": "aarch64-unknown-linux-gnu"}, Host().String()},
	} {
		t.Run(c.name, func(t *testing.T) {
			clear(t)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			if got, err := Target(c.explicit); err != nil || got.String() != c.want {
				t.Errorf("got %v, %v; want %s", got, err, c.want)
			}
		})
	}
	t.Run("a system that is none is an error", func(t *testing.T) {
		clear(t)
		t.Setenv("GOOS", "plan10")
		if _, err := Target(""); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), "plan10") {
			t.Errorf("got %v, want a usage error", err)
		}
	})
	t.Run("a contradiction is an error", func(t *testing.T) {
		clear(t)
		t.Setenv("OCIPKG_TARGET", "linux/arm64")
		t.Setenv("GOARCH", "amd64")
		t.Setenv("GOOS", "linux")
		if _, err := Target(""); !errors.Is(err, errdef.ErrUsage) {
			t.Errorf("got %v, want a usage error", err)
		}
	})
}

func TestTheHostIsReadAndNotGuessed(t *testing.T) {
	host := Host()
	if host.OS != runtime.GOOS || host.Architecture != runtime.GOARCH {
		t.Errorf("host is %v", host)
	}
	if runtime.GOOS == "linux" && (host.Libc == "" || host.LibcVersion == "") {
		t.Errorf("host %v: the C library of /bin/sh or its version was not found", host)
	}
	if libc, version := hostLibc("/nonexistent", "/etc/passwd"); libc != "" || version != "" {
		t.Errorf("a libc was read from no program: %s %s", libc, version)
	}
}

// getconf asks the library itself.
func TestTheVersionOfGlibcIsTheOneThatItSays(t *testing.T) {
	if Host().Libc != "glibc" {
		return
	}
	out, err := exec.Command("getconf", "GNU_LIBC_VERSION").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := "glibc " + Host().LibcVersion; got != strings.TrimSpace(string(out)) {
		t.Errorf("got %s, and getconf says %s", got, out)
	}
}

func TestTheVersionOfMuslIsAStringOfItsOwn(t *testing.T) {
	for content, want := range map[string]string{
		"ELF\x00elf/fd/\x001.2.3\x00127.0.0.1\x00Version %s\x00": "1.2.3",
		"\x00127.0.0.1\x00/lib/1.2.3\x00":                        "",
		"":                                                       "",
	} {
		loader := filepath.Join(t.TempDir(), "ld-musl-x86_64.so.1")
		if err := os.WriteFile(loader, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := muslVersion(loader); got != want {
			t.Errorf("%q: got %q, want %q", content, got, want)
		}
	}
}

func TestADamagedLibraryHasNoVersion(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	whole, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for size := 0; size < 8192; size += 7 {
		raw := slices.Clone(whole[:size])
		for i := 24; i < len(raw) && i < 64; i += 3 {
			raw[i] ^= byte(size) // what says where things are
		}
		if err := os.WriteFile(filepath.Join(dir, "libc.so.6"), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := glibcVersion(filepath.Join(dir, "libc.so.6")); got != "" {
			t.Fatalf("%d bytes have the version %q", size, got)
		}
		interpreter(filepath.Join(dir, "libc.so.6"))
	}
}
