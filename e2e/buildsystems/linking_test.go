package buildsystems

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// made is a package that is made for these tests.
type made struct {
	name     string              // of its repository
	toml     string              // its ocipkg.toml; HOST stands for the registry
	archives map[string][]string // source of each object, by the archive's path
	files    map[string]string   // other files; a .pc file begins with what all of them have
}

// The function answer of each package returns 42. What it calls is in objects of their own, so that a linker which goes
// through the archives once and does not find them lacks something.
var madePackages = []made{
	{
		name: "group",
		archives: map[string][]string{
			"lib/liba.a":  {"int b1(void); int answer(void) { return b1(); }", "int b2(void); int a2(void) { return b2(); }"},
			"lib/libb.a":  {"int c1(void); int b1(void) { return c1(); }", "int b2(void) { return 42; }"},
			"lib/libc1.a": {"int a2(void); int c1(void) { return a2(); }"},
		},
		files: map[string]string{"lib/pkgconfig/group.pc": "Libs: -Wl,--start-group ${libdir}/liba.a ${libdir}/libb.a ${libdir}/libc1.a -Wl,--end-group -lm"},
	}, {
		// A linker that goes through them in this order needs three rounds.
		name: "three",
		archives: map[string][]string{
			"lib/liba.a":  {"int c1(void); int answer(void) { return c1(); }", "int a2(void) { return 42; }"},
			"lib/libb.a":  {"int a2(void); int b1(void) { return a2(); }"},
			"lib/libc1.a": {"int b1(void); int c1(void) { return b1(); }"},
		},
		files: map[string]string{"lib/pkgconfig/three.pc": "Libs: -Wl,--start-group ${libdir}/liba.a ${libdir}/libb.a ${libdir}/libc1.a -Wl,--end-group"},
	}, {
		// Nothing but their constructors tells that there are two.
		name: "whole",
		archives: map[string][]string{
			"lib/libcore.a": {"int count; int answer(void) { return count == 2 ? 42 : count; }"},
			"lib/libone.a":  {"extern int count; __attribute__((constructor)) static void add(void) { count++; }"},
			"lib/libtwo.a":  {"extern int count; __attribute__((constructor)) static void add(void) { count++; }"},
		},
		files: map[string]string{"lib/pkgconfig/whole.pc": "Libs: -L${libdir} -Wl,--whole-archive -lone -l:libtwo.a -Wl,--no-whole-archive -lcore"},
	}, {
		name: "again",
		archives: map[string][]string{
			"lib/liba.a": {"int b(void); int answer(void) { return b(); }", "int a2(void) { return 42; }"},
			"lib/libb.a": {"int a2(void); int b(void) { return a2(); }"},
		},
		files: map[string]string{"lib/pkgconfig/again.pc": "Libs: -L${libdir} -la\nLibs.private: -lb -la"},
	}, {
		name: "left", toml: "[package]\nname = \"left\"\n[dependencies]\nright = \"HOST/acme/right:1\"\n",
		archives: map[string][]string{"lib/libleft.a": {"int right1(void); int answer(void) { return right1(); }", "int right2(void); int left2(void) { return right2(); }"}},
		files:    map[string]string{"lib/pkgconfig/left.pc": "Libs: -L${libdir} -lleft\nRequires.private: right"},
	}, {
		name: "right", toml: "[package]\nname = \"right\"\n[dependencies]\nleft = \"HOST/acme/left:1\"\n",
		archives: map[string][]string{"lib/libright.a": {"int left2(void); int right1(void) { return left2(); }", "int right2(void) { return 42; }"}},
		files:    map[string]string{"lib/pkgconfig/right.pc": "Libs: -L${libdir} -lright\nRequires.private: left"},
	}, {
		name:     "needs",
		archives: map[string][]string{"lib/libneeds.a": {"int of_system(void); int answer(void) { return of_system(); }"}},
		files:    map[string]string{"lib/pkgconfig/needs.pc": "Libs: -L${libdir} -lneeds\nRequires: of-system >= 1"},
	}, {
		name:     "lacks",
		archives: map[string][]string{"lib/liblacks.a": {"int answer(void) { return 42; }"}},
		files:    map[string]string{"lib/pkgconfig/lacks.pc": "Libs: -L${libdir} -llacks\nRequires.private: nowhere-to-be-had"},
	}, {
		// Two modules hold one whole archive, of which a second would define everything again.
		name: "twice",
		archives: map[string][]string{
			"lib/libw.a":     {"int need(void); int w(void) { return need(); }"},
			"lib/libneed.a":  {"int need(void) { return 21; }"},
			"lib/libone.a":   {"int w(void); int one(void) { return w(); }"},
			"lib/libother.a": {"int w(void); int other(void) { return w(); }"},
		},
		files: map[string]string{
			"lib/pkgconfig/one.pc":   "Libs: -L${libdir} -lone -Wl,--whole-archive -lw -Wl,--no-whole-archive -lneed",
			"lib/pkgconfig/other.pc": "Libs: -L${libdir} -lother -Wl,--whole-archive -lw -Wl,--no-whole-archive -lneed",
		},
	}, {
		// Without the header, it is not the right answer.
		name:     "forced",
		archives: map[string][]string{"lib/libforced.a": {"int forced_answer(void) { return 42; }", "int answer(void) { return 1; }"}},
		files: map[string]string{
			"include/forced/forced_config.h": "#define answer forced_answer\n",
			"lib/pkgconfig/forced.pc":        "Cflags: -include forced_config.h -I${prefix}/include/forced\nLibs: -L${libdir} -lforced",
		},
	}, {
		name: "several",
		archives: map[string][]string{
			"lib/liba-3.0.a":    {"int answer(void) { return 1; }"},
			"lib/libfoo+-3.0.a": {"int answer(void) { return 42; }"},
		},
		files: map[string]string{
			"lib/pkgconfig/a-3.0.pc":    "Libs: -L${libdir} -la-3.0",
			"lib/pkgconfig/foo+-3.0.pc": "Libs: -L${libdir} -lfoo+-3.0",
		},
	}, {
		name: "configured",
		archives: map[string][]string{
			"lib/libx.a":  {"int answer(void) { return 42; }"},
			"lib/libxd.a": {"int answer(void) { return 1; }"},
		},
		files: map[string]string{"lib/cps/configured.cps": `{"cps_version": "0.13", "name": "configured", "version": "1.0", "cps_path": "@prefix@/lib/cps",
			"components": {"configured": {"type": "archive", "configurations": {
				"debug": {"location": "@prefix@/lib/libxd.a"}, "release": {"location": "@prefix@/lib/libx.a"}}}}}`},
	}, {
		name: "vcpkg",
		archives: map[string][]string{
			"lib/libv.a":        {"int answer(void) { return 42; }"},
			"debug/lib/libvd.a": {"int answer(void) { return 1; }"},
		},
		files: map[string]string{
			"lib/pkgconfig/vcpkg.pc":       "Libs: -L${libdir} -lv",
			"debug/lib/pkgconfig/vcpkg.pc": "Libs: -L${libdir} -lvd",
		},
	},
}

