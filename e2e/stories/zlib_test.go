package stories

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/debian"
	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
)

// composeZlib makes a package of Debian's zlib in the session's directory, with
// one compose, and gives the archive's name.
func composeZlib(t *testing.T, s *program.Session, name string) string {
	t.Helper()
	dir := debian.Fetch(t, "zlib1g-dev", "zlib1g")
	var inputs []string
	for _, file := range [][2]string{
		{"usr/lib/*/libz.a", "lib/libz.a"},
		// The link libz.so in the -dev package is absolute: it leads to the
		// system's library, if there is one.
		{"*lib/*/libz.so.1", "lib/libz.so"},
		{"usr/include/zlib.h", "include/zlib.h"},
		{"usr/include/zconf.h", "include/zconf.h"},
	} {
		found, err := filepath.Glob(filepath.Join(dir, file[0]))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: found %v (%v), want one file", file[0], found, err)
		}
		text, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		local := s.WriteFile(filepath.Join("debian", filepath.Base(found[0])), string(text), 0o644)
		inputs = append(inputs, local+"="+file[1])
	}
	s.Run("ocipkg", slices.Concat([]string{"compose"}, inputs, []string{"-o", "zlib", "-t", name})...).OK()
	return "zlib.tar"
}

// zlibConsumer is a user who has got the package of zlib.
type zlibConsumer struct {
	*program.Session
	name string
	// packageDir is the package's directory in the store.
	packageDir string
}

func newZlibConsumer(t *testing.T, s *program.Session, name string) *zlibConsumer {
	t.Helper()
	s.Run("ocipkg", "get", name).OK()
	dir := strings.TrimSpace(s.Run("ocipkg", "image-directory", name).OK().Stdout)
	if !strings.HasPrefix(dir, storetest.Dir(s)+"/packages/sha256/") {
		t.Fatalf("image-directory is %s, not in the store", dir)
	}
	return &zlibConsumer{Session: s, name: name, packageDir: filepath.Dir(dir)}
}

func (c *zlibConsumer) link(arguments ...string) string {
	return strings.TrimSpace(c.Run("ocipkg", slices.Concat([]string{"link", c.name}, arguments)...).OK().Stdout)
}

// checkTrace checks that a linker's trace names the store's library and no
// other copy of it.
func (c *zlibConsumer) checkTrace(t *testing.T, trace, library string) {
	t.Helper()
	found := false
	for line := range strings.Lines(trace) {
		for word := range strings.FieldsSeq(line) {
			word, _, _ = strings.Cut(word, "(")
			if !strings.HasPrefix(filepath.Base(word), "libz.") {
				continue
			}
			if word != filepath.Join(c.packageDir, library) {
				t.Errorf("the linker took %s", word)
			}
			found = true
		}
	}
	if !found {
		t.Errorf("the linker took no libz at all:\n%s", trace)
	}
}

// checkStatic runs a program that has zlib in itself.
func (c *zlibConsumer) checkStatic(t *testing.T, path string) {
	t.Helper()
	if needed := neededLibraries(t, path); slices.ContainsFunc(needed, isZlib) {
		t.Errorf("%s needs the shared libraries %v", path, needed)
	}
	if got := c.Run(path).OK().Stdout; !strings.HasSuffix(got, ": 10000000 bytes came back\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("the program printed %q", got)
	}
}

// checkShared runs a program that finds zlib in the store when it starts.
func (c *zlibConsumer) checkShared(t *testing.T, path string) {
	t.Helper()
	if needed := neededLibraries(t, path); !slices.Contains(needed, "libz.so.1") {
		t.Errorf("%s needs the shared libraries %v, and not libz.so.1", path, needed)
	}
	said, mappings, _ := strings.Cut(c.Run(path).OK().Stdout, "\n")
	if !strings.HasSuffix(said, ": 10000000 bytes came back") || mappings == "" {
		t.Errorf("the program printed %q and has the mappings %q", said, mappings)
	}
	for line := range strings.Lines(mappings) {
		if !strings.Contains(line, c.packageDir+"/root/lib/libz.so") {
			t.Errorf("the program did not take the store's library: %s", line)
		}
	}
}

func isZlib(library string) bool { return strings.HasPrefix(library, "libz.") }

func neededLibraries(t *testing.T, path string) []string {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	needed, err := file.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	return needed
}

