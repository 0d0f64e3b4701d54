// Package cmake holds the CMake module of ocipkg, for the program to put where
// CMake can read it.
package cmake

import _ "embed"

// ModuleName is the file name of the module, which include(ocipkg) looks for.
const ModuleName = "ocipkg.cmake"

// Module is the text of the module: the command ocipkg_add_package, and a
// dependency provider for find_package.
// See https://cmake.org/cmake/help/latest/command/cmake_language.html#dependency-providers.
//
//go:embed ocipkg.cmake
var Module []byte
