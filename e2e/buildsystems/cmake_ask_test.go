package buildsystems

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// findFoo is a module of the project's own.
const findFoo = `find_package(PkgConfig QUIET)
pkg_check_modules(PC_FOO QUIET foo)
find_path(FOO_INCLUDE_DIR foo.h HINTS ${PC_FOO_INCLUDE_DIRS})
find_library(FOO_LIBRARY NAMES foo HINTS ${PC_FOO_LIBRARY_DIRS})
find_library(FOO_M_LIBRARY m NO_CMAKE_FIND_ROOT_PATH)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Foo REQUIRED_VARS FOO_LIBRARY FOO_INCLUDE_DIR)
if(Foo_FOUND AND NOT TARGET App::foo)
  add_library(App::foo UNKNOWN IMPORTED)
  set_target_properties(App::foo PROPERTIES IMPORTED_LOCATION "${FOO_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${FOO_INCLUDE_DIR}" INTERFACE_LINK_LIBRARIES "${FOO_M_LIBRARY}")
endif()
`

// ownFoo publishes a libfoo whose function returns 42, static and shared, with
// headers in two directories, and makes a system's whose function returns 1, in the directory that it returns.
func (u *user) ownFoo(t *testing.T) (system string) {
	t.Helper()
	system = filepath.Join(u.Temp, "system")
	script := `mkdir -p "$1/lib/pkgconfig" "$1/lib/cmake/foo" "$1/include/$3"
echo "int foo(void) { return $2; }" >foo.c
echo '#include "foo_types.h"' >"$1/include/foo.h"
echo "int foo(void);" >"$1/include/$3/foo_types.h"
cc -fPIC -c foo.c
ar rc "$1/lib/libfoo.a" foo.o
cc -shared -o "$1/lib/libfoo.so" foo.o -Wl,-soname,libfoo.so
printf 'prefix=%s\nName: foo\nDescription: foo\nVersion: 1.2\nLibs: -L${prefix}/lib -lfoo\nCflags: -I${prefix}/include\n' "$1" >"$1/lib/pkgconfig/foo.pc"
`
	u.producer.WriteFile("ocipkg.toml", "[package.names]\nfoo = [\"fooz\", \"Up::foo\"]\n", 0o644)
	u.producer.Run("sh", "-ec", script+`ocipkg push "$1" "$4"`, "sh", "foo", "42", "x86_64-linux-gnu", u.host+"/acme/foo:1.2").OK()
	u.Run("sh", "-ec", script+`cat >"$1/lib/cmake/foo/fooConfig.cmake" <<'X'
add_library(foo::foo STATIC IMPORTED)
get_filename_component(dir "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set_target_properties(foo::foo PROPERTIES IMPORTED_LOCATION "${dir}/lib/libfoo.a" INTERFACE_INCLUDE_DIRECTORIES "${dir}/include")
X
`, "sh", system, "1").OK()
	u.WriteFile("cmake/FindFoo.cmake", findFoo, 0o644)
	u.WriteFile("main.c", "#include <foo.h>\nint main(void) { return foo(); }\n", 0o644)
	return system
}

