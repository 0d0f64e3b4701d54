// Command cargo-ocipkg is run by cargo as "cargo ocipkg": it builds a Rust
// crate's native libraries and packs or publishes them.
package main

import (
	"os"

	"github.com/ocipkg/ocipkg/internal/cli"
)

func main() { os.Exit(cli.CargoMain(os.Args[1:])) }
