// Command app encodes a picture and decodes it again.
package main

/*
#cgo LDFLAGS: -lpng
#ifndef __OPTIMIZE__
#error C is built without optimization
#endif
#define main encode_and_decode
#include "c/main.c"
*/
import "C"

import "os"

func main() {
	code := C.encode_and_decode()
	C.fflush(nil)
	os.Exit(int(code))
}