func TestHoweverAProjectAsksItGetsThePackagesLibraryOrIsTold(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	system := u.ownFoo(t)
	u.Env = append(u.Env, "PKG_CONFIG_PATH="+filepath.Join(system, "lib/pkgconfig"))
	env := u.Env
	const own = "list(APPEND CMAKE_MODULE_PATH ${CMAKE_SOURCE_DIR}/cmake)\n"
	const found = "find_path(FOO_INCLUDE foo.h)\nfind_library(FOO_LIB NAMES foo)\nadd_executable(app main.c)\ntarget_include_directories(app PRIVATE ${FOO_INCLUDE})\ntarget_link_libraries(app PRIVATE ${FOO_LIB})\n"
	app := func(target string) string {
		return "add_executable(app main.c)\ntarget_link_libraries(app PRIVATE " + target + ")\n"
	}
	behind, first := "-DCMAKE_SYSTEM_PREFIX_PATH="+system, "-DCMAKE_PREFIX_PATH="+system
	root := "-DCMAKE_FIND_ROOT_PATH=" + system + " -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=ONLY"
	const asked = "ocipkg: [dependencies] that were not asked for by this project: foo; it may have"
	for name, c := range map[string]struct {
		code, arguments string
		says            string
		exit            int // of the program; 0: there is none
	}{
		"config":                      {"find_package(foo CONFIG REQUIRED)\n" + app("foo::foo"), first, "", 42},
		"another alias":               {"find_package(Foo REQUIRED)\n" + app("Foo::Foo"), first, "", 42},
		"a listed name":               {"find_package(FooZ REQUIRED)\n" + app("Up::foo"), first, "", 42},
		"either":                      {"find_package(Foo REQUIRED)\n" + app("Foo::Foo"), first, "", 42},
		"own module":                  {own + "find_package(Foo 1 MODULE REQUIRED)\n" + app("App::foo"), behind, "", 42},
		"own module, below a root":    {own + "find_package(Foo REQUIRED)\n" + app("App::foo"), root, "", 42},
		"own module, then the config": {own + "find_package(Foo)\nfind_package(Foo CONFIG REQUIRED)\n" + app("Foo::Foo App::foo"), behind, "", 42},
		"own module, the system's":    {own + "find_package(Foo REQUIRED)\n" + app("App::foo"), first, "cmake/FindFoo.cmake found " + system + "/", 0},
		"own module, a header of the system's": {own + "find_package(Foo REQUIRED)\n" + app("App::foo"), "-DFOO_INCLUDE_DIR=" + system + "/include",
			"cmake/FindFoo.cmake found " + system + "/include, and not what the package foo of [dependencies] has", 0},
		"own module, optional":       {own + "find_package(Foo)\nif(Foo_FOUND OR FOO_FOUND OR FOO_LIBRARIES)\nmessage(FATAL_ERROR found)\nendif()\nfind_package(Foo CONFIG REQUIRED)\n" + app("Foo::Foo"), first, "FindFoo.cmake found", 42},
		"find_library":               {found, behind, "", 42},
		"find_library, below a root": {found, root, "", 42},
		"find_library, the system's": {found, first, "FOO_LIB is " + system + "/lib/libfoo.so, and foo has that library", 1},
		"pkg_check_modules":          {"find_package(PkgConfig REQUIRED)\npkg_check_modules(F REQUIRED IMPORTED_TARGET foo)\n" + app("PkgConfig::F"), "", "", 42},
		"pkg_check_modules, static":  {"find_package(PkgConfig REQUIRED)\npkg_check_modules(F REQUIRED foo)\nadd_executable(app main.c)\ntarget_include_directories(app PRIVATE ${F_STATIC_INCLUDE_DIRS})\ntarget_link_directories(app PRIVATE ${F_STATIC_LIBRARY_DIRS})\ntarget_link_libraries(app PRIVATE ${F_STATIC_LIBRARIES})\n", "", "", 42},
		"bare names":                 {"find_package(PkgConfig REQUIRED)\npkg_check_modules(F REQUIRED foo)\nadd_executable(app main.c)\ntarget_include_directories(app PRIVATE ${F_INCLUDE_DIRS})\ntarget_link_libraries(app PRIVATE ${F_LIBRARIES})\n", "", "", 42},
		"without a question":         {"include_directories(" + system + "/include)\n" + app(system+"/lib/libfoo.a"), "", asked, 1},
		"ocipkg_add_package":         {"include(ocipkg)\nocipkg_add_package(NAME Foo IMAGE foo)\n" + app("Foo::Foo"), first, "", 42},
	} {
		for _, kind := range []string{"false", "true"} {
			if kind == "true" && name != "own module" && name != "find_library" && name != "config" {
				continue
			}
			u.Run("rm", "-rf", "build").OK()
			u.Env = env
			if name == "bare names" { // where the compiler looks by itself
				u.Env = append(env[:len(env):len(env)], "LIBRARY_PATH="+filepath.Join(system, "lib"))
			}
			alias := "foo"
			if name == "another alias" {
				alias = "thing"
			}
			dependencies := fmt.Sprintf(alias+" = { image = \"%s/acme/foo\", tag = \"1.2\", shared = %s }\n", u.host, kind)
			r := u.cmake(t, c.code, dependencies, "-G Ninja", c.arguments)
			said := strings.Join(strings.Fields(r.Stdout+r.Stderr), " ")
			if !strings.Contains(said, c.says) || c.says == "" && strings.Contains(said, "ocipkg: ") {
				t.Errorf("%s, shared %s: CMake says\n%s\nwant %q", name, kind, r, c.says)
			}
			if (r.ExitCode != 0) != (c.exit == 0) {
				t.Errorf("%s, shared %s: %s", name, kind, r)
			}
			if c.exit == 0 || r.ExitCode != 0 {
				continue
			}
			u.Run("cmake", "--build", "build").OK()
			if got := u.Run("build/app").ExitCode; got != c.exit {
				t.Errorf("%s, shared %s: the program returns %d, want %d\n%s", name, kind, got, c.exit, r)
			}
			// The kind that the project wants is linked, however it asked.
			if shared := strings.Contains(strings.Join(needed(t, filepath.Join(u.Dir, "build/app")), " "), "libfoo.so"); c.exit == 42 && shared != (kind == "true") {
				t.Errorf("%s, shared %s: the program needs %q", name, kind, needed(t, filepath.Join(u.Dir, "build/app")))
			}
		}
	}
}

