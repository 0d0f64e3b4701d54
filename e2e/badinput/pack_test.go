package badinput

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

func TestOutputThatExistsIsKeptUnlessAskedOtherwise(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("in/file", "content", 0o644)
	s.WriteFile("out.tar", "precious", 0o600)
	s.WriteFile("dir.tar/file", "", 0o644)
	for _, output := range []string{"out", "out.tar", "oci-archive:out.tar"} {
		refuses(t, s, usage, []string{"out.tar", "--overwrite"}, "pack", "in", output)
		refuses(t, s, usage, []string{"out.tar", "--overwrite"}, "compose", "in/file", "-o", output)
	}
	refuses(t, s, usage, []string{"dir.tar"}, "pack", "in", "dir.tar", "--overwrite")
	refuses(t, s, verification, []string{"dir.tar"}, "pack", "in", "oci:dir.tar")
	refuses(t, s, notFound, []string{"missing/out.tar"}, "pack", "in", "missing/out.tar")
	refuses(t, s, failed, []string{"permission denied"}, "pack", "in", "/out.tar")
	s.Run("ocipkg", "pack", "in", "out", "--overwrite").OK()
	s.Run("ocipkg", "inspect", "out.tar").OK()
}

func TestOutputInTheInputDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("in/sub/file", "content", 0o644)
	if err := os.Symlink("in/sub", filepath.Join(s.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"in", "in/out.tar"}, {"in", "in/sub/out"}, {"in", "link/out"}, {"in", "oci:in/out"}, {".", "out"}, {"in", s.Dir + "/in/out"},
	} {
		refuses(t, s, usage, []string{"outside"}, "pack", arguments[0], arguments[1])
	}
	s.Dir = filepath.Join(s.Dir, "in")
	refuses(t, s, usage, []string{"outside"}, "pack", ".", "out")
	s.Run("ocipkg", "pack", ".", "../out").OK()
}

func TestNamesOfOutputsAreNeverCut(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("in/file", "content", 0o644)
	for output, file := range map[string]string{
		"app-1.1": "app-1.1.tar", "app.tar": "app.tar", "app.tar.gz": "app.tar.gz.tar", "a.b/c": "a.b/c.tar", "TAR.TAR": "TAR.TAR.tar",
	} {
		if dir := filepath.Dir(output); dir != "." {
			s.WriteFile(dir+"/keep", "", 0o644)
		}
		s.Run("ocipkg", "pack", "in", output).OK()
		if _, err := os.Stat(filepath.Join(s.Dir, file)); err != nil {
			t.Errorf("pack in %s made no %s", output, file)
		}
	}
}

// inputs are directories that no package can be made of.
var inputs = []struct {
	name  string
	make  func(t *testing.T, s *program.Session, dir string)
	code  int
	words []string
}{
	{"missing", func(*testing.T, *program.Session, string) {}, notFound, []string{"in", "no such file"}},
	{"empty", func(t *testing.T, s *program.Session, dir string) { mkdir(t, s, dir) }, usage, []string{"no files"}},
	{"only directories", func(t *testing.T, s *program.Session, dir string) {
		mkdir(t, s, dir)
		mkdir(t, s, filepath.Join(dir, "a"))
	}, usage, []string{"no files"}},
	{"a file", func(t *testing.T, s *program.Session, dir string) { s.WriteFile(dir, "x", 0o644) }, usage, []string{"not a directory", "compose"}},
	{"unreadable file", func(t *testing.T, s *program.Session, dir string) { s.WriteFile(filepath.Join(dir, "secret"), "x", 0) },
		failed, []string{"secret", "permission denied"}},
	{"unreadable directory", func(t *testing.T, s *program.Session, dir string) {
		s.WriteFile(filepath.Join(dir, "file"), "x", 0o644)
		mkdir(t, s, filepath.Join(dir, "secret"))
		if err := os.Chmod(filepath.Join(dir, "secret"), 0); err != nil {
			t.Fatal(err)
		}
	}, failed, []string{"secret", "permission denied"}},
	{"socket", func(t *testing.T, s *program.Session, dir string) {
		mkdir(t, s, dir)
		listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
	}, usage, []string{"socket", "holds files"}},
	{"FIFO", func(t *testing.T, s *program.Session, dir string) {
		mkdir(t, s, dir)
		s.Run("mkfifo", filepath.Join(dir, "pipe")).OK()
	}, usage, []string{"pipe", "FIFO"}},
	{"link to above", func(t *testing.T, s *program.Session, dir string) { link(t, s, dir, "../secret") }, usage, []string{"link", "../secret", "copy the file"}},
	{"link to the root", func(t *testing.T, s *program.Session, dir string) { link(t, s, dir, "/etc/passwd") }, usage, []string{"link", "/etc/passwd"}},
	{"link by a way around", func(t *testing.T, s *program.Session, dir string) { link(t, s, dir, "sub/../../secret") }, usage, []string{"link"}},
	{"name that is no text", func(t *testing.T, s *program.Session, dir string) {
		s.WriteFile(filepath.Join(dir, "a\xffb"), "x", 0o644)
	},
		usage, []string{`a\xffb`, "rename"}},
}

