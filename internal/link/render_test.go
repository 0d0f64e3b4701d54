package link

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// oddTexts are what paths and values may be called: every sign of ASCII at each place, some of others, what has a meaning
// to a program that reads it, and a few hundred mixtures, always the same.
func oddTexts() []string {
	texts := []string{
		"", "a  b", `\#`, `\\`, `\$x;y`, `$x;touch ran`, `$$(touch ran)`, "`touch ran`", `$(touch ran)`, `${IFS}`, `";touch ran;"`, `';touch ran;'`,
		`&&touch ran`, `|touch ran`, `>ran`, `@ran`, `]]==]`, `]=]`, `[=[`, `]==][==[`, `${CMAKE_VERSION}`, `$ENV{HOME}`, `@VAR@`, `$<1:x>`, "a;b;",
		"cargo:rustc-env=X=1", "日本 ü’", "\u00a0a", "a\u0085b", "a\u2028b", "\xff", "=a", "a=b:c",
	}
	for c := rune(' '); c < 0x7f; c++ {
		texts = append(texts, "a"+string(c)+"b", string(c)+"b", "a"+string(c), string(c)+string(c))
	}
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("ab \\\"'`$#%&;|<>(){}[]*?!~^@=,:.-+/\tü")
	for range 300 {
		var text []rune
		for range 1 + random.IntN(12) {
			text = append(text, alphabet[random.IntN(len(alphabet))])
		}
		texts = append(texts, string(text))
	}
	return texts
}

// same compares what a program got with what it was to get.
func same(t *testing.T, reader string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s got %d arguments, want %d", reader, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s got %q, want %q", reader, got[i], want[i])
			return
		}
	}
}

// printed gives the arguments that a script printed with a line end behind each, in a directory in which nothing else is to be.
func printed(t *testing.T, dir string, command ...string) []string {
	t.Helper()
	before, _ := os.ReadDir(dir)
	out := run(t, dir, command...)
	if after, _ := os.ReadDir(dir); len(after) != len(before) {
		t.Errorf("%s made a file: %v", command[0], after)
	}
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
}

func TestArgumentsSurviveShellsAndMake(t *testing.T) {
	var f Flags
	for _, text := range oddTexts() {
		if !control(text) {
			f.CFlags = append(f.CFlags, []string{"-DX=" + text})
		}
	}
	want, line := f.Args(AllArgs), f.Shell(AllArgs)
	split, err := pkgconf.Split(line)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "pkgconf", split, want)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "line"), line)
	write(t, filepath.Join(dir, "Makefile"), "F := $(shell cat line)\nall:\n\t@printf '%s\\n' $(F)\n")
	write(t, filepath.Join(dir, "script"), "printf '%s\\n' "+line)
	same(t, "sh", printed(t, dir, "sh", "script"), want)
	same(t, "sh with eval", printed(t, dir, "sh", "-c", `eval "printf '%s\n' $(cat line)"`), want)
	same(t, "make", printed(t, dir, "make", "-s"), want)

	// As autoconf puts it into a Makefile. What a package may not ask for would not survive that.
	f = Flags{}
	for _, arg := range want {
		if compileFlags.allows([]string{arg}) && !strings.Contains(arg, `\#`) {
			f.CFlags = append(f.CFlags, []string{arg})
		}
	}
	if len(f.CFlags) < len(want)/2 {
		t.Errorf("of %d arguments only %d are left", len(want), len(f.CFlags))
	}
	write(t, filepath.Join(dir, "Makefile"), "F = "+f.Shell(AllArgs)+"\nall:\n\t@printf '%s\\n' $(F)\n")
	same(t, "make, from its own text,", printed(t, dir, "make", "-s"), f.Args(AllArgs))
}

