package stories

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/e2e/internal/program"
	"github.com/ocipkg/ocipkg/e2e/internal/registrytest"
	"github.com/ocipkg/ocipkg/e2e/internal/storetest"
	"github.com/ocipkg/ocipkg/e2e/internal/tree"
)

// The other stories are those of an unprivileged user, unless a tool prevents
// it. Here every command is run by the account of the tests as well, which in
// CI and in containers is root, for whom permissions do not count.
func TestEachCommandWorksForAUserAndForRoot(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartDistribution(t, registrytest.Options{})
	digests := map[string]bool{}
	for account, privileged := range map[string]bool{"user": false, "root": true} {
		t.Run(account, func(t *testing.T) {
			s := program.New(t, program.Options{Privileged: privileged})
			install(t, s, "in", false)
			want := tree.Content(t, filepath.Join(s.Dir, "in"))
			name := registry.Host + "/acme/" + account + ":1"
			digest := s.Run("ocipkg", "pack", "in", "out", "-t", name).Digest()
			digests[digest] = true
			s.Run("ocipkg", "inspect", "--verify", "out.tar").OK()
			same := func(r *program.Result) {
				t.Helper()
				if got := r.Digest(); got != digest {
					t.Errorf("the digest is %s, want %s\n%s", got, digest, r)
				}
			}
			same(s.Run("ocipkg", "push", "out.tar"))
			same(s.Run("ocipkg", "push", "in", name+"-direct"))
			same(s.Run("ocipkg", "get", name))
			same(s.Run("ocipkg", "get", name))
			same(s.Run("ocipkg", "get", "--overwrite", name))
			same(s.Run("ocipkg", "load", "out.tar"))
			same(s.Run("ocipkg", "load", "--overwrite", "out.tar"))
			if tags := s.Run("ocipkg", "tags", name).OK().Stdout; tags != "1\n1-direct\n" {
				t.Errorf("the tags are %q", tags)
			}
			if list := s.Run("ocipkg", "list").OK().Stdout; strings.Count(list, name) != 1 {
				t.Errorf("the list is\n%s", list)
			}
			dir := strings.TrimSpace(s.Run("ocipkg", "image-directory", name).OK().Stdout)
			tree.Check(t, "the package", tree.Content(t, dir), want)
			checkModes(t, storetest.Dir(s), dir)
			storetest.CheckTmpEmpty(t, storetest.Dir(s))
			tree.Check(t, "TMPDIR", tree.Of(t, s.Temp), tree.Tree{})
		})
	}
	if len(digests) != 1 {
		t.Errorf("the accounts made the digests %v", digests)
	}
}

// checkModes checks that others see nothing of the store, and that nobody
// changes a package by mistake.
func checkModes(t *testing.T, store, dir string) {
	t.Helper()
	if info, err := os.Stat(store); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the store has the mode %v (%v)", info.Mode(), err)
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode()&0o222 != 0 {
			t.Errorf("%s can be written to: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreThatIsReadOnlyServesWhatItHas(t *testing.T) {
	t.Parallel()
	registry := registrytest.StartMemory(t)
	s := program.New(t, program.Options{})
	s.WriteFile("in/include/a.h", "#define A 1\n", 0o644)
	name := registry.Host + "/acme/a:1"
	s.Run("ocipkg", "push", "in", name).OK()
	s.Run("ocipkg", "get", name).OK()
	link := s.Run("ocipkg", "link", name).OK().Stdout
	store := storetest.Dir(s)
	s.Run("chmod", "-R", "a-w", store).OK()
	registry.ClearRequests()
	if got := s.Run("ocipkg", "link", name).OK().Stdout; got != link {
		t.Errorf("link is now %q, and was %q", got, link)
	}
	s.Run("ocipkg", "image-directory", name).OK()
	s.Run("ocipkg", "list").OK()
	if n := len(registry.Requests()); n != 0 {
		t.Errorf("the registry got %d requests", n)
	}
	other := registry.Host + "/acme/b:1"
	s.WriteFile("in/b.h", "", 0o644)
	s.Run("ocipkg", "push", "in", other).OK()
	s.Run("ocipkg", "get", other).Fails(1, other, "permission denied")
	s.Run("chmod", "-R", "u+w", store).OK()
}
