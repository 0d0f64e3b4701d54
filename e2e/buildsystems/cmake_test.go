package buildsystems

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/debian"
	"github.com/ocipkg/ocipkg/e2e/internal/guide"
	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/subject"
)

func TestTheGuideForCMakeIsRight(t *testing.T) {
	stories := []story{
		{section: "CMake", program: "build/app"},
		{section: "Shared libraries", program: "build/app", shared: true},
		{section: "A name in CMakeLists.txt", program: "build/app"},
		{section: "pkg-config's modules", program: "build/app"},
		{section: "When a package moves", after: "CMake", program: "build/app"},
	}
	sections := guide.Read(t, "cmake.md")
	if n := len(stories); len(sections) != n+1 || sections[n].Title != "Publish a library" {
		t.Fatalf("the guide has %d sections with something to do, want %d and then the one on publishing", len(sections), n)
	}
	for i, s := range stories {
		if sections[i].Title != s.section {
			t.Fatalf("section %q stands where %q is wanted", sections[i].Title, s.section)
		}
		t.Run(s.section, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			var before []string
			if at := slices.IndexFunc(sections, func(other guide.Section) bool { return other.Title == s.after }); at >= 0 {
				u.follow(t, sections[at])
				before = linked(t, u.linked)
				u.publishAnew()
			}
			u.follow(t, sections[i])
			u.check(t, s)
			for _, file := range linked(t, u.linked) {
				if strings.HasPrefix(filepath.Base(file), "libpng") && slices.Contains(before, file) {
					t.Errorf("the linker took the libpng of before: %s", file)
				}
			}
		})
	}
	t.Run("Publish a library", func(t *testing.T) {
		t.Parallel()
		u := newUser(t)
		u.follow(t, sections[len(stories)])
		work := u.Dir
		u.Dir = filepath.Join(work, "consumer")
		u.WriteFile("main.c", "#include <shade.h>\nint main(void) { return shade(84); }\n", 0o644)
		u.cmake(t, "find_package(shade 1.0 CONFIG REQUIRED)\nadd_executable(app main.c)\ntarget_link_libraries(app PRIVATE shade::shade)\n",
			"shade = \""+u.host+"/acme/shade:1.0\"\n").OK()
		u.Run("cmake", "--build", "build").OK()
		u.Run("rm", "-r", filepath.Join(work, "install")).OK()
		u.Run("build/app").Exit(42)
	})
}

const provider = `-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES="$(ocipkg cmake-dir)/ocipkg.cmake"`

// cmake configures a project in C with ocipkg.cmake as the dependency provider.
func (u *user) cmake(t *testing.T, code, dependencies string, arguments ...string) *program.Result {
	t.Helper()
	u.WriteFile("CMakeLists.txt", "cmake_minimum_required(VERSION 3.5)\nproject(app C)\n"+code, 0o644)
	u.WriteFile("ocipkg.toml", "[dependencies]\n"+dependencies, 0o644)
	return u.Run("sh", "-c", "cmake -S . -B build "+provider+" "+strings.Join(arguments, " "))
}

const app = "add_executable(app main.c)\ntarget_link_libraries(app PRIVATE PNG::PNG)\n"

func TestEachOfCMakesGeneratorsLinksStaticAndShared(t *testing.T) {
	for _, generator := range []string{"Ninja", "'Unix Makefiles'"} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, shared %v", generator, shared), func(t *testing.T) {
				t.Parallel()
				u := newUser(t)
				kind := map[bool]string{true: "SHARED", false: "STATIC"}[shared]
				u.cmake(t, "include(ocipkg)\nocipkg_add_package(NAME PNG IMAGE png "+kind+")\n"+app,
					fmt.Sprintf("png = { image = \"%s/acme/libpng\", tag = \"1.6\", shared = %v }\n", u.host, !shared), "-G", generator).OK()
				u.Run("cmake", "--build", "build").OK()
				u.check(t, story{program: "build/app", shared: shared})
			})
		}
	}
}

