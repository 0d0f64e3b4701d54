//go:build linux

package pkgconfigcmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const greet = "localhost:1/acme/greet:1"

// loadGreet puts a package with libgreet.a, which needs the system's sysdep,
// into the store, and gives its root.
func loadGreet(s *session) string {
	s.t.Helper()
	s.build("greet/lib/libgreet.a", "int greet(void) { return 42; }")
	s.write("greet/include/greet.h", "int greet(void);\n")
	s.write("greet/lib/pkgconfig/greet.pc", "prefix=/x\nName: greet\nDescription: of a test\nVersion: 1.2\nRequires.private: sysdep >= 2\n"+
		"Cflags: -I${prefix}/include\nLibs: -L${prefix}/lib -lgreet\n")
	return s.root(s.load(filepath.Join(s.base, "greet"), greet))
}

// system adds a module to those that the real pkg-config knows.
func (s *session) system(name, version, more string) {
	s.write("PC/"+name+".pc", "Name: "+name+"\nDescription: of the system\nVersion: "+version+"\nCflags: -I/sys/"+name+"\nLibs: -L/sys/lib -l"+name+"\n"+more)
}

func TestOursComeBeforeTheSystemsInOneAnswer(t *testing.T) {
	s := newSession(t)
	root := quoted(loadGreet(s))
	s.system("sysdep", "2.1", "Libs.private: -lsysprivate\n")
	s.system("other", "3", "Requires: greet\n")
	ours := "-I" + root + "/include "
	linked := "-L" + root + "/lib -lgreet "
	for args, want := range map[string]string{
		"--cflags " + greet:                       ours + "-I/sys/sysdep \n",
		"--libs " + greet:                         linked + "-L/sys/lib -lsysdep \n",
		"--cflags --libs " + greet:                ours + linked + "-I/sys/sysdep -L/sys/lib -lsysdep \n",
		"--libs --static " + greet:                linked + "-L/sys/lib -lsysdep -lsysprivate \n",
		"--libs --shared " + greet:                linked + "-L/sys/lib -lsysdep \n", // there is only the archive
		"--libs-only-l sysdep " + greet:           "-lgreet -lsysdep \n",
		"--libs-only-l " + greet + " other":       "-lgreet -lother -lgreet -lsysdep \n",
		"--modversion sysdep " + greet:            "2.1\n1.2\n",
		"--variable=prefix " + greet + " other":   strings.ReplaceAll(root, `\`, "") + " \n",
		"--exists " + greet + " other":            "",
		"--atleast-version=3 " + greet + " other": "",
		"--print-requires other " + greet:         "greet\n",
	} {
		if got := s.answer(strings.Fields(args)...); got != want {
			t.Errorf("%s:\n got %s\nwant %s", args, got, want)
		}
	}
	if r := s.ours("--atleast-version=4", greet, "other"); r.code != 1 {
		t.Errorf("no package has version 4, and the exit code is %d", r.code)
	}
}

func TestASystemPackageThatRequiresOursGetsOurs(t *testing.T) {
	s := newSession(t)
	root := quoted(loadGreet(s))
	s.system("sysdep", "2.1", "")
	s.system("greet", "0.1", "Cflags.private: -DWRONG\n") // too old for the next
	s.system("other", "3", "Requires: greet >= 1\n")
	if got := s.answer("--cflags", "other", greet); got != "-I"+root+"/include -I/sys/other -I"+root+"/include -I/sys/sysdep \n" {
		t.Errorf("got %s", got)
	}
	if r := s.ours("--cflags", "other"); r.code == 0 {
		t.Errorf("without ours in the call the system's greet is too old, and yet it gives %s", r.out)
	}
}

func TestAModuleOfAListedPackageIsOursAndOneOfARequiredPackageTheSystems(t *testing.T) {
	s := newSession(t)
	s.build("foo/lib/libfoo_core.a", "int core(void) { return 42; }")
	s.write("foo/lib/pkgconfig/foo_core.pc", "prefix=/x\nName: foo\nDescription: of a test\nVersion: 1.2\nLibs: -L${prefix}/lib -lfoo_core\n")
	foo := quoted(s.root(s.load(filepath.Join(s.base, "foo"), "localhost:1/acme/foo:1")))
	s.build("bar/lib/libbar.a", "int bar(void) { return 42; }")
	s.write("bar/lib/pkgconfig/bar.pc", "prefix=/x\nName: bar\nDescription: of a test\nVersion: 1\nRequires: sysfoo\nLibs: -L${prefix}/lib -lbar\n")
	s.write("bar/lib/pkgconfig/sysbar.pc", "prefix=/x\nName: bar\nDescription: of a test\nVersion: 1\nLibs: -L${prefix}/lib -lbar\n")
	bar := quoted(s.root(s.load(filepath.Join(s.base, "bar"), "localhost:1/acme/bar:1")))
	s.build("other/lib/libother.a", "int other(void) { return 42; }")
	s.write("other/lib/pkgconfig/sysfoo.pc", "prefix=/x\nName: other\nDescription: of a test\nVersion: 1\nLibs: -L${prefix}/lib -lother\n")
	other := quoted(s.root(s.load(filepath.Join(s.base, "other"), "localhost:1/acme/other:1")))
	s.write("work/ocipkg.toml", "[dependencies]\nfoo = \"localhost:1/acme/foo:1\"\n")
	for _, name := range []string{"foo_core", "sysfoo", "sysbar"} {
		s.system(name, "0.1", "")
	}
	const system = "-L/sys/lib "
	for args, want := range map[string]string{
		"--libs foo_core":                        "-L" + foo + "/lib -lfoo_core \n",
		"--modversion foo_core":                  "1.2\n",
		"--libs sysfoo":                          system + "-lsysfoo \n",
		"--libs sysfoo localhost:1/acme/other:1": "-L" + other + "/lib -lother " + system + "-lsysfoo \n",
		"--libs foo_core sysbar localhost:1/acme/bar:1 localhost:1/acme/other:1": "-L" + foo + "/lib -L" + bar + "/lib -L" + other + "/lib -lfoo_core -lbar -lother " + system + "-lsysbar -lsysfoo \n",
	} {
		if got := s.answer(strings.Fields(args)...); got != want {
			t.Errorf("%s:\n got %s\nwant %s", args, got, want)
		}
	}
	s.write("main.c", "int core(void);\nint main(void) { return core() - 42; }\n")
	s.set("PATH", filepath.Dir(program)+":"+os.Getenv("PATH"))
	for _, way := range []string{"ocipkg-pkg-config --libs foo_core", "ocipkg link foo_core"} {
		if r := s.exec("sh", "-c", `eval "cc ../main.c -o app $(`+way+`)" && ./app`); r.code != 0 {
			t.Errorf("%s: %+v", way, r)
		}
	}
	s.write("work/ocipkg.toml", "[dependencies]\nfoo = \"localhost:1/acme/foo:1\"\ngone = \"localhost:1/acme/gone:1\"\n")
	if line := s.refusal("--libs", "sysfoo"); !strings.Contains(line, `look up sysfoo: the dependency "gone" may have a module of that name`) {
		t.Errorf("got %s", line)
	}
}

func TestAPackageWithoutAVersionClaimsNone(t *testing.T) {
	s := newSession(t)
	const bare = "localhost:1/acme/bare:1.0"
	s.build("bare/lib/libbare.a", "int bare(void) { return 42; }")
	s.load(filepath.Join(s.base, "bare"), bare)
	s.system("other", "3", "Requires: bare\n")
	if got := s.answer("--modversion", bare, "other"); got != "\n3\n" {
		t.Errorf("got %q", got)
	}
	if got := s.answer("--libs-only-l", "other", bare); got != "-lbare -lother -lbare \n" {
		t.Errorf("what requires it: got %q", got)
	}
	for _, args := range [][]string{{"--libs", bare + " >= 1.0"}, {"--libs", bare + " < 2"}, {"--exists", "--print-errors", bare + " = 1.0"}, {"--max-version=9", "--print-errors", bare}} {
		line := s.refusal(args...)
		for _, want := range []string{"does not say which version it is", "version under [package]", "without a version"} {
			if !strings.Contains(line, want) || strings.Contains(line, "tag") {
				t.Errorf("%q: got %s, want %q", args, line, want)
			}
		}
	}
	if r := s.ours("--atleast-version=1", bare); r.code != 1 || r.out+r.err != "" {
		t.Errorf("got %+v", r)
	}
}

func TestASystemPackageGetsOurSharedLibraryWhereThatIsWanted(t *testing.T) {
	s := newSession(t)
	s.build("only/lib/libonly.so", "int only(void) { return 1; }")
	root := quoted(s.root(s.load(filepath.Join(s.base, "only"), "localhost:1/acme/only:1")))
	s.write("work/ocipkg.toml", "[dependencies]\nonly = { image = \"localhost:1/acme/only\", tag = \"1\", shared = true }\n")
	s.system("other", "3", "Requires: only\n")
	want := "-L" + root + "/lib -Wl,--disable-new-dtags -Wl,-rpath," + root + "/lib -lonly "
	if got := s.answer("--libs", "only", "other"); got != want+"-L/sys/lib -lother "+want+"\n" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAPackageCannotMakeTheRealPkgConfigSayWhatItWants(t *testing.T) {
	s := newSession(t)
	s.write("work/evil.pc", "Name: evil\nDescription: of a test\nVersion: 1\nLibs: -fplugin=evil\n")
	s.system("other", "3", "")
	s.build("bad/lib/libbad.a", "int bad(void) { return 1; }")
	s.write("bad/bad.cps", `{"cps_version": "0.13.0", "cps_path": "@prefix@", "name": "bad", "requires": {"REQUIRED": null},
		"components": {"bad": {"type": "archive", "location": "@prefix@/lib/libbad.a", "requires": ["REQUIRED"]}}}`)
	digest := s.load(filepath.Join(s.base, "bad"), "localhost:1/acme/bad:1")
	description := filepath.Join(filepath.Dir(s.root(digest)), "link.json")
	text, err := os.ReadFile(description)
	if err != nil || !strings.Contains(string(text), `"REQUIRED"`) {
		t.Fatalf("the package is described by %s, %v", text, err)
	}
	// A package may come from a packer that checks nothing.
	for _, requirement := range []string{"evil.pc", "./evil.pc", "other evil.pc", "other,evil.pc", `other\nevil.pc`, "--define-variable=a=b", "other >= 1 evil.pc"} {
		if err := os.WriteFile(description, []byte(strings.ReplaceAll(string(text), "REQUIRED", requirement)), 0o644); err != nil {
			t.Fatal(err)
		}
		if line := s.refusal("--libs", "localhost:1/acme/bad:1"); !strings.Contains(line, "cannot be") {
			t.Errorf("%q: got %s", requirement, line)
		}
	}
}

func TestAPackageCannotWriteItsOwnDescription(t *testing.T) {
	s := newSession(t)
	s.system("other", "3", "Requires: bad\n")
	s.build("bad/lib/libbad.a", "int bad(void) { return 1; }")
	s.write("bad/bad.cps", `{"cps_version": "0.13.0", "cps_path": "@prefix@", "name": "bad", "version": "1\nLibs: -fplugin=evil", "components": {"bad":
		{"type": "archive", "location": "@prefix@/lib/libbad.a", "x_ocipkg_pkgconfig": {"name": "bad\nLibs: -fplugin=evil", "version": "1",
		"variables": {"prefix": "/x\nLibs: -fplugin=evil", "x\nLibs": "-fplugin=evil", "Libs: -fplugin=evil\ny": "1"}}}}}`)
	s.load(filepath.Join(s.base, "bad"), "localhost:1/acme/bad:1")
	for _, args := range [][]string{{"--libs", "other"}, {"--libs", "--fragment-filter=L,l,other"}, {"--cflags"}} {
		if r := s.ours(append(args, "localhost:1/acme/bad:1")...); r.code != 0 || strings.Contains(r.out, "-fplugin") {
			t.Errorf("%q: got %+v", args, r)
		}
	}
	for _, args := range [][]string{{"--modversion"}, {"--variable=prefix"}} {
		if got := s.answer(append(args, "localhost:1/acme/bad:1")...); strings.Count(got, "\n") != 1 {
			t.Errorf("%q: got %q", args, got)
		}
	}
}

func TestASystemRootIsNotPutInFrontOfOurs(t *testing.T) {
	s := newSession(t)
	root := quoted(loadGreet(s))
	s.system("sysdep", "2.1", "")
	s.system("other", "3", "Requires: greet >= 1\n")
	s.set("PKG_CONFIG_SYSROOT_DIR", "/target")
	if got := s.answer("--cflags", "other", greet); got != "-I"+root+"/include -I/target/sys/other -I"+root+"/include -I/target/sys/sysdep \n" {
		t.Errorf("got %s", got)
	}
}

func TestOursNeedNoRealPkgConfig(t *testing.T) {
	s := newSession(t)
	s.load(s.treeOf("one"), "localhost:1/acme/one:1")
	loadGreet(s)
	s.set("PATH", s.dir)
	if got := s.answer("--libs-only-l", "--keep-system-libs", "localhost:1/acme/one:1"); got != "-lone \n" {
		t.Errorf("got %q", got)
	}
	if line := s.refusal("--libs", greet); !strings.Contains(line, "look up sysdep >= 2, which packages of this call require") || !strings.Contains(line, "OCIPKG_REAL_PKG_CONFIG") {
		t.Errorf("got %q", line)
	}
}

func TestWhatTheSystemLacksIsSaidInOneLine(t *testing.T) {
	s := newSession(t)
	loadGreet(s)
	if line := s.refusal("--libs", greet); !strings.Contains(line, "sysdep >= 2") || !strings.Contains(line, "not found") {
		t.Errorf("got %s", line)
	}
	s.system("sysdep", "1.0", "")
	if line := s.refusal("--exists", "--print-errors", greet); !strings.Contains(line, "sysdep >= 2") || !strings.Contains(line, "1.0") {
		t.Errorf("got %s", line)
	}
	if r := s.ours("--exists", greet); r.code != 1 || r.err != "" || r.out != "" {
		t.Errorf("a question alone gives exit code %d, %q", r.code, r.err)
	}
	if r := s.ours("--libs", "--errors-to-stdout", greet); r.code != 1 || r.err != "" || strings.Count(r.out, "\n") != 1 {
		t.Errorf("with errors to stdout: %+v", r)
	}
	if r := s.ours("--libs", "--silence-errors", greet); r.code != 1 || r.err != "" || r.out != "" {
		t.Errorf("with errors silenced: %+v", r)
	}
}

func TestCallsForTheSystemAloneAreTheRealPkgConfigs(t *testing.T) {
	s := newSession(t)
	s.system("other", "3", "")
	for _, args := range [][]string{
		{"--cflags", "--libs", "other"}, {"--modversion", "nothing"}, {"--libs", "nothing", "--errors-to-stdout"}, {"--list-all"}, {"--about"},
		{"--bogus"}, {"--digraph", "other"}, {"--exists", "other >= 4", "--print-errors"}, {"--libs", filepath.Join(s.pc(), "other.pc")},
		{"--define-variable=a=b/c", "--variable=a", "other"}, {"--define-variable", "a=b/c", "--variable=a", "other"},
	} {
		ours, theirs := s.ours(args...), s.exec("pkg-config", args...)
		theirs.err = strings.ReplaceAll(theirs.err, "pkg-config:", "pkgconf:")
		if ours != theirs {
			t.Errorf("%q:\n got %+v\nwant %+v", args, ours, theirs)
		}
	}
}

func TestACallWithoutPackagesIsRefused(t *testing.T) {
	s := newSession(t)
	for _, args := range []string{"", "--cflags", "--exists", "--libs --", "--modversion --print-errors"} {
		if line := s.refusal(strings.Fields(args)...); !strings.Contains(line, "at least one name") {
			t.Errorf("%q: got %q", args, line)
		}
	}
	if r := s.ours("--cflags", "--silence-errors"); r.code != 1 || r.err != "" {
		t.Errorf("with errors silenced: got %+v", r)
	}
}

func TestFlagsThatOnlyTheRealPkgConfigKnowsWorkOnOurPackages(t *testing.T) {
	s := newSession(t)
	root := loadGreet(s)
	s.system("sysdep", "2.1", "")
	if got := s.answer("--libs", "--fragment-filter=l", greet); got != "-lgreet -lsysdep \n" {
		t.Errorf("a filter of fragments: got %q", got)
	}
	if got := s.answer("--keep-system-libs", "--libs-only-L", greet); got != "-L"+quoted(root)+"/lib -L/sys/lib \n" {
		t.Errorf("libraries of the system kept: got %q", got)
	}
	if got := s.answer("--print-provides", greet+" >= 1"); got != "greet = 1.2\n" {
		t.Errorf("what is provided: got %q", got)
	}
	if got := s.answer("--define-variable", "prefix=/other/one", "--variable=prefix", greet); got != "/other/one\n" {
		t.Errorf("a variable defined: got %q", got)
	}
	s.write("my lib/libodd.a", "!<arch>\n")
	odd := s.root(s.load(filepath.Join(s.base, "my lib"), "localhost:1/acme/odd:1"))
	if got := s.answer("--libs", "--msvc-syntax", "localhost:1/acme/odd:1"); got != `/libpath:"`+odd+"\" odd.lib \n" {
		t.Errorf("the syntax of MSVC: got %q", got)
	}
}

func TestTheRealPkgConfigIsNeverOurselves(t *testing.T) {
	s := newSession(t)
	s.system("other", "3", "")
	front := filepath.Join(s.base, "front")
	s.write("front/x", "")
	path := front + string(os.PathListSeparator) + os.Getenv("PATH")
	for kind, put := range map[string]func(name string) error{
		"a link": func(name string) error { return os.Symlink(program, name) },
		"a copy": func(name string) error { return exec.Command("cp", program, name).Run() },
		"a script": func(name string) error {
			return os.WriteFile(name, []byte("#!/bin/sh\nexec '"+program+"' \"$@\"\n"), 0o755)
		},
	} {
		name := filepath.Join(front, "pkg-config")
		if err := put(name); err != nil {
			t.Fatal(err)
		}
		s.set("PATH", path)
		if got := s.answer("--libs", "other"); got != "-L/sys/lib -lother \n" {
			t.Errorf("%s that leads to us is first on PATH: got %q", kind, got)
		}
		s.set("PATH", front)
		if line := s.refusal("--libs", "other"); !strings.Contains(line, "other") || !strings.Contains(line, "OCIPKG_REAL_PKG_CONFIG") {
			t.Errorf("%s that leads to us is alone on PATH: got %q", kind, line)
		}
		s.set("PATH", path)
		s.set("OCIPKG_REAL_PKG_CONFIG", name)
		if line := s.refusal("--libs", "other"); !strings.Contains(line, "OCIPKG_REAL_PKG_CONFIG") {
			t.Errorf("%s that leads to us is named as the real one: got %q", kind, line)
		}
		s.set("OCIPKG_REAL_PKG_CONFIG", "")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheRealPkgConfigCanBeNamed(t *testing.T) {
	s := newSession(t)
	real := s.write("my tools/real", "#!/bin/sh\necho \"$@\"\n")
	s.set("OCIPKG_REAL_PKG_CONFIG", real)
	if got := s.answer("--libs", "a b", "--", "c"); got != "--libs a b -- c\n" {
		t.Errorf("got %q", got)
	}
	s.set("OCIPKG_REAL_PKG_CONFIG", real+"-not-there")
	if line := s.refusal("--libs", "other"); !strings.Contains(line, "OCIPKG_REAL_PKG_CONFIG") {
		t.Errorf("got %q", line)
	}
	s.write("my tools/real", "#!/bin/sh\nexit 7\n")
	s.set("OCIPKG_REAL_PKG_CONFIG", real)
	if r := s.ours("--libs", "other"); r.code != 7 {
		t.Errorf("the real one's exit code 7 came out as %d", r.code)
	}
}

func TestACrossCallAsksTheRealPkgConfigOfTheTarget(t *testing.T) {
	s := newSession(t)
	s.write("cross/aarch64-linux-gnu-pkg-config", "#!/bin/sh\necho of-the-target\n")
	s.set("PATH", filepath.Join(s.base, "cross")+string(os.PathListSeparator)+os.Getenv("PATH"))
	front := filepath.Join(s.dir, "aarch64-linux-gnu-pkg-config")
	if err := os.Symlink(program, front); err != nil {
		t.Fatal(err)
	}
	if r := s.exec(front, "--libs", "other"); r.out != "of-the-target\n" {
		t.Errorf("got %+v", r)
	}
}
