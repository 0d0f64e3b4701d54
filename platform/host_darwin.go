package platform

import "golang.org/x/sys/unix"

// systemVersion gives the version of macOS, such as "14.2"; empty when it is
// not to be had.
func systemVersion() string {
	version, err := unix.Sysctl("kern.osproductversion")
	if err != nil {
		return ""
	}
	return version
}
