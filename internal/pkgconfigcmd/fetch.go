package pkgconfigcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
	"github.com/ocipkg/ocipkg/internal/store"
	"github.com/ocipkg/ocipkg/platform"
)

// fetcher brings packages into the store by running ocipkg get.
type fetcher struct {
	store  *store.Store
	source source
}

// Fetch runs ocipkg get.
func (f fetcher) Fetch(ctx context.Context, ref reference.Reference, target platform.Platform) (*store.Package, error) {
	program, err := findProgram()
	if err != nil {
		return nil, fmt.Errorf("get %s, which is not in the store: %w", ref, err)
	}
	args := []string{"get", "--quiet"}
	if f.source.triple != "" && os.Getenv("OCIPKG_TARGET") == "" {
		args = append(args, "--platform", f.source.triple)
	}
	if err := run(ctx, program, append(args, ref.String())); err != nil {
		return nil, err
	}
	return f.store.Lookup(ref, func() (platform.Platform, error) { return target, nil })
}

// exitPlatform is the exit code of ocipkg for a package without a build for the target.
const exitPlatform = 7

// run runs ocipkg, of whose output only the reason of a failure is of use here.
func run(ctx context.Context, program string, args []string) error {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = &stderr
	err := cmd.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		if reason := strings.TrimSpace(lines[len(lines)-1]); reason != "" {
			if failed.ExitCode() == exitPlatform {
				return errdef.Errorf(errdef.ErrPlatform, "%s", reason)
			}
			return errors.New(reason)
		}
	}
	if err != nil {
		return fmt.Errorf("run %s %s: %w", program, strings.Join(args, " "), err)
	}
	return nil
}

// findProgram finds the program ocipkg: by OCIPKG, beside this one, on PATH.
func findProgram() (string, error) {
	if set := os.Getenv("OCIPKG"); set != "" {
		program, err := exec.LookPath(set)
		if err != nil {
			return "", fmt.Errorf("OCIPKG is %q: %w; set it to the program ocipkg", set, reasonOf(err))
		}
		return program, nil
	}
	name := "ocipkg"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if own, err := os.Executable(); err == nil {
		real, _ := filepath.EvalSymlinks(own)
		for _, file := range []string{own, real} {
			if beside, err := exec.LookPath(filepath.Join(filepath.Dir(file), name)); file != "" && err == nil {
				return beside, nil
			}
		}
	}
	program, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("the program ocipkg, which fetches packages, is not found; in a Go module run: go get -tool github.com/ocipkg/ocipkg/cmd/ocipkg github.com/ocipkg/ocipkg/cmd/ocipkg-pkg-config && eval $(go tool ocipkg env), else: go install github.com/ocipkg/ocipkg/cmd/ocipkg@latest")
	}
	return program, nil
}

// reasonOf takes away what exec says of the program again.
func reasonOf(err error) error {
	var of *exec.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
