package platforms

import (
	"debug/elf"
	"debug/pe"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// user publishes the library for all platforms under one name, and gives
// somebody else who has got none yet, with the C program that uses it.
func user(t *testing.T) (s *program.Session, name string) {
	t.Helper()
	return userWith(t, program.Options{})
}

func userWith(t *testing.T, options program.Options) (s *program.Session, name string) {
	t.Helper()
	registry := registrytest.StartMemory(t)
	name = registry.Host + "/acme/where:1"
	producer(t).Run("ocipkg", append(append([]string{"push"}, archives()...), name)...).OK()
	s = program.New(t, options)
	s.WriteFile("main.c", useWhere, 0o644)
	return s, name
}

// crossBuild is one way in which a program for a platform is built, and is
// checked.
type crossBuild struct {
	name    string // of the build in builds
	machine elf.Machine
	static  bool
	run     []string // what runs the program here; nil when nothing can
}

var (
	native  = crossBuild{name: "glibc", machine: elf.EM_X86_64, run: []string{}}
	musl    = crossBuild{name: "musl", machine: elf.EM_X86_64, static: true, run: []string{}}
	arm64   = crossBuild{name: "arm64", machine: elf.EM_AARCH64, run: []string{"qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"}}
	windows = crossBuild{name: "windows"}
)

// check checks a program by what is in it, and where it can be run by what it
// prints.
func (c crossBuild) check(t *testing.T, s *program.Session, file string) {
	t.Helper()
	i := slices.IndexFunc(builds, func(b build) bool { return b.name == c.name })
	says := builds[i].says
	path := filepath.Join(s.Dir, file)
	if c.run == nil {
		f, err := pe.Open(path)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		defer f.Close()
		if f.Machine != pe.IMAGE_FILE_MACHINE_AMD64 || f.Characteristics&pe.IMAGE_FILE_EXECUTABLE_IMAGE == 0 {
			t.Errorf("%s: the program is for machine %#x, with the characteristics %#x", c.name, f.Machine, f.Characteristics)
		}
		if out := s.Run("strings", "-a", file).OK().Stdout; !strings.Contains(out, says) {
			t.Errorf("%s: the program does not have %q in it", c.name, says)
		}
		return
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	defer f.Close()
	hasInterpreter := slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if f.Machine != c.machine || hasInterpreter == c.static {
		t.Errorf("%s: the program is for %s, and asks for a loader: %t", c.name, f.Machine, hasInterpreter)
	}
	command := append(slices.Clone(c.run), "./"+file)
	if got := s.Run(command[0], command[1:]...).OK().Stdout; got != "built for "+says+"\n" {
		t.Errorf("%s: the program says %q", c.name, got)
	}
}

func TestCgoTakesThePackageOfGOOSAndGOARCHAndCC(t *testing.T) {
	// The account of the tests, whose build cache has Go's standard library for
	// some of the platforms.
	s, name := userWith(t, program.Options{Privileged: true, Path: []string{filepath.Dir(tool(t, "go"))}})
	s.WriteFile("go/go.mod", "module example.com/app\n\ngo 1.24\n", 0o644)
	s.WriteFile("go/main.go", "package main\n\n// #cgo pkg-config: "+name+"\n// #include <where.h>\n// #include <stdio.h>\n// static void flush(void) { fflush(stdout); }\nimport \"C\"\n\nfunc main() { C.where(C.CString(\"built for\")); C.flush() }\n", 0o644)
	s.Env = append(s.Env, "GOCACHE="+program.GoCache(t), "GOTOOLCHAIN=local", "GOTELEMETRY=off", "GOPROXY=off",
		"PKG_CONFIG=ocipkg-pkg-config", "CGO_ENABLED=1")
	for _, c := range []struct {
		crossBuild
		env   []string
		flags []string
	}{
		{native, []string{"GOOS=linux", "GOARCH=amd64", "CC=gcc"}, nil},
		{musl, []string{"GOOS=linux", "GOARCH=amd64", "CC=musl-gcc"}, []string{"-ldflags", "-linkmode external -extldflags -static"}},
		{arm64, []string{"GOOS=linux", "GOARCH=arm64", "CC=aarch64-linux-gnu-gcc"}, nil},
		{windows, []string{"GOOS=windows", "GOARCH=amd64", "CC=x86_64-w64-mingw32-gcc"}, nil},
	} {
		before := s.Env
		s.Env = append(slices.Clone(before), c.env...)
		s.Run("go", append([]string{"build", "-C", "go", "-o", "../app-" + c.name}, c.flags...)...).OK()
		s.Env = before
		c.check(t, s, "app-"+c.name)
	}
}

func TestCMakeTakesThePackageOfItsToolchainFile(t *testing.T) {
	s, name := user(t)
	s.WriteFile("CMakeLists.txt", `cmake_minimum_required(VERSION 3.24)
project(app C)
include(ocipkg)
ocipkg_add_package(NAME where IMAGE `+name+`)
add_executable(app main.c)
target_link_libraries(app PRIVATE where::where)
`, 0o644)
	modules := strings.TrimSpace(s.Run("ocipkg", "cmake-dir").OK().Stdout)
	for _, c := range []struct {
		crossBuild
		toolchain string
		program   string
	}{
		{native, "", "app"},
		{musl, "set(CMAKE_C_COMPILER musl-gcc)\nset(CMAKE_EXE_LINKER_FLAGS -static)\n", "app"},
		{arm64, "set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_SYSTEM_PROCESSOR aarch64)\nset(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)\n", "app"},
		{windows, "set(CMAKE_SYSTEM_NAME Windows)\nset(CMAKE_SYSTEM_PROCESSOR x86_64)\nset(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc)\n", "app.exe"},
	} {
		s.WriteFile(c.name+".cmake", c.toolchain, 0o644)
		s.Run("cmake", "-S", ".", "-B", "build-"+c.name, "-DCMAKE_TOOLCHAIN_FILE="+filepath.Join(s.Dir, c.name+".cmake"), "-DCMAKE_MODULE_PATH="+modules).OK()
		s.Run("cmake", "--build", "build-"+c.name).OK()
		c.check(t, s, "build-"+c.name+"/"+c.program)
	}
}

// triples makes links by which pkg-config is called for a target, first on the
// user's path.
func triples(t *testing.T, s *program.Session) {
	t.Helper()
	command := strings.TrimSpace(s.Run("sh", "-c", "command -v ocipkg-pkg-config").OK().Stdout)
	s.Run("mkdir", "tools").OK()
	for _, triple := range []string{"aarch64-linux-gnu", "x86_64-linux-musl", "x86_64-w64-mingw32"} {
		s.Run("ln", "-s", command, "tools/"+triple+"-pkg-config").OK()
	}
	path := strings.TrimSpace(s.Run("sh", "-c", "echo $PATH").OK().Stdout)
	s.Env = append(s.Env, "PATH="+filepath.Join(s.Dir, "tools")+":"+path)
}

func TestMesonTakesThePackageOfItsCrossFile(t *testing.T) {
	s, name := user(t)
	triples(t, s)
	s.WriteFile("meson.build", "project('app', 'c')\nexecutable('app', 'main.c', dependencies: dependency('"+name+"', static: true))\n", 0o644)
	for _, c := range []struct {
		crossBuild
		triple, compiler, system, cpu, program string
		options                                []string
	}{
		{arm64, "aarch64-linux-gnu", "aarch64-linux-gnu-gcc", "linux", "aarch64", "app", nil},
		{musl, "x86_64-linux-musl", "musl-gcc", "linux", "x86_64", "app", []string{"-Dc_link_args=-static"}},
		{windows, "x86_64-w64-mingw32", "x86_64-w64-mingw32-gcc", "windows", "x86_64", "app.exe", nil},
	} {
		s.WriteFile(c.name+".ini", "[binaries]\nc = '"+c.compiler+"'\nstrip = 'strip'\npkgconfig = '"+c.triple+"-pkg-config'\n"+
			"[host_machine]\nsystem = '"+c.system+"'\ncpu_family = '"+c.cpu+"'\ncpu = '"+c.cpu+"'\nendian = 'little'\n", 0o644)
		s.Run("meson", append([]string{"setup", "build-" + c.name, "--cross-file", c.name + ".ini"}, c.options...)...).OK()
		s.Run("ninja", "-C", "build-"+c.name).OK()
		c.check(t, s, "build-"+c.name+"/"+c.program)
	}
}

func TestAutotoolsTakeThePackageOfTheirHost(t *testing.T) {
	s, name := user(t)
	triples(t, s)
	s.WriteFile("configure.ac", "AC_INIT([app], [1.0])\nAM_INIT_AUTOMAKE([foreign])\nAC_PROG_CC\nPKG_CHECK_MODULES([WHERE], ["+name+"])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n", 0o644)
	s.WriteFile("Makefile.am", "bin_PROGRAMS = app\napp_SOURCES = main.c\napp_CFLAGS = $(WHERE_CFLAGS)\napp_LDADD = $(WHERE_LIBS)\n", 0o644)
	s.Run("autoreconf", "-i").OK()
	for _, c := range []struct {
		crossBuild
		host, program string
	}{
		{arm64, "aarch64-linux-gnu", "app"},
		{windows, "x86_64-w64-mingw32", "app.exe"},
	} {
		s.Run("mkdir", "build-"+c.name).OK()
		s.Run("sh", "-c", "cd build-"+c.name+" && ../configure --host="+c.host+" && make").OK()
		c.check(t, s, "build-"+c.name+"/"+c.program)
	}
}

// No linker for macOS has its system's libraries here, so that what is linked is
// a library that needs none.
func TestTheLinkerForMacOSTakesItsOwn(t *testing.T) {
	s, name := user(t)
	s.WriteFile("app.c", "const char *where(const char *);\nconst char *app(void) { return where(\"\"); }\n", 0o644)
	s.Run("clang", "-target", "arm64-apple-macos12", "-ffreestanding", "-c", "app.c").OK()
	libs := strings.Fields(s.Run("ocipkg", "link", "--libs", "--target", "arm64-apple-macos12", name).OK().Stdout)
	s.Run("lld", append([]string{"-flavor", "darwin", "-arch", "arm64", "-platform_version", "macos", "12.0", "12.0", "-dylib", "-o", "app.dylib", "app.o"}, libs...)...).OK()
	if out := s.Run("llvm-objdump", "--macho", "--syms", "app.dylib").OK().Stdout; !strings.Contains(out, "_where") {
		t.Errorf("the library does not have the function of the package: %s", out)
	}
	if out := s.Run("strings", "-a", "app.dylib").OK().Stdout; !strings.Contains(out, "arm64 and macOS") {
		t.Errorf("the library is not that for macOS: %s", out)
	}
}