// publishMade publishes the packages in a registry, whose host it returns.
func publishMade(t *testing.T) string {
	t.Helper()
	host := registrytest.StartMemory(t).Host
	producer := program.New(t, program.Options{})
	for _, p := range madePackages {
		dir := filepath.Join(producer.Dir, p.name)
		script := "set -e\n"
		n := 0
		for archive, objects := range p.archives {
			var built []string
			for _, source := range objects {
				n++
				producer.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.c", n)), source+"\n", 0o644)
				script += fmt.Sprintf("cc -fPIC -O1 -c %d.c\n", n)
				built = append(built, fmt.Sprintf("%d.o", n))
			}
			script += fmt.Sprintf("mkdir -p tree/%s\nar rcs tree/%s %s\n", filepath.Dir(archive), archive, strings.Join(built, " "))
		}
		for file, text := range p.files {
			if name, ok := strings.CutSuffix(filepath.Base(file), ".pc"); ok {
				text = "prefix=${pcfiledir}/../..\nlibdir=${prefix}/lib\nName: " + name + "\nDescription: for a test\nVersion: 1.0\n" + text + "\n"
			}
			producer.WriteFile(filepath.Join(dir, "tree", file), text, 0o644)
		}
		producer.WriteFile(filepath.Join(dir, "ocipkg.toml"), strings.ReplaceAll(p.toml, "HOST", host), 0o644)
		producer.Run("sh", "-c", "cd "+p.name+"\n"+script+"ocipkg push tree "+host+"/acme/"+p.name+":1").OK()
	}
	return host
}

