//go:build unix

package pkgconfigcmd

import (
	"fmt"
	"syscall"
)

// replaceProcess makes this process the program.
func replaceProcess(program string, args, env []string) error {
	err := syscall.Exec(program, append([]string{program}, args...), env)
	return fmt.Errorf("run the real pkg-config %s: %w; set OCIPKG_REAL_PKG_CONFIG to another", program, err)
}
