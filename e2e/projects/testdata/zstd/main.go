// Prints what comes of a text that is compressed and unpacked again.
package main

import (
	"fmt"
	"os"

	"github.com/DataDog/zstd"
)

func main() {
	small, err := zstd.Compress(nil, []byte("there and back"))
	if err == nil {
		small, err = zstd.Decompress(nil, small)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(small))
}
