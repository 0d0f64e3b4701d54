package survey

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/binfmt"
	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/platform"
)

// fixtures are those of package binfmt: small files of compilers for systems
// that this one need not have.
const fixtures = "../binfmt/testdata/"

// tree makes a directory of files: those of binfmt's that are named, and what a
// shell command makes in it.
func tree(t *testing.T, files map[string]string, command string) *Survey {
	t.Helper()
	dir := t.TempDir()
	for name, fixture := range files {
		raw, err := os.ReadFile(fixtures + fixture)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(raw))
	}
	if command != "" {
		cmd := exec.Command("sh", "-ec", command)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	listed, err := layer.Scan(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Of(listed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, name string) platform.Platform {
	t.Helper()
	if name == "" {
		return platform.Platform{}
	}
	p, err := platform.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// archive is a command that makes a static library of C source.
func archive(source string) string {
	return "printf '%s' '" + source + "' > a.c && cc -O2 -fPIC -c a.c && ar rcs liba.a a.o && rm a.c a.o"
}

func TestThePlatformIsThatOfAllFilesTogether(t *testing.T) {
	host := runtime.GOARCH
	for _, c := range []struct {
		name    string
		files   map[string]string
		command string
		given   string
		want    string
	}{
		{"nothing compiled", nil, "echo > a.h", "", "any"},
		{"nothing compiled, and a word of the user's", nil, "echo > a.h", "linux/arm64 musl", "linux/arm64 musl"},
		{"a library and headers", map[string]string{"a.o": "elf-aarch64-linux-gnu"}, "echo > a.h", "", "linux/arm64"},
		{"what the bytes do not say", map[string]string{"a.o": "elf-aarch64-linux-gnu"}, "", "aarch64-linux-musl", "linux/arm64 musl"},
		{"the libc of a shared twin", map[string]string{"a.so": "elf-amd64-musl-shared", "a.o": "elf-amd64-v3"}, "", "", "linux/amd64/v3 musl"},
		{"macOS and its version", map[string]string{"a.o": "macho-arm64"}, "", "darwin/arm64 99", "darwin/arm64 99"},
		{"a universal library is for all that it has", map[string]string{"a.a": "macho-universal-archive"}, "", "", "darwin/any 12.0"},
		{"one part of a universal library", map[string]string{"a.a": "macho-universal-archive"}, "", "darwin/amd64", "darwin/amd64 10.13"},
		{"no floor where the libc is not known", nil, archive("int getentropy(void *, unsigned long); int f(void) { return getentropy(0, 0); }"), "", "linux/" + host},
		{"a floor that is estimated", nil, archive("int getentropy(void *, unsigned long); int f(void) { return getentropy(0, 0); }"), "linux/any glibc", "linux/" + host + " glibc 2.25"},
		{"a floor of the user's word", nil, archive("int getentropy(void *, unsigned long); int f(void) { return getentropy(0, 0); }"), "linux/any glibc 2.17", "linux/" + host + " glibc 2.17"},
		{"the floor of a shared twin, with which nothing is to be guessed", nil, archive("unsigned long strlcpy(char *, const char *, unsigned long); char b[2]; int f(void) { return strlcpy(b, b, 1); }") +
			" && printf 'int f(void) { return 0; } int puts(const char *); int g(void) { return puts(\"\"); }' > b.c && cc -shared -fPIC b.c -o liba.so.1 && rm b.c", "", "linux/" + host + " glibc 2.2.5"},
		{"what nothing but glibc has", nil, archive("int pidfd_open(int, unsigned); unsigned long strlcpy(char *, const char *, unsigned long); char b[2]; int f(void) { return pidfd_open(0, 0) + strlcpy(b, b, 1); }"), "", "linux/" + host + " glibc 2.38"},
		{"what another library of the package defines", nil, archive("unsigned long strlcpy(char *, const char *, unsigned long); char b[2]; int f(void) { return strlcpy(b, b, 1); }") +
			" && printf 'unsigned long strlcpy(char *a, const char *b, unsigned long n) { return *a + *b + n; }' > b.c && cc -fPIC -c b.c && ar rcs libb.a b.o && rm b.c b.o", "linux/any glibc", "linux/" + host + " glibc"},
		{"musl, by the user's word", nil, archive("int pidfd_open(int, unsigned); int f(void) { return pidfd_open(0, 0); }"), "linux/any musl", "linux/" + host + " musl"},
		{"musl has no floors", nil, archive("int getentropy(void *, unsigned long); int f(void) { return getentropy(0, 0); }"), "linux/any musl", "linux/" + host + " musl"},
	} {
		s, given := tree(t, c.files, c.command), parse(t, c.given)
		got, err := s.Platform(given)
		s.Estimate(&got, given)
		if err != nil || got.String() != c.want {
			t.Errorf("%s: %v, %v; want %s", c.name, got, err, c.want)
		}
		if got.LibcEstimated != (strings.Contains(c.name, "estimated") || strings.Contains(c.name, "nothing but glibc")) {
			t.Errorf("%s: estimated is %t", c.name, got.LibcEstimated)
		}
	}
}

func TestFilesForDifferentPlatformsAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		files map[string]string
		given string
		words []string
	}{
		{map[string]string{"lib/a.o": "elf-aarch64-linux-gnu", "lib/b.o": "macho-arm64"}, "", []string{"lib/a.o is for linux/arm64", "lib/b.o is for darwin/arm64", "--platform any"}},
		{map[string]string{"a.so": "elf-amd64-musl-shared"}, "linux/any glibc", []string{"glibc", "a.so is for linux/amd64 musl"}},
		{map[string]string{"a.a": "macho-universal-archive"}, "darwin/386", []string{"a.a is universal", "no code for 386"}},
		{map[string]string{"a.o": "coff-msvc"}, "x86_64-w64-mingw32", []string{"windows/amd64 gnu", "a.o is for windows/amd64 msvc"}},
	} {
		_, err := tree(t, c.files, "").Platform(parse(t, c.given))
		if !errors.Is(err, errdef.ErrPlatform) {
			t.Errorf("%v, given %q: %v, want an error about the platform", c.files, c.given, err)
			continue
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%v does not say %q", err, word)
			}
		}
	}
}

