// Package projects builds real projects, whose authors know nothing of ocipkg, as
// the guide for projects that one did not write says: no file of theirs changes.
package projects

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/debian"
	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/subject"
)

func TestMain(m *testing.M) { program.Main(m) }

// newUser publishes libraries, and gives a user who has the source of a project.
func newUser(t *testing.T, source string, options program.Options, libraries ...string) *program.Session {
	t.Helper()
	registry := registrytest.StartMemory(t)
	subject.Publish(t, program.New(t, program.Options{}), registry.Host, libraries...)
	u := program.New(t, options)
	u.CopyTree(source, ".")
	u.Env = append(u.Env, "REGISTRY="+registry.Host+"/acme")
	return u
}

// sh runs shell commands in the project.
func sh(u *program.Session, script string) *program.Result {
	return u.Run("sh", "-e", "-c", script).OK()
}

// checkStatic checks that the linker took archives of the store, and that the file
// which it made needs no library of the others.
func checkStatic(t *testing.T, u *program.Session, trace, made string, archives ...string) {
	t.Helper()
	for _, archive := range archives {
		from := func(line string) bool {
			return strings.Contains(line, storetest.Dir(u)+"/packages/sha256/") && strings.Contains(line, "/"+archive+".a")
		}
		if !slices.ContainsFunc(strings.Split(trace, "\n"), from) {
			t.Errorf("the linker did not take %s.a of the store: %s", archive, trace)
		}
	}
	for _, needed := range needed(t, filepath.Join(u.Dir, made)) {
		if slices.ContainsFunc(archives, func(archive string) bool { return strings.HasPrefix(needed, archive+".so") }) {
			t.Errorf("%s needs %s", made, needed)
		}
	}
}

// needed lists the shared libraries that a file asks for.
func needed(t *testing.T, file string) []string {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	return libraries
}

// checkLoaded checks that a file finds shared libraries in the store.
func checkLoaded(t *testing.T, u *program.Session, made string, libraries ...string) {
	t.Helper()
	found := u.Run("ldd", made).OK().Stdout
	for _, library := range libraries {
		if !strings.Contains(found, library+" => "+storetest.Dir(u)+"/packages/sha256/") {
			t.Errorf("%s does not find %s in the store: %s", made, library, found)
		}
	}
}

func pigz(t *testing.T) string {
	return debian.Source(t, "p/pigz/pigz_2.8.orig.tar.xz", "bec34f9d61e28b9b069da9efd53e73d22cd207a4798ed664832dc9b17aa486aa")
}

func libslirp(t *testing.T) string {
	return debian.Source(t, "libs/libslirp/libslirp_4.7.0.orig.tar.bz2", "358ce8b6ea59ec9deac937cc754f0115b992839e7b0cddf30ffb8f77dc21da82")
}

// pigz compresses its own source, and unpacks it again.
func compressItself(u *program.Session) {
	sh(u, "./pigz --keep --stdout pigz.c >pigz.c.gz && ./pigz --decompress --stdout pigz.c.gz | cmp - pigz.c")
}

// The Makefile of pigz sets all variables itself.
func TestPigzIsBuiltByMake(t *testing.T) {
	t.Parallel()
	u := newUser(t, pigz(t), program.Options{}, "zlib")
	sh(u, "ocipkg add $REGISTRY/zlib:1.2")
	trace := sh(u, `eval $(ocipkg env --flags); make pigz CFLAGS="-O2 $CPPFLAGS" LDFLAGS="$LDFLAGS -Wl,--trace" LIBS="-lm -lpthread $LIBS"`).Stdout
	compressItself(u)
	checkStatic(t, u, trace, "pigz", "libz")
}

func TestPigzIsBuiltByMakeWithASharedLibrary(t *testing.T) {
	t.Parallel()
	u := newUser(t, pigz(t), program.Options{}, "zlib")
	u.WriteFile("ocipkg.toml", "[link]\nshared = true\n", 0o644)
	sh(u, "ocipkg add $REGISTRY/zlib:1.2")
	sh(u, `eval $(ocipkg env --flags); make pigz CFLAGS="-O2 $CPPFLAGS" LDFLAGS="$LDFLAGS" LIBS="-lm -lpthread $LIBS"`)
	compressItself(u)
	checkLoaded(t, u, "./pigz", "libz.so.1")
}

// libslirp asks for glib-2.0, which is a module of the package glib, and this
// needs one of the package pcre2.
func TestLibslirpIsBuiltByMeson(t *testing.T) {
	t.Parallel()
	for name, shared := range map[string]bool{"static": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, libslirp(t), program.Options{}, "pcre2", "glib")
			set := "ocipkg add $REGISTRY/glib:2.74; eval $(ocipkg env)"
			if shared { // and with flags, for the program that is linked with libslirp alone, and not told of glib
				set = `printf '[link]\nshared = true\n\n[dependencies]\nglib = { image = "%s", modules = ["glib-2.0"] }\n' $REGISTRY/glib:2.74 >ocipkg.toml; ocipkg lock; eval $(ocipkg env --flags)`
			}
			trace := sh(u, set+"; LDFLAGS=\"$LDFLAGS -Wl,--trace\" meson setup build; meson compile -v -C build; meson test -C build").Stdout
			if shared {
				checkLoaded(t, u, "build/libslirp.so.0", "libglib-2.0.so.0", "libpcre2-8.so.0")
			} else {
				checkStatic(t, u, trace, "build/libslirp.so.0", "libglib-2.0", "libpcre2-8")
			}
		})
	}
}

// A binding of zstd brings its own copy, and takes another one by a tag.
func TestABindingOfZstdIsBuiltByGo(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatalf("%v; install it: https://go.dev/dl", err)
	}
	u := newUser(t, "testdata/zstd", program.Options{Privileged: true, Path: []string{filepath.Dir(tool)}}, "zstd")
	u.Env = append(u.Env, "GOCACHE="+program.GoCache(t), "GOTOOLCHAIN=local", "GOTELEMETRY=off",
		"CGO_CFLAGS=-O2 -g -DHOME="+filepath.Base(filepath.Dir(u.Home))) // Go's cache tells no two stores apart
	for _, name := range []string{"GOMODCACHE", "GOPROXY", "GONOSUMDB"} {
		value, err := exec.Command(tool, "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		u.Env = append(u.Env, name+"="+strings.TrimSpace(string(value)))
	}
	build := sh(u, `ocipkg add --as libzstd $REGISTRY/zstd:1.5; eval $(ocipkg env)
		go build -tags external_libzstd -ldflags='-linkmode=external -extldflags=-Wl,--trace -v' -o app . 2>&1`).Stdout
	if said := sh(u, "./app").Stdout; said != "there and back\n" {
		t.Errorf("it printed %q", said)
	}
	checkStatic(t, u, build, "app", "libzstd")
}
