// Package system asks the real pkg-config for modules that none of the packages at hand answers to. Packages are described to
// it before what the system has, since modules of the system may require them.
package system

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

// PkgConfig is the real pkg-config, as a build with packages asks it. Close removes what was made for it.
type PkgConfig struct {
	Triple   string   // of the target, to prefer TRIPLE-pkg-config; empty: none
	Args     []string // what is said to it in every question, before the rest
	Packages []*link.Package
	Options  link.Options           // how packages are linked
	Shared   map[*link.Package]bool // those of which shared libraries are linked whatever Options say
	// System are the modules that are asked for as the system's: no package is described by such a name.
	System []string

	dir string // the descriptions of the packages; empty: not made
}

// Error is a failure of the real pkg-config.
type Error struct {
	Code     int // its exit code
	Stderr   string
	Verbatim bool // all of Stderr is for the user
	about    string
}

func (e *Error) Error() string {
	lines := strings.Split(strings.TrimSpace(e.Stderr), "\n")
	return fmt.Sprintf("ask the system's pkg-config for %s: %s", e.about, lines[len(lines)-1])
}

// Find returns the path of the real pkg-config; what is to be looked up is named in the error when there is none.
func (p *PkgConfig) Find(what string) (string, error) {
	passed := filepath.SplitList(os.Getenv(asked))
	own, _ := os.Executable()
	self, _ := os.Stat(own)
	usable := func(file string) bool {
		info, err := os.Stat(file)
		return err == nil && !info.IsDir() && (self == nil || !os.SameFile(self, info)) && !isOurs(file) && !slices.Contains(passed, file)
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
	if p.Triple != "" {
		choices = append([][]string{{p.Triple + "-pkg-config", p.Triple + "-pkgconf"}}, choices...)
	}
	for _, names := range choices {
		if file := firstOnPath(names, usable); file != "" {
			return file, nil
		}
	}
	return "", errdef.Errorf(errdef.ErrNotFound, "look up %s: it is neither a package in a registry nor an alias in %s, and there is no pkg-config on PATH to ask: install pkgconf, or set OCIPKG_REAL_PKG_CONFIG", what, project.FileName)
}

// isOurs reports whether a program called pkg-config is a link to ocipkg-pkg-config.
func isOurs(file string) bool {
	real, err := filepath.EvalSymlinks(file)
	return err == nil && strings.Contains(filepath.Base(real), "ocipkg-pkg-config")
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

// Environment returns our environment, noted in it that real is being asked, so that it is not asked again.
func Environment(real string) []string { return environment(noteAsked(real)) }

// noteAsked is the variable that keeps real from being asked again.
func noteAsked(real string) map[string]string {
	passed := filepath.SplitList(os.Getenv(asked))
	return map[string]string{asked: strings.Join(append(passed, real), string(os.PathListSeparator))}
}

// Ask runs the real pkg-config and returns what it prints. about says, in an error, what it was asked for; empty has its own
// message given as it is, where what names it. A failure of the program itself is an *[Error].
func (p *PkgConfig) Ask(about, what string, args ...string) (string, error) {
	if about != "" {
		what = about
	}
	real, err := p.Find(what)
	if err != nil {
		return "", err
	}
	dir, err := p.Descriptions()
	if err != nil {
		return "", err
	}
	changed := noteAsked(real)
	changed["PKG_CONFIG_PATH"] = dir
	if also := os.Getenv("PKG_CONFIG_PATH"); also != "" {
		changed["PKG_CONFIG_PATH"] += string(os.PathListSeparator) + also
	}
	var stdout, stderr strings.Builder
	cmd := exec.Command(real, append(slices.Clone(p.Args), args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(changed), &stdout, &stderr
	err = cmd.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", &Error{Code: failed.ExitCode(), Stderr: stderr.String(), Verbatim: about == "", about: about}
	}
	if err != nil {
		return "", fmt.Errorf("run the real pkg-config: %w; set OCIPKG_REAL_PKG_CONFIG to another", err)
	}
	return stdout.String(), nil
}

// Has returns those of the names that are modules of the system, as far as its pkg-config, if there is one, says.
func Has(names []string) []string {
	real, err := new(PkgConfig).Find("")
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		cmd := exec.Command(real, "--exists", "--", name)
		cmd.Env = Environment(real)
		return !link.IsModule(name) || cmd.Run() != nil
	})
}

// OwnDirs puts the directories of our packages right in flags that the real
// pkg-config gives: it puts PKG_CONFIG_SYSROOT_DIR in front of every directory, and
// pkgconf does not quote those that stand in a flag such as -Wl,-rpath.
func (p *PkgConfig) OwnDirs(flags string) string {
	sysroot := os.Getenv("PKG_CONFIG_SYSROOT_DIR")
	for _, of := range p.Packages {
		dir := path.Dir(of.Root) // which has the views too
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

// Close removes the descriptions.
func (p *PkgConfig) Close() {
	if p.dir != "" {
		os.RemoveAll(p.dir)
	}
}
