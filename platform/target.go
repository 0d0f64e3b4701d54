package platform

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// architectures maps the first part of a target triple to GOARCH and variant.
// Triples: https://doc.rust-lang.org/rustc/platform-support.html and
// https://wiki.debian.org/Multiarch/Tuples.
var architectures = map[string][2]string{
	"x86_64": {"amd64"}, "amd64": {"amd64"},
	"i386": {"386"}, "i486": {"386"}, "i586": {"386"}, "i686": {"386"},
	"aarch64": {"arm64"}, "arm64": {"arm64"}, "arm64e": {"arm64"},
	"arm": {"arm", "v6"}, "armv5te": {"arm", "v5"}, "armv6": {"arm", "v6"}, "armv7": {"arm", "v7"}, "armv7a": {"arm", "v7"}, "armv7l": {"arm", "v7"}, "thumbv7neon": {"arm", "v7"},
	"riscv64": {"riscv64"}, "riscv64gc": {"riscv64"}, "riscv64a23": {"riscv64"},
	"powerpc64": {"ppc64"}, "ppc64": {"ppc64"}, "powerpc64le": {"ppc64le"}, "ppc64le": {"ppc64le"},
	"s390x": {"s390x"}, "loongarch64": {"loong64"}, "loong64": {"loong64"},
	"mips": {"mips"}, "mipsel": {"mipsle"}, "mips64": {"mips64"}, "mips64el": {"mips64le"},
	"wasm32": {"wasm"},
	// Go has no port for these, and packages may be for them.
	"powerpc": {"ppc"}, "armeb": {"armbe"}, "aarch64_be": {"arm64be"}, "riscv32": {"riscv"}, "riscv32gc": {"riscv"}, "s390": {"s390"}, "sparc": {"sparc"}, "sparc64": {"sparc64"},
}

// systems maps a system in a target triple to GOOS.
var systems = map[string]string{
	"linux": "linux", "darwin": "darwin", "macos": "darwin", "macosx": "darwin", "ios": "ios", "windows": "windows", "mingw32": "windows", "w64": "windows",
	"freebsd": "freebsd", "netbsd": "netbsd", "openbsd": "openbsd", "dragonfly": "dragonfly", "solaris": "solaris", "illumos": "illumos", "android": "android", "wasi": "wasip1", "wasip1": "wasip1",
	"aix": "aix", "plan9": "plan9", "js": "js", "hurd": "hurd",
}

// Parse reads a target as a user writes it: os/architecture[/variant], as
// Docker has it, or a target triple, as compilers have it; each may be followed
// by runtimes as [Platform.String] has them: "linux/amd64 glibc 2.28". The error
// is of kind [errdef.ErrUsage].
func Parse(target string) (Platform, error) {
	words := strings.Fields(target)
	const howToWrite = "write it as os/architecture, such as linux/arm64, or as a target triple"
	if target == open {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "a build is for one platform, and not for %q: %s", target, howToWrite)
	}
	if len(words) == 0 {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "%q is not a platform: %s", target, howToWrite)
	}
	read := FromTriple
	if strings.Contains(words[0], "/") {
		read = fromSlashes
	}
	p, err := read(words[0])
	if err != nil {
		return p, err
	}
	for rest := words[1:]; len(rest) > 0; {
		var version string
		word := rest[0]
		rest = rest[1:]
		if len(rest) > 0 && IsVersion(rest[0]) {
			version, rest = rest[0], rest[1:]
		}
		if !p.runtime(word, version) {
			return Platform{}, errdef.Errorf(errdef.ErrUsage, "%q is not a platform: %q does not go with %s; write a C library after it, as in \"linux/amd64 glibc 2.28\"", target, strings.TrimSpace(word+" "+version), words[0])
		}
	}
	if p = p.Clean(); p.IsZero() {
		return p, errdef.Errorf(errdef.ErrUsage, "a build is for one platform, and not for %q: %s", target, howToWrite)
	}
	return p, nil
}

