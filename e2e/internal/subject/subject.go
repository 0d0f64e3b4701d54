// Package subject publishes real libraries, as Debian builds them, in a
// registry: what a maintainer of them would do.
package subject

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/debian"
	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// Library is a library that tests link.
type Library struct {
	Name string
	// Tag is that of its package.
	Tag string
	// Module is the name of its .pc file; empty for a library that is there
	// only since others require it.
	Module string
	// Debian names the packages that have it, headers and all.
	Debian []string
	// Beside names the packages of the shared libraries that the shared one
	// loads: they are in its package, too.
	Beside []string
	// Requires holds the libraries that it needs, by the names that its
	// [dependencies] has for them.
	Requires map[string]string
}

// Libraries are those that can be published, each after those that it requires.
var Libraries = []Library{
	{Name: "zlib", Tag: "1.2", Module: "zlib", Debian: []string{"zlib1g-dev", "zlib1g"}},
	{Name: "zstd", Tag: "1.5", Module: "libzstd", Debian: []string{"libzstd-dev", "libzstd1"}},
	{Name: "lz4", Tag: "1.9", Module: "liblz4", Debian: []string{"liblz4-dev", "liblz4-1"}},
	{Name: "openssl", Tag: "3.0", Module: "openssl", Debian: []string{"libssl-dev", "libssl3"}},
	{Name: "sqlite3", Tag: "3.40", Module: "sqlite3", Debian: []string{"libsqlite3-dev", "libsqlite3-0"}, Requires: map[string]string{"zlib": "zlib"}},
	{Name: "libpng", Tag: "1.6", Module: "libpng", Debian: []string{"libpng-dev", "libpng16-16"}, Requires: map[string]string{"zlib": "zlib"}},
	{Name: "gpg-error", Tag: "1.46", Debian: []string{"libgpg-error-dev", "libgpg-error0"}},
	{Name: "libssh2", Tag: "1.10", Module: "libssh2", Debian: []string{"libssh2-1-dev", "libssh2-1"},
		Requires: map[string]string{"zlib": "zlib", "openssl": "openssl", "gpg-error": "gpg-error"}},
	{Name: "curl", Tag: "7.88", Module: "libcurl", Debian: []string{"libcurl4-openssl-dev", "libcurl4"},
		Beside: []string{"libbrotli1", "libcom-err2", "libffi8", "libgmp10", "libgnutls30", "libgssapi-krb5-2", "libhogweed6", "libidn2-0", "libk5crypto3",
			"libkeyutils1", "libkrb5-3", "libkrb5support0", "libldap-2.5-0", "libnettle8", "libnghttp2-14", "libp11-kit0", "libpsl5", "librtmp1", "libsasl2-2",
			"libssh2-1", "libssl3", "libtasn1-6", "libunistring2", "libzstd1", "zlib1g"}},
}

// Shapes are further libraries, small ones, chosen for how they are made: a package of several modules, a chain of private
// requirements, C++, one kind of library alone. Each is there to be linked by its module, of which its package may have more.
var Shapes = []Library{
	{Name: "jansson", Tag: "2.14", Module: "jansson", Debian: []string{"libjansson-dev", "libjansson4"}},
	{Name: "gsl", Tag: "2.7", Module: "gsl", Debian: []string{"libgsl-dev", "libgsl27", "libgslcblas0"}},
	{Name: "brotli", Tag: "1.0", Module: "libbrotlidec", Debian: []string{"libbrotli-dev", "libbrotli1"}},
	{Name: "pcre2", Tag: "10.42", Module: "libpcre2-posix", Debian: []string{"libpcre2-dev", "libpcre2-8-0", "libpcre2-16-0", "libpcre2-32-0", "libpcre2-posix3"}},
	{Name: "webp", Tag: "1.2", Module: "libwebpmux", Debian: []string{"libwebp-dev", "libwebp7", "libwebpmux3", "libwebpdemux2"}},
	{Name: "ogg", Tag: "1.3", Debian: []string{"libogg-dev", "libogg0"}},
	{Name: "vorbis", Tag: "1.3", Module: "vorbisenc", Debian: []string{"libvorbis-dev", "libvorbis0a", "libvorbisenc2", "libvorbisfile3"},
		Requires: map[string]string{"ogg": "ogg"}},
	{Name: "yaml-cpp", Tag: "0.7", Module: "yaml-cpp", Debian: []string{"libyaml-cpp-dev", "libyaml-cpp0.7"}},
	{Name: "gtest", Tag: "1.12", Module: "gtest_main", Debian: []string{"libgtest-dev"}},
	{Name: "jsoncpp", Tag: "1.9", Module: "jsoncpp", Debian: []string{"libjsoncpp-dev", "libjsoncpp25"}},
	{Name: "udev", Tag: "252", Module: "libudev", Debian: []string{"libudev-dev", "libudev1"}},
}

// Others are for what needs them.
var Others = []Library{
	{Name: "glib", Tag: "2.74", Module: "glib-2.0", Debian: []string{"libglib2.0-dev", "libglib2.0-0"}, Requires: map[string]string{"pcre2": "pcre2"}},
}

// Find gives the library of that name.
func Find(t testing.TB, name string) Library {
	t.Helper()
	all := slices.Concat(Libraries, Shapes, Others)
	i := slices.IndexFunc(all, func(l Library) bool { return l.Name == name })
	if i < 0 {
		t.Fatalf("there is no subject %q", name)
	}
	return all[i]
}

// Reference gives the name of a library in the registry at host.
func (l Library) Reference(host string) string { return host + "/acme/" + l.Name + ":" + l.Tag }

// Publish packs and pushes libraries from the session's directory, each after
// those that it requires. The trees they are made from stay there, under their
// names.
func Publish(t testing.TB, producer *program.Session, host string, names ...string) {
	t.Helper()
	for _, name := range names {
		l := Find(t, name)
		dir := filepath.Join(producer.Dir, name)
		debian.CopyUsr(t, dir, l.Debian...)
		for _, beside := range l.Beside {
			debian.CopyUsr(t, dir, beside)
		}
		producer.Own(dir)
		var project strings.Builder
		fmt.Fprintf(&project, "[package]\nname = %q\n\n[dependencies]\n", l.Name)
		for _, alias := range slices.Sorted(maps.Keys(l.Requires)) {
			fmt.Fprintf(&project, "%s = %q\n", alias, Find(t, l.Requires[alias]).Reference(host))
		}
		file := producer.WriteFile(name+".toml", project.String(), 0o644)
		producer.Run("ocipkg", "push", name, l.Reference(host), "--annotations", file).OK()
	}
}
