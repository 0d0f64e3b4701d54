package linkable

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ocipkg/ocipkg/internal/layer"
	"github.com/ocipkg/ocipkg/platform"
)

func TestScriptsThatNameLibrariesAloneAreNoHarm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"INPUT(libncurses.so.6 -ltinfo)\n": true,
		"/* GNU ld script\n   Use the shared library */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( libgcc_s.so.1 -lgcc AS_NEEDED ( libm.so.6, -lm ) )": true,
		"INPUT(libz.so.1)INPUT(-lz)":             true,
		"":                                       false,
		"static":                                 false,
		"INPUT(/etc/passwd)":                     false,
		"INPUT(../libx.so)":                      false,
		"INPUT(x.txt)":                           false,
		"INPUT(-l:x.txt)":                        false,
		"INPUT(-T,x)":                            false,
		"INPUT(\"libz.so\")":                     false,
		"INPUT(=/libz.so)":                       false,
		"INPUT(.libz.so)":                        false,
		"INPUT(libz*.so)":                        false,
		"INPUT(libz.so":                          false,
		"INPUT libz.so":                          false,
		"INPUT(libz.so))":                        false,
		"GROUP(GROUP(libz.so))":                  false,
		"TARGET(binary)\nINPUT(libz.so)":         false,
		"OUTPUT_FORMAT(binary) INPUT(libz.so)":   false,
		"OUTPUT(a.so)":                           false,
		"INCLUDE x.so":                           false,
		"SEARCH_DIR(lib.so) INPUT(libz.so)":      false,
		"AS_NEEDED(libz.so)":                     false,
		"INPUT(libz.so) /* INPUT(libz.so)":       false,
		"INPUT(libz.so) main = 1;":               false,
		"/* /* */ INPUT(/etc/passwd) /* */ */":   false,
		"INPUT(libz.so) \x00 INPUT(/etc/passwd)": false,
	} {
		if got := isPlainScript(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func TestWhatLinkersReadIsLookedAt(t *testing.T) {
	t.Parallel()
	const script = "INPUT(/etc/passwd)"
	linux := platform.Platform{OS: "linux", Architecture: "amd64"}
	for name, c := range map[string]struct {
		content, target string // target: of a link
		of              platform.Platform
		want            string
	}{
		"lib/liba.a":                      {content: script, want: "is called as a library is and is none"},
		"lib/LIBA.A":                      {content: script, want: "is called as a library is"},
		"lib/liba.so.1.2.3":               {content: script, want: "is called as a library is"},
		"lib/crt1.o":                      {content: script, want: "is called as a library is"},
		"bin/a.dll":                       {content: script, of: platform.Platform{OS: "windows"}, want: "is called as a library is"},
		"lib/a.lib":                       {content: "!<thin>\n", want: "is a thin archive"},
		"lib/libb.a":                      {target: "../share/text", want: "is called as a library is"},
		"A.framework/A":                   {content: "BC\xc0\xde", of: platform.Platform{OS: "darwin"}, want: "holds the intermediate representation"},
		"A.framework/Versions/A/A":        {content: "BC\xc0\xde", of: platform.Platform{OS: "darwin"}, want: "holds the intermediate representation"},
		"B.framework":                     {target: "dir", of: platform.Platform{OS: "darwin"}, want: "holds the intermediate representation"},
		"include/a.h.gch":                 {content: "gpch", want: "is a precompiled header"},
		"include/a.h.gch/c":               {content: "gpch", want: "is a precompiled header"},
		"include/a.h.pch":                 {content: "CPCH", want: "is a precompiled header"},
		"lib/libc.tbd":                    {content: "INPUT(/etc/passwd)", want: "is called as a library is"},
		"lib/damaged.o":                   {content: "\x7fELF", want: "is damaged"},
		"include/Prefix.pch":              {content: "#import <x.h>"},
		"lib/libd.tbd":                    {content: "--- !tapi-tbd\n"},
		"lib/libe.so":                     {content: "INPUT(libe.so.1 -lm)"},
		"lib/empty.a":                     {content: ""},
		"lib/libf.a":                      {content: "!<arch>\n"},
		"lib/gone.a":                      {target: "nothing"},
		"lib/._libg.a":                    {content: "\x00\x05\x16\x07"},
		"etc/ld.so.conf":                  {content: script},
		"share/gdb/libh.so.6.0.30-gdb.py": {content: script},
		"share/text.txt":                  {content: script},
	} {
		if c.of.IsZero() {
			c.of = linux
		}
		tree := fstest.MapFS{"share/text": {Data: []byte(script)}, "dir/B": {Data: []byte("BC\xc0\xde")}}
		file := layer.File{Path: name, Target: c.target}
		if c.target == "" {
			tree[name] = &fstest.MapFile{Data: []byte(c.content)}
		} else {
			tree[name] = &fstest.MapFile{Data: []byte(c.target), Mode: 0o777 | 1<<27} // a link
		}
		found, err := Check(tree, []layer.File{file}, c.of)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		if worst := Worst(found); worst != nil {
			got = worst.Reason
			if worst.Intermediate != strings.Contains(got, "intermediate representation") {
				t.Errorf("%s: %+v", name, worst)
			}
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
