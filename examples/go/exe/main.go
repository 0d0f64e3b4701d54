// Greet calls a library that comes from a registry.
package main

/*
#include <stdlib.h>
#include <ocipkg_example.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

func greet(who string) string {
	name := C.CString(who)
	defer C.free(unsafe.Pointer(name))
	buf := make([]byte, 256)
	n := int(C.ocipkg_example_greet(name, (*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf))))
	return string(buf[:min(n, len(buf)-1)])
}

func main() { fmt.Println(greet("Go")) }