// wanted are the names by which programs ask for the packages, by the program's.
func wanted(host string) map[string]string {
	return map[string]string{
		"group": host + "/acme/group:1", "three": host + "/acme/three:1", "whole": host + "/acme/whole:1", "again": host + "/acme/again:1", "circle": host + "/acme/left:1",
		"needs": host + "/acme/needs:1", "forced": host + "/acme/forced:1", "module": host + "/acme/several:1+foo+-3.0", "alias": "foo+-3.0", "listed": "listed",
	}
}

const printAnswer = "int printf(const char *, ...);\nint answer(void);\nint main(void) { printf(\"%d\\n\", answer()); return 0; }\n"

// linkingUser is somebody who links these packages, on a system that has nothing but the module of-system.
func linkingUser(t *testing.T, host string, options program.Options) *program.Session {
	t.Helper()
	s := program.New(t, options)
	system := filepath.Join(s.Home, "system")
	s.WriteFile(filepath.Join(system, "s.c"), "int of_system(void) { return 42; }\n", 0o644)
	s.WriteFile(filepath.Join(system, "pkgconfig/of-system.pc"), "Name: of-system\nDescription: for a test\nVersion: 2\nLibs: -L${pcfiledir}/.. -lof_system\n", 0o644)
	s.Run("sh", "-c", "cd "+system+" && cc -fPIC -c s.c && ar rcs libof_system.a s.o").OK()
	s.WriteFile("main.c", printAnswer, 0o644)
	s.WriteFile("ocipkg.toml", strings.ReplaceAll("[dependencies]\n\"foo+-3.0\" = \"HOST/acme/several:1\"\nlisted = { image = \"HOST/acme/several\", tag = \"1\", modules = [\"foo+-3.0\"] }\n", "HOST", host), 0o644)
	s.Env = append(s.Env, "PKG_CONFIG_LIBDIR="+system+"/pkgconfig", "PKG_CONFIG_PATH=", "OCIPKG_PROJECT="+s.Dir, "PKG_CONFIG=ocipkg-pkg-config")
	return s
}

// checkAnswer runs a program, which says what the function answer returns.
func checkAnswer(t *testing.T, s *program.Session, path, want string) {
	t.Helper()
	if got := s.Run("sh", "-c", path).Stdout; got != want+"\n" {
		t.Errorf("%s says %q, want %s", path, got, want)
	}
}

func TestEveryBuildSystemLinksInTheOrderThatAPackageSays(t *testing.T) {
	host := publishMade(t)
	for name, build := range map[string]func(*testing.T, string){
		"shell": linkByShell, "cgo": linkByGo, "CMake": linkByCMake, "Meson": linkByMeson, "cargo": linkByCargo,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build(t, host)
		})
	}
}

func linkByShell(t *testing.T, host string) {
	s := linkingUser(t, host, program.Options{})
	for name, reference := range wanted(host) {
		for way, flags := range map[string]string{
			"link": "ocipkg link " + reference, "pkg-config": "ocipkg-pkg-config --cflags --libs " + reference,
		} {
			if r := s.Run("sh", "-c", fmt.Sprintf("cc main.c -o app $(%s) && ./app && rm app", flags)); r.Stdout != "42\n" {
				t.Errorf("%s, %s:\n%s", name, way, r)
			}
		}
	}
	s.Run("ocipkg", "link", host+"/acme/lacks:1").Fails(3, "lacks", "nowhere-to-be-had", "neither a package nor the system's pkg-config", "[dependencies]")
	s.Run("ocipkg-pkg-config", "--libs", host+"/acme/lacks:1").Exit(1).Says("nowhere-to-be-had")
}

func linkByGo(t *testing.T, host string) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatalf("%v; install it: https://go.dev/dl", err)
	}
	s := linkingUser(t, host, program.Options{Privileged: true, Path: []string{filepath.Dir(tool)}})
	s.Env = append(s.Env, "GOCACHE="+program.GoCache(t), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTOOLCHAIN=local", "GOTELEMETRY=off")
	s.WriteFile("go.mod", "module example.com/app\n\ngo 1.24\n", 0o644)
	for name, reference := range wanted(host) {
		s.WriteFile(name+"/main.go", "package main\n\n/*\n#cgo pkg-config: "+reference+"\nint answer(void);\n*/\nimport \"C\"\nimport \"fmt\"\n\nfunc main() { fmt.Println(C.answer()) }\n", 0o644)
	}
	s.Run("sh", "-c", "eval $(ocipkg env) && mkdir bin && go build -o bin ./...").OK()
	for name := range wanted(host) {
		checkAnswer(t, s, "bin/"+name, "42")
	}
	// A digest goes between the reference and the module.
	s.Run("ocipkg", "pin", "./module").OK()
	s.Run("grep", "-E", `/acme/several:1@sha256:[0-9a-f]{64}\+foo\+-3\.0$`, "module/main.go").OK()
	s.Run("sh", "-c", "eval $(ocipkg env) && go build -o bin ./module").OK()
	checkAnswer(t, s, "bin/module", "42")
	s.Run("ocipkg", "restore", "./module").OK()
}

