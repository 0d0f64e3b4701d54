package pkgconfigcmd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/link"
	"github.com/ocipkg/ocipkg/internal/project"
)

// asked is the environment variable that lists the programs that were taken
// for the real pkg-config on the way here: one that is a script which calls us
// again is not asked twice.
const asked = "OCIPKG_ASKED_PKG_CONFIG"

// realError is a failure of the real pkg-config.
type realError struct {
	code     int
	stderr   string
	verbatim bool // all of stderr is for the user
	about    string
}

func (e *realError) Error() string {
	lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
	return fmt.Sprintf("ask the system's pkg-config for %s: %s", e.about, lines[len(lines)-1])
}

// findReal finds the real pkg-config, which is to look up what.
func (c *command) findReal(what string) (string, error) {
	passed := filepath.SplitList(os.Getenv(asked))
	own, _ := os.Executable()
	self, _ := os.Stat(own)
	usable := func(file string) bool {
		info, err := os.Stat(file)
		return err == nil && !info.IsDir() && (self == nil || !os.SameFile(self, info)) && !slices.Contains(passed, file)
	}
	if set := os.Getenv("OCIPKG_REAL_PKG_CONFIG"); set != "" {
		file, err := exec.LookPath(set)
		if err != nil {
			return "", fmt.Errorf("run the real pkg-config: OCIPKG_REAL_PKG_CONFIG is %q: %w", set, errors.Unwrap(err))
		}
		if !usable(file) {
			return "", fmt.Errorf("run the real pkg-config: OCIPKG_REAL_PKG_CONFIG is %q, which leads back to ocipkg-pkg-config: set it to another program", set)
		}
		return file, nil
	}
	choices := [][]string{{"pkg-config", "pkgconf"}}
	if t := triple(c.program); t != "" {
		choices = append([][]string{{t + "-pkg-config", t + "-pkgconf"}}, choices...)
	}
	for _, names := range choices {
		if file := firstOnPath(names, usable); file != "" {
			return file, nil
		}
	}
	return "", errdef.Errorf(errdef.ErrNotFound, "look up %s: it is neither a package in a registry nor an alias in %s, and there is no pkg-config on PATH to ask: install pkgconf, or set OCIPKG_REAL_PKG_CONFIG", what, project.FileName)
}

// firstOnPath gives the first usable program of one of the names.
func firstOnPath(names []string, usable func(string) bool) string {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, name := range names {
			if file, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(file) && usable(file) {
				return file
			}
		}
	}
	return ""
}

// environment is ours with some variables changed.
func environment(changed map[string]string) []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, replaced := changed[name]
		return replaced
	})
	for name, value := range changed {
		env = append(env, name+"="+value)
	}
	return env
}

// noteAsked is the variable that keeps real from being asked again.
func noteAsked(real string) map[string]string {
	passed := filepath.SplitList(os.Getenv(asked))
	return map[string]string{asked: strings.Join(append(passed, real), string(os.PathListSeparator))}
}

// passThrough hands the whole call to the real pkg-config. On Unix it only
// comes back with an error.
func (c *command) passThrough(args []string) error {
	what := strings.Join(arguments(c.request.packages), ", ")
	if what == "" {
		what = strings.Join(args, " ")
	}
	real, err := c.findReal(what)
	if err != nil {
		return err
	}
	return replaceProcess(real, args, environment(noteAsked(real)))
}

// ask runs the real pkg-config, for which ours are described before what the
// system has. about says, in an error, what it was asked for; empty has its own
// message given as it is.
func (c *command) ask(about string, args ...string) (string, error) {
	what := about
	if what == "" {
		what = strings.Join(arguments(c.system()), ", ")
	}
	if what == "" {
		what = strings.Join(args, " ")
	}
	real, err := c.findReal(what)
	if err != nil {
		return "", err
	}
	dir, err := c.descriptions()
	if err != nil {
		return "", err
	}
	changed := noteAsked(real)
	changed["PKG_CONFIG_PATH"] = dir
	if also := os.Getenv("PKG_CONFIG_PATH"); also != "" {
		changed["PKG_CONFIG_PATH"] += string(os.PathListSeparator) + also
	}
	var stdout, stderr strings.Builder
	cmd := exec.Command(real, append(slices.Clone(c.passed), args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(changed), &stdout, &stderr
	err = cmd.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", &realError{code: failed.ExitCode(), stderr: stderr.String(), verbatim: about == "", about: about}
	}
	if err != nil {
		return "", fmt.Errorf("run the real pkg-config: %w; set OCIPKG_REAL_PKG_CONFIG to another", err)
	}
	return stdout.String(), nil
}

// ownDirs puts the directories of our packages right in flags that the real
// pkg-config gives: it puts PKG_CONFIG_SYSROOT_DIR in front of every directory, and
// pkgconf does not quote those that stand in a flag such as -Wl,-rpath.
func (c *command) ownDirs(flags string) string {
	sysroot := os.Getenv("PKG_CONFIG_SYSROOT_DIR")
	for _, p := range c.found.packages {
		dir := path.Dir(p.Root) // which has the views too
		quoted := link.Quote(dir)
		if quoted != dir {
			flags = strings.ReplaceAll(flags, dir, quoted)
		}
		if sysroot != "" && sysroot != "/" {
			flags = strings.ReplaceAll(flags, link.Quote(sysroot)+quoted, quoted)
		}
	}
	return flags
}
