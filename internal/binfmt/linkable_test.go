package binfmt

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

func checkLinkable(content []byte) (*UnlinkableError, error) {
	err := CheckLinkable(bytes.NewReader(content), int64(len(content)))
	var bad *UnlinkableError
	if errors.As(err, &bad) {
		return bad, nil
	}
	return nil, err
}

// arOf is an archive with one member.
func arOf(name string, content []byte) []byte {
	header := func(name string, size int) string {
		return pad(name+"/", 16) + pad("0", 12) + pad("0", 6) + pad("0", 6) + pad("644", 8) + pad(itoa(size), 10) + "`\n"
	}
	text := arMagic + header(name, len(content)) + string(content)
	if len(content)%2 == 1 {
		text += "\n"
	}
	return []byte(text)
}

func pad(s string, n int) string { return s + strings.Repeat(" ", n-len(s)) }

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// What carries a compiler's options must not come before a linker, which runs the
// compiler with them.
func TestIntermediateRepresentationIsFoundInAnyObject(t *testing.T) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == "README.md" || entry.IsDir() {
			continue
		}
		want := strings.Contains(name, "lto") || strings.Contains(name, "bitcode")
		content := fixture(t, name)
		for where, content := range map[string][]byte{"alone": content, "in an archive": arOf("x.o", content)} {
			if strings.Contains(name, "archive") && where != "alone" {
				continue
			}
			bad, err := checkLinkable(content)
			if err != nil || want != (bad != nil) || bad != nil && (!bad.IR || (where == "alone") != (bad.Member == "")) {
				t.Errorf("%s, %s: %+v, %v", name, where, bad, err)
			}
		}
	}
}

func TestTextInThePlaceOfALibraryOnlyNamesLibraries(t *testing.T) {
	for text, good := range map[string]bool{
		"": true, "\n": true, "INPUT(libncursesw.so.6 -ltinfo)\n": true, "/* GNU ld script */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( libm.so.6 AS_NEEDED ( libmvec.so.1 ) )": true,
		"INPUT(libz.a)": true, "--- !tapi-tbd\ntbd-version: 4\n": true,
		"INPUT(/etc/passwd)": false, "INPUT(../libz.a)": false, "INPUT(passwd)": false, "INPUT(-l/etc/x)": false, "INPUT(-l:../x)": false, `INPUT("libz.a")`: false,
		"TARGET(binary) INPUT(libx.a)": false, "OUTPUT(libx.a)": false, "OUTPUT_FORMAT(binary)": false, "SEARCH_DIR(.)": false, "INCLUDE libz.a": false, "libx.a = 1;": false,
		"GROUP ( /lib/x86_64-linux-gnu/libc.so.6 )": false, "#!/bin/sh\n": false, "INPUT(libz.a) STARTUP(libz.a)": false, "INPUT(libz.a\x00)": false,
		"elf64-x86-64": false, "/* INPUT(libz.a)": true, strings.Repeat(" ", maxScript+1): false, thinMagic: false, "!<arch>\nnonsense that is no member at all, of sixty bytes and more than that": false,
	} {
		if bad, err := checkLinkable([]byte(text)); err != nil || good != (bad == nil) || bad != nil && bad.IR {
			t.Errorf("%.60q: %v, %v", text, bad, err)
		}
	}
}

func TestWhatLinkersReadIsToldByItsName(t *testing.T) {
	for name, want := range map[string]bool{
		"lib/libz.a": true, "lib/libz.so": true, "lib/libz.so.1": true, "z.lib": true, "x.o": true, "libz.dylib": true, "libz.tbd": true, "bin/z.dll": true,
		"Foo.framework/Foo": true, "Foo.framework/Versions/A/Foo": true,
		"include/z.h": false, "share/doc/z": false, "bin/z": false, "z.sox": false, "Foo.framework/Headers/Foo.h": false,
	} {
		if got := MayBeLinked(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
