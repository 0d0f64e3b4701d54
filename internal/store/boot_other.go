//go:build !linux && !darwin

package store

// BootID tells one start of the machine from another; empty where it is not
// known, so that files are not checked again after a start.
func BootID() string { return "" }
