//go:build !unix

package publish

import "os/exec"

// killWithChildren does nothing here: the end of cmd's context ends cmd alone.
func killWithChildren(*exec.Cmd) {}
