package ocipkg

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ocipkg/ocipkg/platform"
)

// cmakeTarget gives the target of a CMake build, in a form that --platform
// takes, from the values of CMake's variables; those that are not set are not
// there. See https://cmake.org/cmake/help/latest/manual/cmake-variables.7.html.
func cmakeTarget(v map[string]string) string {
	compiler := filepath.Base(filepath.ToSlash(first(v["CMAKE_C_COMPILER"], v["CMAKE_CXX_COMPILER"])))
	if triple := first(v["CMAKE_C_COMPILER_TARGET"], v["CMAKE_CXX_COMPILER_TARGET"]); known(triple) {
		return triple
	}
	architecture := cmakeArchitecture(v)
	switch v["CMAKE_SYSTEM_NAME"] {
	case "Darwin":
		return architecture + "-apple-macos" + v["CMAKE_OSX_DEPLOYMENT_TARGET"]
	case "iOS":
		return architecture + "-apple-ios"
	case "Windows":
		if truthy(v["MINGW"]) {
			return architecture + "-pc-windows-gnu"
		}
		return architecture + "-pc-windows-msvc"
	case "Android":
		return architecture + "-linux-android"
	case "Linux":
		return linuxTarget(v, architecture, compiler)
	}
	return architecture + "-unknown-" + strings.ToLower(v["CMAKE_SYSTEM_NAME"])
}

// compilerTriple is the start of a cross-compiler's name.
var compilerTriple = regexp.MustCompile(`^[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*-linux-(gnu|musl)[a-z0-9_]*`)

// linuxTarget finds the C library. A name that says it counts more than the
// host's: musl-gcc compiles for musl on a machine with glibc.
func linuxTarget(v map[string]string, architecture, compiler string) string {
	if triple := compilerTriple.FindString(compiler); known(triple) {
		return triple
	}
	if strings.Contains(compiler, "musl") {
		return architecture + "-linux-musl"
	}
	target := architecture + "-unknown-linux"
	if triple := v["CMAKE_LIBRARY_ARCHITECTURE"]; known(triple) {
		target = triple
	}
	p, err := platform.FromTriple(target)
	if err != nil || truthy(v["CMAKE_CROSSCOMPILING"]) {
		return target
	}
	return p.Complete().String()
}

// cmakeArchitecture gives the processor as target triples have it.
func cmakeArchitecture(v map[string]string) string {
	// With several architectures in one build, each would want packages of its
	// own: the first is taken.
	if name, _, _ := strings.Cut(v["CMAKE_OSX_ARCHITECTURES"], " "); name != "" {
		return name
	}
	// What Microsoft's compiler builds for is in its own name, not in the
	// processor's.
	name := first(v["CMAKE_C_COMPILER_ARCHITECTURE_ID"], v["CMAKE_CXX_COMPILER_ARCHITECTURE_ID"])
	if name == "" || !truthy(v["MSVC"]) {
		name = v["CMAKE_SYSTEM_PROCESSOR"]
	}
	switch name = strings.ToLower(name); {
	case name == "x64":
		name = "x86_64"
	case name == "x86":
		name = "i686"
	case name == "armv7-a":
		name = "armv7a"
	}
	if name == "x86_64" && v["CMAKE_SIZEOF_VOID_P"] == "4" {
		return "i686"
	}
	return name
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

func known(triple string) bool {
	_, err := platform.FromTriple(triple)
	return err == nil
}

// truthy reads a value as CMake's if() does.
func truthy(value string) bool {
	switch strings.ToUpper(value) {
	case "1", "ON", "YES", "TRUE", "Y":
		return true
	}
	return false
}
