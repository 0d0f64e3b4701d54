package stories

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// install puts a small installation of a library, with a program, links and an
// empty directory, into a session's directory. The order in which the names
// come is that in which the file system has them.
func install(t *testing.T, s *program.Session, dir string, backwards bool) {
	t.Helper()
	var steps []func()
	file := func(name, content string, mode os.FileMode) {
		steps = append(steps, func() { s.WriteFile(filepath.Join(dir, name), content, mode) })
	}
	file("include/greet.h", "void greet(const char *who);\n", 0o644)
	file("include/greet/detail.h", "#define GREET 1\n", 0o644)
	file("bin/greet", "#!/bin/sh\necho hello\n", 0o755)
	file("share/doc/ÄÖÜ und Leerzeichen.txt", "Umlaute\n", 0o644)
	file("share/B", "", 0o644)
	file("share/a", "a", 0o644)
	file("share/a.b/c", "c", 0o644)
	for _, seed := range []byte{1, 2, 3} {
		steps = append(steps, func() {
			tree.WriteRandom(t, filepath.Join(s.Dir, dir, "lib", "data-"+string('0'+rune(seed))), int64(seed)*900_000, seed)
		})
	}
	link := func(name, target string) {
		steps = append(steps, func() {
			path := filepath.Join(s.Dir, dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
		})
	}
	link("lib/data", "data-1")
	link("lib64", "lib")
	steps = append(steps, func() {
		if err := os.MkdirAll(filepath.Join(s.Dir, dir, "share/empty"), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	if backwards {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		step()
	}
	s.Own(filepath.Join(s.Dir, dir))
}

// fileDigest gives the SHA-256 of a file.
func fileDigest(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func TestOneDirectoryHasOneDigestWhoeverPacksItWhereverAndWhenever(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		// prepare changes what must not matter about the directory "in".
		prepare    string
		backwards  bool
		privileged bool
		env        []string
		dir        string
	}{
		{name: "plain"},
		{name: "another path", dir: "some where/else entirely/ü"},
		{name: "another user", privileged: true},
		{name: "another umask", prepare: "umask 077; chmod -R go-rwx in; find in -type d -exec chmod 700 {} +"},
		{name: "other file times", prepare: "find in -exec touch -h -d 2001-02-03 {} +"},
		{name: "file times in the future", prepare: "find in -exec touch -h -d 2090-02-03 {} +"},
		{name: "another order on the disk", backwards: true},
		{name: "SOURCE_DATE_EPOCH", env: []string{"SOURCE_DATE_EPOCH=1234567890"}},
		{name: "GOMAXPROCS=1", env: []string{"GOMAXPROCS=1"}},
		{name: "GOMAXPROCS=2", env: []string{"GOMAXPROCS=2"}},
		{name: "GOMAXPROCS=8", env: []string{"GOMAXPROCS=8"}},
		{name: "another time zone", env: []string{"TZ=Pacific/Auckland"}},
		{name: "another language", env: []string{"LANG=de_DE.UTF-8", "LC_ALL=de_DE.UTF-8"}},
		{name: "no language", env: []string{"LANG=C", "LC_ALL=C"}},
		{name: "no home", env: []string{"HOME=/nonexistent"}},
	}
	for _, compression := range []string{"zstd", "gzip"} {
		want := map[string]string{}
		for _, c := range cases {
			s := program.New(t, program.Options{Privileged: c.privileged, Env: c.env})
			if c.dir != "" {
				s.Dir = filepath.Join(s.Dir, c.dir)
				if err := os.MkdirAll(s.Dir, 0o755); err != nil {
					t.Fatal(err)
				}
				s.Own(s.Dir)
			}
			install(t, s, "in", c.backwards)
			prepare := c.prepare
			if prepare == "" {
				prepare = ":"
			}
			command := prepare + " && ocipkg pack in out.tar -t ghcr.io/acme/greet:1 --compression " + compression
			got := map[string]string{
				"manifest": s.Run("sh", "-c", command).Digest(),
				"archive":  fileDigest(t, filepath.Join(s.Dir, "out.tar")),
			}
			for what, digest := range got {
				if want[what] == "" {
					want[what] = digest
				}
				if digest != want[what] {
					t.Errorf("%s, %s: the %s is %s, and was %s", compression, c.name, what, digest, want[what])
				}
			}
		}
	}
}

func TestContentDecidesTheDigest(t *testing.T) {
	t.Parallel()
	s := program.New(t, program.Options{})
	install(t, s, "in", false)
	seen := map[string]string{}
	for _, change := range []string{
		":",
		"echo more >> in/share/B",
		"mv in/share/a in/share/A",
		"chmod +x in/share/B",
		"ln -sfn data-2 in/lib/data",
		"rmdir in/share/empty",
	} {
		digest := s.Run("sh", "-c", change+" && ocipkg pack -f in out.tar").Digest()
		if before, same := seen[digest]; same {
			t.Errorf("after %q the digest is what it was after %q", change, before)
		}
		seen[digest] = change
	}
	// Times are no content, also not at the second look.
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(s.Dir, "in/share/B"), later, later); err != nil {
		t.Fatal(err)
	}
	if digest := s.Run("ocipkg", "pack", "-f", "in", "out.tar").Digest(); seen[digest] == "" {
		t.Errorf("a file's time changed the digest to %s", digest)
	}
}