func linkByCMake(t *testing.T, host string) {
	s := linkingUser(t, host, program.Options{})
	code := "cmake_minimum_required(VERSION 3.24)\nproject(app C)\ninclude(ocipkg)\nfind_package(PkgConfig REQUIRED)\n"
	for name, reference := range wanted(host) {
		code += strings.NewReplacer("{NAME}", name, "{REF}", reference).Replace(`ocipkg_add_package(NAME {NAME} IMAGE {REF})
add_executable({NAME}-target main.c)
target_link_libraries({NAME}-target PRIVATE {NAME}::{NAME})
add_executable({NAME}-variables main.c)
target_link_libraries({NAME}-variables PRIVATE ${{NAME}_LIBRARIES})
`)
		if name == "three" { // CMake has two rounds for what pkg-config says, and no group
			continue
		}
		code += strings.NewReplacer("{NAME}", name, "{REF}", reference).Replace(`pkg_check_modules(pc-{NAME} REQUIRED IMPORTED_TARGET {REF})
add_executable({NAME}-module main.c)
target_link_libraries({NAME}-module PRIVATE PkgConfig::pc-{NAME})
`)
	}
	s.WriteFile("CMakeLists.txt", code, 0o644)
	s.Run("sh", "-c", `cmake -G Ninja -S . -B build -DCMAKE_MODULE_PATH="$(ocipkg cmake-dir)"`).OK()
	if r := s.Run("cmake", "--build", "build", "--", "-k", "0"); r.ExitCode != 0 {
		t.Errorf("%s", r)
	}
	for name := range wanted(host) {
		for _, way := range []string{"target", "variables", "module"} {
			if name == "forced" && way == "variables" || name == "three" && way == "module" { // no compiler's flags; not built
				continue
			}
			checkAnswer(t, s, "build/"+name+"-"+way, "42")
		}
	}
	s.WriteFile("lacks/CMakeLists.txt", "cmake_minimum_required(VERSION 3.24)\nproject(app C)\ninclude(ocipkg)\nocipkg_add_package(NAME lacks IMAGE "+host+"/acme/lacks:1)\n", 0o644)
	s.Run("sh", "-c", `cmake -S lacks -B lacks/build -DCMAKE_MODULE_PATH="$(ocipkg cmake-dir)"`).Exit(1).Says("nowhere-to-be-had")
}

func linkByMeson(t *testing.T, host string) {
	s := linkingUser(t, host, program.Options{})
	code := "project('app', 'c')\n"
	for name, reference := range wanted(host) {
		code += fmt.Sprintf("executable('%s', 'main.c', dependencies: dependency('%s', static: true))\n", name+"-app", reference)
	}
	s.WriteFile("meson.build", code, 0o644)
	s.Run("meson", "setup", "build").OK()
	if r := s.Run("ninja", "-C", "build", "-k", "0"); r.ExitCode != 0 {
		t.Errorf("%s", r)
	}
	for name := range wanted(host) {
		checkAnswer(t, s, "build/"+name+"-app", "42")
	}
}