func TestDebiansZlibIsComposedPushedGotAndLinkedIntoProgramsInThreeLanguages(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	name := registry.Host + "/debian/zlib:1.2"
	producer := program.New(t, program.Options{})
	archive := composeZlib(t, producer, name)
	digest := producer.Run("ocipkg", "push", archive).Digest()

	c := newZlibConsumer(t, program.New(t, program.Options{}), name)
	golang := newZlibConsumer(t, goUser(t), name)
	rust := newZlibConsumer(t, rustUser(t), name)
	if got := c.Run("ocipkg", "get", name).Digest(); got != digest {
		t.Errorf("pushed %s, and got %s", digest, got)
	}
	// What is in the store is linked without a word to the registry.
	registry.Stop()

	t.Run("C", func(t *testing.T) { testZlibInC(t, c) })
	t.Run("Go", func(t *testing.T) { testZlibInGo(t, golang) })
	t.Run("Rust", func(t *testing.T) { testZlibInRust(t, rust) })
}

func testZlibInC(t *testing.T, c *zlibConsumer) {
	c.CopyTree("testdata/zlib/c", "c")
	r := c.Run("sh", "-c", `cc c/main.c -MD -MF depends -Wl,--trace -o static $(ocipkg link `+c.name+`)`).OK()
	c.checkTrace(t, r.Stdout+r.Stderr, "static/libz.a")
	c.checkStatic(t, filepath.Join(c.Dir, "static"))
	depends, err := os.ReadFile(filepath.Join(c.Dir, "depends"))
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(depends)) {
		if base := filepath.Base(word); (base == "zlib.h" || base == "zconf.h") && filepath.Dir(word) != filepath.Join(c.packageDir, "root/include") {
			t.Errorf("the compiler took the header %s", word)
		}
	}

	r = c.Run("sh", "-c", `cc c/main.c -Wl,--trace -o shared $(ocipkg link --shared `+c.name+`)`).OK()
	c.checkTrace(t, r.Stdout+r.Stderr, "shared/libz.so")
	c.checkShared(t, filepath.Join(c.Dir, "shared"))
}

func testZlibInGo(t *testing.T, c *zlibConsumer) {
	c.CopyTree("testdata/zlib/go", "go")
	work := c.Dir
	c.Dir = filepath.Join(work, "go")
	base := c.Env
	build := func(output string, shared ...string) string {
		c.Env = append(slices.Clip(base),
			"CGO_CPPFLAGS="+c.link(append(shared, "--format", "shell", "--cflags")...),
			"CGO_LDFLAGS="+c.link(append(shared, "--format", "shell", "--libs")...))
		r := c.Run("go", "build", "-o", output, "-ldflags", "-linkmode=external -extldflags=-Wl,--trace", ".").OK()
		return r.Stdout + r.Stderr
	}
	c.checkTrace(t, build("static"), "static/libz.a")
	c.checkStatic(t, filepath.Join(c.Dir, "static"))
	c.checkTrace(t, build("shared", "--shared"), "shared/libz.so")
	c.checkShared(t, filepath.Join(c.Dir, "shared"))
}

func testZlibInRust(t *testing.T, c *zlibConsumer) {
	c.CopyTree("testdata/zlib/rust", "rust")
	copyCrate(t, c.Session, "crate")
	work := c.Dir
	c.Dir = filepath.Join(work, "rust")
	base := c.Env
	build := func(env ...string) string {
		c.Env = slices.Concat(base, []string{"IMAGE=" + c.name}, env)
		// For the program alone, and not for build.rs. Unlike its trace, which
		// rustc hides, all linkers write this list alike.
		depends := filepath.Join(work, "linker.d")
		c.Run("cargo", "rustc", "--release", "--offline", "--", "-C", "link-arg=-Wl,--dependency-file="+depends).OK()
		text, err := os.ReadFile(depends)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(text), ":\n", "\n")
	}
	c.checkTrace(t, build(), "static/libz.a")
	c.checkStatic(t, filepath.Join(c.Dir, "target/release/zlib-user"))
	c.checkTrace(t, build("SHARED=1"), "shared/libz.so")
	c.checkShared(t, filepath.Join(c.Dir, "target/release/zlib-user"))
}

// copyCrate copies the crate ocipkg, without what cargo built there.
func copyCrate(t *testing.T, s *program.Session, to string) {
	t.Helper()
	from := filepath.Join(root(t), "integrations", "rust")
	for _, name := range []string{"Cargo.toml", "README.md"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		s.WriteFile(filepath.Join(to, name), string(text), 0o644)
	}
	s.CopyTree(filepath.Join(from, "src"), filepath.Join(to, "src"))
}
