package publish

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// errNoRevision is the reason for which no commit names the sources.
func errNoRevision(dir, reason, next string) error {
	return errdef.Errorf(errdef.ErrUsage, "naming the image after the git commit of %s: %s; %s, or give a name with -t NAME", dir, reason, next)
}

// gitRevision gives the full hash of the commit that the package in dir is
// built from. It is an error when the repository has uncommitted or untracked
// files anywhere, since a package is built from more than its own directory:
// the workspace's Cargo.lock, path dependencies. Ignored files and cargo's
// targetDir do not count.
func gitRevision(ctx context.Context, dir, targetDir string) (string, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return "", errNoRevision(dir, "there is no git program", "install git")
	}
	run := func(args ...string) (string, error) { return runGit(ctx, git, dir, args...) }
	top, err := run("rev-parse", "--show-toplevel")
	if err != nil {
		next := "mend the repository"
		if strings.Contains(err.Error(), "not a git repository") {
			next = "put the sources under git"
		}
		return "", errNoRevision(dir, err.Error(), next)
	}
	hash, err := run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if err != nil {
		return "", errNoRevision(dir, "the repository has no commit", "commit the sources")
	}
	if _, err := run("ls-files", "--error-unmatch", "--", "Cargo.toml"); err != nil {
		return "", errNoRevision(dir, "its Cargo.toml is not under git", "add and commit it")
	}
	status := []string{"status", "--porcelain", "--untracked-files=normal", "--", ":(top)"}
	if rel := below(top, targetDir); rel != "" {
		status = append(status, ":(top,exclude,literal)"+rel)
	}
	changes, err := run(status...)
	if err != nil {
		return "", errNoRevision(dir, err.Error(), "mend the repository")
	}
	if changes != "" {
		return "", errNoRevision(dir, "the repository has "+summarize(changes), "commit them (or list build products in .gitignore)")
	}
	return hash, nil
}

// runGit returns what git printed, without the last line's end. The error is
// git's own first line.
func runGit(ctx context.Context, git, dir string, args ...string) (string, error) {
	// Without optional locks, a status never disturbs another git.
	args = append([]string{"-C", dir, "--no-optional-locks", "-c", "core.quotePath=false"}, args...)
	cmd := exec.CommandContext(ctx, git, args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C") // its reasons in English, as ours are
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		reason, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return "", fmt.Errorf("git says: %s", reason)
	}
	return strings.TrimRight(string(out), "\r\n"), err
}

// below gives the slash-separated path of dir relative to top; empty when it is
// not below it, or not there.
func below(top, dir string) string {
	var paths [2]string
	for i, p := range []string{top, dir} {
		resolved, err := filepath.EvalSymlinks(p)
		if err != nil {
			return ""
		}
		paths[i] = resolved
	}
	rel, err := filepath.Rel(paths[0], paths[1])
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// summarize says in a few words what `git status --porcelain` listed.
func summarize(changes string) string {
	const shown = 3
	lines := strings.Split(changes, "\n")
	untracked := !slices.ContainsFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "??") })
	kind := "uncommitted changes"
	if untracked {
		kind = "untracked files"
	}
	names := make([]string, 0, shown)
	for _, line := range lines[:min(shown, len(lines))] {
		names = append(names, strings.TrimSpace(line[2:]))
	}
	list := strings.Join(names, ", ")
	if more := len(lines) - shown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s (%s)", kind, list)
}
