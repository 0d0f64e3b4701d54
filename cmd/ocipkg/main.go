// Command ocipkg distributes native libraries through OCI registries.
package main

import (
	"os"

	"github.com/ocipkg/ocipkg/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
