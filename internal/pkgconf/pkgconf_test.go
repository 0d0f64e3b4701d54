package pkgconf

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func load(t testing.TB, name string) *Module {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".pc"))
	if err != nil {
		t.Fatal(err)
	}
	return evaluate(t, string(text), "testdata/"+name+".pc")
}

func evaluate(t testing.TB, text, path string) *Module {
	t.Helper()
	f, err := Parse([]byte(text), path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Evaluate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// pkgConfig asks the machine's pkg-config, which is pkgconf, about the files in dir.
func pkgConfig(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("pkg-config", args...)
	cmd.Env = append(os.Environ(), "PKG_CONFIG_LIBDIR="+dir, "PKG_CONFIG_PATH=", "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1",
		"PKG_CONFIG_ALLOW_SYSTEM_LIBS=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pkg-config %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimRight(string(out), " \n")
}

func TestFilesMeanWhatPkgconfSays(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"zlib", "png", "odd", "crlf"} {
		m := load(t, name)
		for _, ask := range []struct {
			args []string
			want string
		}{
			{[]string{"--modversion"}, m.Version},
			{[]string{"--print-requires"}, listed(m.Requires)},
			{[]string{"--print-requires-private"}, listed(m.RequiresPrivate)},
			{[]string{"--variable=libdir"}, m.Variables["libdir"]},
			{[]string{"--variable=prefix"}, m.Variables["prefix"]},
			{[]string{"--variable=self"}, m.Variables["self"]},
			{[]string{"--variable=flags"}, m.Variables["flags"]},
			{[]string{"--variable=_ignored"}, m.Variables["_ignored"]},
		} {
			if got := pkgConfig(t, dir, append(ask.args, "--maximum-traverse-depth=1", name)...); got != ask.want {
				t.Errorf("%s %v: we say %q, pkgconf %q", name, ask.args, ask.want, got)
			}
		}
		for _, ask := range []struct {
			flag string
			want []string
		}{{"--cflags", m.Cflags}, {"--libs", m.Libs}} {
			said := pkgConfig(t, withoutRequirements(t, name), ask.flag, name)
			got, err := Split(said)
			if err != nil {
				t.Fatal(err)
			}
			// pkgconf leaves out a directory that it has named.
			want := slices.Clone(ask.want)
			if name == "zlib" && ask.flag == "--libs" {
				want = slices.Compact(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s %s: we say %q, pkgconf %q", name, ask.flag, want, said)
			}
		}
	}
}

// withoutRequirements gives a directory with a copy of the file that answers for itself alone.
func withoutRequirements(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".pc"))
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.SplitAfterSeq(string(text), "\n") {
		if !strings.HasPrefix(line, "Requires") {
			kept = append(kept, line)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name+".pc"), []byte(strings.Join(kept, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func listed(dependencies []Dependency) string {
	var list []string
	for _, d := range dependencies {
		list = append(list, d.String())
	}
	return strings.Join(list, "\n")
}

func TestQuotingIsPkgconfs(t *testing.T) {
	dir := t.TempDir()
	var values []string
	for c := byte('!'); c < 0x7f; c++ {
		if !strings.ContainsRune("#$\"'\\`", rune(c)) {
			values = append(values, "-Dx"+string(c)+"y")
		}
	}
	text := "Name: q\nDescription: q\nVersion: 1\nCflags: " + strings.Join(values, " ") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "q.pc"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var quoted []string
	for _, argument := range evaluate(t, text, "q.pc").Cflags {
		quoted = append(quoted, Quote(argument))
	}
	if got, want := strings.Join(quoted, " "), pkgConfig(t, dir, "--cflags", "q"); got != want {
		t.Errorf("we write\n%s\npkgconf\n%s", got, want)
	}
}

func TestVersionsAreOrderedAsPkgconfDoes(t *testing.T) {
	versions := []string{"1", "1.0", "1.0.1", "1.0.10", "1.0.2", "1.0~rc1", "1.0a", "1.a", "2", "01.0", "1.0-2", "1.0+git", "a", "1.0.", "~", "1.0A", "1..0"}
	dir := t.TempDir()
	for _, a := range versions {
		text := "Name: v\nDescription: v\nVersion: " + a + "\n"
		if err := os.WriteFile(filepath.Join(dir, "v.pc"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, b := range versions {
			cmd := exec.Command("pkg-config", "--exists", "v >= "+b)
			cmd.Env = append(os.Environ(), "PKG_CONFIG_LIBDIR="+dir, "PKG_CONFIG_PATH=")
			want := cmd.Run() == nil
			if got := (Dependency{Op: ">=", Version: b}).Allows(a); got != want {
				t.Errorf("%s >= %s: we say %v, pkgconf %v", a, b, got, want)
			}
		}
	}
}

func TestConstraints(t *testing.T) {
	for constraint, want := range map[string][3]bool{ // for 1.1, 1.2, 1.3
		"= 1.2": {false, true, false}, "!= 1.2": {true, false, true}, "< 1.2": {true, false, false},
		"<= 1.2": {true, true, false}, "> 1.2": {false, false, true}, ">= 1.2": {false, true, true}, "": {true, true, true},
		"== 1.2": {true, true, true},
	} {
		list, err := ParseDependencies("x " + constraint)
		if err != nil || len(list) != 1 {
			t.Errorf("%s: %v, %v", constraint, list, err)
			continue
		}
		for i, version := range []string{"1.1", "1.2", "1.3"} {
			if got := list[0].Allows(version); got != want[i] {
				t.Errorf("%s %s: got %v", version, constraint, got)
			}
		}
	}
}

func TestAFaultIsReportedWithFileAndLine(t *testing.T) {
	head := "Name: x\nDescription: x\nVersion: 1\n"
	for name, test := range map[string]struct{ text, want string }{
		"an open quote":       {head + "Libs: -L'/a b\n", "read x.pc:4: field Libs: a quote has no end"},
		"an open variable":    {head + "\nCflags: -I${prefix\n", "read x.pc:5: field Cflags: ${prefix has no closing brace"},
		"in a continued line": {head + "a=1 \\\n 2\n\nb=${a\n", "read x.pc:7: variable b: ${a has no closing brace"},
		"no version":          {"Name: x\nDescription: x\n", "read x.pc: it has no Version: field, which pkg-config requires"},
		"no constraint":       {head + "Requires: a >=\n", "read x.pc:4: field Requires: there is no version after a >="},
		"a bomb":              {head + "a=" + strings.Repeat("x", 1000) + "\nb=" + strings.Repeat("${a}", 100) + "\n", "read x.pc:5: variable b: the value is longer than 65536 bytes"},
		"a binary":            {"Name: x\n\x00\n", "read x.pc:2: there is a zero byte: this is no text file"},
	} {
		f, err := Parse([]byte(test.text), "x.pc")
		if err == nil {
			_, err = f.Evaluate(nil)
		}
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
		var typed *Error
		if !errors.As(err, &typed) {
			t.Errorf("%s: the error is a %T", name, err)
		}
	}
}

func TestVariablesCanBeDefinedFromOutside(t *testing.T) {
	f, err := Parse([]byte("prefix=/usr\nlib=${prefix}/lib\nName: x\nDescription: x\nVersion: 1\nLibs: -L${lib} ${pcfiledir}\n"), "a/x.pc")
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Evaluate(map[string]string{"prefix": "/opt"})
	if err != nil || m.Variables["prefix"] != "/opt" || !slices.Equal(m.Libs, []string{"-L/opt/lib", "a"}) {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestRelocationReplacesWhateverPrefixWasWritten(t *testing.T) {
	for name, test := range map[string]struct{ vars, libs, want string }{
		"through variables":        {"prefix=/usr\nlibdir=${prefix}/lib", "-L${libdir} -lz", "-L@prefix@/lib -lz"},
		"in full":                  {"prefix=/usr", "-L/usr/lib -I/usr -L/usrlocal", "-L@prefix@/lib -I@prefix@ -L/usrlocal"},
		"another slash":            {"prefix=/usr//local/", "-L/usr/local/lib", "-L@prefix@/lib"},
		"the root":                 {"prefix=/", "-L${prefix}/lib", "-L@prefix@/lib"},
		"empty":                    {"prefix=", "-L${prefix}/lib", "-L@prefix@/lib"},
		"relative to the file":     {"prefix=${pcfiledir}/../..", "-L${prefix}/lib", "-L@prefix@/lib"},
		"none, told from libdir":   {"libdir=/opt/x/lib", "-L${libdir}", "-L@prefix@/lib"},
		"none, told from -L":       {"", "-L/opt/x/lib/x86_64-linux-gnu", "-L@prefix@/lib/x86_64-linux-gnu"},
		"none at all":              {"", "-lz", "-lz"},
		"in the middle of a flag":  {"prefix=/o", "-Wl,-rpath,/o/lib --sysroot=/o/x /o/libz.a", "-Wl,-rpath,@prefix@/lib --sysroot=@prefix@/x @prefix@/libz.a"},
		"not what looks like it":   {"prefix=/o", "-I/x/o/include -D/o=/o", "-I/x/o/include -D/o=/o"},
		"a directory above itself": {"prefix=/o", "-L/o/lib/../lib64", "-L@prefix@/lib64"},
	} {
		text := test.vars + "\nName: x\nDescription: x\nVersion: 1\nLibs: " + test.libs + "\n"
		m := evaluate(t, text, "@prefix@/lib/pkgconfig/x.pc").Relocate("@prefix@")
		if got := strings.Join(m.Libs, " "); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestAPrefixThatWouldNotSurviveSplittingIsReplacedBefore(t *testing.T) {
	for prefix, inFull := range map[string]string{
		"/home/John Doe/inst": "/home/John Doe/inst", `"/home/John Doe/inst"`: "/home/John Doe/inst", `/home/John\ Doe/inst`: `/home/John\ Doe/inst`,
		"/home/J D/inst": `/home/J\ D/inst`, "C:/Program Files (x86)/z": `C:/Program\ Files\ (x86)/z`, `C:\\z`: `C:\\z`, "NONE": "NONE", "@CMAKE_INSTALL_PREFIX@": "@CMAKE_INSTALL_PREFIX@",
	} {
		text := "prefix=" + prefix + "\nexec_prefix=${prefix}\nlibdir=${exec_prefix}/lib\nName: z ${prefix}\nDescription: x\nVersion: 1\n" +
			"Libs: -L${libdir} -L${prefix}\\\\lib -lz\nCflags: -I${prefix}/include \"-I${prefix}/a\" -DX=${prefix}/share\n"
		if strings.ContainsAny(prefix, "/\\") {
			text += "Cflags.private: -I" + inFull + "/include -I" + inFull + "\n"
		} else {
			text += "Cflags.private: -I${prefix}/include -I${prefix}\n"
		}
		f, err := Parse([]byte(text), "@prefix@/lib/pkgconfig/z.pc")
		if err != nil {
			t.Fatal(err)
		}
		m, err := f.EvaluateAt("@prefix@", nil)
		if err != nil {
			t.Errorf("%s: %v", prefix, err)
			continue
		}
		own := strings.NewReplacer(`"`, "", `\\`, `\`, `\ `, " ").Replace(prefix)
		got := slices.Concat(m.Libs, m.Cflags, m.CflagsPrivate, []string{m.Variables["prefix"], m.Variables["libdir"], m.Name})
		want := []string{"-L@prefix@/lib", "-L@prefix@/lib", "-lz", "-I@prefix@/include", "-I@prefix@/a", "-DX=@prefix@/share",
			"-I@prefix@/include", "-I@prefix@", "@prefix@", "@prefix@/lib", "z " + own}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q\nwant %q", prefix, got, want)
		}
	}
}

func TestFlagsAreToldApart(t *testing.T) {
	arguments := []string{"-I/a", "-I", "/b", "-isystem", "/c", "-DX=1", "-L/l", "-lz", "-l:libz.a", "-framework", "Foo", "/x/libz.so.1",
		"-Wl,-rpath,/r", "-Wl,-rpath", "-Wl,/s", "-pthread", "-include", "x.h", "-l"}
	want := []Flag{
		{IncludeDir, "/a", arguments[0:1]}, {IncludeDir, "/b", arguments[1:3]}, {IncludeDir, "/c", arguments[3:5]},
		{Define, "X=1", arguments[5:6]}, {LibraryDir, "/l", arguments[6:7]}, {Library, "z", arguments[7:8]},
		{Library, ":libz.a", arguments[8:9]}, {Framework, "Foo", arguments[9:11]}, {LibraryFile, "/x/libz.so.1", arguments[11:12]},
		{RPath, "/r", arguments[12:13]}, {RPath, "/s", arguments[13:15]}, {Other, "-pthread", arguments[15:16]},
		{Other, "-include", arguments[16:18]}, {Empty, "", arguments[18:19]},
	}
	got := Flags(arguments)
	if !slices.EqualFunc(got, want, func(a, b Flag) bool {
		return a.Kind == b.Kind && a.Value == b.Value && slices.Equal(a.Args, b.Args)
	}) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"zlib", "png", "odd", "crlf"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".pc"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, err := Parse(text, "@prefix@/lib/pkgconfig/fuzz.pc")
		if err != nil {
			return
		}
		m, err := parsed.Evaluate(nil)
		if err != nil {
			return
		}
		moved := m.Relocate("@prefix@")
		if len(moved.Libs) != len(LinkerFlags(m.Libs)) || len(moved.Cflags) != len(m.Cflags) {
			t.Fatalf("relocation changed the number of arguments: %q from %q", moved.Libs, m.Libs)
		}
		for _, argument := range m.Libs {
			if back, err := Split(Quote(argument)); err != nil || !slices.Equal(back, []string{argument}) {
				t.Fatalf("quoting %q gives %q, %v", argument, back, err)
			}
		}
		n := 0
		for _, flag := range Flags(moved.Libs) {
			n += len(flag.Args)
		}
		if n != len(moved.Libs) {
			t.Fatalf("%d arguments became flags with %d", len(moved.Libs), n)
		}
		m.Components(emptyTree{})
	})
}

func TestAModuleRequiresWhatItDoesNotConflictWith(t *testing.T) {
	const head = "Name: x\nDescription: x\nVersion: 1\n"
	for fields, want := range map[string]string{
		"Requires: u, v\nConflicts: u < 3":            "u, v, u >= 3",
		"Requires: u\nConflicts: u >= 3, w, u = 2":    "u, u < 3, u != 2",
		"Requires.private: u\nConflicts: u < 3, v":    "", // which pkgconf does not look at
		"Conflicts: u > 1\nRequires: u >= 1, z >= 2 ": "u >= 1, z >= 2, u <= 1",
	} {
		var got []string
		for _, d := range evaluate(t, head+fields+"\n", "x.pc").Requires {
			got = append(got, d.String())
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: it requires %q, want %s", fields, got, want)
		}
	}
	file, err := Parse([]byte(head+"Requires: u\nConflicts: u\n"), "x.pc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Evaluate(nil); err == nil || !strings.Contains(err.Error(), "conflicts with every version of it") {
		t.Errorf("one that conflicts with what it requires: %v", err)
	}
}