func TestAModuleOfCMakeTakesOurLibraryForItsOwnNeeds(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	system := filepath.Join(u.Temp, "system")
	debian.CopyUsr(t, system, "libpng-dev", "libpng16-16")
	u.Own(system)
	// CMake's FindPNG finds the system's libpng, and asks for ZLIB by itself.
	u.cmake(t, "set(CMAKE_FIND_LIBRARY_SUFFIXES .a)\nfind_package(PNG REQUIRED)\n"+app, "zlib = \""+u.host+"/acme/zlib:1.2\"\n", "-DCMAKE_PREFIX_PATH="+system, "-DCMAKE_LIBRARY_ARCHITECTURE=x86_64-linux-gnu").OK()
	u.Run("cmake", "--build", "build").OK()
	u.Run("build/app").OK()
	zlib := slices.DeleteFunc(linked(t, u.linked), func(file string) bool { return !strings.HasPrefix(filepath.Base(file), "libz.") })
	checkFiles(t, "the linker took", zlib, storetest.Dir(u.Session)+"/packages/sha256/", ".a", "libz")
}

func TestTheTargetsOfCMakesOwnModulesAreThere(t *testing.T) {
	for name, shared := range map[string]bool{"static": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			subject.Publish(t, u.producer, u.host, "zstd", "lz4", "openssl", "sqlite3", "gpg-error", "libssh2", "curl")
			var dependencies string
			for _, library := range []string{"zstd", "lz4", "openssl", "sqlite3", "libssh2", "curl"} {
				// Debian's static libcurl wants twenty libraries more.
				dependencies += fmt.Sprintf("%s = { image = %q, shared = %v }\n", library, subject.Find(t, library).Reference(u.host), shared || library == "curl")
			}
			text, err := os.ReadFile("testdata/stock/main.c")
			if err != nil {
				t.Fatal(err)
			}
			u.WriteFile("main.c", string(text), 0o644)
			u.cmake(t, `find_package(CURL 7 REQUIRED COMPONENTS HTTPS)
find_package(OpenSSL 3 REQUIRED COMPONENTS SSL Crypto)
find_package(SQLite3 REQUIRED)
find_package(zstd CONFIG REQUIRED)
find_package(lz4 CONFIG REQUIRED)
find_package(Libssh2 CONFIG REQUIRED)
add_executable(app main.c)
target_link_libraries(app PRIVATE CURL::libcurl Libssh2::libssh2 LZ4::lz4 OpenSSL::SSL OpenSSL::Crypto SQLite::SQLite3 zstd::libzstd)
`, dependencies).OK()
			u.Run("cmake", "--build", "build").OK()
			if got, want := u.Run("build/app").OK().Stdout, "curl 1, libssh2 1, lz4 1, openssl 1, ssl 1, sqlite3 1, zstd 1\n"; got != want {
				t.Errorf("the program says %q, want %q", got, want)
			}
			checkStock(t, u, shared)
		})
	}
}

// checkStock checks that the libraries were linked from the store, and those
// that are static nowhere else.
func checkStock(t *testing.T, u *user, shared bool) {
	t.Helper()
	text, err := os.ReadFile(u.linked)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"libcurl": true, "libssh2": shared, "liblz4": shared, "libssl": shared, "libcrypto": shared, "libsqlite3": shared, "libzstd": shared}
	for word := range strings.FieldsSeq(string(text)) {
		file := strings.TrimSuffix(word, ":")
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		if wantShared, ok := want[name]; ok && strings.Contains(filepath.Base(file), ".so") == wantShared && strings.HasPrefix(file, storetest.Dir(u.Session)) {
			delete(want, name)
		}
	}
	if len(want) > 0 {
		t.Errorf("the linker did not take from the store: %v\n%s", want, text)
	}
}

func TestWhatAPackageNeedsWithoutSayingWhoHasItIsFoundByItsName(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.producer.Run("ocipkg", "push", "libpng", u.host+"/acme/bare:1").OK() // with libpng.pc, which requires zlib, and nothing more
	u.cmake(t, "find_package(PNG REQUIRED)\n"+app, fmt.Sprintf("libpng = %q\nzlib = %q\n", u.host+"/acme/bare:1", u.host+"/acme/zlib:1.2")).OK()
	u.Run("cmake", "--build", "build").OK()
	u.check(t, story{program: "build/app"})
}