// runtime takes in one of the words that follow a platform, with the version
// after it, and tells whether it makes sense there.
func (p *Platform) runtime(word, version string) bool {
	set := func(field *string, value string) bool {
		if *field != "" && *field != value {
			return false
		}
		*field = value
		return true
	}
	switch word {
	case "glibc", "musl":
		return p.OS == "linux" && set(&p.Libc, word) && (version == "" || set(&p.LibcVersion, version))
	case "libstdc++", "libc++":
		return set(&p.Cxx, word) && (version == "" || set(&p.CxxVersion, version))
	case "gnu", "msvc":
		return p.OS == "windows" && version == "" && set(&p.Env, word)
	case "simulator", "macabi":
		return version == "" && set(&p.Env, word)
	}
	return p.OS != "linux" && IsVersion(word) && version == "" && set(&p.OSVersion, word)
}

// fromSlashes reads os/architecture[/variant]; "any" stands for what is open.
func fromSlashes(s string) (Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "%q is not a platform: write it as os/architecture, such as linux/arm64, or as a target triple", s)
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	known := func(value string, ok func() bool) bool { return value == open || ok() }
	if !known(p.OS, func() bool { return isKnown(systems, p.OS) }) || !known(p.Architecture, func() bool { return isArchitecture(p.Architecture) }) {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "%q is not a platform: its operating system or its architecture is not known; they have the values of GOOS and GOARCH, as in linux/arm64", s)
	}
	p.OS, p.Architecture = strings.TrimPrefix(p.OS, open), strings.TrimPrefix(p.Architecture, open)
	if len(parts) == 3 {
		if len(parts[2]) < 2 || parts[2][0] != 'v' {
			return Platform{}, errdef.Errorf(errdef.ErrUsage, "%q is not a platform: a variant is written v6, v7, v8", s)
		}
		p.Variant = parts[2]
	}
	return p, nil
}

func isArchitecture(value string) bool {
	return value == "amd64p32" || slices.ContainsFunc(slices.Collect(maps.Values(architectures)), func(a [2]string) bool { return a[0] == value })
}

func isKnown(values map[string]string, value string) bool {
	return slices.Contains(slices.Collect(maps.Values(values)), value)
}

// FromTriple reads a target triple, such as x86_64-unknown-linux-musl,
// aarch64-linux-gnu, x86_64-w64-mingw32 or arm64-apple-macos12. The error is of
// kind [errdef.ErrUsage].
func FromTriple(triple string) (Platform, error) {
	parts := strings.Split(triple, "-")
	arch, ok := architectures[parts[0]]
	if !ok {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "target %q has the unknown architecture %q; give the target as a triple, such as aarch64-linux-gnu, or as os/architecture", triple, parts[0])
	}
	p := Platform{Architecture: arch[0], Variant: arch[1]}
	for _, part := range parts[1:] {
		// A version may follow the system's name, as in macos12.3.
		word := strings.TrimRight(part, "0123456789.")
		if os := systems[part]; os != "" {
			p.OS = os
		} else if os := systems[word]; os != "" {
			p.OS = os
			if os == "darwin" && word != "darwin" {
				p.OSVersion = part[len(word):]
			}
		}
	}
	if p.OS == "" {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "target %q has no operating system that is known here; give it as os/architecture, such as linux/arm64", triple)
	}
	abi, version, versioned := strings.Cut(parts[len(parts)-1], ".")
	if versioned && strings.HasPrefix(abi, "gnu") && !IsVersion(version) {
		return Platform{}, errdef.Errorf(errdef.ErrUsage, "target %q has the version %q, which is none; write it as in gnu.2.28", triple, version)
	}
	p.setABI(abi, version)
	if p.Architecture == "arm" && len(parts) == 3 && abi == "gnueabihf" {
		p.Variant = "v7" // Debian's armhf is ARMv7, though its triple says only "arm"
	}
	return p, nil
}

// setABI reads the last part of a triple: the C library or the ABI, with the
// version that Zig writes after it, as in gnu.2.28.
func (p *Platform) setABI(abi, version string) {
	switch {
	case p.OS == "ios" && (abi == "sim" || abi == "simulator"):
		p.Env = "simulator"
	case p.OS == "ios" && abi == "macabi":
		p.Env = "macabi"
	case p.OS == "windows" && abi == "msvc":
		p.Env = "msvc"
	case p.OS == "windows":
		p.Env = "gnu"
	case strings.HasPrefix(abi, "android"):
		p.OS = "android"
	case p.OS == "linux" && strings.HasPrefix(abi, "musl"):
		p.Libc = "musl"
	case p.OS == "linux" && strings.HasPrefix(abi, "gnu"):
		p.Libc, p.LibcVersion = "glibc", version
		if abi == "gnux32" {
			p.Architecture = "amd64p32"
		}
	}
}

