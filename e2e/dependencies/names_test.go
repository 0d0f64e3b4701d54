package dependencies

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

// event is a package of two modules, both of which the system of the users here has, too: its functions return 1, and
// those of the system 99.
func publishEvent(t *testing.T, name string) {
	t.Helper()
	s := program.New(t, program.Options{})
	for _, module := range []string{"event_core", "event_extra"} {
		writeModule(s, "tree/lib", "tree/lib/pkgconfig", module, "${prefix}/lib", "1")
	}
	s.Run("ocipkg", "push", "tree", name).OK()
}

// writeModule makes lib<module>.a, whose function is called as the module and returns value, and its .pc file.
func writeModule(s *program.Session, lib, pc, module, dir, value string) {
	s.WriteFile(pc+"/"+module+".pc", "prefix=/usr\nName: "+module+"\nDescription: for a test\nVersion: "+value+"\nLibs: -L"+dir+" -l"+module+"\n", 0o644)
	s.WriteFile(module+".c", "int "+module+"(void) { return "+value+"; }\n", 0o644)
	s.Run("sh", "-ec", `mkdir -p "$1"; cc -fPIC -c -o "$2.o" "$2.c"; ar rcs "$1/lib$2.a" "$2.o"`, "make", lib, module).OK()
}

// newEventUser returns a user whose system has the modules, and whose pkg-config knows no others.
func newEventUser(t *testing.T) *program.Session {
	t.Helper()
	s := program.New(t, program.Options{})
	system := filepath.Join(s.Home, "system")
	for _, module := range []string{"event_core", "event_extra", "event"} {
		writeModule(s, system, system+"/pkgconfig", module, system, "99")
	}
	s.Env = append(s.Env, "PKG_CONFIG_LIBDIR="+system+"/pkgconfig", "PKG_CONFIG_PATH=")
	s.WriteFile("main.c", "#include <stdio.h>\nint event_core(void);\nint main(void) { printf(\"%d\\n\", event_core()); return 0; }\n", 0o644)
	return s
}

func TestAModuleOfAListedPackageIsLinkedInPlaceOfTheSystems(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/event:2"
	publishEvent(t, name)
	s := newEventUser(t)
	build := func(flags string) string {
		return s.Run("sh", "-ec", "cc main.c -o app $("+flags+"); ./app").OK().Stdout
	}
	if got := build("ocipkg-pkg-config --libs event_core"); got != "99\n" {
		t.Fatalf("without a project the function returns %q", got)
	}
	s.Run("ocipkg", "add", "--as", "libs", name).OK().Says("libs: libs, event_core, event_extra")
	for _, flags := range []string{"ocipkg-pkg-config --libs event_core", "ocipkg-pkg-config --libs event event_core", "ocipkg link event_core"} {
		if got := build(flags); got != "1\n" {
			t.Errorf("%s: the function returns %q", flags, got)
		}
	}
	// A package that two list cannot be chosen; nor can one be passed over in silence which is not to be had.
	s.WriteFile("ocipkg.toml", "[dependencies]\na = \""+name+"\"\nb = \""+registry.Host+"/acme/gone:1\"\n", 0o644)
	s.Run("ocipkg-pkg-config", "--libs", "event").Exit(1).Says(`look up event: the dependency "b" may have a module of that name`, "gone")
	if r := s.Run("sh", "-c", "ocipkg-pkg-config --libs a"); r.ExitCode != 0 {
		t.Errorf("an alias needs no other package: %s", r)
	}
}

func TestANameThatTheSystemHasTooIsWarnedOf(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/event:2"
	publishEvent(t, name)
	s := newEventUser(t)
	warning := "the system's pkg-config has event, event_core, event_extra, too"
	s.Run("ocipkg", "add", name).OK().Says(warning, "#cgo pkg-config: "+name, "event: event, event_core, event_extra")
	if out := s.Run("ocipkg", "add", "--json", name).OK().Stdout; !strings.Contains(strings.Join(strings.Fields(out), " "), `"names": [ "event", "event_core", "event_extra" ]`) {
		t.Errorf("got %s", out)
	}
	s.WriteFile("main.go", "package main\n\n// #cgo pkg-config: event\nimport \"C\"\n\nfunc main() {}\n", 0o644)
	for _, command := range [][]string{{"restore"}, {"pin", "--check", "./..."}} {
		r := s.Run("ocipkg", command...).OK().Says("the system's pkg-config has event, too", name)
		if strings.Count(r.Stderr, "warning") != 1 {
			t.Errorf("%q warns more than once:\n%s", command, r)
		}
	}
	s.Run("ocipkg", "add", "--as", "ours", name).OK()
	s.Run("ocipkg", "remove", "event").OK()
	if r := s.Run("ocipkg", "restore").OK(); strings.Contains(r.Stderr, "warning") {
		t.Errorf("an alias that the system has not is warned of: %s", r)
	}
}

func TestASecondProjectIsNotTheFirst(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := registry.Host + "/acme/event:2"
	publishEvent(t, name)
	s := newEventUser(t)
	s.WriteFile("first/ocipkg.toml", "", 0o644)
	s.WriteFile("second/ocipkg.toml", "", 0o644)
	r := s.Run("sh", "-ec", `cd first; eval $(ocipkg env); cd ../second; ocipkg add "$1"; cc ../main.c -o app $($PKG_CONFIG --libs event_core); ./app
		mkdir ../build; cd ../build; eval $(cd ../second; ocipkg env); cc ../main.c -o app $($PKG_CONFIG --libs event_core); ./app`, "build", name).OK()
	if r.Stdout != "event\n1\n1\n" {
		t.Errorf("got %s", r)
	}
	if text := read(t, s, "first/ocipkg.toml") + read(t, s, "second/ocipkg.toml"); strings.Count(text, name) != 1 || read(t, s, "first/ocipkg.toml") != "" {
		t.Errorf("the files say %q", text)
	}
	// CMake runs pkg-config where it was started.
	s.WriteFile("second/CMakeLists.txt", "cmake_minimum_required(VERSION 3.24)\nproject(app C)\ninclude(ocipkg)\nfind_package(PkgConfig REQUIRED)\n"+
		"pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET event_core)\nadd_executable(app ../main.c)\ntarget_link_libraries(app PkgConfig::EVENT)\n", 0o644)
	s.Run("sh", "-ec", `cd first; eval $(ocipkg env); cmake -G Ninja -S ../second -B ../cmake -DCMAKE_MODULE_PATH="$(ocipkg cmake-dir)"; cmake --build ../cmake`).OK()
	if got := s.Run("cmake/app").OK().Stdout; got != "1\n" {
		t.Errorf("the function in the program that CMake built returns %q", got)
	}
}