func linkByCargo(t *testing.T, host string) {
	path, env := rust(t)
	s := linkingUser(t, host, program.Options{Privileged: true, Path: path, Env: env})
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	s.WriteFile("Cargo.toml", fmt.Sprintf("[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[build-dependencies]\nocipkg = { path = %q }\n", filepath.Join(root, "integrations", "rust")), 0o644)
	s.WriteFile("build.rs", "fn main() {\n    println!(\"cargo:rerun-if-env-changed=PACKAGE\");\n    ocipkg::link_package(&std::env::var(\"PACKAGE\").unwrap()).unwrap();\n}\n", 0o644)
	s.WriteFile("src/main.rs", "extern \"C\" {\n    fn answer() -> i32;\n}\nfn main() {\n    println!(\"{}\", unsafe { answer() });\n}\n", 0o644)
	// What rustc links with by itself, and GNU ld where that is another. Flags reach no build script where a target is named.
	linkers := []string{""}
	if strings.Contains(s.Run("rustc", "-C", "help").OK().Stdout, "linker-features") {
		linkers = append(linkers, "-Clinker-features=-lld")
	}
	target := ""
	for line := range strings.Lines(s.Run("rustc", "-vV").OK().Stdout) {
		if host, ok := strings.CutPrefix(line, "host: "); ok {
			target = strings.TrimSpace(host)
		}
	}
	// An older rustc has no name by which it links a library for a second time.
	once := s.Run("sh", "-c", ": >empty.rs; rustc --crate-type lib -l static:+verbatim=none.a empty.rs").Stderr
	old := strings.Contains(once, "`verbatim` is unstable")
	for _, flags := range linkers {
		for name, reference := range wanted(host) {
			if name == "forced" { // which is for C compilers
				continue
			}
			r := s.Run("env", "RUSTFLAGS="+flags, "PACKAGE="+reference, "cargo", "build", "-q", "--target", target)
			if old && (name == "group" || name == "three" || name == "again" || name == "circle") {
				r.Exit(101).Says("`verbatim` is unstable")
				continue
			}
			if r.ExitCode != 0 {
				t.Errorf("%s, with RUSTFLAGS=%q:\n%s", name, flags, r)
				continue
			}
			checkAnswer(t, s, "target/"+target+"/debug/app", "42")
		}
	}
	s.Run("env", "PACKAGE="+host+"/acme/lacks:1", "cargo", "build", "-q").Exit(101).Says("nowhere-to-be-had")
}

func TestLibrariesForDebuggingAreForDebugBuildsAlone(t *testing.T) {
	host := publishMade(t)
	packages := []string{"configured", "vcpkg"}
	code := "cmake_minimum_required(VERSION 3.24)\nproject(app C)\ninclude(ocipkg)\n"
	for _, name := range packages {
		code += strings.NewReplacer("{NAME}", name, "{REF}", host+"/acme/"+name+":1").Replace("ocipkg_add_package(NAME {NAME} IMAGE {REF})\nadd_executable({NAME}-app main.c)\ntarget_link_libraries({NAME}-app PRIVATE {NAME}::{NAME})\n")
	}
	const usual, debugging = "42", "1"
	for name, test := range map[string]struct {
		arguments string
		want      map[string]string // by the configuration that is built; empty: that of the arguments
	}{
		"Debug":     {"-G Ninja -DCMAKE_BUILD_TYPE=Debug", map[string]string{"": debugging}},
		"Release":   {"-G Ninja -DCMAKE_BUILD_TYPE=Release", map[string]string{"": usual}},
		"several":   {"-G 'Ninja Multi-Config'", map[string]string{"Debug": debugging, "Release": usual, "RelWithDebInfo": usual}},
		"another's": {"-G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_MAP_IMPORTED_CONFIG_DEBUG='Release;'", map[string]string{"": usual}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := linkingUser(t, host, program.Options{})
			s.WriteFile("CMakeLists.txt", code, 0o644)
			s.Run("sh", "-c", `cmake -S . -B build -DCMAKE_MODULE_PATH="$(ocipkg cmake-dir)" `+test.arguments).OK()
			for configuration, want := range test.want {
				s.Run("cmake", slices.DeleteFunc([]string{"--build", "build", "--config=" + configuration}, func(arg string) bool { return arg == "--config=" })...).OK()
				for _, name := range packages {
					checkAnswer(t, s, filepath.Join("build", configuration, name+"-app"), want)
				}
			}
		})
	}
	t.Run("shell", func(t *testing.T) {
		t.Parallel()
		s := linkingUser(t, host, program.Options{})
		for _, name := range packages {
			s.Run("sh", "-c", "cc main.c -o app $(ocipkg link "+host+"/acme/"+name+":1)").OK()
			checkAnswer(t, s, "./app", usual)
		}
	})
}

