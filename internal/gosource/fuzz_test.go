package gosource

import (
	"bytes"
	"go/build"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// goBuildNames gives the words of the directives that go build takes from a
// file, and false when it refuses the file.
func goBuildNames(src []byte) ([]string, bool) {
	files := fstest.MapFS{"a.go": {Data: src}}
	context := build.Context{
		GOOS: "linux", GOARCH: "amd64", CgoEnabled: true, Compiler: "gc",
		JoinPath:  func(parts ...string) string { return strings.Join(parts, "/") },
		IsDir:     func(path string) bool { return path == "/p" },
		HasSubdir: func(string, string) (string, bool) { return "", false },
		ReadDir: func(string) ([]fs.FileInfo, error) {
			info, err := files.Stat("a.go")
			return []fs.FileInfo{info}, err
		},
		OpenFile: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(src)), nil },
	}
	p, err := context.ImportDir("/p", 0)
	if err != nil {
		return nil, false
	}
	return p.CgoPkgConfig, true
}

func FuzzNamesAreThoseOfGoBuild(f *testing.F) {
	for _, preamble := range []string{
		"/*\n#cgo pkg-config: r/a:1 zlib\n*/",
		"// #cgo  linux pkg-config: r/a:1\n// #cgo windows pkg-config: r/b:1",
		"//#cgo\tpkg-config:r/a:1\n/* #cgo pkg-config: ${SRCDIR}/b */",
		"// #cgo pkg-config: \"r/a\" 'b' c\\ d '' \u00a0 e\u0085f",
		"/*#cgo pkg-config: a\rb\r\n\r#cgo\r \rpkg-config: c*\r/\n\t#cgo pkg-config: d*/",
		"// #cgo nocallback pkg-config\n// #cgo noescape pkg-config:",
		"//extern #cgo pkg-config: a\n//go:x #cgo pkg-config: b",
	} {
		f.Add([]byte("package p\n\n" + preamble + "\nimport \"C\"\n"))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		names, err := Names("a.go", src)
		if same := Rewrite(src, names, func(name Name) string { return name.Text }); !bytes.Equal(same, src) {
			t.Errorf("%q is rewritten with its own names to %q", src, same)
		}
		want, ok := goBuildNames(src)
		if !ok {
			return
		}
		if err != nil {
			t.Fatalf("go build takes the file: %v", err)
		}
		var got []string
		for _, name := range names {
			if src[name.begin] == '\r' || name.end > len(src) {
				t.Errorf("the name %q begins or ends outside of it", name.Text)
			}
			got = append(got, strings.ReplaceAll(name.Text, "${SRCDIR}", "/p"))
		}
		if bytes.Contains(src, []byte("go:build")) || hasCondition(src) {
			// Ours are those of all systems.
			want = slices.DeleteFunc(want, func(name string) bool { return slices.Contains(got, name) })
			if len(want) > 0 {
				t.Errorf("in %q the names %q are not found", src, want)
			}
			return
		}
		if !slices.Equal(got, want) {
			t.Errorf("in %q the names are %q, want %q", src, got, want)
		}
	})
}

// hasCondition tells whether a line that names pkg-config has anything else
// before the colon.
func hasCondition(src []byte) bool {
	for line := range bytes.Lines(bytes.ReplaceAll(src, []byte("\r"), nil)) {
		if _, after, ok := bytes.Cut(line, []byte("#cgo")); ok {
			before, _, _ := bytes.Cut(after, []byte(":"))
			if string(bytes.TrimSpace(before)) != "pkg-config" {
				return true
			}
		}
	}
	return bytes.Contains(src, []byte("+build"))
}

func FuzzRewrittenNamesAreFoundAgain(f *testing.F) {
	f.Add([]byte("package p\n\n/*\n#cgo pkg-config: r/a:1 \"r/b\" 'r/c' r\\/d\n*/\nimport \"C\"\n"))
	f.Add([]byte("package p\r\n\r\n// #cgo pkg-config: r/a\r:1\r\nimport \"C\"\r\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		names, err := Names("a.go", src)
		if err != nil {
			return
		}
		const added = "r/new:1@sha256:0"
		again, err := Names("a.go", Rewrite(src, names, func(Name) string { return added }))
		if err != nil || len(again) != len(names) {
			t.Fatalf("in %q, rewritten, there are %q, %v", src, texts(again), err)
		}
		for i, name := range again {
			if name.Text != added || name.Line != names[i].Line {
				t.Errorf("in %q the name %q became %q", src, names[i].Text, name.Text)
			}
		}
	})
}