func TestACacheFromBeforeDoesNotBringBackTheSystemsLibraries(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	system := filepath.Join(u.Temp, "system")
	debian.CopyUsr(t, system, "libpng-dev", "libpng16-16", "zlib1g-dev", "zlib1g")
	u.Own(system)
	u.Env = append(u.Env, "PKG_CONFIG_PATH="+filepath.Join(system, "lib/x86_64-linux-gnu/pkgconfig"), "CMAKE_PREFIX_PATH="+system)
	code := "find_package(PkgConfig REQUIRED)\npkg_check_modules(P REQUIRED IMPORTED_TARGET libpng zlib)\nfind_package(PNG REQUIRED)\n" +
		"add_executable(app main.c)\nif(VIA_PC)\ntarget_link_libraries(app PRIVATE PkgConfig::P)\nelse()\ntarget_link_libraries(app PRIVATE PNG::PNG)\nendif()\n"
	u.cmake(t, code, "", "-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES=").OK()
	cache := u.Run("grep", "pkgcfg_lib_P_png16:", "build/CMakeCache.txt").OK().Stdout
	if !strings.Contains(cache, "/usr/") && !strings.Contains(cache, system) {
		t.Fatalf("without ocipkg, CMake found %s", cache)
	}
	dependencies := fmt.Sprintf("libpng = %q\nzlib = %q\n", u.host+"/acme/libpng:1.6", u.host+"/acme/zlib:1.2")
	for _, via := range []string{"OFF", "ON"} {
		u.cmake(t, code, dependencies, "-DVIA_PC="+via).OK()
		u.Run("cmake", "--build", "build").OK()
		u.check(t, story{program: "build/app"})
	}
}

func TestAChangedProjectFileAndAnEmptiedStoreConfigureAnew(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	dependency := "png = { image = \"" + u.host + "/acme/libpng\", tag = \"1.6\", shared = %v }\n"
	u.cmake(t, "find_package(PNG REQUIRED)\n"+app, fmt.Sprintf(dependency, false), "-G", "Ninja").OK()
	u.Run("cmake", "--build", "build").OK()
	u.check(t, story{program: "build/app"})
	if said := u.Run("cmake", "--build", "build").OK().Stdout; !strings.Contains(said, "no work to do") {
		t.Errorf("nothing was changed, and the build says %s", said)
	}

	u.WriteFile("ocipkg.toml", "[dependencies]\n"+fmt.Sprintf(dependency, true), 0o644)
	u.Run("cmake", "--build", "build").OK()
	u.check(t, story{program: "build/app", shared: true})

	u.emptyStore(t)
	u.Run("cmake", "--build", "build").OK()
	u.check(t, story{program: "build/app", shared: true})
}

