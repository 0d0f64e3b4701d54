package link

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// modules are .pc files as Debian's zlib, libpng, openssl and libssh2 have them, by the package they are in.
var modules = map[string]map[string]string{
	"zlib": {"zlib": "Libs: -L${libdir} -L${sharedlibdir} -lz\nCflags: -I${includedir}"},
	"libpng16": {"libpng16": "Requires.private: zlib\nLibs: -L${libdir} -lpng16\nLibs.private: -lm -lz -lm \n" +
		"Cflags: -I${includedir}/libpng16"},
	"openssl": {
		"libcrypto": "Libs: -L${libdir} -lcrypto\nLibs.private: -ldl -pthread \nCflags: -I${includedir}",
		"libssl":    "Requires.private: libcrypto\nLibs: -L${libdir} -lssl\nCflags: -I${includedir}",
		"openssl":   "Requires: libssl libcrypto",
	},
	"libssh2": {"libssh2": "Requires.private: libssl libcrypto zlib\nLibs: -L${libdir} -lssh2\nLibs.private:  -lgpg-error\n" +
		"Cflags: -I${includedir} -DSSH=2"},
}

const moduleHead = `prefix=/usr
libdir=${prefix}/lib/x86_64-linux-gnu
sharedlibdir=${libdir}
includedir=${prefix}/include
Name: x
Description: x
Version: 1
`

func TestFlagsAreThosePkgconfGives(t *testing.T) {
	dir := t.TempDir()
	var packages []*Package
	byName := map[string]*Package{}
	var search []string
	for name, files := range modules {
		root := filepath.Join(dir, name)
		lib := filepath.Join(root, "lib/x86_64-linux-gnu")
		for id, text := range files {
			write(t, filepath.Join(lib, "pkgconfig", id+".pc"), moduleHead+text+"\n")
			if id != "openssl" {
				library := filepath.Join(lib, "lib"+strings.TrimPrefix(strings.Replace(id, "zlib", "z", 1), "lib"))
				write(t, library+".a", "!<arch>\n")
				write(t, library+".so", "a linker script\n")
			}
		}
		write(t, filepath.Join(root, "include/libpng16/x.h"), "")
		search = append(search, filepath.Join(lib, "pkgconfig"))
		byName[name] = installed(t, root, name)
		packages = append(packages, byName[name])
	}
	for name := range modules {
		for _, kind := range []string{"--static", "--shared"} {
			cmd := exec.Command("pkg-config", kind, "--cflags", "--libs", name)
			cmd.Env = append(os.Environ(), "PKG_CONFIG_LIBDIR="+strings.Join(search, ":"), "PKG_CONFIG_PATH=",
				"PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1", "PKG_CONFIG_ALLOW_SYSTEM_LIBS=1")
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			f, err := Link(packages, []Request{{Package: byName[name]}}, Options{Shared: kind == "--shared"})
			if err != nil {
				t.Fatal(err)
			}
			got, want := normal(f.Args(AllArgs), dir), normal(strings.Fields(string(out)), "/usr")
			if !slices.Equal(got, want) || len(f.System) > 0 {
				t.Errorf("%s %s:\n  we say %q\n pkgconf %q", kind, name, got, want)
			}
		}
	}
}

// normal takes away what may differ: which directories libraries are in, how often something is said of which the last
// mention counts, and what only we say, the directories for the loader.
func normal(args []string, root string) []string {
	var front, rest []string
	for _, arg := range args {
		arg = strings.ReplaceAll(arg, root+"/", "/")
		switch {
		case strings.HasPrefix(arg, "-I"):
			dir := arg[strings.Index(arg, "/include"):]
			front = appendMissing(front, "-I"+dir)
		case strings.HasPrefix(arg, "-L"):
			front = appendMissing(front, "-L")
		case strings.HasPrefix(arg, "-Wl,"):
		default:
			rest = slices.DeleteFunc(rest, func(other string) bool { return other == arg })
			rest = append(rest, arg)
		}
	}
	return append(front, rest...)
}
