package debianparity

import (
	"cmp"
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/subject"
)

// use is how a program uses a library.
type use struct {
	header string
	// call is an expression that is true when the library works.
	call string
	// static are the libraries that the linker takes into a static program, up
	// to the suffix; none where an archive needs more than the subjects have.
	static []string
	// loaded are those that a program of shared libraries loads; none where
	// there are static ones alone.
	loaded []string
	// compiler is the one of a C++ library's programs; empty: cc.
	compiler string
}

var uses = map[string]use{
	"zlib":    {"zlib.h", "*zlibVersion() == '1'", []string{"libz"}, []string{"libz"}, ""},
	"zstd":    {"zstd.h", "ZSTD_versionNumber() == ZSTD_VERSION_NUMBER", []string{"libzstd"}, []string{"libzstd"}, ""},
	"lz4":     {"lz4.h", "LZ4_versionNumber() == LZ4_VERSION_NUMBER", []string{"liblz4"}, []string{"liblz4"}, ""},
	"openssl": {"openssl/ssl.h", "SSL_CTX_new(TLS_method()) != NULL", []string{"libcrypto", "libssl"}, []string{"libcrypto", "libssl"}, ""},
	"sqlite3": {"sqlite3.h", "sqlite3_libversion_number() == SQLITE_VERSION_NUMBER", []string{"libsqlite3", "libz"}, []string{"libsqlite3"}, ""},
	"libpng":  {"png.h", "png_access_version_number() == PNG_LIBPNG_VER", []string{"libpng16", "libz"}, []string{"libpng16", "libz"}, ""},
	"libssh2": {"libssh2.h", "libssh2_init(0) == 0", nil, []string{"libcrypto", "libssh2", "libz"}, ""},

	"jansson":  {"jansson.h", "json_is_true(json_true())", []string{"libjansson"}, []string{"libjansson"}, ""},
	"gsl":      {"gsl/gsl_sf_bessel.h", "gsl_sf_bessel_J0(0) == 1", []string{"libgsl", "libgslcblas"}, []string{"libgsl", "libgslcblas"}, ""},
	"brotli":   {"brotli/decode.h", "BrotliDecoderVersion() != 0", []string{"libbrotlicommon", "libbrotlidec"}, []string{"libbrotlicommon", "libbrotlidec"}, ""},
	"pcre2":    {"pcre2posix.h", "pcre2_regcomp(&(regex_t){0}, \"a\", 0) == 0", []string{"libpcre2-8", "libpcre2-posix"}, []string{"libpcre2-8", "libpcre2-posix"}, ""},
	"webp":     {"webp/mux.h", "WebPGetMuxVersion() != 0", []string{"libwebp", "libwebpmux"}, []string{"libwebp", "libwebpmux"}, ""},
	"vorbis":   {"vorbis/vorbisenc.h", "vorbis_encode_ctl(NULL, 0, NULL) == OV_EINVAL", []string{"libogg", "libvorbis", "libvorbisenc"}, []string{"libogg", "libvorbis", "libvorbisenc"}, ""},
	"yaml-cpp": {"yaml-cpp/yaml.h", "YAML::Load(\"1\").IsScalar()", []string{"libyaml-cpp"}, []string{"libyaml-cpp"}, "c++"},
	"gtest":    {"gtest/gtest.h", "testing::UnitTest::GetInstance() != NULL", []string{"libgtest", "libgtest_main"}, nil, "c++"},
	"jsoncpp":  {"json/json.h", "Json::Value(1).isInt()", nil, []string{"libjsoncpp"}, "c++"},
	"udev":     {"libudev.h", "udev_unref(udev_new()) == NULL", nil, []string{"libudev"}, ""},
}

const source = `#include <stdio.h>
#include <string.h>
#include <HEADER>

int main(void) {
  char line[4096];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps))
    if (strstr(line, ".so")) fputs(strchr(line, '/'), stdout);
  return !(CALL);
}
`

// link builds and runs programs that use a library, and checks that they have it,
// and what it needs, from the store.
func link(t *testing.T, consumer *program.Session, l subject.Library, name string) {
	u, ok := uses[l.Name]
	if !ok {
		return // curl: it needs a dozen libraries more
	}
	main, compiler := "main.c", cmp.Or(u.compiler, "cc")
	if u.compiler != "" {
		main = "main.cc"
	}
	consumer.WriteFile(main, strings.NewReplacer("HEADER", u.header, "CALL", u.call).Replace(source), 0o644)
	build := func(flags string) string {
		consumer.Run("sh", "-c", compiler+" "+main+" -o app -Wl,--dependency-file=linked $("+flags+" "+name+")").OK()
		return consumer.Run(filepath.Join(consumer.Dir, "app")).OK().Stdout
	}
	if u.static != nil {
		build("ocipkg-pkg-config --cflags --libs")
		read, err := os.ReadFile(filepath.Join(consumer.Dir, "linked"))
		if err != nil {
			t.Fatal(err)
		}
		checkStatic(t, filepath.Join(consumer.Dir, "app"))
		checkOrigin(t, consumer, strings.Fields(strings.ReplaceAll(string(read), ":\n", "\n")), ".a", u.static)
	}
	if u.loaded != nil {
		checkOrigin(t, consumer, strings.Fields(build("ocipkg link --shared")), ".so", u.loaded)
	}
}

// checkStatic checks that a program needs none of the subjects when it runs.
func checkStatic(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(libraries, isSubject) {
		t.Errorf("the static program needs %q", libraries)
	}
}

// isSubject tells the libraries of this test by their files' names.
func isSubject(file string) bool {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	for _, u := range uses {
		if slices.Contains(u.static, name) || slices.Contains(u.loaded, name) {
			return true
		}
	}
	return false
}

// checkOrigin checks that of the subjects exactly the wanted ones are among
// files, as libraries of one kind in the store.
func checkOrigin(t *testing.T, consumer *program.Session, files []string, kind string, want []string) {
	t.Helper()
	var got []string
	for _, file := range files {
		if !isSubject(file) {
			continue
		}
		name, rest, _ := strings.Cut(filepath.Base(file), ".")
		if !strings.HasPrefix(file, storetest.Dir(consumer)+"/packages/") || !strings.HasPrefix("."+rest, kind) {
			t.Errorf("%s is no %s of the store", file, kind)
		}
		got = append(got, name)
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("the subjects with a %s are %q, want %q", kind, got, want)
	}
}
