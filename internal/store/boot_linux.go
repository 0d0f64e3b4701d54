package store

import (
	"os"
	"strings"
	"sync"
)

// BootID tells one start of the machine from another; empty where it is not
// known.
var BootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})
