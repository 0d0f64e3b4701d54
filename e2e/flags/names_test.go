package flags

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
)

func TestNamesOfAnyKindReachEveryTool(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	// Those that no tool below takes, for its own reasons, are errors: see internal/link.
	name := tiny(t, registry, `-in c'l"u#d%eü(&)`, `l i'b"#%ü[d]{e}`)
	const main = "#include <stdio.h>\n#include <tiny.h>\nint main(void) { puts(tiny()); return 0; }\n"
	for tool, test := range map[string]struct {
		store  string
		files  map[string]string
		script string
		// prints is what each of the programs prints, by its path.
		prints map[string]string
	}{
		"sh": {
			`-a b'c"d;e#f%g(h)ü&i\j|k$l`, map[string]string{"main.c": main},
			`eval "cc main.c -o link-static $(ocipkg link NAME)"
			eval "cc main.c -o link-shared $(ocipkg link --shared NAME)"
			eval "cc main.c -o pkg-config-static $(ocipkg-pkg-config --cflags --libs NAME)"
			eval "cc main.c -o pkg-config-shared $(ocipkg-pkg-config --cflags --libs --shared NAME)"`,
			map[string]string{"link-static": "static", "link-shared": "shared", "pkg-config-static": "static", "pkg-config-shared": "shared"},
		},
		"make": {
			`-a b'c"d;e#f%g(h)ü&i\j|k$l`, map[string]string{
				"main.c":   main,
				"Makefile": "FLAGS := $(shell ocipkg link NAME)\nSHARED = $(shell ocipkg-pkg-config --cflags --libs --shared NAME)\nall:\n\tcc main.c -o static $(FLAGS)\n\tcc main.c -o shared $(SHARED)\n",
			},
			"make", map[string]string{"static": "static", "shared": "shared"},
		},
		"autotools": { // whose Makefiles evaluate a dollar sign
			`-a b'c"d;e#f%g(h)ü&i\j|k`, map[string]string{
				"main.c":       main,
				"configure.ac": "AC_INIT([app], [1.0])\nAC_PROG_CC\nPKG_CHECK_MODULES([TINY], [NAME])\nAC_CHECK_HEADER([stdio.h])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n",
				"Makefile.in":  "app:\n\t@CC@ main.c -o $@ @TINY_CFLAGS@ @TINY_LIBS@\n\t@CC@ main.c -o again $(TINY_CFLAGS) $(TINY_LIBS)\nTINY_CFLAGS = @TINY_CFLAGS@\nTINY_LIBS = @TINY_LIBS@\n",
			},
			"autoreconf --install && ./configure && make", map[string]string{"app": "static", "again": "static"},
		},
		"meson": {
			`-a b'c"d;e#f%g(h)ü&i$j`, map[string]string{
				"main.c":      main,
				"ocipkg.toml": "[dependencies]\ntiny = \"NAME\"\nshared = { image = \"IMAGE\", tag = \"1\", shared = true }\n",
				"meson.build": "project('app', 'c')\nexecutable('static', 'main.c', dependencies: dependency('tiny'))\nexecutable('shared', 'main.c', dependencies: dependency('shared'))\n",
			},
			"meson setup build && meson compile -C build", map[string]string{"build/static": "static", "build/shared": "shared"},
		},
		"cmake": {
			`-a b'c#e%f(g)ü&h$i`, map[string]string{
				"main.c":      main,
				"ocipkg.toml": "[dependencies]\ntiny = \"NAME\"\n",
				"CMakeLists.txt": `cmake_minimum_required(VERSION 3.24)
project(app C)
include(ocipkg)
ocipkg_add_package(NAME both IMAGE NAME SHARED)
find_package(tiny REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(pc REQUIRED IMPORTED_TARGET tiny)
foreach(way IN ITEMS target variables module pc)
  add_executable(${way} main.c)
endforeach()
target_link_libraries(target PRIVATE tiny::tiny)
target_include_directories(variables PRIVATE ${tiny_INCLUDE_DIRS})
target_link_libraries(variables PRIVATE ${tiny_LIBRARIES})
target_link_libraries(module PRIVATE both::both)
target_link_libraries(pc PRIVATE PkgConfig::pc)
`,
			},
			"cmake -B build " + provider + " && cmake --build build",
			map[string]string{"build/target": "static", "build/variables": "static", "build/module": "shared", "build/pc": "static"},
		},
		"cargo": {
			`-a b'c"d;e#f%g(h)ü&i\j|k$l`, map[string]string{
				"Cargo.toml":  cargoToml,
				"build.rs":    buildScript,
				"src/main.rs": "extern \"C\" { fn tiny() -> *const std::os::raw::c_char; }\nfn main() { println!(\"{}\", unsafe { std::ffi::CStr::from_ptr(tiny()) }.to_str().unwrap()); }\n",
			},
			"PACKAGES=NAME cargo build --target-dir static; PACKAGES='--shared NAME' cargo build --target-dir shared",
			map[string]string{"static/debug/app": "static", "shared/debug/app": "shared"},
		},
	} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			u := newBuilder(t)
			build(t, u, name, test.store, test.files, test.script)
			for app, want := range test.prints {
				if got := u.Run(filepath.Join(u.Dir, app)).OK().Stdout; got != want+"\n" {
					t.Errorf("%s prints %q, want %s", app, got, want)
				}
			}
		})
	}
}

// build writes a project and builds it, with the store in a directory of the
// given name and NAME for the package.
func build(t *testing.T, u *program.Session, name, store string, files map[string]string, script string) {
	t.Helper()
	u.Env = append(u.Env, "OCIPKG_HOME="+filepath.Join(u.Home, store))
	names := strings.NewReplacer("NAME", name, "IMAGE", strings.TrimSuffix(name, ":1"))
	for file, text := range files {
		if file != "CMakeLists.txt" {
			text = names.Replace(text)
		} else {
			text = strings.ReplaceAll(text, "IMAGE NAME", "IMAGE "+name)
		}
		u.WriteFile(file, text, 0o644)
	}
	u.Run("sh", "-ec", names.Replace(script)).OK()
}

func TestNamesOfAnyKindReachCgo(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	name := tiny(t, registry, `-in c'l"u#d%eü(&)`, `l i'b#%ü[d]{e};`) // of linker flags it takes none with " or \
	u := newBuilder(t)
	source := "package main\n\n// #cgo pkg-config: KIND NAME\n// #include <tiny.h>\nimport \"C\"\n\nfunc main() { println(C.GoString(C.tiny())) }\n"
	build(t, u, name, `-a b'c;e#f%g(h)ü&i|j$k`, map[string]string{
		"go.mod": "module example.org/app\n\ngo 1.26\n", "static/main.go": strings.Replace(source, "KIND", "--static", 1),
		"shared/main.go": strings.Replace(source, "KIND", "--shared", 1),
	}, "mkdir bin && go build -o bin ./...")
	for _, kind := range []string{"static", "shared"} {
		if got := u.Run(filepath.Join(u.Dir, "bin", kind)).OK().Stderr; got != kind+"\n" {
			t.Errorf("the program prints %q, want %s", got, kind)
		}
	}
}
