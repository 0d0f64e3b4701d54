// Compresses and decompresses ten megabytes with zlib, by way of cgo.
package main

// #include <zlib.h>
import "C"

import (
	"bytes"
	"os"
	"unsafe"
)

const size = 10_000_000

func pointer(b []byte) *C.Bytef { return (*C.Bytef)(unsafe.Pointer(&b[0])) }

func main() {
	in := bytes.Repeat([]byte("ocipkg, zlib and cgo"), size/20)
	for i := range in {
		in[i] ^= byte(i >> 16)
	}
	packedSize := C.compressBound(size)
	packed := make([]byte, packedSize)
	if C.compress2(pointer(packed), &packedSize, pointer(in), size, 1) != C.Z_OK {
		panic("compress2 failed")
	}
	back := make([]byte, size)
	backSize := C.uLongf(size)
	if C.uncompress(pointer(back), &backSize, pointer(packed), packedSize) != C.Z_OK {
		panic("uncompress failed")
	}
	if backSize != size || !bytes.Equal(in, back) || packedSize > size/2 {
		panic("other bytes came back")
	}
	os.Stdout.WriteString("zlib " + C.GoString(C.zlibVersion()) + ": 10000000 bytes came back\n")
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		panic(err)
	}
	for line := range bytes.Lines(maps) {
		if bytes.Contains(line, []byte("libz.")) {
			os.Stdout.Write(line)
		}
	}
}
