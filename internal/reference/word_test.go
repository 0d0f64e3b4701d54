package reference

import "testing"

func TestWordForPkgConfigIsAReferenceWhenItHasASlashAndIsNoPath(t *testing.T) {
	for word, want := range map[string]bool{
		"ghcr.io/acme/zstd:1.5": true,
		"localhost:5000/a/b:1":  true,
		"acme/zstd":             true,
		"a/b@sha256:0123":       true,
		"zlib":                  false,
		"":                      false,
		"/usr/lib/x":            false,
		"./x/y":                 false,
		"../x/y":                false,
		"dir/zlib.pc":           false,
		"C:/dir/zlib":           false,
		`dir\sub/zlib`:          false,
		"${SRCDIR}/pc/zlib":     false,
		"--define-variable=a=/": false,
	} {
		if got := InPkgConfig(word); got != want {
			t.Errorf("%q: %v, want %v", word, got, want)
		}
	}
}