func TestTextsSurviveCMakeOrAreRefused(t *testing.T) {
	dir := t.TempDir()
	var script, all cmakeText
	script.line("cmake_policy(VERSION 3.24)")
	var kept []string
	for _, text := range oddTexts() {
		var one cmakeText
		quoted := one.quote(text)
		item := one.list(text, "other")
		if one.err != nil {
			if !control(text) && balanced(text) && !strings.HasSuffix(text, `\`) && !strings.ContainsAny(text, "\t\u0085\u2028\u2029") {
				t.Errorf("%q is refused: %v", text, one.err)
			}
			continue
		}
		if text == "" || !strings.Contains(text, "\xff") { // of which CMake says nothing
			kept = append(kept, text, text)
			script.line("set(quoted %s)\nfile(APPEND out \"${quoted}\\n\")", quoted)
			script.line("set(list %s)\nlist(GET list 0 item)\nfile(APPEND out \"${item}\\n\")", item)
		}
	}
	items := make([]string, 0, len(kept)/2)
	for i := 0; i < len(kept); i += 2 {
		items = append(items, kept[i])
	}
	script.line("set(list %s)\nforeach(item IN LISTS list)\nfile(APPEND out \"${item}\\n\")\nendforeach()", all.list(items...))
	kept = append(kept, items...)
	write(t, filepath.Join(dir, "s.cmake"), script.String())
	if out := run(t, dir, "cmake", "-P", "s.cmake"); out != "" {
		t.Errorf("CMake says %s", out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "CMake", strings.Split(strings.TrimSuffix(string(got), "\n"), "\n"), kept)
}

// cargoReads is how cargo takes a build script's output apart.
// See https://github.com/rust-lang/cargo/blob/1.80.0/src/cargo/core/compiler/custom_build.rs.
func cargoReads(output string) [][2]string {
	var directives [][2]string
	for line := range bytes.SplitSeq([]byte(output), []byte("\n")) {
		text := strings.TrimSpace(string(bytes.ToValidUTF8(line, []byte("?"))))
		if directive, ok := strings.CutPrefix(text, "cargo:"); ok {
			key, value, _ := strings.Cut(directive, "=")
			directives = append(directives, [2]string{key, value})
		}
	}
	return directives
}

// checkCargo checks that cargo reads the directories and libraries that it is to have, and nothing else, or that they are refused.
func checkCargo(t *testing.T, text string) (refused bool) {
	t.Helper()
	dir := "/" + text
	f := &Flags{
		Root: dir, IncludeDirs: []string{dir}, LibDirs: []string{dir}, RPathDirs: []string{dir},
		Items: []Item{
			{Kind: Flag, Args: []string{"-Wl,-rpath," + dir}},
			{Kind: Static, Path: dir + "/lib" + text + ".a"},
		},
	}
	out, err := f.Cargo(CargoOptions{RerunIfChanged: []string{dir}})
	if err != nil {
		return true
	}
	base := "lib" + text + ".a"
	want := [][2]string{
		{"rerun-if-changed", dir}, {"rustc-link-search", "native=" + dir}, {"rustc-link-arg", "-Wl,-rpath," + dir},
		{"rustc-link-lib", "static:+verbatim=" + base[strings.LastIndexByte(base, '/')+1:]}, {"rustc-link-arg", "-Wl,-rpath," + dir},
		{"include", dir}, {"root", dir},
	}
	if at := dirname(dir + "/" + base); at != dir {
		want = slices.Insert(want, 2, [2]string{"rustc-link-search", "native=" + at})
	}
	if got := cargoReads(out); !slices.Equal(got, want) {
		t.Errorf("%q: cargo reads %q, want %q", text, got, want)
	}
	return false
}

func TestDirectivesSurviveCargoOrAreRefused(t *testing.T) {
	for _, text := range append(oddTexts(), "a\ncargo:rustc-env=X=1", "a\r", "\n", "a\x00b", "a ", "a\t") {
		refused := checkCargo(t, text)
		odd := control(text) || strings.Contains(text, ":") || text == "\xff"
		for part := range strings.SplitSeq(text, "/") { // with a slash in it, the directory and the file have other ends
			odd = odd || strings.TrimSpace("/"+part) != "/"+part
		}
		if refused && !odd || !refused && odd && !strings.Contains(text, "/") {
			t.Errorf("%q is refused: %v", text, refused)
		}
	}
}

func TestJSONSaysWhatItCannotCarry(t *testing.T) {
	for _, text := range oddTexts() {
		f := newFlags()
		f.IncludeDirs = []string{"/" + text}
		raw, err := f.JSON()
		if (err != nil) != (text == "\xff") {
			t.Errorf("%q: %v", text, err)
		}
		var got Flags
		if err := json.Unmarshal(raw, &got); err == nil && got.IncludeDirs[0] != "/"+text {
			t.Errorf("%q became %q", text, got.IncludeDirs[0])
		}
	}
}

func TestAStoreThatCannotBeWrittenForAReaderIsSaid(t *testing.T) {
	for dir, refused := range map[string]string{
		"/a,b": "shared", "/a:b": "shared cmake cargo", "/a;b": "cmake", `/a\b`: "cmake", "/a|b": "cmake", "/a[b": "cmake",
		"/a\nb": "static shared cmake cargo", "/a b": "", `/a"b'c$d;e#f%g`: "cmake", "/-a": "", "/ü": "",
	} {
		p := single("z", &cps.Component{Type: cps.Dylib, Attributes: cps.Attributes{Location: "@prefix@/lib/libz.so", Includes: cps.All("@prefix@/include")}})
		p.CPS.Components["zs"] = archive("@prefix@/lib/libzs.a")
		p.CPS.Components["zs"].Includes = cps.All("@prefix@/include")
		p.Root = dir
		request := []Request{{Package: p, Components: []string{"zs"}}}
		for reader, ask := range map[string]func() error{
			"static": func() error { _, err := Link([]*Package{p}, request, Options{}); return err },
			"shared": func() error {
				_, err := Link([]*Package{p}, []Request{{Package: p}}, Options{Shared: true})
				return err
			},
			"cmake": func() error {
				_, _, err := CMake([]*Package{p}, request[0], CMakeOptions{Name: "z"})
				return err
			},
			"cargo": func() error {
				f, err := Link([]*Package{p}, request, Options{})
				if err == nil {
					_, err = f.Cargo(CargoOptions{})
				}
				return err
			},
		} {
			err := ask()
			if (err != nil) != strings.Contains(" "+refused+" ", " "+reader+" ") {
				t.Errorf("%q, %s: got %v", dir, reader, err)
			}
			if err != nil && !strings.Contains(err.Error(), "OCIPKG_HOME") && !strings.Contains(err.Error(), "rename it") {
				t.Errorf("%q, %s: the error does not say what to do: %v", dir, reader, err)
			}
		}
		if _, err := Link([]*Package{p}, []Request{{Package: p}}, Options{Shared: true, FilesOnly: true}); err != nil {
			t.Errorf("%q: for the files alone: %v", dir, err)
		}
	}
}

func FuzzAFlagIsOneArgumentOrNone(f *testing.F) {
	for _, text := range oddTexts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if split, err := pkgconf.Split(Quote("x" + text)); err != nil || len(split) != 1 || split[0] != "x"+text {
			t.Errorf("%q is read as %q, %v", text, split, err)
		}
		checkCargo(t, text)
		var m cmakeText
		if quoted := m.quote(text); m.err == nil {
			fence, rest, _ := strings.Cut(quoted[1:], "[")
			if got, after, ok := strings.Cut(rest, "]"+fence+"]"); !ok || got != text || after != "" {
				t.Errorf("%q is read as %q and %q from %s", text, got, after, quoted)
			}
		}
		p := interfaceOf(cps.Attributes{CompileFlags: cps.All(text), LinkFlags: []string{text}, LinkLibraries: []string{text}, Includes: cps.All(text)})
		flags, err := Link([]*Package{p}, []Request{{Package: p}}, Options{})
		if err != nil {
			return
		}
		// Whatever is let through is a flag of the list, or a library or a directory of the package.
		for _, arg := range flags.Args(AllArgs) {
			if active(arg) || strings.HasPrefix(arg, "@") || !strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, p.Root+"/") {
				t.Errorf("%q became %q", text, arg)
			}
		}
	})
}