func TestFindPackageSaysWhyAPackageCannotBeHad(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	missing := u.host + "/acme/libpang:1.6"
	u.producer.WriteFile("notes/README", "nothing to link\n", 0o644)
	u.producer.Run("ocipkg", "push", "notes", u.host+"/acme/notes:1").OK()
	elsewhere := "zlib = \"" + u.host + "/acme/elsewhere:1\""
	u.producer.Run("ocipkg", "push", "notes", u.host+"/acme/elsewhere:1", "--platform", "windows/arm64").OK()
	u.producer.WriteFile("libpng/NEWS", "another package\n", 0o644)
	u.producer.Run("ocipkg", "push", "libpng", u.host+"/acme/copy:1", "--annotations", "libpng.toml").OK()
	for name, c := range map[string]struct {
		code, dependencies string
		fails              bool
		want, never        []string
	}{
		"required":                   {"find_package(ZLIB REQUIRED)", "zlib = \"" + missing + "\"", true, []string{"get " + missing}, nil},
		"not asked for":              {"", "zlib = \"" + missing + "\"", true, []string{"prepare zlib for CMake: ", "get " + missing}, nil},
		"for another system":         {"find_package(ZLIB REQUIRED)", elsewhere, true, []string{"is for windows/arm64"}, nil},
		"optional":                   {"find_package(ZLIB)\nmessage(NOTICE \"found: ${ZLIB_FOUND}.\")", elsewhere, false, []string{"is for windows/arm64", "found: 0."}, nil},
		"quiet":                      {"find_package(ZLIB QUIET)\nmessage(NOTICE \"found: ${ZLIB_FOUND}.\")", elsewhere, false, []string{"found: 0."}, []string{"windows/arm64"}},
		"too old":                    {"find_package(ZLIB 2 REQUIRED)", "zlib = \"" + u.host + "/acme/zlib:1.2\"", true, []string{"version: 1.2.13"}, []string{"FindZLIB"}},
		"without the component":      {"find_package(ZLIB REQUIRED COMPONENTS zz)", "zlib = \"" + u.host + "/acme/zlib:1.2\"", true, []string{"no component zz", "zlib"}, nil},
		"added":                      {"include(ocipkg)\nocipkg_add_package(NAME zlib IMAGE " + missing + ")", "", true, []string{"ocipkg_add_package(NAME zlib)", "get " + missing}, nil},
		"added without a name":       {"ocipkg_add_package(IMAGE zlib)", "", true, []string{"without NAME"}, nil},
		"two for a name":             {"find_package(ZLIB)", "zlib = \"a.b/c:1\"\nother = { image = \"a.b/c\", tag = \"1\", cmake = \"ZLIB\" }", true, []string{`"other" and "zlib"`}, nil},
		"a project file that is not": {"find_package(ZLIB)", "zlib = 3", true, []string{"ocipkg.toml", "zlib"}, nil},
		"without libraries":          {"find_package(notes REQUIRED)", "notes = \"" + u.host + "/acme/notes:1\"", true, []string{"no libraries"}, nil},
		"a system's, not listed":     {"find_package(Threads REQUIRED)", elsewhere, false, nil, []string{"elsewhere", "asked for"}},
		"a name of two packages":     {"find_package(libpng16 REQUIRED)", "one = \"" + u.host + "/acme/libpng:1.6\"\ntwo = \"" + u.host + "/acme/copy:1\"", true, []string{"the packages one and two of [dependencies] both have libpng16"}, nil},
	} {
		u.Run("rm", "-rf", "build").OK()
		r := u.cmake(t, c.code+"\n", c.dependencies+"\n")
		said := strings.Join(strings.Fields(r.Stdout+r.Stderr), " ")
		if (r.ExitCode != 0) != c.fails {
			t.Errorf("%s: fails: %v, want %v\n%s", name, !c.fails, c.fails, r)
		}
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: CMake does not say %q\n%s", name, want, r)
			}
		}
		for _, never := range c.never {
			if strings.Contains(said, never) {
				t.Errorf("%s: CMake says %q\n%s", name, never, r)
			}
		}
	}
}

func TestTheTargetFollowsTheCompilerThatCMakeFound(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	log := filepath.Join(u.Temp, "calls")
	wrapper := u.WriteFile("bin/ocipkg", "#!/bin/sh\necho \"$@\" >>"+log+"\nexec "+filepath.Join(program.Bin(t), "ocipkg")+" \"$@\"\n", 0o755)
	compiler := u.WriteFile("bin/musl-gcc", "#!/bin/sh\nexec gcc \"$@\"\n", 0o755)
	u.WriteFile("CMakeLists.txt", "cmake_minimum_required(VERSION 3.5)\nproject(app NONE)\nfind_package(ZLIB QUIET)\nenable_language(C)\nfind_package(ZLIB QUIET)\n", 0o644)
	u.WriteFile("ocipkg.toml", "[dependencies]\nzlib = \""+u.host+"/acme/zlib:1.2\"\n", 0o644)
	// The target that is known before a language is enabled is not asked for again where it proves right.
	for arguments, want := range map[string][]string{
		"":                               {"linux/amd64 glibc 2."}, // with what this machine has
		"-DCMAKE_C_COMPILER=" + compiler: {"x86_64-linux-musl"},
		"-DCMAKE_C_COMPILER=clang -DCMAKE_C_COMPILER_TARGET=x86_64-pc-linux-musl": {"x86_64-pc-linux-musl"},
		"-DOCIPKG_TARGET=linux/s390x": {"linux/s390x"},
	} {
		u.Run("rm", "-rf", "build", log).OK()
		u.Run("sh", "-c", "cmake -S . -B build "+provider+" -DOCIPKG="+wrapper+" "+arguments).OK()
		var targets []string
		for line := range strings.Lines(u.Run("cat", log).OK().Stdout) {
			if _, target, ok := strings.Cut(line, " --platform "); ok && strings.Contains(line, "cmake-config") {
				targets = append(targets, target)
			}
		}
		if !slices.EqualFunc(targets, want, strings.Contains) {
			t.Errorf("%s: the packages are asked for %q, want %q", arguments, targets, want)
		}
	}
}

