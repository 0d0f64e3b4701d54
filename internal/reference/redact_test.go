package reference

import "testing"

func TestAPasswordInANameIsNotShown(t *testing.T) {
	for text, want := range map[string]string{
		`get https://ann:secret@ghcr.io/acme/x:1: no`: `get https://…@ghcr.io/acme/x:1: no`,
		`"ann:secret@ghcr.io/acme/x" is no name`:      `"…@ghcr.io/acme/x" is no name`,
		`ann:sec/r@et@ghcr.io/acme/x:1@sha256:abc`:    `…@ghcr.io/acme/x:1@sha256:abc`,
		`OCIPKG_MIRROR=ann:secret@mirror/x,off`:       `OCIPKG_MIRROR=…@mirror/x,off`,
		`HTTPS_PROXY=http://secret@proxy:3128`:        `HTTPS_PROXY=http://…@proxy:3128`,
		`https://secret@h`:                            `https://…@h`,
		`(https://a:b@h/?x) and c:d@h/x`:              `(https://…@h/?x) and …@h/x`,
	} {
		if got := Redact(text); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{
		"", "plain", "ghcr.io/acme/x:1@sha256:abc", "localhost:5000/acme/x:1@sha256:abc", "alpine:3@sha256:abc", "alpine@sha256:abc", "[::1]:5000/a:1",
		"oci:/srv/a@b/c:1", "/home/a:b@c/d", `C:\a:b@c/d`, "C:/a@b/c", "./a:b@c/d", "ann@example.com", "ghcr.io/acme@", "github.com/acme/x@v1.2.3/y.go:12",
		"https://h/x@y",
	} {
		if got := Redact(text); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}
