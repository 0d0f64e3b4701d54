package publish

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func TestACleanRepositoryGivesItsCommit(t *testing.T) {
	dir := greetCrate(t)
	// Not ignored, but cargo's own.
	writeFile(t, filepath.Join(dir, ".gitignore"), "")
	command(t, dir, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-am", "no ignore")
	target := filepath.Join(dir, "target")
	writeFile(t, filepath.Join(target, "debug", "x"), "x")
	got, err := gitRevision(t.Context(), dir, target)
	if want := command(t, dir, "git", "rev-parse", "HEAD"); err != nil || got != want {
		t.Errorf("revision %q (%v), want %q", got, err, want)
	}
}

func TestWhatNoCommitDescribesIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		words []string
	}{
		{"a changed file", func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, "src", "lib.rs"), "")
		}, []string{"uncommitted changes", "src/lib.rs"}},
		{"a staged file", func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, "src", "new.rs"), "")
			command(t, dir, "git", "add", ".")
		}, []string{"uncommitted changes", "src/new.rs"}},
		{"untracked files", func(t *testing.T, dir string) {
			for _, name := range []string{"1", "2", "3", "4", "5"} {
				writeFile(t, filepath.Join(dir, name), "")
			}
		}, []string{"untracked files", "1, 2, 3 and 2 more", ".gitignore"}},
		{"no repository", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil {
				t.Fatal(err)
			}
		}, []string{"not a git repository", "put the sources under git"}},
		{"no commit", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil {
				t.Fatal(err)
			}
			command(t, dir, "git", "init", "--quiet")
		}, []string{"no commit", "commit the sources"}},
		{"an ignored package", func(t *testing.T, dir string) {
			command(t, dir, "git", "rm", "--quiet", "--cached", "-r", ".")
			writeFile(t, filepath.Join(dir, ".gitignore"), "*")
			command(t, dir, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "none")
		}, []string{"Cargo.toml is not under git"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := greetCrate(t)
			tc.spoil(t, dir)
			err := cargoError(t, CargoOptions{Dir: dir})
			wantWords(t, err, append(tc.words, "-t NAME")...)
			if !errors.Is(err, errdef.ErrUsage) {
				t.Errorf("error %q is not of kind usage", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "target")); err == nil {
				t.Error("cargo was run before the refusal")
			}
		})
	}
}

func TestAGivenNameNeedsNoCommit(t *testing.T) {
	dir := greetCrate(t)
	opts := CargoOptions{Dir: dir, Tag: "localhost:5000/other:1"}
	const revision = "org.opencontainers.image.revision"
	if out, _ := mustCargo(t, opts); out.Name != opts.Tag || out.Annotations[revision] == "" {
		t.Errorf("clean: name %q, annotations %v", out.Name, out.Annotations)
	}
	writeFile(t, filepath.Join(dir, "src", "ffi.h"), "changed")
	if out, _ := mustCargo(t, opts); out.Name != opts.Tag || out.Annotations[revision] != "" {
		t.Errorf("dirty: name %q, annotations %v", out.Name, out.Annotations)
	}
	opts.Tag = "not a name"
	wantWords(t, cargoError(t, opts), `"not a name"`)
}

func TestWithoutGitTheNameMustBeGiven(t *testing.T) {
	dir := greetCrate(t)
	t.Setenv("PATH", t.TempDir())
	_, err := gitRevision(t.Context(), dir, filepath.Join(dir, "target"))
	if err == nil {
		t.Fatal("a revision without git")
	}
	wantWords(t, err, "no git program", "-t NAME")
}
