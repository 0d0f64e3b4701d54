// Command ocipkg-pkg-config is a pkg-config that also knows packages in
// registries, for every build system that asks pkg-config.
package main

import (
	"os"

	"github.com/ocipkg/ocipkg/internal/pkgconfigcmd"
)

func main() { os.Exit(pkgconfigcmd.Main(os.Args)) }
