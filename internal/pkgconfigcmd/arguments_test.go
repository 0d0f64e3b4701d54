package pkgconfigcmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/link"
)

func names(r *request) string {
	var list []string
	for _, d := range r.packages {
		list = append(list, d.String())
	}
	return strings.Join(list, ", ")
}

func TestArgumentsAreReadAsPkgconfReadsThem(t *testing.T) {
	for args, want := range map[string]string{
		"--cflags -- a/b":                     "a/b",
		"a/b --libs c":                        "a/b, c",
		"--exists a/b:1 >= 1.2 c":             "a/b:1 >= 1.2, c",
		"--variable prefix a":                 "a",
		"--define-variable prefix=a/b c/d":    "c/d",
		"--with-path x/y c/d":                 "c/d",
		"-- --cflags":                         "--cflags",
		"--libs a,b":                          "a, b",
		"--maximum-traverse-depth 3 zlib":     "zlib",
		"--atleast-pkgconfig-version 0.9 a/b": "a/b",
	} {
		r, err := parse(strings.Fields(args))
		if err != nil || names(r) != want {
			t.Errorf("%s: got %s, %v", args, names(r), err)
		}
	}
	for _, args := range []string{"--variable", "--cflags --atleast-version", "a/b >=", "--define-variable"} {
		if r, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s: got %+v", args, r)
		}
	}
}

func TestFlagsThatAreNotOursAreKeptForTheRealPkgConfig(t *testing.T) {
	for args, want := range map[string]string{
		"--cflags a/b":                     "",
		"--digraph a/b":                    "--digraph",
		"--define-variable=x=y --libs":     "--define-variable=x=y",
		"--define-variable x=y --libs":     "--define-variable",
		"--cflags=yes":                     "--cflags=yes",
		"-static -shared --keep-system":    "--keep-system",
		"--keep-system-libs --with-path x": "",
	} {
		r, err := parse(strings.Fields(args))
		if err != nil || strings.Join(r.unknown, " ") != want {
			t.Errorf("%s: got %q, %v", args, r.unknown, err)
		}
	}
}

func FuzzArguments(f *testing.F) {
	for _, seed := range []string{"--cflags\x00--\x00a/b", "--variable\x00x\x00a/b >= 1,c", "-\x00--\x00-", "--variable=\x00>=", "-=\x00--="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		r, err := parse(args)
		if err != nil {
			return
		}
		for _, d := range r.packages {
			if d.Name == "" {
				t.Errorf("%q: a package without a name", args)
			}
		}
		for _, flag := range r.flags {
			if !slices.Contains(args, flag) {
				t.Errorf("%q: the flag %q is not from the command line", args, flag)
			}
		}
		if (r.parts&link.CompileArgs != 0) != (len(r.compileModes) > 0) || (r.parts&link.LinkArgs != 0) != (len(r.linkModes) > 0) {
			t.Errorf("%q: parts %b, modes %q and %q", args, r.parts, r.compileModes, r.linkModes)
		}
	})
}
