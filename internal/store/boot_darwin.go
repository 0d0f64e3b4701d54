package store

import (
	"sync"

	"golang.org/x/sys/unix"
)

// BootID tells one start of the machine from another; empty where it is not
// known.
var BootID = sync.OnceValue(func() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
})
