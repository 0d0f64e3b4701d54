package install

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ocipkg/ocipkg/internal/layer"
)

func TestWhatMustNotComeBeforeALinkerIsFoundByAnyName(t *testing.T) {
	ir, err := os.ReadFile("../binfmt/testdata/elf-amd64-fat-lto")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		files map[string]string // a link where it begins with an arrow
		want  string
	}{
		"nothing":                        {map[string]string{"include/a.h": "INPUT(/etc/passwd)", "libz.so": "->gone", "lib.a": "->.", "x.so": "INPUT(liby.so)"}, ""},
		"a script":                       {map[string]string{"lib/libz.so": "INPUT(/etc/passwd)"}, "lib/libz.so"},
		"a script behind a link":         {map[string]string{"share/data": "INPUT(/etc/passwd)", "lib/libz.a": "->../share/data"}, "lib/libz.a"},
		"IR":                             {map[string]string{"b.o": string(ir), "a.o": string(ir)}, "a.o"},
		"IR, and what is allowed nobody": {map[string]string{"a.o": string(ir), "b.a": "!<thin>\n"}, "b.a"},
	} {
		dir := t.TempDir()
		var files []layer.File
		for path, content := range test.files {
			at := filepath.Join(dir, path)
			must(t, os.MkdirAll(filepath.Dir(at), 0o755))
			f := layer.File{Path: path, Mode: 0o644}
			if len(content) > 2 && content[:2] == "->" {
				f.Target = content[2:]
				must(t, os.Symlink(f.Target, at))
			} else {
				must(t, os.WriteFile(at, []byte(content), 0o644))
			}
			files = append(files, f)
		}
		root, err := os.OpenRoot(dir)
		must(t, err)
		found, err := findUnlinkable(root, files)
		root.Close()
		if err != nil || (found == nil) != (test.want == "") || found != nil && found.Path != test.want {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
