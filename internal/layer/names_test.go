package layer

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/limit"
)

func TestNamesThatMeanSomethingElseElsewhereAreForLinuxAlone(t *testing.T) {
	for name, test := range map[string]struct {
		paths []string
		text  string
	}{
		"a device":                       {[]string{"CON"}, "device"},
		"one in other letters":           {[]string{"include/nul"}, "device"},
		"one with an extension":          {[]string{"include/aux.h"}, "device"},
		"one with several":               {[]string{"src/prn.tar.gz"}, "device"},
		"one as a directory":             {[]string{"lpt1/a/b"}, "device"},
		"one with a space":               {[]string{"com9 .txt"}, "device"},
		"a port in superscript":          {[]string{"COM²"}, "device"},
		"the console":                    {[]string{"conin$"}, "device"},
		"a dot at the end":               {[]string{"lib/a."}, "dot or a space"},
		"a space at the end":             {[]string{"lib/a /b"}, "dot or a space"},
		"a separator":                    {[]string{`lib\a`}, "path on Windows"},
		"twins":                          {[]string{"linux/netfilter/xt_MARK.h", "linux/netfilter/xt_mark.h"}, "take for the same"},
		"twins in the name of directory": {[]string{"Lib/a", "lib/b"}, `there is "Lib" already, which many disks take for the same as "lib"`},
		"a file and a directory":         {[]string{"a", "A/b"}, "take for the same"},
		"an empty directory":             {[]string{"a", "A/"}, "take for the same"},
		"twins beyond ASCII":             {[]string{"Ärger", "ärger"}, "take for the same"},
		"one letter composed in two":     {[]string{"caf\u00e9", "cafe\u0301"}, "take for the same"},
		"both":                           {[]string{"CAF\u00c9.h", "cafe\u0301.h"}, "take for the same"},
		"another sign for K":             {[]string{"k", "\u212a"}, "take for the same"},
		"the two small sigmas":           {[]string{"ς", "σ"}, "take for the same"},
	} {
		var files []File
		for _, p := range test.paths {
			files = append(files, File{Path: p, Mode: 0o644})
		}
		for _, system := range []string{"", "windows", "darwin", "invalid"} {
			if err := CheckNames(files, system); err == nil {
				t.Errorf("%s is allowed for %q", name, system)
			} else {
				refuses(t, err, test.text)
			}
		}
		must(t, CheckNames(files, "linux"))
		must(t, CheckNames(files, "freebsd"))
	}
	for _, name := range []string{"a:b", "C:", "lib/x::$DATA"} {
		files := []File{{Path: name}}
		refuses(t, CheckNames(files, ""), "stream")
		refuses(t, CheckNames(files, "windows"), "stream")
		must(t, CheckNames(files, "darwin"))
	}
	refuses(t, CheckNames([]File{{Path: "what?"}}, "windows"), "no name")
	must(t, CheckNames([]File{{Path: "what?"}}, ""))
}

func TestUsualNamesAreAllowedEverywhere(t *testing.T) {
	var files []File
	for _, p := range []string{
		"include/console.h", "include/auxv.h", "include/com.h", "include/com10.h", "include/lpt.h", "include/null", "a.nul", ".con",
		"include/a.h", "include/b/a.h", "lib/a.h", "name with a space", "Grüße/日本", "Straße", "-flag", "$x", "a'b", "lib/empty/",
	} {
		files = append(files, File{Path: p})
	}
	for _, system := range []string{"", "windows", "darwin", "linux"} {
		must(t, CheckNames(files, system))
	}
}

// A name that is there although no entry brought it stands for a disk that takes
// two names for one.
func TestADiskThatTakesTwoNamesForOneIsNoticed(t *testing.T) {
	for name, test := range map[string]struct {
		entries []entry
		files   []File
	}{
		"a file": {[]entry{file("lib/xt_mark.h", "1")}, []File{{Path: "lib/xt_mark.h", Size: 1, Mode: 0o644}}},
		"a link": {[]entry{{name: "lib/xt_mark.h", kind: '2', link: "a", mode: 0o777}}, []File{{Path: "lib/xt_mark.h", Target: "a", Mode: 0o777}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, limit.Default)
			write(t, b.root.Name(), map[string]string{"lib/xt_mark.h": "of xt_MARK.h"})
			must(t, os.Remove(b.root.Name()+"/lib/xt_mark.h"))
			must(t, b.root.WriteFile("lib/xt_mark.h", []byte("2"), 0o644))
			for _, err := range []error{
				b.Expand(ctx, bytes.NewReader(archive(t, test.entries...)), None, test.files),
				b.Apply(ctx, bytes.NewReader(archive(t, test.entries...)), None, 0),
				b.Adopt(test.files, b.root.Name()),
			} {
				if !errors.Is(err, errdef.ErrVerification) {
					t.Errorf("the error is %v", err)
				}
				refuses(t, err, `"lib/xt_mark.h" is there already, under a name that this disk takes for the same`)
			}
			b.check(t, "lib/xt_mark.h=2")
		})
	}
}
