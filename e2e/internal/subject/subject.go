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

// Find gives the library of that name.
func Find(t testing.TB, name string) Library {
	t.Helper()
	i := slices.IndexFunc(Libraries, func(l Library) bool { return l.Name == name })
	if i < 0 {
		t.Fatalf("there is no subject %q", name)
	}
	return Libraries[i]
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