func TestWhatWasFoundBeforeAPackageWasListedIsLookedForAgain(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	system := u.ownFoo(t)
	code := "list(APPEND CMAKE_MODULE_PATH ${CMAKE_SOURCE_DIR}/cmake)\nfind_path(THE_INCLUDE foo.h)\nfind_library(THE_LIB NAMES foo)\nfind_package(Foo REQUIRED)\n" +
		"add_executable(app main.c)\ntarget_include_directories(app PRIVATE ${THE_INCLUDE})\ntarget_link_libraries(app PRIVATE ${THE_LIB})\n" +
		"add_executable(own main.c)\ntarget_link_libraries(own PRIVATE App::foo)\n"
	build := func(dependencies, says string, exit, own int, arguments ...string) {
		t.Helper()
		r := u.cmake(t, code, dependencies, append(arguments, "-DCMAKE_SYSTEM_PREFIX_PATH="+system)...).OK()
		if said := strings.Join(strings.Fields(r.Stdout+r.Stderr), " "); !strings.Contains(said, says) || says == "" && strings.Contains(said, "ocipkg: ") {
			t.Errorf("CMake says\n%s\nwant %q", r, says)
		}
		u.Run("cmake", "--build", "build").OK()
		u.Run("build/app").Exit(exit)
		u.Run("build/own").Exit(own)
	}
	listed := fmt.Sprintf("foo = \"%s/acme/foo:1.2\"\n", u.host)
	build("", "", 1, 1)
	build(listed, "", 42, 42)
	build(listed, "", 42, 42)
	build(listed, "THE_LIB is "+system+"/lib/libfoo.a, and foo has that library", 1, 42, "-DTHE_LIB="+system+"/lib/libfoo.a") // as the user wants it
}

func TestAModuleOfCMakesOwnFindsWhatAListedPackageHas(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	system := filepath.Join(u.Temp, "system")
	script := `mkdir -p "$1/lib" "$1/include/mpeg2dec/include"
echo "int mpeg2(void) { return $2; }" >mpeg2.c
echo "int mpeg2(void);" >"$1/include/mpeg2dec/include/video_out.h"
cc -c mpeg2.c
ar rc "$1/lib/libmpeg2.a" mpeg2.o
ar rc "$1/lib/libvo.a" mpeg2.o
`
	u.producer.Run("sh", "-ec", script+`ocipkg push "$1" "$3"`, "sh", "films", "42", u.host+"/acme/films:6").OK()
	u.Run("sh", "-ec", script, "sh", system, "1").OK()
	u.WriteFile("main.c", "#include <mpeg2dec/include/video_out.h>\nint main(void) { return mpeg2(); }\n", 0o644)
	u.cmake(t, "find_package(MPEG REQUIRED)\nadd_executable(app main.c)\ntarget_include_directories(app PRIVATE ${MPEG_INCLUDE_DIR})\ntarget_link_libraries(app PRIVATE ${MPEG_LIBRARIES})\n",
		"films = \""+u.host+"/acme/films:6\"\n", "-DCMAKE_SYSTEM_PREFIX_PATH="+system).OK()
	u.Run("cmake", "--build", "build").OK()
	u.Run("build/app").Exit(42)
}
