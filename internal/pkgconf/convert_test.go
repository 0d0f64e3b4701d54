package pkgconf

import (
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// emptyTree is a package without files.
type emptyTree struct{}

func (emptyTree) Library(Flag, []string) (archive, dylib *cps.Attributes) { return nil, nil }
func (emptyTree) Has(string) bool                                         { return false }
func (emptyTree) Include(dir string) []string                             { return []string{dir} }
func (emptyTree) Module(Dependency) string                                { return "" }

// libraryTree has the libraries whose names it lists, in both kinds unless the name ends in .a or .so, and the modules.
type libraryTree struct{ libraries, modules []string }

func (t libraryTree) Library(f Flag, _ []string) (archive, dylib *cps.Attributes) {
	if slices.Contains(t.libraries, f.Value) || slices.Contains(t.libraries, f.Value+".a") {
		archive = &cps.Attributes{Location: "@prefix@/lib/lib" + f.Value + ".a"}
	}
	if slices.Contains(t.libraries, f.Value) || slices.Contains(t.libraries, f.Value+".so") {
		dylib = &cps.Attributes{Location: "@prefix@/lib/lib" + f.Value + ".so"}
	}
	return archive, dylib
}
func (libraryTree) Include(dir string) []string { return []string{dir} }
func (libraryTree) Has(file string) bool        { return strings.HasPrefix(file, "@prefix@/share") }
func (t libraryTree) Module(d Dependency) string {
	if slices.Contains(t.modules, d.Name) {
		return d.Name
	}
	return ""
}

func summary(c *cps.Component) string {
	if c == nil {
		return "none"
	}
	words := []string{c.Type, strings.TrimPrefix(c.Location, "@prefix@/lib/")}
	for _, list := range [][]string{c.LinkLibraries, c.LinkFlags, c.Requires, c.LinkRequires, c.CompileRequires, c.DyldRequires} {
		words = append(words, strings.Join(list, ","))
	}
	if c.LinkItems != nil {
		words = append(words, strings.ReplaceAll(strings.Join(c.LinkItems, " "), "@prefix@/lib/", ""))
	}
	return strings.Join(words, "|")
}

func TestAModuleBecomesAStaticAndASharedComponent(t *testing.T) {
	for name, test := range map[string]struct {
		fields         string
		tree           libraryTree
		static, shared string
	}{
		"both kinds": {
			"Libs: -L/lib -lz -lm\nLibs.private: -lrt -pthread", libraryTree{libraries: []string{"z"}},
			"archive|libz.a|m,rt|-pthread||||", "dylib|libz.so|m|||||",
		},
		"private requirements": {
			"Libs: -lz\nRequires: a\nRequires.private: b, other >= 2", libraryTree{libraries: []string{"z"}, modules: []string{"a", "b"}},
			"archive|libz.a|||:a|:b,other|:b,other|", "dylib|libz.so|||:a||:b,other|:b,other",
		},
		"static only":          {"Libs: -lz", libraryTree{libraries: []string{"z.a"}}, "archive|libz.a||||||", "none"},
		"shared only":          {"Libs: -lz\nLibs.private: -lm", libraryTree{libraries: []string{"z.so"}}, "none", "dylib|libz.so||||||"},
		"on pkg-config itself": {"Requires: pkgconf >= 1.9, pkg-config >= 99", libraryTree{}, "interface||||pkg-config|||", "interface||||pkg-config|||"},
		"no library":           {"Requires: a", libraryTree{}, "interface||||a|||", "interface||||a|||"},
		"two libraries": {
			"Libs: -lfoo -lm -lbar", libraryTree{libraries: []string{"foo", "bar"}},
			"archive|libfoo.a|m,@prefix@/lib/libbar.a|||||", "dylib|libfoo.so|m,@prefix@/lib/libbar.so|||||",
		},
		"a library of the system before its own": {
			"Libs: -lm -lfoo -pthread", libraryTree{libraries: []string{"foo.a"}}, "archive|libfoo.a|m|-pthread|||||-lm libfoo.a -pthread", "none",
		},
		"a group": {
			"Libs: -Wl,--start-group -lfoo -lm -Wl,--end-group", libraryTree{libraries: []string{"foo"}},
			"interface||@prefix@/lib/libfoo.a,m||||||-Wl,--start-group libfoo.a -lm -Wl,--end-group",
			"interface||@prefix@/lib/libfoo.so,m||||||-Wl,--start-group libfoo.so -lm -Wl,--end-group",
		},
		"whole archives in one argument": {
			"Libs: -lcore -Wl,--whole-archive,-lbus,--no-whole-archive -Wl,-z,now", libraryTree{libraries: []string{"core.a", "bus.a"}},
			"archive|libcore.a|@prefix@/lib/libbus.a|-Wl,-z,now|||||libcore.a -Wl,--whole-archive libbus.a -Wl,--no-whole-archive -Wl,-z,now", "none",
		},
		"flags without a value": {
			"Libs: -L -lfoo -l\nLibs.private: -L", libraryTree{libraries: []string{"foo.a"}}, "archive|libfoo.a||||||", "none",
		},
		"a setting": {
			"Libs: -Wl,--as-needed -lfoo", libraryTree{libraries: []string{"foo.a"}}, "archive|libfoo.a|||||||-Wl,--as-needed libfoo.a", "none",
		},
		"its own again after another": {
			"Libs: -lfoo\nLibs.private: -lbar -lfoo", libraryTree{libraries: []string{"foo.a", "bar.a"}},
			"archive|libfoo.a|@prefix@/lib/libbar.a,@prefix@/lib/libfoo.a||||||libfoo.a libbar.a libfoo.a", "none",
		},
		"one of the system's again": {
			"Libs: -lfoo -lm\nLibs.private: -lrt -lm", libraryTree{libraries: []string{"foo.a"}}, "archive|libfoo.a|rt,m|||||", "none",
		},
		"for shared libraries": {
			"Libs: -lfoo\nLibs.shared: -lextra\nRequires.shared: dep", libraryTree{libraries: []string{"foo", "extra"}, modules: []string{"dep"}},
			"archive|libfoo.a||||||", "dylib|libfoo.so|@prefix@/lib/libextra.so||:dep|||",
		},
		"what only the builder had": {
			"Libs: -L/build/lib -Wl,-rpath,/build/lib -lfoo /usr/lib/libm.so -framework Foo", libraryTree{libraries: []string{"foo.a"}},
			"archive|libfoo.a|m,-framework Foo|||||", "none",
		},
		"itself again": {"Libs: -lfoo -lfoo\nLibs.private: -lfoo", libraryTree{libraries: []string{"foo.a"}}, "archive|libfoo.a||||||", "none"},
	} {
		text := "Name: x\nDescription: x\nVersion: 1\n" + test.fields + "\n"
		static, shared := evaluate(t, text, "x.pc").Components(test.tree)
		if got := summary(static); got != test.static {
			t.Errorf("%s, static: got %s, want %s", name, got, test.static)
		}
		if got := summary(shared); got != test.shared {
			t.Errorf("%s, shared: got %s, want %s", name, got, test.shared)
		}
	}
}

func TestCompilerFlagsKeepTheirMeaning(t *testing.T) {
	text := "Name: x\nDescription: x\nVersion: 1\nCflags: -I -I/a -isystem /b -I/a -D -DX -DY= -DZ=\\\"q\\\" -pthread -std=c99\nCflags.private: -DSTATIC\nCflags.shared: -DSHARED\n"
	static, shared := evaluate(t, text, "x.pc").Components(emptyTree{})
	if got := static.Includes.For("c"); !slices.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("includes: %q", got)
	}
	if got := static.CompileFlags.For("c"); !slices.Equal(got, []string{"-isystem", "/b", "-pthread", "-std=c99"}) {
		t.Errorf("flags: %q", got)
	}
	d := static.Definitions.For("c")
	if len(d) != 4 || d["X"] != nil || *d["Y"] != "" || *d["Z"] != `"q"` {
		t.Errorf("definitions: %v", d)
	}
	if _, ok := shared.Definitions.For("c")["STATIC"]; ok {
		t.Error("Cflags.private are those of static linking only")
	}
	if _, ok := shared.Definitions.For("c")["SHARED"]; !ok {
		t.Error("Cflags.shared are those of shared linking")
	}
}

