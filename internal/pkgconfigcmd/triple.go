package pkgconfigcmd

import (
	"strings"

	"github.com/ocipkg/ocipkg/platform"
)

// triple gives the target that the program's own name begins with, as in
// aarch64-linux-gnu-pkg-config, by which autotools ask for the pkg-config of a
// target; empty when the name says none.
func triple(program string) string {
	base := program[strings.LastIndexAny(program, `/\`)+1:]
	base = strings.TrimSuffix(base, ".exe")
	for _, name := range []string{"pkg-config", "pkgconf"} {
		if prefix, ok := strings.CutSuffix(base, "-"+name); ok {
			prefix = strings.TrimSuffix(prefix, "-ocipkg")
			if _, err := platform.FromTriple(prefix); err == nil {
				return prefix
			}
		}
	}
	return ""
}