func TestLintNamesTheFileAndWhatIsWrongWithIt(t *testing.T) {
	const shared = "printf 'int puts(const char *); int f(void) { return puts(\"f\"); }' > a.c && cc -shared -fPIC a.c -o libf.so.1 %s && rm a.c"
	amd64 := parse(t, "linux/amd64")
	for _, c := range []struct {
		name    string
		files   map[string]string
		command string
		options LintOptions
		want    string // of the only line; empty for none
	}{
		{"a library without a fault", nil, strings.Replace(shared, "%s", "-Wl,-soname,libf.so.1 && ln -s libf.so.1 libf.so", 1), LintOptions{MaxGlibc: "2.36"}, ""},
		{"no soname", nil, strings.Replace(shared, "%s", "&& ln -s libf.so.1 libf.so", 1), LintOptions{CPS: located("libf.so.1")}, "libf.so.1: no soname"},
		{"a plugin without a soname", nil, strings.Replace(shared, "%s", "", 1), LintOptions{CPS: withFlags()}, ""},
		{"a run path of the build", nil, strings.Replace(shared, "%s", "-Wl,-soname,libf.so.1,-rpath,/home/ci/build", 1), LintOptions{}, "libf.so.1: it looks for libraries in /home/ci/build"},
		{"a run path of its own", nil, strings.Replace(shared, "%s", "'-Wl,-soname,libf.so.1,-rpath,$ORIGIN/../lib:/usr/lib/x'", 1), LintOptions{}, ""},
		{"an install name below @rpath", map[string]string{"libadd.dylib": "macho-amd64-dylib"}, "", LintOptions{}, ""},
		{"code that is not position-independent", map[string]string{"a.o": "elf-amd64-nopic"}, "", LintOptions{Platform: amd64}, "a.o: code that is not position-independent"},
		{"intermediate representation", map[string]string{"a.o": "elf-amd64-slim-lto"}, "", LintOptions{}, "a.o: holds the intermediate representation of a compiler, GCC's"},
		{"a file of another platform", map[string]string{"a.o": "elf-aarch64-linux-gnu", "b.o": "macho-arm64"}, "", LintOptions{}, "b.o: for another platform, darwin/arm64"},
		{"a link that dangles", nil, "echo > a.h && ln -s b.h c.h", LintOptions{}, "c.h (to b.h): a link to what is not in the package"},
		{"documentation that dangles", nil, "mkdir -p usr/share/doc/a && ln -s ../b/NEWS usr/share/doc/a/NEWS && echo > a.h", LintOptions{}, ""},
		{"links that dangle, libraries first", nil, "mkdir -p bin lib && ln -s b bin/a && for i in 1 2 3 4; do ln -s no lib/lib$i.so; done", LintOptions{}, "lib/lib1.so (to no), lib2.so (to no), lib3.so (to no) and 2 more: a link to what is not in the package"},
		{"hidden files", nil, "mkdir -p lib/pkgconfig && touch lib/._libz.a lib/.libz.a.swp lib/pkgconfig/._z.pc lib/pkgconfig/._z.cps .gitignore lib/libz.h", LintOptions{}, "lib/._libz.a, .libz.a.swp, lib/pkgconfig/._z.cps and 1 more: a hidden file"},
		{"code for programs alone", nil, "printf 'extern int n; int f(void) { return n; }' > a.c && cc -fPIE -c a.c && ar rcs liba.a a.o && ar rcs libb.a a.o && rm a.c a.o", LintOptions{}, "liba.a, libb.a: code for programs alone (-fPIE)"},
		{"links that lead somewhere", nil, "mkdir -p d/e && echo > d/e/a.h && ln -s e d/f && ln -s d/f/a.h g.h && ln -s ../d d/h", LintOptions{}, ""},
		{"links in circles", nil, "echo > a.h && ln -s c.h b.h && ln -s b.h d.h && ln -s d.h c.h", LintOptions{}, "b.h (to c.h), c.h (to d.h), d.h (to b.h): a link"},
		{"too new a glibc", nil, archive("int getentropy(void *, unsigned long); int f(void) { return getentropy(0, 0); }"), LintOptions{MaxGlibc: "2.24"}, "liba.a: it can be linked on glibc 2.25 or later"},
		{"a glibc that is not too new", nil, archive("int getentropy(void *, unsigned long); int f(void) { return getentropy(0, 0); }"), LintOptions{MaxGlibc: "2.25"}, ""},
		{"what a library that it is linked with has", nil, archive("unsigned long strlcpy(char *, const char *, unsigned long); char b[2]; int f(void) { return strlcpy(b, b, 1); }"), LintOptions{MaxGlibc: "2.24", CPS: withFlags("-lbsd")}, ""},
		{"what musl does not have", nil, archive("int fcntl64(int), open64(int), mseal(int), qsort_r(int), gnu_get_libc_version(void); int f(void) { return fcntl64(0) + open64(0) + mseal(0) + qsort_r(0) + gnu_get_libc_version(); }"),
			LintOptions{Platform: parse(t, "linux/any musl")}, "liba.a: it needs fcntl64, gnu_get_libc_version, mseal and 1 more symbols of glibc, which musl does not have"},
		{"what musl has", nil, archive("unsigned long strlen(const char *), strlcpy(char *, const char *, unsigned long); char b[2]; int f(void) { return strlcpy(b, b, strlen(b)); }"), LintOptions{Platform: parse(t, "linux/any musl")}, ""},
		{"a thin archive", nil, "printf 'int f;' > a.c && cc -c a.c && ar rcsT liba.a a.o && rm a.c", LintOptions{}, "liba.a: is a thin archive"},
		{"a path of the build", nil, "echo > a.h", LintOptions{CPS: withFlags("-L/home/ci/lib", "-L@prefix@/lib", "-L/usr/lib/x")}, "the link description names /home/ci/lib"},
	} {
		s := tree(t, c.files, c.command)
		s.LinkedWith(c.options.CPS, nil)
		found := s.Lint(c.options)
		switch {
		case c.want == "" && len(found) == 0:
		case c.want != "" && len(found) == 1 && strings.HasPrefix(found[0], c.want):
		default:
			t.Errorf("%s: %q, want %q", c.name, found, c.want)
		}
	}
}

