package link

import (
	"slices"
	"strings"
)

// cmakeModule is what CMake users know a library by: the name that they give to find_package and the imported targets that
// they link, as CMake's own Find modules or the library's own config have them.
// See https://cmake.org/cmake/help/latest/manual/cmake-modules.7.html#find-modules.
type cmakeModule struct {
	name    string
	answers []string // what packages and pkg-config call it, in lower case
	targets []cmakeAlias
	// includeVariables are set to the include directories beside the usual variables.
	includeVariables []string
	// componentVariables are pkg-config variables that list, in words, what counts as a component to find_package.
	componentVariables []string
}

// cmakeAlias is one of a module's targets.
type cmakeAlias struct {
	target  string
	library string // as -l takes it; empty: the package's default components
	kind    Kind   // empty: of either kind
}

var cmakeModules = []cmakeModule{
	{name: "ZLIB", answers: []string{"zlib", "z"}, targets: []cmakeAlias{{target: "ZLIB::ZLIB"}}},
	{name: "PNG", answers: []string{"png", "libpng", "libpng16"}, targets: []cmakeAlias{{target: "PNG::PNG"}}, includeVariables: []string{"PNG_PNG_INCLUDE_DIR"}},
	{name: "JPEG", answers: []string{"jpeg", "libjpeg", "libjpeg-turbo"}, targets: []cmakeAlias{{target: "JPEG::JPEG"}}},
	{name: "TIFF", answers: []string{"tiff", "libtiff", "libtiff-4"}, targets: []cmakeAlias{{target: "TIFF::TIFF"}}},
	{name: "BZip2", answers: []string{"bzip2", "libbz2", "bz2"}, targets: []cmakeAlias{{target: "BZip2::BZip2"}}},
	{name: "LibLZMA", answers: []string{"liblzma", "lzma", "xz"}, targets: []cmakeAlias{{target: "LibLZMA::LibLZMA"}}},
	{name: "OpenSSL", answers: []string{"openssl"}, targets: []cmakeAlias{
		{target: "OpenSSL::SSL", library: "ssl"}, {target: "OpenSSL::Crypto", library: "crypto"},
	}},
	{name: "CURL", answers: []string{"curl", "libcurl"}, targets: []cmakeAlias{{target: "CURL::libcurl"}}, componentVariables: []string{"supported_protocols", "supported_features"}},
	{name: "SQLite3", answers: []string{"sqlite3", "sqlite", "libsqlite3"}, targets: []cmakeAlias{{target: "SQLite::SQLite3"}}},
	{name: "EXPAT", answers: []string{"expat", "libexpat"}, targets: []cmakeAlias{{target: "EXPAT::EXPAT"}}},
	{name: "LibXml2", answers: []string{"libxml2", "libxml-2.0", "xml2"}, targets: []cmakeAlias{{target: "LibXml2::LibXml2"}}},
	{name: "Freetype", answers: []string{"freetype", "freetype2"}, targets: []cmakeAlias{{target: "Freetype::Freetype"}}},
	{name: "LibArchive", answers: []string{"libarchive", "archive"}, targets: []cmakeAlias{{target: "LibArchive::LibArchive"}}},
	{name: "PostgreSQL", answers: []string{"postgresql", "libpq", "pq"}, targets: []cmakeAlias{{target: "PostgreSQL::PostgreSQL"}}},
	{name: "zstd", answers: []string{"zstd", "libzstd"}, targets: []cmakeAlias{
		{target: "zstd::libzstd"}, {target: "zstd::libzstd_static", kind: Static}, {target: "zstd::libzstd_shared", kind: Shared},
	}},
	{name: "lz4", answers: []string{"lz4", "liblz4"}, targets: []cmakeAlias{
		{target: "LZ4::lz4"}, {target: "LZ4::lz4_static", kind: Static}, {target: "LZ4::lz4_shared", kind: Shared},
	}},
	{name: "Libssh2", answers: []string{"libssh2", "ssh2"}, targets: []cmakeAlias{{target: "Libssh2::libssh2"}, {target: "libssh2::libssh2"}}},
}

// moduleNamed gives what is known of a name of find_package; for one that is not in the table, no more than the name.
func moduleNamed(name string) cmakeModule {
	for _, m := range cmakeModules {
		if strings.EqualFold(m.name, name) {
			m.name = name
			return m
		}
	}
	return cmakeModule{name: name}
}

// moduleOf gives the module that a package of this name, or a .pc file, is found by.
func moduleOf(name string) (cmakeModule, bool) {
	for _, m := range cmakeModules {
		if slices.Contains(m.answers, strings.ToLower(name)) {
			return m, true
		}
	}
	return cmakeModule{}, false
}

// CMakeNames lists the names that find_package may ask for a dependency by, without regard to case: the one that the project
// gives to it, else its alias and the name of the stock module for a library that is called so.
func CMakeNames(alias, given string) []string {
	if given != "" {
		return []string{given}
	}
	names := []string{alias}
	if m, ok := moduleOf(alias); ok && !strings.EqualFold(m.name, alias) {
		names = append(names, m.name)
	}
	return names
}
