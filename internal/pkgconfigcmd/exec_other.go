//go:build !unix

package pkgconfigcmd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// replaceProcess runs the program with our streams and ends as it does.
func replaceProcess(program string, args, env []string) error {
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		os.Exit(failed.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("run the real pkg-config %s: %w; set OCIPKG_REAL_PKG_CONFIG to another", program, err)
	}
	return nil
}
