package link

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// cmakeReads writes a package's config where a project without languages finds it, and gives what CMake makes of it: the
// lines that the given code prints.
func cmakeReads(t *testing.T, packages []*Package, opts CMakeOptions, code string) string {
	t.Helper()
	config, version, err := CMake(packages, Request{Package: packages[0]}, opts)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, opts.Name+"Config.cmake"), config)
	write(t, filepath.Join(dir, opts.Name+"ConfigVersion.cmake"), version)
	write(t, filepath.Join(dir, "CMakeLists.txt"), `cmake_minimum_required(VERSION 3.5)
project(reader NONE)
file(GLOB configs "${CMAKE_SOURCE_DIR}/*.cmake")
file(COPY ${configs} DESTINATION "${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}")
macro(property target)
  foreach(name IN ITEMS ${ARGN})
    get_target_property(value "${target}" ${name})
    message(NOTICE "${name}=${value}")
  endforeach()
endmacro()
`+code)
	out := run(t, dir, "cmake", "-S", ".", "-B", "build")
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(out), "\n"), func(line string) bool { return strings.HasPrefix(line, "-- ") })
	return strings.Join(lines, "\n")
}

func TestCMakeGetsTargetsAndTheVariablesOfAFindModule(t *testing.T) {
	for name, test := range map[string]struct {
		packages []*Package
		opts     CMakeOptions
		code     string
		want     string
	}{
		"static": {[]*Package{png(), zlib()}, CMakeOptions{Name: "PNG"}, `find_package(PNG REQUIRED)
property(PNG::PNG TYPE IMPORTED_LOCATION INTERFACE_INCLUDE_DIRECTORIES IMPORTED_LINK_INTERFACE_LANGUAGES)
message(NOTICE "${PNG_FOUND} ${PNG_LIBRARY} ${PNG_LIBRARIES} ${PNG_PNG_INCLUDE_DIR}")`, `TYPE=STATIC_LIBRARY
IMPORTED_LOCATION=/s/png/lib/libpng.a
INTERFACE_INCLUDE_DIRECTORIES=/s/png/include;/s/z/include
IMPORTED_LINK_INTERFACE_LANGUAGES=C
1 /s/png/lib/libpng.a /s/png/lib/libpng.a;-lm;/s/z/lib/libz.a /s/png/include;/s/z/include`},
		"shared, with what the library needs when it runs": {[]*Package{png(), zlib()}, CMakeOptions{Name: "PNG", Options: Options{Shared: true}}, `find_package(PNG REQUIRED)
property(PNG::PNG TYPE IMPORTED_LOCATION IMPORTED_SONAME INTERFACE_LINK_OPTIONS)
message(NOTICE "${PNG_LIBRARIES}")`, `TYPE=SHARED_LIBRARY
IMPORTED_LOCATION=/s/png/lib/libpng.so.1
IMPORTED_SONAME=libpng.so.1
INTERFACE_LINK_OPTIONS=-Wl,--disable-new-dtags
/s/png/lib/libpng.so.1;/s/z/lib/libz.so.1;-Wl,--disable-new-dtags`},
		"the stock names": {[]*Package{zlib()}, CMakeOptions{Name: "ZLIB", Version: "1.2.13"}, `find_package(ZLIB 1.2 REQUIRED)
property(ZLIB::ZLIB IMPORTED_LOCATION)
property(ZLIB::z IMPORTED_LOCATION)
message(NOTICE "${ZLIB_INCLUDE_DIR} ${ZLIB_INCLUDE_DIRS} ${ZLIB_LIBRARY} ${ZLIB_LIBRARIES} ${ZLIB_VERSION_STRING}")`, `IMPORTED_LOCATION=/s/z/lib/libz.a
IMPORTED_LOCATION=/s/z/lib/libz.a
/s/z/include /s/z/include /s/z/lib/libz.a /s/z/lib/libz.a 1.2.13`},
		"OpenSSL's two": {[]*Package{openssl()}, CMakeOptions{Name: "OpenSSL"}, `find_package(OpenSSL REQUIRED COMPONENTS SSL Crypto)
property(OpenSSL::SSL IMPORTED_LOCATION)
property(OpenSSL::Crypto IMPORTED_LOCATION INTERFACE_LINK_LIBRARIES INTERFACE_LINK_OPTIONS)
property(OpenSSL::OpenSSL TYPE)
message(NOTICE "${OPENSSL_FOUND} ${OPENSSL_SSL_LIBRARY} ${OPENSSL_LIBRARIES} ${OPENSSL_CRYPTO_LIBRARIES}")`, `IMPORTED_LOCATION=/s/openssl/lib/libssl.a
IMPORTED_LOCATION=/s/openssl/lib/libcrypto.a
INTERFACE_LINK_LIBRARIES=-ldl
INTERFACE_LINK_OPTIONS=-pthread
TYPE=INTERFACE_LIBRARY
TRUE /s/openssl/lib/libssl.a /s/openssl/lib/libssl.a;/s/openssl/lib/libcrypto.a;-ldl;-pthread /s/openssl/lib/libcrypto.a;-ldl;-pthread`},
		"C++ in a project without it": {[]*Package{single("z", func() *cps.Component {
			c := archive("@prefix@/lib/libz.a")
			c.LinkLanguages = []string{"cpp"}
			return c
		}())}, CMakeOptions{Name: "z"}, `find_package(z REQUIRED)
property(z::z IMPORTED_LINK_INTERFACE_LANGUAGES INTERFACE_LINK_LIBRARIES)`, `IMPORTED_LINK_INTERFACE_LANGUAGES=value-NOTFOUND
INTERFACE_LINK_LIBRARIES=-lstdc++;-lm`},
		"a Mac's frameworks": {[]*Package{single("z", func() *cps.Component {
			c := archive("@prefix@/lib/libz.a")
			c.LinkLibraries = []string{"-framework Security", "c++"}
			return c
		}())}, CMakeOptions{Name: "z", Options: Options{OS: "darwin"}}, `find_package(z REQUIRED)
property(z::z INTERFACE_LINK_LIBRARIES)`, `INTERFACE_LINK_LIBRARIES=-framework Security;-lc++`},
		"libraries of Windows": {[]*Package{single("z", func() *cps.Component {
			c := archive("@prefix@/lib/z.lib")
			c.LinkLibraries = []string{"ws2_32"}
			return c
		}())}, CMakeOptions{Name: "z", Options: Options{OS: "windows", Env: "msvc"}}, `find_package(z REQUIRED)
property(z::z INTERFACE_LINK_LIBRARIES)`, `INTERFACE_LINK_LIBRARIES=ws2_32.lib`},
		"a group": {[]*Package{single("z", func() *cps.Component {
			c := &cps.Component{Type: cps.Interface}
			c.LinkLibraries = []string{"-Wl,--start-group", "@prefix@/lib/liba.a", "@prefix@/lib/libb.a", "-Wl,--end-group", "m"}
			return c
		}())}, CMakeOptions{Name: "z"}, `find_package(z REQUIRED)
property(z::z TYPE INTERFACE_LINK_LIBRARIES)`, `TYPE=INTERFACE_LIBRARY
INTERFACE_LINK_LIBRARIES=-Wl,--start-group /s/z/lib/liba.a /s/z/lib/libb.a -Wl,--end-group -lm`},
		"an order below another package": {[]*Package{single("z", func() *cps.Component {
			c := archive("@prefix@/lib/libz.a")
			c.LinkRequires = []string{"y"}
			return c
		}()), ordered("y", "-Wl,--as-needed", "@prefix@/lib/liby.a", "@prefix@/lib/libx.a")}, CMakeOptions{Name: "z"}, `find_package(z REQUIRED)
property(z::z TYPE INTERFACE_LINK_LIBRARIES)
message("${z_LIBRARIES} ${z_LIBRARY}")`, `TYPE=INTERFACE_LIBRARY
INTERFACE_LINK_LIBRARIES=-L/s/z/lib /s/z/lib/libz.a -Wl,--as-needed /s/y/lib/liby.a /s/y/lib/libx.a
-L/s/z/lib /s/z/lib/libz.a -Wl,--as-needed /s/y/lib/liby.a /s/y/lib/libx.a /s/z/lib/libz.a`},
		"an order and a directory": {[]*Package{single("z", func() *cps.Component {
			c := &cps.Component{Type: cps.Interface}
			c.LinkItems = []string{"-L@prefix@/more", "-Wl,--start-group", "@prefix@/lib/liba.a", "@prefix@/lib/libb.a", "-Wl,--end-group"}
			return c
		}())}, CMakeOptions{Name: "z"}, `find_package(z REQUIRED)
property(z::z INTERFACE_LINK_LIBRARIES)`, `INTERFACE_LINK_LIBRARIES=-L/s/z/more -Wl,--start-group /s/z/lib/liba.a /s/z/lib/libb.a -Wl,--end-group`},
		"packages that need each other": {[]*Package{single("z", func() *cps.Component {
			c := archive("@prefix@/lib/libz.a")
			c.LinkRequires = []string{"y"}
			return c
		}()), single("y", func() *cps.Component {
			c := archive("@prefix@/lib/liby.a")
			c.LinkRequires = []string{"z"}
			return c
		}())}, CMakeOptions{Name: "z"}, `find_package(z REQUIRED)
property(z::z TYPE IMPORTED_LOCATION)
message("${z_LIBRARIES} ${z_LIBRARY}")`, `TYPE=STATIC_LIBRARY
IMPORTED_LOCATION=/s/z/lib/libz.a
-Wl,--start-group /s/z/lib/libz.a /s/y/lib/liby.a -Wl,--end-group /s/z/lib/libz.a`},
		"definitions and flags of one language": {[]*Package{single("z", func() *cps.Component {
			one := "a;b"
			c := &cps.Component{Type: cps.Interface}
			c.Definitions = cps.Definitions{"*": {"A": &one}, "cpp": {"B": nil}}
			c.CompileFlags = cps.All("-isystem", "@prefix@/sys")
			return c
		}())}, CMakeOptions{Name: "z"}, `find_package(z REQUIRED)
property(z::z INTERFACE_COMPILE_DEFINITIONS INTERFACE_COMPILE_OPTIONS)`, `INTERFACE_COMPILE_DEFINITIONS=A=a\;b;$<$<COMPILE_LANGUAGE:CXX>:B>
INTERFACE_COMPILE_OPTIONS=SHELL:-isystem /s/z/sys`},
		"include directories that are not there": {[]*Package{zlib()}, CMakeOptions{Name: "ZLIB", Exists: func(string) bool { return false }}, `find_package(ZLIB REQUIRED)
property(ZLIB::ZLIB INTERFACE_INCLUDE_DIRECTORIES)`, `INTERFACE_INCLUDE_DIRECTORIES=value-NOTFOUND`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := cmakeReads(t, test.packages, test.opts, test.code); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// openssl is a package of two archives, of which one needs the other, under one name.
func openssl() *Package {
	ssl, crypto, both := archive("@prefix@/lib/libssl.a"), archive("@prefix@/lib/libcrypto.a"), &cps.Component{Type: cps.Interface}
	ssl.LinkRequires = []string{":libcrypto"}
	crypto.LinkLibraries = []string{"dl", "-pthread"}
	both.Requires = []string{":libssl", ":libcrypto"}
	return &Package{Name: "openssl", Root: "/s/openssl", CPS: &cps.Package{
		Name: "openssl", Version: "3.0.1", Components: map[string]*cps.Component{"libssl": ssl, "libcrypto": crypto, "openssl": both},
	}}
}

func TestCMakeTakesTheVersionsThatAPackageServes(t *testing.T) {
	for _, test := range []struct {
		version, compat, asked string
		want                   bool
	}{
		{"1.2.13", "", "", true},
		{"1.2.13", "", "1.2", true},
		{"1.2.13", "", "1.3", false},
		{"2.0", "", "1.3", true},
		{"2.0", "1.5", "1.3", false},
		{"2.0", "1.5", "1.6", true},
		{"1.2.13", "", "1.2.13 EXACT", true},
		{"1.2.13", "", "1.2 EXACT", false},
		{"1.2.13", "", "1.2...<1.3", true},
		{"1.2.13", "", "1.2...<1.2.13", false},
		{"1.2.13", "", "1.2...1.2.13", true},
		{"1.2.13", "", "1.3...1.4", false},
		{"", "", "1.2", false},
		{"", "", "", true},
	} {
		t.Run(strings.Join([]string{test.version, test.compat, test.asked}, " "), func(t *testing.T) {
			t.Parallel()
			p := zlib()
			p.CPS.Version, p.CPS.CompatVersion = test.version, test.compat
			got := cmakeReads(t, []*Package{p}, CMakeOptions{Name: "ZLIB"}, "find_package(ZLIB "+test.asked+" CONFIG QUIET)\nmessage(NOTICE \"${ZLIB_FOUND}\")")
			if found := got == "TRUE" || got == "1"; found != test.want {
				t.Errorf("ZLIB_FOUND is %q, want found: %v", got, test.want)
			}
		})
	}
}

func TestAComponentThatIsNotThereIsNamedWithThoseThatAre(t *testing.T) {
	got := cmakeReads(t, []*Package{openssl()}, CMakeOptions{Name: "OpenSSL"}, `find_package(OpenSSL QUIET COMPONENTS SSL TLS)
message(NOTICE "${OpenSSL_FOUND} ${OPENSSL_FOUND} ${OpenSSL_SSL_FOUND} ${OpenSSL_TLS_FOUND} ${OpenSSL_NOT_FOUND_MESSAGE}")
find_package(OpenSSL QUIET COMPONENTS SSL OPTIONAL_COMPONENTS TLS)
message(NOTICE "${OpenSSL_FOUND} ${OpenSSL_TLS_FOUND}")`)
	want := "0 FALSE TRUE FALSE the package has no component TLS: its components are Crypto, SSL, libcrypto, libssl, openssl\n1 FALSE"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhatCURLCanDoCountsAsItsComponents(t *testing.T) {
	p := single("curl", archive("@prefix@/lib/libcurl.a"))
	p.CPS.Components["curl"].PkgConfig = &cps.PkgConfig{Variables: map[string]string{"supported_protocols": "FTP HTTP HTTPS"}}
	got := cmakeReads(t, []*Package{p}, CMakeOptions{Name: "CURL"}, `find_package(CURL COMPONENTS HTTP HTTPS)
message(NOTICE "${CURL_FOUND}")
property(CURL::libcurl IMPORTED_LOCATION)`)
	if got != "1\nIMPORTED_LOCATION=/s/curl/lib/libcurl.a" && got != "TRUE\nIMPORTED_LOCATION=/s/curl/lib/libcurl.a" {
		t.Error(got)
	}
}

func TestTwoConfigsOfOneDirectoryShareTheTargetsBelow(t *testing.T) {
	first, _, err := CMake([]*Package{png(), zlib()}, Request{Package: png()}, CMakeOptions{Name: "PNG"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "PNGConfig.cmake"), first)
	write(t, filepath.Join(dir, "PNGConfigVersion.cmake"), "set(PACKAGE_VERSION_COMPATIBLE TRUE)\n")
	got := cmakeReads(t, []*Package{png(), zlib()}, CMakeOptions{Name: "mine"}, "find_package(PNG REQUIRED CONFIG PATHS "+dir+")\nfind_package(mine REQUIRED)\nfind_package(PNG REQUIRED CONFIG PATHS "+dir+")\n"+`property(mine::mine IMPORTED_LOCATION)
get_directory_property(targets IMPORTED_TARGETS)
list(FILTER targets INCLUDE REGEX "^ocipkg::zlib")
list(LENGTH targets count)
message(NOTICE "${count}")`)
	if got != "IMPORTED_LOCATION=/s/png/lib/libpng.a\n1" {
		t.Error(got)
	}
}

func TestNoTextOfAPackageBecomesCMakeCode(t *testing.T) {
	for _, text := range []string{
		`]=] message(FATAL_ERROR smuggled) [=[`, `]==][==[`, `[a]`, `${CMAKE_VERSION}`, `$ENV{HOME}`, `@CMAKE_VERSION@`, `a;b`, `"quoted"`,
		`\"`, `# no comment`, `a b`, `)`, `$<1:smuggled>`, `a]`, `[[`, "a\nb", `a\`,
	} {
		p := single("z", archive("@prefix@/lib/libz.a"))
		c := p.CPS.Components["z"]
		c.Definitions = cps.Definitions{"*": {"TEXT": &text}}
		c.Includes = cps.All("@prefix@/" + text)
		p.Name, p.CPS.Version = text, text
		p.CPS.Components[text] = archive("@prefix@/" + text + "/libother.a")
		p.CPS.DefaultComponents = []string{"z", text}
		opts := CMakeOptions{Name: "z"}
		_, _, err := CMake([]*Package{p}, Request{Package: p}, opts)
		if refused := (*FlagError)(nil); strings.ContainsAny(text, "$\n") != errors.As(err, &refused) {
			t.Errorf("%s: got %v", text, err)
		}
		opts.AllowFlags = []string{"-DTEXT=" + text, "-I@prefix@/" + text, "@prefix@/" + text + "/libother.a"}
		if _, _, err := CMake([]*Package{p}, Request{Package: p}, opts); err != nil {
			if balanced(text) && !strings.ContainsAny(text, "\n;\\") && !strings.Contains(text, "$<") {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		got := cmakeReads(t, []*Package{p}, opts, `find_package(z REQUIRED)
list(GET z_LIBRARIES 1 second)
property(z::z INTERFACE_COMPILE_DEFINITIONS)
message(NOTICE "${z_VERSION}\n${second}")`)
		want := "INTERFACE_COMPILE_DEFINITIONS=TEXT=" + strings.ReplaceAll(text, ";", `\;`) + "\n" + text + "\n/s/z/" + text + "/libother.a"
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestNamesThatCMakeCannotCarryAreRefused(t *testing.T) {
	for _, name := range []string{"", "a b", "a;b", "${x}", "../z", "-z", "a(b)", "a\nb", `a"b`} {
		if _, _, err := CMake([]*Package{zlib()}, Request{Package: zlib()}, CMakeOptions{Name: name}); err == nil || !strings.Contains(err.Error(), "is not a name for find_package") {
			t.Errorf("%q: %v", name, err)
		}
	}
	p := zlib()
	p.CPS.Version = "1\nmessage(FATAL_ERROR x)"
	if _, _, err := CMake([]*Package{p}, Request{Package: p}, CMakeOptions{Name: "z"}); err == nil || !strings.Contains(err.Error(), "control character") {
		t.Errorf("a version of two lines: %v", err)
	}
	if _, _, err := CMake([]*Package{zlib()}, Request{Package: zlib()}, CMakeOptions{Name: "z", Depends: []string{"/a[b"}}); err == nil || !strings.Contains(err.Error(), "/a[b") {
		t.Errorf("a bracket alone: %v", err)
	}
	for _, path := range []string{"@prefix@/a;b", "@prefix@/a|b", "@prefix@/a:b", `@prefix@/a\b`} {
		for what, p := range map[string]*Package{
			"headers": interfaceOf(cps.Attributes{Includes: cps.All(path)}), "a library": single("x", archive(path+"/libx.a")),
			"one of the system": interfaceOf(cps.Attributes{LinkLibraries: []string{path + "/libx.a"}}),
		} {
			if _, err := Link([]*Package{p}, []Request{{Package: p}}, Options{}); err != nil {
				t.Errorf("%s in %s: %v", what, path, err)
			}
			_, _, err := CMake([]*Package{p}, Request{Package: p}, CMakeOptions{Name: "x"})
			if err == nil || !strings.Contains(err.Error(), "rename it") {
				t.Errorf("%s in %s for CMake: %v", what, path, err)
			}
		}
	}
}

func TestAFlagThatIsNotHarmlessIsRefusedForCMakeToo(t *testing.T) {
	c := archive("@prefix@/lib/libz.a")
	c.LinkFlags = []string{"-fplugin=evil.so"}
	p := single("z", c)
	if _, _, err := CMake([]*Package{p}, Request{Package: p}, CMakeOptions{Name: "z"}); err == nil || !strings.Contains(err.Error(), "-fplugin=evil.so") {
		t.Error(err)
	}
}

func TestOnlySharedWhereStaticWasAskedSaysSo(t *testing.T) {
	c := &cps.Component{Type: cps.Dylib}
	c.Location = "@prefix@/lib/libz.so.1"
	p := single("z", c)
	if _, _, err := CMake([]*Package{p}, Request{Package: p}, CMakeOptions{Name: "z"}); err == nil || !strings.Contains(err.Error(), "--shared") {
		t.Error(err)
	}
}

func TestCMakeBuildsAgainstAPackageInADirectoryOfAnOddName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a b$c'd"e[f]g(h)i#j`)
	foo := makePackage(t, dir, "foo", `const char *foo(void) { return KIND; }`)
	work := t.TempDir()
	write(t, filepath.Join(work, "main.c"), "#include <stdio.h>\n#include <foo.h>\nint main(void) { puts(foo()); return 0; }\n")
	write(t, filepath.Join(work, "CMakeLists.txt"), `cmake_minimum_required(VERSION 3.5)
project(odd C)
find_package(foo REQUIRED)
add_executable(target main.c)
target_link_libraries(target PRIVATE foo::foo)
add_executable(variables main.c)
target_include_directories(variables PRIVATE ${foo_INCLUDE_DIRS})
target_link_libraries(variables PRIVATE ${foo_LIBRARIES})
`)
	for _, generator := range []string{"Unix Makefiles", "Ninja"} {
		for kind, want := range map[string]string{"static": "static\n", "shared": "shared\n"} {
			config, version, err := CMake([]*Package{foo}, Request{Package: foo}, CMakeOptions{Name: "foo", Options: Options{Shared: kind == "shared"}})
			if err != nil {
				t.Fatal(err)
			}
			build := filepath.Join(work, kind+generator)
			write(t, filepath.Join(work, kind, "fooConfig.cmake"), config)
			write(t, filepath.Join(work, kind, "fooConfigVersion.cmake"), version)
			run(t, work, "cmake", "-S", ".", "-B", build, "-G", generator, "-Dfoo_DIR="+filepath.Join(work, kind))
			run(t, work, "cmake", "--build", build)
			for _, program := range []string{"target", "variables"} {
				if got := run(t, work, filepath.Join(build, program)); got != want {
					t.Errorf("%s, %s, %s: the program says %q, want %q", generator, kind, program, got, want)
				}
			}
			if err := os.RemoveAll(build); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestADependencyAnswersToItsAliasAndToTheStockName(t *testing.T) {
	for _, test := range []struct {
		alias, given string
		want         []string
	}{
		{"png", "", []string{"png"}},
		{"libpng", "", []string{"libpng", "PNG"}},
		{"openssl", "", []string{"openssl"}},
		{"sqlite", "", []string{"sqlite", "SQLite3"}},
		{"mine", "", []string{"mine"}},
		{"png", "MyPNG", []string{"MyPNG"}},
	} {
		if got := CMakeNames(test.alias, test.given); !slices.Equal(got, test.want) {
			t.Errorf("%s, %q: %v, want %v", test.alias, test.given, got, test.want)
		}
	}
}

func TestAProjectInCLinksAnArchiveOfCXX(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "plus")
	write(t, filepath.Join(root, "include", "plus.h"), "#ifdef __cplusplus\nextern \"C\"\n#endif\nint plus(int);\n")
	write(t, filepath.Join(root, "lib", "plus.cpp"), "#include <plus.h>\n#include <string>\nint plus(int n) { return std::to_string(n).size(); }\n")
	run(t, filepath.Join(root, "lib"), "g++", "-I../include", "-c", "plus.cpp")
	run(t, filepath.Join(root, "lib"), "ar", "rcs", "libplus.a", "plus.o")
	plus := installed(t, root, "plus")
	config, version, err := CMake([]*Package{plus}, Request{Package: plus}, CMakeOptions{Name: "plus"})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "plusConfig.cmake"), config)
	write(t, filepath.Join(dir, "plusConfigVersion.cmake"), version)
	write(t, filepath.Join(dir, "main.c"), "#include <plus.h>\nint main(void) { return plus(12345); }\n")
	for _, languages := range []string{"C", "C CXX"} {
		write(t, filepath.Join(dir, "CMakeLists.txt"), "cmake_minimum_required(VERSION 3.5)\nproject(p "+languages+")\nfind_package(plus REQUIRED)\n"+
			"add_executable(target main.c)\ntarget_link_libraries(target PRIVATE plus::plus)\n"+
			"add_executable(variables main.c)\ntarget_include_directories(variables PRIVATE ${plus_INCLUDE_DIRS})\ntarget_link_libraries(variables PRIVATE ${plus_LIBRARIES})\n")
		build := filepath.Join(dir, languages)
		run(t, dir, "cmake", "-S", ".", "-B", build, "-Dplus_DIR="+dir)
		run(t, dir, "cmake", "--build", build)
		for _, program := range []string{"target", "variables"} {
			run(t, dir, "sh", "-c", "'"+filepath.Join(build, program)+"'; test $? = 5")
		}
	}
}
