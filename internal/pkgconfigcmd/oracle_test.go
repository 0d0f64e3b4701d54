//go:build linux

package pkgconfigcmd_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// The modules of the tree that both programs are asked about.
var modules = map[string]string{
	"foo": "Requires: bar >= 1.0\nRequires.private: baz < 3, qux\nCflags: -I${includedir}/foo -DX=\"a b\" -DQ=\\\"q\\\" -pthread\n" +
		"Libs: -L${libdir} -lfoo -Wl,-z,now\nLibs.private: -lm\nVersion: 1.2.3\n",
	"bar": "Cflags: -I${includedir}\nLibs: -L${libdir} -lbar\nVersion: 1.10\n",
	"baz": "Cflags: -I${includedir}/baz\nLibs: -L${libdir} -lbaz\nVersion: 2.0~rc1\n",
	"qux": "Cflags:\nLibs: -L${libdir} -lqux\nLibs.private: -ldl\nVersion: 7\n",
	"hdr": "Cflags: -I${includedir} -DONLY_HEADERS\nVersion: 0.1\n",
}

const moduleHead = "prefix=/somewhere/else\nexec_prefix=${prefix}\nlibdir=${exec_prefix}/lib\nincludedir=${prefix}/include\n" +
	"datadir=${prefix}/share/a b\nDescription: of a test\nName: "