func TestAPathInADefinitionLeadsIntoThePackageThatHasIt(t *testing.T) {
	for definition, want := range map[string]string{
		`-DDATA=\"${prefix}/share/x\"`: `"@prefix@/share/x"`,
		`-DDATA=${prefix}/share/x`:     "@prefix@/share/x",
		`-DDATA=\"/opt/x/share/x\"`:    `"@prefix@/share/x"`,
		`-DDATA=\"/opt/x/bin/sh\"`:     `"/opt/x/bin/sh"`,
		`-DDATA=/usr/bin/sh`:           "/usr/bin/sh",
		`-DDATA=/opt/xyz`:              "/opt/xyz",
		`-DDATA=1/2`:                   "1/2",
	} {
		file, err := Parse([]byte("prefix=/opt/x\nName: x\nDescription: x\nVersion: 1\nCflags: "+definition+"\n"), "x.pc")
		if err != nil {
			t.Fatal(err)
		}
		m, err := file.EvaluateAt("@prefix@", nil)
		if err != nil {
			t.Fatal(err)
		}
		static, _ := m.Components(libraryTree{})
		if got := static.Definitions.For("c")["DATA"]; got == nil || *got != want {
			t.Errorf("%s: got %v, want %s", definition, *got, want)
		}
	}
}