// Target gives the platform that a build is for: explicit where it is not
// empty (a command's --platform or --target), else OCIPKG_TARGET, else GOOS and
// GOARCH with the C library from CC, else TARGET where CARGO is set, else what CC
// says by its name or its -target, else the host. A GOOS or GOARCH that
// contradicts OCIPKG_TARGET is an error of kind [errdef.ErrUsage]. What GOOS,
// TARGET and the host leave open is completed from this machine when it is one
// of that kind; an explicit target and OCIPKG_TARGET are taken as they are, unless
// it is cargo's TARGET that is explicit. Of macOS in no version, the version is
// that of MACOSX_DEPLOYMENT_TARGET, where it is set.
func Target(explicit string) (Platform, error) {
	p, err := target(explicit)
	if err == nil && p.OS == "darwin" {
		p.OSVersion = cmp.Or(p.OSVersion, os.Getenv("MACOSX_DEPLOYMENT_TARGET"))
	}
	return p, err
}

func target(explicit string) (Platform, error) {
	cargo := cargoTarget()
	if explicit != "" && explicit != cargo {
		return Parse(explicit)
	}
	if explicit != "" {
		return fromCargo(cargo)
	}
	fromGo, hasGo := fromGoEnv()
	if hasGo && (!isKnown(systems, fromGo.OS) || !isArchitecture(fromGo.Architecture)) {
		return fromGo, errdef.Errorf(errdef.ErrUsage, "GOOS/GOARCH is %s/%s, which is none that is known; set them as go tool dist list has them", fromGo.OS, fromGo.Architecture)
	}
	if named := os.Getenv("OCIPKG_TARGET"); named != "" {
		p, err := Parse(named)
		if err != nil {
			return p, fmt.Errorf("OCIPKG_TARGET: %w", err)
		}
		if hasGo && (p.OS != fromGo.OS || p.Architecture != fromGo.Architecture) {
			return p, errdef.Errorf(errdef.ErrUsage, "OCIPKG_TARGET is %q, but GOOS/GOARCH is %s/%s; unset one of them", named, fromGo.OS, fromGo.Architecture)
		}
		return p, nil
	}
	if hasGo {
		return fromGo, nil
	}
	if cargo != "" {
		return fromCargo(cargo)
	}
	return fromCC(os.Getenv("CC")), nil
}

// fromCC gives what a C compiler's command line says of the target; one that
// names none is this machine's.
func fromCC(cc string) Platform {
	words := strings.Fields(cc)
	p, ok := targetOf(words)
	if libc, named := libcOf(words); !ok && named { // musl-gcc, which names no architecture
		p, ok = Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH, Libc: libc}, true
	}
	host := Host()
	if !ok {
		p = host
	}
	if p.Architecture = underOption(words, p.Architecture); !ok && p != host {
		p.LibcVersion = "" // that of another library
	}
	return p
}

// cargoTarget gives the target triple that cargo builds for, where it runs us;
// else nothing.
func cargoTarget() string {
	if os.Getenv("CARGO") == "" {
		return ""
	}
	return os.Getenv("TARGET")
}

// fromCargo reads cargo's target, which is this machine when it is its HOST, too.
func fromCargo(triple string) (Platform, error) {
	p, err := FromTriple(triple)
	if err == nil && triple == os.Getenv("HOST") {
		p = p.Complete()
	}
	return p, err
}

// Complete returns p with what the running system has, where p is of its kind: the
// target of a build for this machine.
func (p Platform) Complete() Platform {
	host := Host()
	if p.OS != host.OS || p.Architecture != host.Architecture || p.Libc != "" && p.Libc != host.Libc {
		return p
	}
	p.Libc = host.Libc
	p.LibcVersion = cmp.Or(p.LibcVersion, host.LibcVersion)
	p.OSVersion = cmp.Or(p.OSVersion, host.OSVersion)
	return p
}