// oracle packs each module as a package of its own, and gives the tree that
// pkgconf reads: the same files, all in one.
func oracle(t *testing.T, library string) (s *session, prefixes map[string]string) {
	s = newSession(t)
	prefixes = map[string]string{}
	all := t.TempDir() // without a blank, which a prefix cannot have
	requires := map[string][]string{"foo": {"bar", "baz", "qux"}}
	for _, name := range []string{"bar", "baz", "qux", "foo", "hdr"} {
		text := moduleHead + name + "\n" + modules[name]
		s.write(name+"/lib/pkgconfig/"+name+".pc", text)
		if err := os.MkdirAll(filepath.Join(all, "lib/pkgconfig"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(all, "lib/pkgconfig", name+".pc"), []byte(strings.Replace(text, "/somewhere/else", all, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, header := range []string{"/include/x.h", "/include/foo/x.h", "/include/baz/x.h", "/share/a b/x"} {
			s.write(name+header, "")
		}
		if name != "hdr" {
			s.build(name+"/lib/lib"+name+library, "int "+name+"(void) { return 1; }")
		}
		var toml string
		for _, needed := range requires[name] {
			toml += needed + " = \"localhost:1/acme/" + needed + ":1\"\n"
		}
		s.write("work/ocipkg.toml", "[dependencies]\n"+toml)
		prefixes[s.root(s.load(filepath.Join(s.base, name), "localhost:1/acme/"+name+":1"))] = all
	}
	s.write("work/ocipkg.toml", "")
	s.set("PKG_CONFIG_LIBDIR", filepath.Join(all, "lib/pkgconfig"))
	return s, prefixes
}

// questions are asked of both programs. Names in them are those of modules.
var questions = [][]string{
	{"--cflags", "foo"}, {"--libs", "foo"}, {"--cflags", "--libs", "foo"}, {"--cflags", "--libs", "foo", "baz"},
	{"--cflags-only-I", "foo"}, {"--cflags-only-other", "foo"}, {"--libs-only-l", "foo"}, {"--libs-only-L", "foo"}, {"--libs-only-other", "foo"},
	{"--cflags-only-I", "--libs-only-l", "foo"}, {"--libs-only-L", "--libs-only-l", "bar", "qux"}, {"--cflags", "--libs-only-other", "foo"},
	{"--libs", "qux"}, {"--libs-only-L", "hdr"}, {"--cflags", "--libs", "hdr"}, {"--libs", "hdr"}, {"-libs", "bar"}, {"--libs", "--", "bar"}, {"bar", "--libs"},
	{"--modversion", "foo"}, {"--modversion", "foo", "bar", "foo"}, {"--modversion", "--libs", "foo"}, {"--modversion", "--variable=prefix", "bar"},
	{"--exists", "foo"}, {"--exists", "foo", "--cflags"}, {"--exists", "foo >= 1.2"}, {"--exists", "foo", ">=", "1.3"}, {"--exists", "bar > 1.9", "baz = 2.0~rc1"},
	{"--exists", "baz < 2.0"}, {"--exists", "baz != 2.0~rc1"}, {"--exists", "foo <= 1.2.3, bar"}, {"foo"}, {"foo > 9"},
	{"--atleast-version=1.2", "foo"}, {"--atleast-version", "1.10", "bar"}, {"--atleast-version=1.11", "bar"}, {"--atleast-version=2", "foo", "qux"},
	{"--exact-version=7", "qux"}, {"--exact-version=7.0", "qux"}, {"--max-version=6", "qux"}, {"--max-version=8", "qux"}, {"--atleast-version=1", "--modversion", "foo"},
	{"--variable=prefix", "foo"}, {"--variable=libdir", "foo", "bar"}, {"--variable=datadir", "foo"}, {"--variable", "includedir", "foo"}, {"--variable=none", "foo"},
	{"--variable=none", "foo", "bar"}, {"--variable=prefix", "--cflags", "foo"}, {"--variable=pcfiledir", "foo"},
	{"--print-requires", "foo"}, {"--print-requires", "bar"}, {"--print-requires", "--libs", "foo"},
	{"--print-errors", "--exists", "foo"}, {"--short-errors", "--libs", "bar"}, {"--silence-errors", "--libs", "bar"}, {"--errors-to-stdout", "--libs", "bar"},
	{"--version"}, {"--version", "foo"}, {"--atleast-pkgconfig-version=0.9.0"}, {"--atleast-pkgconfig-version", "1.8.1"}, {"--atleast-pkgconfig-version=1.9"},
}

func TestAnswersAreThoseOfPkgconf(t *testing.T) {
	for library, kind := range map[string]string{".a": "--static", ".so": "--shared"} {
		t.Run(kind, func(t *testing.T) {
			s, prefixes := oracle(t, library)
			all := append(questions, []string{"--print-variables", "foo"}, []string{"--print-requires-private", "qux"})
			if kind == "--static" {
				all = append(all, []string{"--print-requires-private", "foo"})
			}
			for _, question := range all {
				theirs := s.exec("pkgconf", append([]string{kind}, question...)...)
				ours := s.ours(translate(question, kind)...)
				if ours.code != theirs.code {
					t.Errorf("%q: exit code %d, pkgconf's is %d; %s", question, ours.code, theirs.code, ours.err)
				}
				if ours.code == 0 && ours.err != "" || ours.code != 0 && ours.out != "" {
					t.Errorf("%q: exit code %d with %q on stdout and %q on stderr", question, ours.code, ours.out, ours.err)
				}
				for root, prefix := range prefixes {
					ours.out = strings.ReplaceAll(ours.out, quoted(root), quoted(prefix))
					ours.out = strings.ReplaceAll(ours.out, root, prefix)
				}
				got, want := ours.out, theirs.out
				if !slices.Contains([]string{"--modversion", "--version"}, question[0]) && !strings.Contains(strings.Join(question, " "), "--variable") {
					got, want = normal(t, got, question), normal(t, want, question)
				}
				if got != want {
					t.Errorf("%q:\n got %q\nwant %q", question, got, want)
				}
			}
		})
	}
}

// translate writes names of modules as references. Static is our default.
func translate(question []string, kind string) []string {
	var args []string
	if kind == "--shared" {
		args = append(args, kind)
	}
	for _, arg := range question {
		for name := range modules {
			if arg == name || strings.HasPrefix(arg, name+" ") {
				arg = "localhost:1/acme/" + name + ":1" + strings.TrimPrefix(arg, name)
				arg = strings.ReplaceAll(arg, ", bar", ", localhost:1/acme/bar:1")
				break
			}
		}
		args = append(args, arg)
	}
	return args
}

func quoted(path string) string { return strings.ReplaceAll(path, " ", `\ `) }

// normal takes away what may differ: the order of lines, of definitions, and of
// linker flags among libraries; how often a directory is named; the mentions of
// a library before the last; and what only we say, the directories for the
// loader.
func normal(t *testing.T, text string, question []string) string {
	if strings.HasPrefix(question[0], "--print-") {
		lines := strings.Split(text, "\n")
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	args, err := pkgconf.Split(text)
	if err != nil {
		t.Errorf("%q: %q cannot be split: %v", question, text, err)
	}
	var dirs, sorted, rest []string
	for _, arg := range args {
		switch {
		case strings.HasPrefix(arg, "-I"), strings.HasPrefix(arg, "-L"):
			if !slices.Contains(dirs, arg) {
				dirs = append(dirs, arg)
			}
		case strings.HasPrefix(arg, "-Wl,-rpath,"), arg == "-Wl,--disable-new-dtags":
		case strings.HasPrefix(arg, "-D"), strings.HasPrefix(arg, "-Wl,"):
			sorted = append(sorted, arg)
		default:
			rest = append(slices.DeleteFunc(rest, func(other string) bool { return other == arg }), arg)
		}
	}
	slices.Sort(sorted)
	return strings.Join(slices.Concat(dirs, sorted, rest), " ") + text[len(strings.TrimRight(text, " \n")):]
}