func FuzzAnAllowedFlagStaysInThePackage(f *testing.F) {
	for _, list := range []string{harmlessToCompile, harmlessToLink, hostileToCompile, hostileToLink, harmlessToMSVC, hostileToMSVC, harmlessToLinkMSVC, hostileToLinkMSVC} {
		for flag := range strings.SplitSeq(strings.ReplaceAll(list, "\n", ""), "|") {
			one, two, _ := strings.Cut(flag, " ")
			f.Add(one, two)
		}
	}
	f.Add("-framework", "a\u009bb") // which begins a sequence that steers a terminal
	f.Add("-la\u009bb", "")
	f.Fuzz(func(t *testing.T, one, two string) {
		args := []string{one, two}
		if two == "" {
			args = args[:1]
		}
		for where, list := range map[string]allowlist{"compiler": compileFlags, "linker": linkFlags, "cl": msvcCompileFlags, "link": msvcLinkFlags} {
			if !list.allows(args) {
				continue
			}
			last := args[len(args)-1]
			text := one + two
			_, path, marked := strings.Cut(last, cps.PrefixMarker)
			plain := !strings.ContainsAny(text, " \t\"'\\;|&<>(){}[]*?#%!")
			switch definition := strings.HasPrefix(one, "-D") || where == "cl" && strings.HasPrefix(one, "D"); {
			case active(text), strings.HasPrefix(one, "@"), strings.HasPrefix(two, "@") && !strings.HasPrefix(two, cps.PrefixMarker), strings.HasPrefix(two, "-"):
				t.Errorf("the %s may get %q", where, args)
			case definition:
			case marked:
				if strings.Contains(path, ",") || !inside(cps.PrefixMarker+path) {
					t.Errorf("the %s may get the path %q", where, args)
				}
			case !plain, strings.Contains(last, "/"):
				t.Errorf("the %s may get %q", where, args)
			case strings.HasPrefix(one, "-Wl,") && strings.Count(one, ",") > 1 && !slices.Contains(linkFlags[nothing], one) && !strings.HasPrefix(one, "-Wl,-framework,") && !strings.Contains(one, "subsystem,"):
				t.Errorf("the %s may get %q", where, args)
			}
		}
	})
}
