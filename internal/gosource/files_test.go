package gosource

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// module makes files with nothing in them in a new working directory.
func module(t *testing.T, files ...string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, file := range files {
		path := filepath.FromSlash(file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilesAreThoseOfTheGoCommandsPatterns(t *testing.T) {
	module(t, "go.mod", "a.go", "a_windows.go", "notes.txt", ".hidden.go", "_off.go", "b/b.go", "b/c/c.go",
		"b/testdata/t.go", "vendor/v/v.go", ".git/g.go", "_x/x.go", "nested/go.mod", "nested/n.go")
	for _, test := range []struct {
		patterns string
		want     string
	}{
		{".", "a.go a_windows.go"},
		{"./...", "a.go a_windows.go b/b.go b/c/c.go"},
		{"...", "a.go a_windows.go b/b.go b/c/c.go"},
		{"./b", "b/b.go"},
		{"./b/... .", "a.go a_windows.go b/b.go b/c/c.go"},
		{"b b/ ./b/...", "b/b.go b/c/c.go"},
		{"./nested/...", "nested/n.go"},
		{"./b/testdata", "b/testdata/t.go"},
	} {
		files, err := Files(strings.Fields(test.patterns))
		for i := range files {
			files[i] = filepath.ToSlash(files[i])
		}
		if want := strings.Fields(test.want); err != nil || !slices.Equal(files, want) {
			t.Errorf("%s: got %q, %v, want %q", test.patterns, files, err, want)
		}
	}
}

func TestAllBelowIsWhatTheGoCommandTakesForIt(t *testing.T) {
	var files []string
	for _, dir := range strings.Fields(". a a/b .a _a testdata a/testdata vendor/v a/vendor/v nested nested/x rooted rooted/x a/rooted any/where a/any/where a/any/where/x any quoted") {
		files = append(files, dir+"/x.go")
	}
	module(t, files...)
	for path, text := range map[string]string{
		"go.mod":        "module example.com // ignore a\n\ngo 1.25\n\nignore (\n\t./rooted // here\n\tany/where\n)\nignore \"quoted\"\n",
		"nested/go.mod": "module example.com/nested\n",
	} {
		if err := os.WriteFile(filepath.FromSlash(path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		if err := os.WriteFile(filepath.FromSlash(file), []byte("package x\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{"./...", "./a/...", "./a"} {
		cmd := exec.Command("go", "list", "-f", "{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}", pattern)
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		raw, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", pattern, reason(err))
		}
		want := strings.Fields(string(raw))
		slices.Sort(want)
		got, err := Files([]string{pattern})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i], err = filepath.Abs(got[i]); err != nil {
				t.Fatal(err)
			}
			got[i] = filepath.ToSlash(got[i])
		}
		for i := range want {
			want[i] = filepath.ToSlash(want[i])
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", pattern, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestDirectoryMayBeALink(t *testing.T) {
	module(t, "a/a.go", "a/b/b.go")
	if err := os.Symlink("a", "link"); err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string][]string{
		"link":     {filepath.Join("link", "a.go")},
		"link/...": {filepath.Join("link", "a.go"), filepath.Join("link", "b", "b.go")},
		"./...":    {filepath.Join("a", "a.go"), filepath.Join("a", "b", "b.go")},
	} {
		if files, err := Files([]string{pattern}); err != nil || !slices.Equal(files, want) {
			t.Errorf("%s: got %q, %v, want %q", pattern, files, err, want)
		}
	}
}

func TestPatternThatIsNoDirectoryIsAMistake(t *testing.T) {
	module(t, "a.go")
	for _, pattern := range []string{"missing", "a.go", "./missing/...", "example.com/x/...", "./.../a"} {
		if _, err := Files([]string{pattern}); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), pattern) {
			t.Errorf("%s: got %v", pattern, err)
		}
	}
}