func TestAHeaderThatIsIncludedByItsNameIsThePackagesOwn(t *testing.T) {
	for _, test := range []struct {
		flags []string
		want  string
	}{
		{[]string{"-include", "config.h", "-I@prefix@/include", "-I@prefix@/share/x"}, "-include @prefix@/share/x/config.h"},
		{[]string{"-I@prefix@/share/x", "-include", "sub/config.h"}, "-include @prefix@/share/x/sub/config.h"},
		{[]string{"-I@prefix@/include", "-include", "config.h"}, "-include config.h"},
		{[]string{"-I@prefix@/share/x", "-include", "../config.h"}, "-include ../config.h"},
		{[]string{"-I@prefix@/share/x", "-include", "/etc/config.h"}, "-include /etc/config.h"},
		{[]string{"-I@prefix@/share/x", "-include", "@prefix@/include/config.h"}, "-include @prefix@/include/config.h"},
		{[]string{"-I@prefix@/share/x", "-include"}, "-include"},
	} {
		static, _ := (&Module{Cflags: test.flags}).Components(libraryTree{})
		if got := strings.Join(static.CompileFlags.For("c"), " "); got != test.want {
			t.Errorf("%q: got %s, want %s", test.flags, got, test.want)
		}
	}
}

func TestAHeaderThatThePackageLacksIsIncludedFromWhereItWas(t *testing.T) {
	for header, want := range map[string]string{"share/x/config.h": "@prefix@/share/x/config.h", "include/none.h": "/opt/x/include/none.h"} {
		m := evaluate(t, "prefix=/opt/x\nName: x\nDescription: x\nVersion: 1\nCflags: -include ${prefix}/"+header+"\n", "@prefix@/lib/pkgconfig/x.pc").Relocate("@prefix@")
		static, _ := m.Components(libraryTree{})
		if got := strings.Join(static.CompileFlags.For("c"), " "); got != "-include "+want {
			t.Errorf("got %s, want -include %s", got, want)
		}
	}
}