// The linker of this system makes no dylib.
func TestAnInstallNameThatIsAPathIsTold(t *testing.T) {
	for name, want := range map[string]bool{
		"/usr/local/lib/liba.dylib": true, "liba.dylib": true, "/Users/x/lib/liba.dylib": true, "@@HOMEBREW_PREFIX@@/opt/a/lib/liba.dylib": true,
		"@rpath/liba.dylib": false, "@loader_path/liba.dylib": false, "/usr/lib/liba.dylib": false,
	} {
		s := &Survey{compiled: []compiled{{"liba.dylib", &binfmt.File{Format: binfmt.FormatMachO, Kind: binfmt.KindShared, Soname: name}}}}
		if found := s.Lint(LintOptions{}); len(found) == 1 && strings.Contains(found[0], name) != want || len(found) > 1 || len(found) == 0 && want {
			t.Errorf("%s: %q", name, found)
		}
	}
}

func TestNamesThatSharedLibrariesLackAreToldOnOneLine(t *testing.T) {
	document := &cps.Package{Name: "a", Components: map[string]*cps.Component{}}
	command := "mkdir lib"
	add := func(name, location, soname string) {
		c := &cps.Component{Type: cps.Dylib}
		c.Location, c.Soname = "@prefix@/"+location, soname
		document.Components[name] = c
		command += "; : > " + location
	}
	add("a", "lib/liba.so", "liba.so.1")
	add("b", "lib/libb.so.2.0", "libb.so.2")
	command += "; ln -s libb.so.2.0 lib/libb.so.2"
	for _, name := range []string{"c", "d", "e", "f"} {
		add(name, "lib/lib"+name+".so", "lib"+name+".so.1")
	}
	add("whole", "lib/libw.so.1", "")
	command += "; ln -s libw.so.1 lib/libw.so"
	got := tree(t, nil, command).Lint(LintOptions{CPS: document})
	want := []string{
		"lib/liba.so (liba.so.1), lib/libc.so (libc.so.1), lib/libd.so (libd.so.1) and 2 more: no file beside it has its soname, by which programs ask for it; add a link of that name",
		"lib/libb.so.2.0 (libb.so): no file beside it has the name by which it is linked; add a link of that name",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// located describes a package with the libraries in these files.
func located(files ...string) *cps.Package {
	p := &cps.Package{Name: "a", Components: map[string]*cps.Component{}}
	for _, file := range files {
		c := &cps.Component{Type: cps.Dylib}
		c.Location = "@prefix@/" + file
		p.Components[file] = c
	}
	return p
}

func withFlags(flags ...string) *cps.Package {
	component := &cps.Component{Type: cps.Interface}
	component.LinkFlags = flags
	return &cps.Package{Name: "a", Components: map[string]*cps.Component{"a": component}}
}

func TestWhatNeitherThePackageNorItsDependenciesHaveIsTold(t *testing.T) {
	const told = ": needed, and in neither the package nor [dependencies], so that builds take the system's"
	required := func(name string, locations ...string) map[string]*cps.Package {
		p := located(locations...)
		p.Name = name
		return map[string]*cps.Package{name: p}
	}
	linux := parse(t, "linux/amd64")
	for name, c := range map[string]struct {
		needed  string // of lib/libf.so
		change  func(*LintOptions)
		command string
		want    string
	}{
		"what every system has":           {"libc.so.6 libm.so.6 libstdc++.so.6 libgcc_s.so.1 ld-linux-x86-64.so.2", nil, "", ""},
		"another library":                 {"libz.so.1 libssl.so.3 libc.so.6", nil, "", "libz.so.1, libssl.so.3" + told},
		"many":                            {"liba.so.1 libb.so.1 libc1.so.1 libd.so.1 libe.so.1", nil, "", "liba.so.1, libb.so.1, libc1.so.1 and 2 more" + told},
		"one of the package":              {"libz.so.1", nil, "touch lib/libz.so.1", ""},
		"one of a dependency":             {"libz.so.1", func(o *LintOptions) { o.Required = required("zlib", "lib/libz.so.1.3") }, "", ""},
		"none of the dependency":          {"libz.so.1", func(o *LintOptions) { o.Required = required("png", "lib/libpng16.so.16") }, "", "libz.so.1" + told},
		"dependencies that are not there": {"libz.so.1", func(o *LintOptions) { o.RequiredUnknown = true }, "", ""},
		"one that the producer names":     {"libz.so.1", func(o *LintOptions) { o.SystemLibs = []string{"z"} }, "", ""},
		"by name and as it is loaded":     {"libz.so.1", func(o *LintOptions) { o.CPS.Components["lib/libf.so"].LinkLibraries = []string{"z", "m", "y"} }, "", "libz.so.1, -ly" + told},
		"a module": {"", func(o *LintOptions) {
			o.CPS.Requires = map[string]*cps.Requirement{"libffi": {}, "zlib": {}}
			o.Required = required("zlib")
		}, "", "the module libffi" + told},
		"names on macOS": {"/usr/lib/libz.1.dylib @rpath/libf.so", func(o *LintOptions) {
			o.Platform = parse(t, "darwin/arm64")
			o.CPS.Components["lib/libf.so"].LinkLibraries = []string{"z"}
		}, "", ""},
		"DLLs":                             {"WS2_32.dll", func(o *LintOptions) { o.Platform = parse(t, "windows/amd64") }, "", ""},
		"one where no program looks":       {"libp.so.1", nil, "mkdir lib/private && touch lib/private/libp.so.1", "lib/libf.so: it needs libp.so.1, which is in lib/private, where no program looks for it"},
		"one where the library looks":      {"libp.so.1 $ORIGIN/private", nil, "mkdir lib/private && touch lib/private/libp.so.1", ""},
		"a library that no one links with": {"libz.so.1", func(o *LintOptions) { o.CPS = withFlags() }, "", ""},
	} {
		s := tree(t, nil, "mkdir lib && touch lib/libf.so;"+c.command)
		info := &binfmt.File{Format: binfmt.FormatELF, Kind: binfmt.KindShared, Soname: "libf.so", Platform: binfmt.Platform{OS: "linux", Architecture: "amd64"}}
		for _, needed := range strings.Fields(c.needed) {
			if strings.HasPrefix(needed, "$") {
				info.RunPath = []string{needed}
				continue
			}
			info.Needed = append(info.Needed, needed)
		}
		s.compiled = []compiled{{"lib/libf.so", info}}
		options := LintOptions{Platform: linux, CPS: located("lib/libf.so")}
		if c.change != nil {
			c.change(&options)
		}
		switch options.Platform.OS {
		case "darwin":
			info.Format, info.Soname, info.Platform = binfmt.FormatMachO, "@rpath/libf.so", binfmt.Platform{OS: "darwin", Architecture: "arm64"}
		case "windows":
			info.Format, info.Platform = binfmt.FormatPE, binfmt.Platform{OS: "windows", Architecture: "amd64"}
		}
		if found := s.Lint(options); len(found) > 1 || !strings.HasPrefix(strings.Join(found, ""), c.want) || c.want == "" && len(found) > 0 {
			t.Errorf("%s: %q, want %q", name, found, c.want)
		}
	}
}

func TestTextsThatNameTheMachineOfTheBuildAreTold(t *testing.T) {
	const stored = "/data/ocipkg/v1/packages/sha256/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/root"
	for name, c := range map[string]struct{ file, text, want string }{
		"a script with a prefix":  {"bin/x-config", "#!/bin/sh\nprefix=/home/me/x\necho -L$prefix/lib\n", "bin/x-config: it names paths of the machine"},
		"a module with a prefix":  {"lib/pkgconfig/x.pc", "prefix=/home/me/x\nLibs: -L/home/me/x/lib -lx\n", ""},
		"a module with another":   {"lib/pkgconfig/x.pc", "prefix=/home/me/x\nLibs: -L/home/me/xy/lib -lx\n", "lib/pkgconfig/x.pc: it names paths of the machine"},
		"a module with the store": {"lib/pkgconfig/x.pc", "prefix=/home/me/x\nLibs: -L" + stored + "/lib -lz\n", "lib/pkgconfig/x.pc: it names a package in the store"},
		"CMake's":                 {"lib/cmake/x/x-targets.cmake", "set(_DEPS \"" + stored + "/lib/libz.a\")", "lib/cmake/x/x-targets.cmake: it names a package in the store"},
		"CMake's of a system":     {"lib/cmake/x/x-targets.cmake", "get_filename_component(P \"${F}/tmp/x\" PATH) # /usr/lib /etc/x", ""},
		"a script of Homebrew":    {"bin/x-config", "prefix=@@HOMEBREW_CELLAR@@/x/1", "bin/x-config: it has Homebrew's marks"},
		"a program":               {"bin/x-config", "\x7fELF\x00 /home/me/x", ""},
		"what is none of these":   {"include/x.h", "#define X \"/home/me/x\"", ""},
	} {
		s := tree(t, nil, "touch a.h")
		file := filepath.Join(t.TempDir(), filepath.FromSlash(c.file))
		write(t, file, c.text)
		entry, err := layer.Entry(file, c.file, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, entry)
		if found := s.Lint(LintOptions{}); len(found) > 1 || !strings.HasPrefix(strings.Join(found, ""), c.want) || c.want == "" && len(found) > 0 {
			t.Errorf("%s: %q, want %q", name, found, c.want)
		}
	}
}

func TestPathsOfOtherMachinesAreTold(t *testing.T) {
	got := absolutePaths(withFlags("-Wl,-rpath,/build/lib", `C:\build\x.lib`, "/build/lib/liba.a", "-I/usr/include/x", "-DX=/y", "@prefix@/lib/liba.a"))
	if want := []string{"/build/lib", "/build/lib/liba.a", "/y", `C:\build\x.lib`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