func mkdir(t *testing.T, s *program.Session, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.Own(dir)
}

func link(t *testing.T, s *program.Session, dir, target string) {
	t.Helper()
	s.WriteFile(filepath.Join(dir, "sub", "file"), "x", 0o644)
	s.WriteFile(filepath.Join(filepath.Dir(dir), "secret"), "secret", 0o644)
	if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
}

func TestInputsThatCannotBePackedAreRefusedByName(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	for _, input := range inputs {
		t.Run(input.name, func(t *testing.T) {
			s := program.New(t, program.Options{})
			s.WriteFile("old.tar", "the old one", 0o644)
			input.make(t, s, filepath.Join(s.Dir, "in"))
			refuses(t, s, input.code, input.words, "pack", "in", "out")
			refuses(t, s, input.code, input.words, "pack", "in", "old.tar", "--overwrite")
			if input.name == "a file" {
				return // which is taken for an archive
			}
			words := input.words
			if input.name == "missing" {
				words = []string{"in", "does not exist"}
			}
			refuses(t, s, input.code, words, "push", "in", registry.Host+"/acme/a:1")
		})
	}
	// What the name stands for is asked while the files are read.
	for _, r := range registry.Requests() {
		if r.Method != "GET" && r.Method != "HEAD" {
			t.Errorf("the registry got, for what cannot be packed, %s %s", r.Method, r.Path)
		}
	}
}

func TestComposeRefusesWhatCannotBeOnePackage(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("a/file", "a", 0o644)
	s.WriteFile("b/file", "b", 0o644)
	s.WriteFile("with=equals", "c", 0o644)
	s.Run("mkfifo", "pipe").OK()
	for _, c := range []struct {
		code   int
		words  []string
		inputs []string
	}{
		{usage, []string{"a/file", "b/file", "PATH=DEST"}, []string{"a/file", "b/file"}},
		{usage, []string{"x/y"}, []string{"a/file=x/y", "b/file=x//y"}},
		{usage, []string{"x"}, []string{"a/file=x", "b/file=x/y"}},
		{notFound, []string{"missing"}, []string{"missing"}},
		{notFound, []string{"missing"}, []string{"missing=x"}},
		{usage, []string{"directory", "pack"}, []string{"a"}},
		{usage, []string{"FIFO"}, []string{"pipe"}},
		{usage, []string{"../x"}, []string{"a/file=../x"}},
		{usage, []string{"/x"}, []string{"a/file=/x"}},
		{usage, []string{"lib/"}, []string{"a/file=lib/"}},
		{usage, []string{"a/file="}, []string{"a/file="}},
		{usage, []string{"=x"}, []string{"=x"}},
	} {
		refuses(t, s, c.code, c.words, append([]string{"compose", "-o", "out"}, c.inputs...)...)
	}
	s.Run("ocipkg", "compose", "with=equals", "a/file=with=equals=x", "-o", "out").Fails(notFound, "a/file=with=equals")
	s.Run("ocipkg", "compose", "with=equals", "with=equals=x", "-o", "out").OK()
	s.Run("ocipkg", "load", "out.tar").OK()
	roots, err := filepath.Glob(filepath.Join(s.Home, ".local/share/ocipkg/v1/packages/sha256/*/root"))
	if err != nil || len(roots) != 1 {
		t.Fatalf("the store has %v (%v)", roots, err)
	}
	got := tree.Content(t, roots[0])
	if len(got) != 2 || got["x"] != got["with=equals"] || got["x"] == "" {
		t.Errorf("the package has %v", got)
	}
}

func TestFilesForDifferentPlatformsAreNotOnePackageUnlessAskedFor(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	s.WriteFile("one.c", "int one(void) { return 1; }\n", 0o644)
	s.Run("gcc", "-c", "one.c", "-o", "native.o").OK()
	s.Run("sh", "-c", "mkdir in && ar rcs in/libnative.a native.o").OK()
	object, err := os.ReadFile(filepath.Join(s.Dir, "native.o"))
	if err != nil {
		t.Fatal(err)
	}
	object[18] = 0xf3 // EM_RISCV, as e_machine
	object[19] = 0
	s.WriteFile("in/foreign.o", string(object), 0o644)
	refuses(t, s, noPlatform, []string{"libnative.a", "foreign.o", "--platform"}, "pack", "in", "out")
	s.Run("ocipkg", "pack", "in", "out", "--platform", "any").OK()
}
