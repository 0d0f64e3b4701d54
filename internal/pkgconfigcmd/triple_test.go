package pkgconfigcmd

import "testing"

func TestTheProgramsNameMayBeginWithATriple(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/bin/aarch64-linux-gnu-pkg-config":       "aarch64-linux-gnu",
		"x86_64-w64-mingw32-pkgconf":                  "x86_64-w64-mingw32",
		"aarch64-linux-gnu-ocipkg-pkg-config":         "aarch64-linux-gnu",
		`C:\bin\x86_64-w64-mingw32-pkg-config.exe`:    "x86_64-w64-mingw32",
		"/opt/aarch64-linux-gnu-pkg-config/pkgconf":   "",
		"ocipkg-pkg-config":                           "",
		"/bin/pkg-config":                             "",
		"my-own-pkg-config":                           "",
		"aarch64-linux-gnu-gcc":                       "",
		"aarch64-unknown-linux-musl-pkg-config-extra": "",
	} {
		if got := triple(program); got != want {
			t.Errorf("%s: got %q, want %q", program, got, want)
		}
	}
}