// A package has libx as a shared library alone, beside an archive that needs it; the system has libx.a with another answer.
func TestAStaticLinkTakesThePackagesSharedLibraryAndNotTheSystemsArchive(t *testing.T) {
	host := registrytest.StartMemory(t).Host
	producer := program.New(t, program.Options{})
	producer.WriteFile("tree/lib/pkgconfig/mixed.pc", "prefix=${pcfiledir}/../..\nName: mixed\nDescription: for a test\nVersion: 1.0\nLibs: -L${prefix}/lib -lmixed -lx\n", 0o644)
	producer.WriteFile("x.c", "int x(void) { return 42; }\n", 0o644)
	producer.WriteFile("mixed.c", "int x(void);\nint answer(void) { return x(); }\n", 0o644)
	producer.Run("sh", "-ec", `cc -fPIC -c mixed.c
ar rcs tree/lib/libmixed.a mixed.o
cc -fPIC -shared -Wl,-soname,libx.so.1 -o tree/lib/libx.so.1 x.c
ln -s libx.so.1 tree/lib/libx.so
ocipkg push tree `+host+`/acme/mixed:1`).OK()

	s := linkingUser(t, host, program.Options{})
	s.Env = append(s.Env, "LIBRARY_PATH="+filepath.Join(s.Home, "system"))
	s.Run("sh", "-ec", "cd "+filepath.Join(s.Home, "system")+"\necho 'int x(void) { return 1; }' >x.c\ncc -fPIC -c x.c\nar rcs libx.a x.o").OK()
	name := host + "/acme/mixed:1"
	s.WriteFile("meson.build", "project('app', 'c')\nexecutable('app', 'main.c', dependencies: dependency('"+name+"', static: true))\n", 0o644)
	s.Run("meson", "setup", "meson").OK()
	s.Run("ninja", "-C", "meson").OK()
	checkAnswer(t, s, "meson/app", "42")

	s.WriteFile("CMakeLists.txt", `cmake_minimum_required(VERSION 3.16)
project(app C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(mixed REQUIRED IMPORTED_TARGET `+name+`)
add_executable(target main.c)
target_link_libraries(target PkgConfig::mixed)
link_directories(${mixed_STATIC_LIBRARY_DIRS})
add_executable(variables main.c)
target_link_libraries(variables ${mixed_STATIC_LIBRARIES})
add_executable(flags main.c)
target_link_libraries(flags ${mixed_STATIC_LDFLAGS})
`, 0o644)
	s.Run("cmake", "-S", ".", "-B", "cmake").OK()
	s.Run("cmake", "--build", "cmake").OK()
	for _, way := range []string{"target", "variables", "flags"} {
		checkAnswer(t, s, "LD_LIBRARY_PATH=$(ocipkg image-directory "+name+")/lib cmake/"+way, "42")
	}
	s.Run("sh", "-c", "cc main.c -o app $(ocipkg-pkg-config --static --libs "+name+")").OK()
	checkAnswer(t, s, "./app", "42")
}

