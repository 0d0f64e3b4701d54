package gosource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/platform"
)

// Package is a Go package that asks something of pkg-config.
type Package struct {
	ImportPath string
	Dir        string // absolute
	// CgoPkgConfig are the words of its directives, for one target.
	CgoPkgConfig []string
	Module       *Module // nil for none
}

// Module is a Go module that packages come from.
type Module struct {
	Version string  // empty for the user's own
	Replace *Module // what stands in its place; nil for nothing
}

// IsForeign tells whether the package is in a version of a module, which comes
// from elsewhere, and not in a directory of the user's own.
func (p Package) IsForeign() bool {
	if p.Module == nil || p.Module.Replace == nil {
		return p.Module != nil && p.Module.Version != ""
	}
	return p.Module.Replace.Version != ""
}

// ListOptions say for which build packages are listed.
type ListOptions struct {
	// Target is the platform of the build; of the zero value, and of systems
	// that Go does not know, the go command chooses.
	Target platform.Platform
	// Tags are build tags, with commas between.
	Tags string
	// Offline keeps the go command from fetching modules that it does not have.
	Offline bool
	// Warn takes a line about a package that cannot be read whole; nil drops
	// it.
	Warn func(line string)
}

// List gives the packages that patterns name and all that they, and their
// tests, import, in this module and in others, as far as they ask something of
// pkg-config. It runs go list, which does not itself run pkg-config.
func List(ctx context.Context, patterns []string, options ListOptions) ([]Package, error) {
	program, err := exec.LookPath("go")
	if err != nil {
		return nil, errdef.Errorf(errdef.ErrNotFound, "list the Go packages %s: the go command is not on PATH; install Go", strings.Join(patterns, " "))
	}
	args := []string{"list", "-e", "-deps", "-test", "-json=ImportPath,Dir,CgoPkgConfig,Module,Error"}
	if options.Tags != "" {
		args = append(args, "-tags="+options.Tags)
	}
	cmd := exec.CommandContext(ctx, program, append(append(args, "--"), patterns...)...)
	// Without a C compiler for the target, cgo would be off.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if t := options.Target; t.OS != "" && t.Architecture != "" {
		cmd.Env = append(cmd.Env, "GOOS="+t.OS, "GOARCH="+t.Architecture)
	}
	if options.Offline {
		cmd.Env = append(cmd.Env, "GOPROXY=off")
	}
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the Go packages %s: %w", strings.Join(patterns, " "), reason(err))
	}
	return decodeList(raw, options.Warn)
}

// reason gives what a program said when it failed.
func reason(err error) error {
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		if said := strings.TrimSpace(string(failed.Stderr)); said != "" {
			return errors.New(said)
		}
	}
	return err
}

// decodeList reads what go list prints: one JSON object after another.
func decodeList(raw []byte, warn func(string)) ([]Package, error) {
	var packages []Package
	for decoder := json.NewDecoder(strings.NewReader(string(raw))); ; {
		var p struct {
			Package
			Error *struct{ Err string }
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read what go list printed: %w", err)
		}
		if p.Error != nil && warn != nil {
			warn(fmt.Sprintf("what %s needs is not all known: %s", p.ImportPath, p.Error.Err))
		}
		if len(p.CgoPkgConfig) > 0 {
			packages = append(packages, p.Package)
		}
	}
}

// InModule tells whether dir is in a Go module or workspace.
func InModule(dir string) bool {
	dir, err := filepath.Abs(dir)
	for ; err == nil; dir = filepath.Dir(dir) {
		for _, name := range []string{"go.mod", "go.work"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				return true
			}
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
	return false
}
