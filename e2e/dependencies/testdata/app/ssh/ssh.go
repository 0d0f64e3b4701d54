// Package ssh calls libssh2.
package ssh

/*
#cgo pkg-config: libssh2
#include <libssh2.h>
#include <string.h>

static int is_its_header(void) { return strcmp(libssh2_version(0), LIBSSH2_VERSION) == 0; }
*/
import "C"

import "unsafe"

// Says tells what the libssh2 that it was linked with can do, and what it needs.
func Says() string {
	if C.libssh2_init(0) != 0 {
		return "libssh2 does not start"
	}
	session := C.libssh2_session_init_ex(nil, nil, nil, nil)
	C.libssh2_session_flag(session, C.LIBSSH2_FLAG_COMPRESS, 1)
	var methods **C.char
	n := C.libssh2_session_supported_algs(session, C.LIBSSH2_METHOD_COMP_CS, &methods)
	says := "libssh2 0 compresses:"
	if C.is_its_header() == 1 {
		says = "libssh2 1 compresses:"
	}
	for _, method := range unsafe.Slice(methods, n) {
		says += " " + C.GoString(method)
	}
	return says
}