// Above is only there as a shared library, which needs below when it runs; below is there in both kinds.
func TestAProjectFallsBackToSharedLibrariesWhereThereAreNoStaticOnes(t *testing.T) {
	host := registrytest.StartMemory(t).Host
	producer := program.New(t, program.Options{})
	const head = "prefix=${pcfiledir}/../..\nDescription: for a test\nVersion: 1.0\nLibs: -L${prefix}/lib "
	producer.WriteFile("below/lib/pkgconfig/below.pc", head+"-lbelow\nName: below\n", 0o644)
	producer.WriteFile("above/lib/pkgconfig/above.pc", head+"-labove\nName: above\nRequires.private: below\n", 0o644)
	producer.WriteFile("below.c", "int below(void) { return 41; }\n", 0o644)
	producer.WriteFile("above.c", "int below(void);\nint above(void) { return below() + 1; }\n", 0o644)
	producer.Run("sh", "-ec", `cc -fPIC -c below.c
ar rcs below/lib/libbelow.a below.o
cc -fPIC -shared -Wl,-soname,libbelow.so.1 -o below/lib/libbelow.so.1 below.c
ln -s libbelow.so.1 below/lib/libbelow.so
ocipkg push below `+host+`/acme/below:1
cc -fPIC -shared -Wl,-soname,libabove.so -o above/lib/libabove.so above.c below/lib/libbelow.so
printf '[package]\nname = "above"\n[dependencies]\nbelow = "`+host+`/acme/below:1"\n' >ocipkg.toml
ocipkg push above `+host+`/acme/above:1`).OK()

	s := linkingUser(t, host, program.Options{})
	s.WriteFile("main.c", "int printf(const char *, ...);\nint above(void), below(void);\nint main(void) { printf(\"%d\\n\", above() + below() - 41); return 0; }\n", 0o644)
	s.WriteFile("ocipkg.toml", strings.ReplaceAll("[dependencies]\nabove = \"HOST/acme/above:1\"\nbelow = \"HOST/acme/below:1\"\n", "HOST", host), 0o644)
	s.Run("ocipkg", "link").Exit(1).Says(`shared = "fallback"`)
	s.WriteFile("ocipkg.toml", strings.ReplaceAll("[link]\nshared = \"fallback\"\n[dependencies]\nabove = \"HOST/acme/above:1\"\nbelow = \"HOST/acme/below:1\"\n", "HOST", host), 0o644)
	s.WriteFile("meson.build", "project('app', 'c')\nforeach static : [true, false]\n  executable('app-@0@'.format(static), 'main.c', dependencies: [dependency('above', static: static), dependency('below', static: static)])\nendforeach\n", 0o644)
	s.WriteFile("CMakeLists.txt", `cmake_minimum_required(VERSION 3.24)
project(app C)
find_package(above REQUIRED)
find_package(below REQUIRED)
add_executable(target main.c)
target_link_libraries(target above::above below::below)
add_executable(variables main.c)
target_link_libraries(variables ${above_LIBRARIES} ${below_LIBRARIES})
`, 0o644)
	s.Run("sh", "-ec", `cc main.c -o link $(ocipkg link)
cc main.c -o pkg-config $(ocipkg-pkg-config --libs above below)
meson setup meson
ninja -C meson
cmake -S . -B cmake -DCMAKE_PROJECT_TOP_LEVEL_INCLUDES="$(ocipkg cmake-dir)/ocipkg.cmake"
cmake --build cmake`).OK()
	for _, path := range []string{"link", "pkg-config", "meson/app-true", "meson/app-false", "cmake/target", "cmake/variables"} {
		checkAnswer(t, s, "./"+path, "42")
		if list := needed(t, filepath.Join(s.Dir, path)); !slices.ContainsFunc(list, func(file string) bool { return strings.HasSuffix(file, "libabove.so") }) || slices.Contains(list, "libbelow.so.1") {
			t.Errorf("%s is linked with %q, want libabove.so alone of both", path, list)
		}
	}
	s.Run("sh", "-ec", "ocipkg bundle dist").OK().Says("dist/libabove.so", "dist/libbelow.so.1")
}

func TestAWholeArchiveOfTwoTargetsIsLinkedOnce(t *testing.T) {
	host := publishMade(t)
	s := linkingUser(t, host, program.Options{})
	s.WriteFile("main.c", "int printf(const char *, ...);\nint one(void), other(void);\nint main(void) { printf(\"%d\\n\", one() + other()); return 0; }\n", 0o644)
	s.WriteFile("CMakeLists.txt", `cmake_minimum_required(VERSION 3.24)
project(app C)
include(ocipkg)
ocipkg_add_package(NAME twice IMAGE `+host+`/acme/twice:1)
foreach(order "twice::one;twice::other" "twice::other;twice::one" "twice::twice" "twice::one;twice::twice")
  math(EXPR n "${n} + 1")
  add_executable(app-${n} main.c)
  target_link_libraries(app-${n} ${order})
endforeach()
add_library(inner STATIC inner.c)
target_link_libraries(inner PUBLIC twice::one)
add_executable(app-5 main.c)
target_link_libraries(app-5 inner twice::other)
`, 0o644)
	s.Run("sh", "-c", "cc main.c -o shell $(ocipkg link "+host+"/acme/twice:1)").OK()
	checkAnswer(t, s, "./shell", "42")
	s.WriteFile("inner.c", "int one(void);\nint inner(void) { return one(); }\n", 0o644)
	s.Run("sh", "-c", `cmake -G Ninja -S . -B build -DCMAKE_MODULE_PATH="$(ocipkg cmake-dir)"`).OK()
	if r := s.Run("cmake", "--build", "build", "--", "-k", "0"); r.ExitCode != 0 {
		t.Errorf("%s", r)
	}
	for n := 1; n <= 5; n++ {
		checkAnswer(t, s, fmt.Sprintf("build/app-%d", n), "42")
	}
}
