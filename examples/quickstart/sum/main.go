// Sum prints the CRC-32 of its argument, with a C library from a registry.
package main

/*
#include <crc32.h>
*/
import "C"

import (
	"fmt"
	"os"
	"strings"
	"unsafe"
)

func main() {
	text := []byte(strings.Join(os.Args[1:], " "))
	crc := C.crc32(0, unsafe.Pointer(unsafe.SliceData(text)), C.size_t(len(text)))
	fmt.Printf("The C library says: crc32(%q) = %08x\n", text, uint32(crc))
}