// fromGoEnv reads GOOS and GOARCH, which cmd/go always sets for the programs
// that it runs, and which a user sets to cross-build.
func fromGoEnv() (Platform, bool) {
	p := Platform{OS: os.Getenv("GOOS"), Architecture: os.Getenv("GOARCH")}
	if p.OS == "" && p.Architecture == "" {
		return Platform{}, false
	}
	p.OS = cmp.Or(p.OS, runtime.GOOS)
	p.Architecture = cmp.Or(p.Architecture, runtime.GOARCH)
	switch p.Architecture {
	case "amd64":
		p.Variant = os.Getenv("GOAMD64") // "v1" to "v4"
	case "arm":
		if version, _, _ := strings.Cut(os.Getenv("GOARM"), ","); version != "" {
			p.Variant = "v" + version
		}
	}
	return p.compiledBy(os.Getenv("CC")), true
}

// compiledBy adds what a C compiler's command line says of the target. One that
// names no target is the system's own.
func (p Platform) compiledBy(cc string) Platform {
	words := strings.Fields(cc)
	if named, ok := optionOf(words); ok && named.OS == p.OS && named.Architecture == p.Architecture {
		p.Libc, p.LibcVersion, p.Env = named.Libc, named.LibcVersion, named.Env
		return p
	}
	switch libc, named := libcOf(words); {
	case p.OS == "windows":
		p.Env = "gnu" // the only one that cgo works with
	case p.OS == "linux" && named:
		p.Libc = libc // of what version depends on where that compiler looks
	default:
		return p.Complete()
	}
	return p
}

// optionOf gives the target that an option in a compiler's command line says.
func optionOf(words []string) (Platform, bool) {
	for i, word := range words {
		triple, ok := strings.CutPrefix(word, "--target=")
		if word == "-target" && i+1 < len(words) {
			triple, ok = words[i+1], true
		}
		if p, err := FromTriple(triple); ok && err == nil {
			return p, true
		}
	}
	return Platform{}, false
}

// targetOf gives the target that a compiler's command line says, by an option or
// by its name, as that of aarch64-linux-gnu-gcc-12 does.
func targetOf(words []string) (Platform, bool) {
	if p, ok := optionOf(words); ok {
		return p, true
	}
	parts := strings.Split(compilerOf(words), "-")
	for i, part := range parts {
		if slices.Contains([]string{"gcc", "g++", "cc", "c++", "clang", "clang++"}, part) {
			p, err := FromTriple(strings.Join(parts[:i], "-"))
			return p, err == nil
		}
	}
	return Platform{}, false
}

// underOption gives the architecture that a compiler for x86 makes code for, when
// -m32 or -m64 is among its options.
func underOption(words []string, architecture string) string {
	for _, word := range words {
		switch {
		case word == "-m32" && architecture == "amd64":
			architecture = "386"
		case word == "-m64" && architecture == "386":
			architecture = "amd64"
		}
	}
	return architecture
}

// compilerOf gives the name of the compiler in a command line, before which a
// cache's may stand.
func compilerOf(words []string) string {
	for _, word := range words {
		name := strings.TrimSuffix(word[strings.LastIndexAny(word, `/\`)+1:], ".exe")
		if !slices.Contains([]string{"ccache", "sccache", "distcc", "env"}, name) {
			return name
		}
	}
	return ""
}

// libcOf gives the C library that a compiler's name says, as those of
// x86_64-linux-gnu-gcc-12 and musl-clang do.
func libcOf(words []string) (libc string, named bool) {
	name := compilerOf(words)
	if strings.HasPrefix(name, "musl-") {
		return "musl", true
	}
	parts := strings.Split(name, "-")
	for i, part := range parts {
		if i == 0 || !strings.HasPrefix(part, "gnu") && !strings.HasPrefix(part, "musl") {
			continue
		}
		if p, err := FromTriple(strings.Join(parts[:i+1], "-")); err == nil && p.Libc != "" {
			return p.Libc, true
		}
	}
	return "", false
}
