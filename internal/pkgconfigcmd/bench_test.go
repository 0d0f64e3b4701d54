//go:build linux

package pkgconfigcmd_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkWarmCall times a call for a package in the store, and the call of
// pkg-config for the same library beside it.
func BenchmarkWarmCall(b *testing.B) {
	s := newSession(b)
	s.build("one/lib/libone.a", "int one(void) { return 1; }")
	s.write("one/include/one.h", "")
	s.load(filepath.Join(s.base, "one"), "localhost:1/acme/one:1")
	s.write("PC/one.pc", "prefix=/x\nName: one\nDescription: of a test\nVersion: 1\nCflags: -I${prefix}/include\nLibs: -L${prefix}/lib -lone\n")
	for name, command := range map[string][]string{"ours": {program, "localhost:1/acme/one:1"}, "pkg-config": {"pkg-config", "one"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(command[0], "--cflags", "--libs", command[1])
				cmd.Dir, cmd.Env = s.dir, s.env
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
