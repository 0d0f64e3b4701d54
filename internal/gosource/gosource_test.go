package gosource

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

func texts(names []Name) []string {
	var all []string
	for _, name := range names {
		all = append(all, name.Text)
	}
	return all
}

func TestNamesAreFoundWhereGoBuildFindsThem(t *testing.T) {
	for _, test := range []struct {
		name, src string
		want      []string
	}{
		{"in a block comment", "package p\n\n/*\n#cgo pkg-config: r/a:1 zlib\n#include <a.h>\n*/\nimport \"C\"\n", []string{"r/a:1", "zlib"}},
		{"in line comments", "package p\n\n// #cgo pkg-config: r/a:1\n//#cgo pkg-config: r/b:1\n// #include <a.h>\nimport \"C\"\n", []string{"r/a:1", "r/b:1"}},
		{"in a group of imports", "package p\n\nimport (\n\t\"fmt\"\n\n\t// #cgo pkg-config: r/a:1\n\t\"C\"\n)\n", []string{"r/a:1"}},
		{"before a group of one", "package p\n\n// #cgo pkg-config: r/a:1\nimport (\n\t\"C\"\n)\n", []string{"r/a:1"}},
		{"in front of each of two", "package p\n\n// #cgo pkg-config: r/a:1\nimport \"C\"\n\n// #cgo pkg-config: r/b:1\nimport `C`\n", []string{"r/a:1", "r/b:1"}},
		{"with conditions", "package p\n\n// #cgo linux,amd64 !darwin (a||b) pkg-config: r/a:1\nimport \"C\"\n", []string{"r/a:1"}},
		{"with flags and variables", "package p\n\n// #cgo pkg-config: --static ${SRCDIR}/x.pc r/a:1\nimport \"C\"\n", []string{"--static", "${SRCDIR}/x.pc", "r/a:1"}},
		{"in quotes", "package p\n\n// #cgo pkg-config: \"r/a:1\" 'r/b':1 r/\\c \"\"\nimport \"C\"\n", []string{"r/a:1", "r/b:1", "r/c", ""}},
		{"with Windows line ends", "package p\r\n\r\n/*\r\n#cgo pkg-config: r/a:1\r\n*/\r\nimport \"C\"\r\n", []string{"r/a:1"}},
		{"not without a blank after #cgo", "package p\n\n// #cgopkg-config: r/a:1\nimport \"C\"\n", nil},
		{"not without a colon", "package p\n\n// #cgo pkg-config r/a\nimport \"C\"\n", nil},
		{"not in another directive", "package p\n\n// #cgo LDFLAGS: -lpkg-config r/a\nimport \"C\"\n", nil},
		{"not in a comment that stands apart", "package p\n\n// #cgo pkg-config: r/a:1\n\nimport \"C\"\n", nil},
		{"not before another import", "package p\n\n// #cgo pkg-config: r/a:1\nimport \"fmt\"\n", nil},
		{"not in the body", "package p\n\nimport \"C\"\n\n// #cgo pkg-config: r/a:1\nfunc f() {}\n\nconst s = `\n#cgo pkg-config: r/b:1\n`\n", nil},
		{"not where a quote is open", "package p\n\n// #cgo pkg-config: r/a:1 \"r/b\nimport \"C\"\n", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			names, err := Names("a.go", []byte(test.src))
			if err != nil || !slices.Equal(texts(names), test.want) {
				t.Errorf("got %q, %v, want %q", texts(names), err, test.want)
			}
		})
	}
}

func TestNamesHaveTheLinesOfTheFile(t *testing.T) {
	src := "package p\n\n//line other.go:100\n\n/*\n#cgo pkg-config: r/a\n\n#cgo pkg-config: r/b\n*/\n// #cgo pkg-config: r/c\nimport \"C\"\n"
	names, err := Names("a.go", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, name := range names {
		lines = append(lines, name.Line)
	}
	if want := []int{6, 8, 10}; !slices.Equal(lines, want) {
		t.Errorf("the lines are %v, want %v", lines, want)
	}
}

func TestFileThatDoesNotParseSaysWhere(t *testing.T) {
	_, err := Names("dir/a.go", []byte("package p\n\n// #cgo pkg-config: r/a:1\nimport \"C\n"))
	if !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), "dir/a.go:4:") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestRewriteChangesNamesAndNothingElse(t *testing.T) {
	src := "\ufeffpackage  p // r/a:1\r\n\r\n/*\r\n#cgo linux   pkg-config:\tr/a:1 --static  \"r/a:1\" 'r'/a:1 zlib  \r\n  #define X \"r/a:1\"\r\n*/\r\nimport \"C\"\r\n\r\nvar  x=1 // #cgo pkg-config: r/a:1"
	want := "\ufeffpackage  p // r/a:1\r\n\r\n/*\r\n#cgo linux   pkg-config:\tNEW --static  \"NEW\" NEW zlib  \r\n  #define X \"r/a:1\"\r\n*/\r\nimport \"C\"\r\n\r\nvar  x=1 // #cgo pkg-config: r/a:1"
	names, err := Names("a.go", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	got := string(Rewrite([]byte(src), names, func(name Name) string {
		if name.Text == "r/a:1" {
			return "NEW"
		}
		return name.Text
	}))
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
