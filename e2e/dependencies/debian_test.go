package dependencies

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/debian"
	"github.com/ocipkg/ocipkg/e2e/internal/program"
)

// library is one of Debian's, as somebody would publish it: in a package of its
// own, which requires others.
type library struct {
	name, tag string
	debian    []string
	requires  []string
	// shared are the shared libraries that it has, of those that curl loads.
	shared []string
}

// libraries are in the order in which they are published.
var libraries = []library{
	{"zlib", "1.2", []string{"zlib1g-dev", "zlib1g"}, nil, []string{"libz"}},
	{"openssl", "3.0", []string{"libssl-dev", "libssl3"}, nil, []string{"libssl", "libcrypto"}},
	{"gpg-error", "1.46", []string{"libgpg-error-dev", "libgpg-error0"}, nil, nil},
	{"libssh2", "1.10", []string{"libssh2-1-dev", "libssh2-1"}, []string{"zlib", "openssl", "gpg-error"}, []string{"libssh2"}},
	{"nghttp2", "1.52", []string{"libnghttp2-14"}, nil, []string{"libnghttp2"}},
	{"unistring", "1.0", []string{"libunistring2"}, nil, []string{"libunistring"}},
	{"idn2", "2.3", []string{"libidn2-0"}, []string{"unistring"}, []string{"libidn2"}},
	{"psl", "0.21", []string{"libpsl5"}, []string{"idn2", "unistring"}, []string{"libpsl"}},
	{"gmp", "6.2", []string{"libgmp10"}, nil, []string{"libgmp"}},
	{"nettle", "3.8", []string{"libnettle8", "libhogweed6"}, []string{"gmp"}, []string{"libnettle", "libhogweed"}},
	{"ffi", "3.4", []string{"libffi8"}, nil, []string{"libffi"}},
	{"p11-kit", "0.24", []string{"libp11-kit0"}, []string{"ffi"}, []string{"libp11-kit"}},
	{"tasn1", "4.19", []string{"libtasn1-6"}, nil, []string{"libtasn1"}},
	{"gnutls", "3.7", []string{"libgnutls30"}, []string{"gmp", "idn2", "nettle", "p11-kit", "tasn1", "unistring"}, []string{"libgnutls"}},
	{"rtmp", "2.4", []string{"librtmp1"}, []string{"gmp", "gnutls", "nettle", "zlib"}, []string{"librtmp"}},
	{"krb5", "1.20", []string{"libgssapi-krb5-2", "libkrb5-3", "libk5crypto3", "libkrb5support0", "libcom-err2", "libkeyutils1"}, []string{"openssl"},
		[]string{"libgssapi_krb5", "libkrb5", "libk5crypto", "libkrb5support", "libcom_err", "libkeyutils"}},
	{"sasl2", "2.1", []string{"libsasl2-2"}, nil, []string{"libsasl2"}},
	{"ldap", "2.5", []string{"libldap-2.5-0"}, []string{"gnutls", "sasl2"}, []string{"libldap-2.5", "liblber-2.5"}},
	{"zstd", "1.5", []string{"libzstd1"}, nil, []string{"libzstd"}},
	{"brotli", "1.0", []string{"libbrotli1"}, nil, []string{"libbrotlidec", "libbrotlicommon"}},
	{"curl", "7.88", []string{"libcurl4-openssl-dev", "libcurl4"},
		[]string{"brotli", "idn2", "krb5", "ldap", "libssh2", "nghttp2", "openssl", "psl", "rtmp", "zlib", "zstd"}, []string{"libcurl"}},
}

// staticSSH are the libraries that the linker reads for a static libssh2.
var staticSSH = []string{"libssh2", "libssl", "libcrypto", "libz"}

// sharedCurl are the libraries that a program with a shared libcurl loads.
func sharedCurl() []string {
	var all []string
	for _, l := range libraries {
		all = append(all, l.shared...)
	}
	return all
}

func (l library) reference(host string) string { return host + "/debian/" + l.name + ":" + l.tag }

func find(name string) library {
	for _, l := range libraries {
		if l.name == name {
			return l
		}
	}
	panic("there is no library " + name)
}

// publish packs and pushes all libraries, each from a directory of its own, as
// its maintainer would.
func publish(t *testing.T, host string) {
	t.Helper()
	s := program.New(t, program.Options{})
	work := s.Dir
	for _, l := range libraries {
		s.Dir = filepath.Join(work, l.name)
		var file strings.Builder
		fmt.Fprintf(&file, "[package]\nname = %q\n", l.name)
		if len(l.requires) > 0 {
			file.WriteString("\n[dependencies]\n")
		}
		for _, name := range l.requires {
			fmt.Fprintf(&file, "%s = %q\n", name, find(name).reference(host))
		}
		s.WriteFile("ocipkg.toml", file.String(), 0o644)
		debian.CopyUsr(t, filepath.Join(s.Dir, "usr"), l.debian...)
		s.Own(s.Dir)
		s.Run("ocipkg", "push", "usr", l.reference(host)).OK()
	}
}