// emptyStore removes all that the user has got, as a new machine lacks it.
func (u *user) emptyStore(t *testing.T) {
	t.Helper()
	store := storetest.Dir(u.Session)
	u.Run("sh", "-c", "chmod -R u+w "+store+"/packages && rm -rf "+store+"/packages "+store+"/refs "+store+"/blobs").OK()
}

func TestComponentsHaveTheNamesThatUpstreamGivesThem(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	icu := filepath.Join(u.producer.Temp, "icu")
	debian.CopyUsr(t, icu, "libicu-dev", "libicu72")
	u.producer.Own(icu)
	u.producer.Run("ocipkg", "push", icu, u.host+"/acme/libicu-dev:72").OK()
	u.WriteFile("main.c", "#include <unicode/uloc.h>\n#include <unicode/ucol.h>\nint main(void) {\n\tUErrorCode e = U_ZERO_ERROR;\n\treturn ucol_open(\"de\", &e) && U_SUCCESS(e) ? uloc_countAvailable() > 0 ? 42 : 1 : 2;\n}\n", 0o644)
	dependencies := "icu = \"" + u.host + "/acme/libicu-dev:72\"\n"
	u.cmake(t, "enable_language(CXX)\nfind_package(ICU 72 REQUIRED COMPONENTS uc I18N)\nadd_executable(app main.c)\ntarget_link_libraries(app PRIVATE ICU::I18N ICU::uc)\n", dependencies).OK()
	u.Run("cmake", "--build", "build").OK()
	u.Run("build/app").Exit(42)
	text, err := os.ReadFile(u.linked)
	if err != nil || !strings.Contains(string(text), storetest.Dir(u.Session)) || strings.Contains(string(text), "libicuuc.so") {
		t.Errorf("the linker took %s, %v", text, err)
	}

	r := u.cmake(t, "enable_language(CXX)\nfind_package(ICU REQUIRED COMPONENTS nope uc neither)\n", dependencies).Exit(1)
	if said := strings.Join(strings.Fields(r.Stderr), " "); !strings.Contains(said, "the package has no component nope, neither: its components are icu-i18n, icu-io, icu-uc") {
		t.Errorf("CMake says %s", r.Stderr)
	}
}

func TestTargetsHaveTheNamesThatTheProducerLists(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.producer.WriteFile("uv.c", "int uv(void) { return 42; }\n", 0o644)
	u.producer.WriteFile("uv/include/uv.h", "int uv(void);\n", 0o644)
	u.producer.WriteFile("ocipkg.toml", "[package]\nname = \"libuv\"\nversion = \"1.44\"\n[package.names]\nlibuv = [\"libuv::uv_a\", \"EventLoop\"]\n", 0o644)
	u.producer.Run("sh", "-ec", "mkdir uv/lib; cc -c uv.c; ar rc uv/lib/libuv.a uv.o; ocipkg push uv "+u.host+"/acme/libuv:1.44").OK()
	u.WriteFile("main.c", "#include <uv.h>\nint main(void) { return uv(); }\n", 0o644)
	for name, target := range map[string]string{"uv": "libuv::uv_a", "UV": "EventLoop"} {
		u.cmake(t, "find_package("+name+" REQUIRED)\nadd_executable(app main.c)\ntarget_link_libraries(app PRIVATE "+target+")\n", "uv = \""+u.host+"/acme/libuv:1.44\"\n").OK()
		u.Run("cmake", "--build", "build").OK()
		u.Run("build/app").Exit(42)
	}
}
