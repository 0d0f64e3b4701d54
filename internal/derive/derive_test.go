package derive

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// archive is an ar file without members, which says nothing of what it needs.
const archive = "!<arch>\n"

// files makes a file system from paths: "a -> b" is a symbolic link; other files have the content given for their
// suffix.
func files(paths ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, p := range paths {
		if name, target, ok := strings.Cut(p, " -> "); ok {
			fsys[name] = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(target)}
			continue
		}
		content := "INPUT(x)\n"
		if strings.HasSuffix(p, ".a") || strings.HasSuffix(p, ".lib") {
			content = archive
		}
		fsys[p] = &fstest.MapFile{Mode: 0o644, Data: []byte(content)}
	}
	return fsys
}

func add(fsys fstest.MapFS, name, content string) fstest.MapFS {
	fsys[name] = &fstest.MapFile{Mode: 0o644, Data: []byte(content)}
	return fsys
}

func derive(t *testing.T, fsys fs.FS, opts Options) *cps.Package {
	t.Helper()
	p, err := Package(fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// locations lists the libraries of a package as "component=location".
func locations(p *cps.Package) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(p.Components)) {
		if c := p.Components[name]; c.Location != "" {
			entry := name + "=" + strings.TrimPrefix(c.Location, "@prefix@/")
			if c.LinkLocation != "" {
				entry += "," + strings.TrimPrefix(c.LinkLocation, "@prefix@/")
			}
			list = append(list, entry)
		}
	}
	return list
}

func TestEachLibraryOfATreeIsAComponent(t *testing.T) {
	for name, test := range map[string]struct {
		fsys     fs.FS
		want     string
		defaults string
	}{
		"in lib":                {files("lib/libz.a", "lib/libfoo.a"), "foo=lib/libfoo.a z=lib/libz.a", "foo z"},
		"at the top":            {files("libz.a"), "z=libz.a", "z"},
		"both kinds":            {files("lib/libz.a", "lib/libz.so"), "z-shared=lib/libz.so z-static=lib/libz.a", "z"},
		"a multiarch directory": {files("lib/x86_64-linux-gnu/libz.a"), "z=lib/x86_64-linux-gnu/libz.a", "z"},
		"lib64 as a link":       {files("lib/libz.a", "lib64 -> lib"), "z=lib/libz.a", "z"},
		"links to one file":     {files("lib/libpng16.a", "lib/libpng.a -> libpng16.a"), "png16=lib/libpng16.a", "png16"},
		"hidden files":          {files("lib/libz.a", "lib/._libz.a", "lib/._libx.so", "lib/.libhidden.a", "lib/pkgconfig/._z.pc", "lib/cps/._z.cps"), "z=lib/libz.a", "z"},
		"versions of a dylib":   {files("lib/libz.dylib -> libz.1.dylib", "lib/libz.1.dylib -> libz.1.3.dylib", "lib/libz.1.3.dylib"), "z=lib/libz.dylib", "z"},
		"versions of a so":      {files("lib/libz.so.1", "lib/libz.so.1.10", "lib/libz.so.1.9"), "z=lib/libz.so.1.10", "z"},
		"in two directories":    {files("lib/libz.a", "lib64/libz.so"), "z-shared=lib64/libz.so z-static=lib/libz.a", "z"},
		"twice":                 {files("lib/libz.a", "lib64/libz.a"), "z=lib/libz.a", "z"},
		"a static .lib":         {files("lib/z.lib"), "z=lib/z.lib", "z"},
		"not plugins":           {files("lib/libz.a", "lib/plugin.so", "lib/python/x.so"), "z=lib/libz.a", "z"},
		"not broken links":      {files("lib/libz.a", "lib/liby.so -> /usr/lib/liby.so", "lib/libx.so -> ../../x.so"), "z=lib/libz.a", "z"},
		"a file named lib64":    {files("lib/libz.a", "lib64", "include"), "z=lib/libz.a", "z"},
		"not circles":           {files("lib/libz.a", "lib/liby.so -> liby.so"), "z=lib/libz.a", "z"},
	} {
		p := derive(t, test.fsys, Options{})
		if got := strings.Join(locations(p), " "); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
		if got := strings.Join(p.DefaultComponents, " "); got != test.defaults {
			t.Errorf("%s: the default components are %s, want %s", name, got, test.defaults)
		}
	}
}

// importLibrary is an import library of one symbol for a DLL, in Microsoft's short form.
// See https://learn.microsoft.com/windows/win32/debug/pe-format#import-library-format.
func importLibrary(dll string) string {
	data := "symbol\x00" + dll + "\x00"
	member := "\x00\x00\xff\xff\x00\x00\x64\x86\x00\x00\x00\x00" + string([]byte{byte(len(data)), 0, 0, 0}) + "\x00\x00\x04\x00" + data
	member += strings.Repeat("\n", len(member)%2)
	return archive + fmt.Sprintf("%-16s%-12d%-6d%-6d%-8o%-10d`\n", dll+"/", 0, 0, 0, 0o644, len(member)) + member
}

func TestLibrariesForDebuggingAreAnotherConfiguration(t *testing.T) {
	pc := "prefix=${pcfiledir}/../..\nName: z\nDescription: z\nVersion: 1\nLibs: -L${prefix}/lib -lz"
	fsys := files("lib/libz.a", "lib/libm1.a", "debug/lib/libzd.a", "debug/lib/libm1.a", "debug/lib/libother.a", "lib/libx.so", "debug/lib/libx.so", "lib/libonly.a")
	add(fsys, "lib/pkgconfig/z.pc", pc+" -lm1\n")
	add(fsys, "debug/lib/pkgconfig/z.pc", pc+"d -lm1\n")
	add(fsys, "debug/lib/pkgconfig/y.pc", pc+"d\n")
	var warnings []string
	p := derive(t, fsys, Options{Warn: func(text string) { warnings = append(warnings, text) }})
	if got := strings.Join(locations(p), " "); got != "only=lib/libonly.a x=lib/libx.so z=lib/libz.a" {
		t.Errorf("the components are %s", got)
	}
	for name, want := range map[string]string{"z": "@prefix@/debug/lib/libzd.a @prefix@/debug/lib/libm1.a", "x": "@prefix@/debug/lib/libx.so", "only": ""} {
		got := ""
		if debug := p.Components[name].Configurations["debug"]; debug != nil {
			got = strings.Join(append([]string{debug.Location}, debug.LinkLibraries...), " ")
		}
		if got != want {
			t.Errorf("%s for debugging: got %q, want %q", name, got, want)
		}
		if c := p.Components[name]; c.Configurations != nil && p.Choose(c) != "release" {
			t.Errorf("%s is linked for %s", name, p.Choose(c))
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "(other)") {
		t.Errorf("warned of %q", warnings)
	}
}

func TestADLLIsLinkedByItsImportLibrary(t *testing.T) {
	for name, test := range map[string]struct {
		fsys fs.FS
		want string
	}{
		"in bin":        {add(files("bin/z1.dll"), "lib/z.lib", importLibrary("z1.dll")), "z=bin/z1.dll,lib/z.lib"},
		"beside it":     {add(files("lib/z.dll"), "lib/z.lib", importLibrary("z.dll")), "z=lib/z.dll,lib/z.lib"},
		"of MinGW":      {add(files("bin/libz-1.dll", "lib/libz.a"), "lib/libz.dll.a", importLibrary("libz-1.dll")), "z-shared=bin/libz-1.dll,lib/libz.dll.a z-static=lib/libz.a"},
		"without one":   {files("bin/z.dll"), "z=bin/z.dll"},
		"without a DLL": {add(files(), "lib/z.lib", importLibrary("gone.dll")), "z=lib/z.lib"},
		"in upper case": {add(files("bin/Z.DLL.dll"), "lib/z.lib", importLibrary("z.dll.DLL")), "z=bin/Z.DLL.dll,lib/z.lib"},
		"a static twin": {add(files("lib/zs.lib", "bin/z.dll"), "lib/z.lib", importLibrary("z.dll")), "z=bin/z.dll,lib/z.lib zs=lib/zs.lib"},
	} {
		if got := strings.Join(locations(derive(t, test.fsys, Options{})), " "); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestATreeWithoutLibrariesIsHeadersOrNothing(t *testing.T) {
	p := derive(t, files("include/a.h", "include/x86_64-linux-gnu/b.h"), Options{Name: "hdr", Version: "3"})
	c := p.Components["hdr"]
	if c == nil || c.Type != cps.Interface || p.Version != "3" || !slices.Equal(p.DefaultComponents, []string{"hdr"}) ||
		!slices.Equal(c.Includes.For("c"), []string{"@prefix@/include", "@prefix@/include/x86_64-linux-gnu"}) {
		t.Errorf("headers: got %+v", p)
	}
	for _, fsys := range []fs.FS{files(), files("share/doc/x"), files("bin/tool", "lib/x.txt")} {
		if p := derive(t, fsys, Options{Name: "none"}); p != nil {
			t.Errorf("nothing to link: got %+v", p)
		}
	}
}

func TestTheProducerOverridesWhatIsFound(t *testing.T) {
	p := derive(t, files("lib/libz.a", "include/z.h"), Options{
		Name: "zlib", Version: "1.3", SystemLibs: []string{"m", "pthread"}, Requires: []string{"base"},
		NativeStaticLibs: map[string][]string{"z": {"-lgcc_s", "-lutil", "-lm", "-lc", "-framework", "Security"}},
	})
	c := p.Components["z"]
	if p.Name != "zlib" || p.Version != "1.3" || p.Requires["base"] == nil {
		t.Errorf("got %+v", p)
	}
	if want := []string{"m", "pthread", "gcc_s", "util", "-framework Security"}; !slices.Equal(c.LinkLibraries, want) {
		t.Errorf("system libraries: got %q, want %q", c.LinkLibraries, want)
	}
	if !slices.Equal(c.LinkRequires, []string{"base"}) || !slices.Equal(c.CompileRequires, []string{"base"}) {
		t.Errorf("requirements: %q %q", c.LinkRequires, c.CompileRequires)
	}
}

const document = `{"name": "doc", "version": "7", "cps_version": "0.13.0", "cps_path": "@prefix@/lib/cps",
"components": {"d": {"type": "archive", "location": "@prefix@/lib64/libd.a", "requires": ["doc:e", "other"]}, "e": {"type": "interface"}}}`

func TestADocumentOfTheTreeIsTaken(t *testing.T) {
	fsys := add(files("lib/libd.a", "lib/libother.a"), "lib/cps/doc.cps", document)
	p := derive(t, fsys, Options{})
	if got := strings.Join(locations(p), " "); got != "d=lib/libd.a" || p.Version != "7" {
		t.Errorf("got %s, version %s", got, p.Version)
	}
	p = derive(t, fsys, Options{Name: "renamed"})
	if got := p.Components["d"].Requires; !slices.Equal(got, []string{":e", "other"}) || p.Name != "renamed" {
		t.Errorf("under another name: %s requires %q", p.Name, got)
	}
	add(fsys, "lib/cps/doc@debug.cps", `{"name": "doc", "configuration": "debug", "components": {"d": {"location": "@prefix@/lib/libother.a"}}}`)
	p = derive(t, fsys, Options{})
	if got := p.Components["d"].Configurations["debug"]; got == nil || got.Location != "@prefix@/lib/libother.a" {
		t.Errorf("its configuration: got %+v", got)
	}
}

func TestADocumentIsFoundWhereTheSpecificationHasIt(t *testing.T) {
	for _, file := range []string{
		"doc.cps", "cps/doc.cps", "cps/doc/doc.cps", "cps/doc/1.0/doc.cps", "doc/cps/doc.cps", "doc/1.0/cps/doc.cps",
		"lib/cps/doc.cps", "lib/cps/doc/doc.cps", "lib/cps/Doc/1.0/doc.cps", "lib/doc/cps/doc.cps", "lib/doc/1.0/cps/doc.cps",
		"lib64/cps/doc/1.0/doc.cps", "lib32/cps/doc.cps", "lib/x86_64-linux-gnu/cps/doc/1.0/doc.cps",
		"share/cps/doc.cps", "share/cps/doc/doc.cps", "share/cps/doc/1.0/doc.cps", "share/doc/cps/doc.cps",
		"doc.framework/Versions/A/Resources/CPS/doc.cps", "doc.framework/Resources/CPS/doc.cps",
	} {
		text := strings.Replace(document, "@prefix@/lib/cps", strings.TrimSuffix("@prefix@/"+filepath.ToSlash(filepath.Dir(file)), "/."), 1)
		fsys := add(files("lib/libd.a", "share/a/b/c", "include/cps/x.h"), file, text)
		add(fsys, "lib/cps/x/1/other.cps", "is not looked at")
		if p := derive(t, fsys, Options{}); p == nil || p.Version != "7" {
			t.Errorf("%s: got %+v", file, p)
		}
	}
}

func TestOfSeveralVersionsOfADocumentTheHighestIsTaken(t *testing.T) {
	at := func(dir, version string) string {
		return strings.NewReplacer("@prefix@/lib/cps", "@prefix@/"+dir, `"7"`, `"`+version+`"`).Replace(document)
	}
	fsys := files("lib/libd.a", "lib64 -> lib")
	add(fsys, "lib/cps/doc/1.9/doc.cps", at("lib/cps/doc/1.9", "1.9"))
	var warnings []string
	opts := Options{Warn: func(s string) { warnings = append(warnings, s) }}
	if p := derive(t, fsys, opts); p.Version != "1.9" || len(warnings) > 0 {
		t.Errorf("through a link, one document is two: version %s, %q", p.Version, warnings)
	}
	add(fsys, "lib/cps/doc/1.10/doc.cps", at("lib64/cps/doc/1.10", "1.10"))
	p := derive(t, fsys, opts)
	if got := strings.Join(locations(p), " "); p.Version != "1.10" || got != "d=lib64/libd.a" {
		t.Errorf("got version %s, %s", p.Version, got)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "lib/cps/doc/1.10/doc.cps is taken") {
		t.Errorf("warned %q", warnings)
	}
}

func TestASupplementWithoutItsConfigurationIsIgnored(t *testing.T) {
	var warnings []string
	fsys := add(files("lib/libd.a", "lib/libother.a"), "lib/cps/doc.cps", document)
	add(fsys, "lib/cps/doc@debug.cps", `{"name": "doc", "components": {"d": {"location": "@prefix@/lib/libother.a"}}}`)
	p := derive(t, fsys, Options{Warn: func(s string) { warnings = append(warnings, s) }})
	if got := strings.Join(locations(p), " "); got != "d=lib/libd.a" || len(p.Components["d"].Configurations) > 0 {
		t.Errorf("got %s, %v", got, p.Components["d"].Configurations)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "lib/cps/doc@debug.cps: it does not say its configuration") {
		t.Errorf("warned %q", warnings)
	}
}

func TestASharedLibraryMayHaveNoLocationInADocument(t *testing.T) {
	const text = `{"name": "doc", "cps_version": "0.14.1", "cps_path": "@prefix@", "components": {
"so": {"type": "dylib", "link_location": "@prefix@/lib64/libs.so"}, "dll": {"type": "dylib", "link_location": "@prefix@/lib/d.lib"},
"many": {"type": "dylib", "configurations": {"release": {"link_location": "@prefix@/lib/libs.so"}, "debug": {}}},
"loaded": {"type": "dylib"}, "i": {"type": "interface", "dyld_requires": [":loaded"]}}}`
	p := derive(t, add(files("lib/libs.so", "lib/d.lib"), "doc.cps", text), Options{})
	for got, want := range map[string]string{
		p.Components["so"].Location:                             "@prefix@/lib/libs.so",
		p.Components["many"].Configurations["release"].Location: "@prefix@/lib/libs.so",
		"dll: " + p.Components["dll"].Location:                  "dll: ",
		"loaded: " + p.Components["loaded"].Location:            "loaded: ",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if static, shared := p.Views(); len(static) != 0 || !slices.Equal(shared, []cps.ViewEntry{{Name: "d.lib", Target: "lib/d.lib"}, {Name: "libs.so", Target: "lib/libs.so"}}) {
		t.Errorf("the views are %v and %v", static, shared)
	}
}

func TestADocumentOfALaterVersionIsReadWithAWarning(t *testing.T) {
	for version, want := range map[string]int{"0.13.0": 0, "0.14.1": 0, "0.15.0": 0, "0.16": 1, "0.99.0": 1} {
		var warnings []string
		fsys := add(files("lib/libd.a"), "lib/cps/doc.cps", strings.Replace(document, "0.13.0", version, 1))
		p := derive(t, fsys, Options{Warn: func(s string) { warnings = append(warnings, s) }})
		if len(warnings) != want || want > 0 && !strings.HasPrefix(warnings[0], "lib/cps/doc.cps: it is a document of CPS "+version) || p.CPSVersion != version {
			t.Errorf("%s: warned %q, kept as %s", version, warnings, p.CPSVersion)
		}
	}
}

func TestWhatCannotBeUsedIsNamed(t *testing.T) {
	pc := "Name: x\nDescription: x\nVersion: 1\n"
	for want, test := range map[string]struct {
		fsys fs.FS
		opts Options
	}{
		"read lib/cps/doc.cps:3: not JSON":                                                  {add(files("lib/libd.a"), "lib/cps/doc.cps", "{\n\n]"), Options{}},
		`read cps/doc.cps:1: cps_path is "@prefix@/lib/cps", but the file is in "cps"`:      {add(files("lib/libd.a"), "cps/doc.cps", document), Options{}},
		"read lib/cps/doc.cps: it names @prefix@/lib64/libd.a, which is not in the package": {add(files("lib/libx.a"), "lib/cps/doc.cps", document), Options{}},
		"there are a.cps, cps/b.cps, and none is named as the package: name the one to use": {add(add(files(), "a.cps", document), "cps/b.cps", document), Options{}},
		"read x.cps: the file is not in the package":                                        {files("lib/libx.a"), Options{CPS: "x.cps"}},
		"read lib/pkgconfig/x.pc:4: field Libs: a quote has no end":                         {add(files("lib/libx.a"), "lib/pkgconfig/x.pc", pc+"Libs: 'a\n"), Options{}},
		"read share/pkgconfig/x.pc: it has no Version: field":                               {add(files("lib/libx.a"), "share/pkgconfig/x.pc", "Name: x\nDescription: x\n"), Options{}},
		`cps_path is "@prefix@/lib/cps", but the file is in "."`:                            {add(files("lib/libd.a"), "doc.cps", document), Options{}},
		`components.a: it requires ":b", which is not there: the components are a`:          {files("lib/libd.a"), Options{Document: &cps.Package{Name: "x", CPSPath: "@prefix@", CPSVersion: "0.13", Components: map[string]*cps.Component{"a": {Type: cps.Interface, Attributes: cps.Attributes{Requires: []string{":b"}}}}}}},
	} {
		if p, err := Package(test.fsys, test.opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, %v, want %s", p, err, want)
		}
	}
}

// pcTree is a package whose .pc files were written for a machine where it lay in /build/out.
func pcTree() fstest.MapFS {
	fsys := files("lib/x86_64-linux-gnu/libfoo.a", "lib/x86_64-linux-gnu/libfoo.so", "lib/x86_64-linux-gnu/libbar.a", "lib/libextra.a",
		"include/foo.h", "include/bar/bar.h", "include/x86_64-linux-gnu/config.h")
	add(fsys, "lib/x86_64-linux-gnu/pkgconfig/foo.pc", `prefix=/build/out
libdir=/usr/lib
Name: Foo
Description: a library
Version: 2.1
Requires: bar
Requires.private: zlib >= 1.2
Libs: -L${libdir} -lfoo
Libs.private: -lm -L/build/out/deps
Cflags: -I${prefix}/include -DFOO
`)
	add(fsys, "share/pkgconfig/bar.pc", `prefix=/build/out
Name: bar
Description: another
Version: 2.0
Libs: -L${prefix}/lib -lbar
Cflags: -I/elsewhere/include/bar -I/nowhere
`)
	fsys["share/pkgconfig/baz.pc"] = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte("bar.pc")}
	return fsys
}

// Debian's libpng.pc is a link to libpng16.pc, and pkg-config knows both.
func TestALinkToAModuleIsAModuleOfItsVersion(t *testing.T) {
	t.Parallel()
	p := derive(t, pcTree(), Options{Name: "own", Version: "2"})
	if got := p.Components["baz"].PkgConfig; got == nil || got.Version != "2.0" || got.Description != "another" {
		t.Errorf("baz.pc is a link to bar.pc, and says %+v", got)
	}
}

func TestModulesAreMovedToThePackage(t *testing.T) {
	var warnings []string
	p := derive(t, pcTree(), Options{Warn: func(s string) { warnings = append(warnings, s) }})
	lib := "lib/x86_64-linux-gnu/"
	want := "bar=" + lib + "libbar.a extra=lib/libextra.a foo-shared=" + lib + "libfoo.so foo-static=" + lib + "libfoo.a"
	if got := strings.Join(locations(p), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if p.Name != "foo" || p.Version != "2.1" || !slices.Equal(p.DefaultComponents, []string{"foo"}) {
		t.Errorf("got package %s %s with %q", p.Name, p.Version, p.DefaultComponents)
	}
	if p.CPSVersion != "0.14.1" {
		t.Errorf("with dyld_requires, it is written as CPS %s", p.CPSVersion)
	}
	static, shared := p.Components["foo-static"], p.Components["foo-shared"]
	for name, lists := range map[string][2][]string{
		"includes":             {static.Includes.For("c"), {"@prefix@/include", "@prefix@/include/x86_64-linux-gnu"}},
		"includes of bar":      {p.Components["bar"].Includes.For("c"), {"@prefix@/include/bar", "@prefix@/include", "@prefix@/include/x86_64-linux-gnu"}},
		"requires":             {static.Requires, {":bar"}},
		"link_requires":        {static.LinkRequires, {"zlib"}},
		"link_libraries":       {static.LinkLibraries, {"m"}},
		"shared libraries":     {shared.LinkLibraries, nil},
		"shared link_requires": {shared.LinkRequires, nil},
		"dyld_requires":        {shared.DyldRequires, {"zlib"}},
		"constraints":          {p.Requires["zlib"].Constraints, {">= 1.2"}},
		"an alias":             {p.Components["baz"].Requires, {":bar"}},
		"includes of extra":    {p.Components["extra"].Includes.For("c"), {"@prefix@/include", "@prefix@/include/x86_64-linux-gnu"}},
	} {
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s: got %q, want %q", name, lists[0], lists[1])
		}
	}
	if got := p.Components["foo"].PkgConfig; got.Variables["prefix"] != "@prefix@" || got.Description != "a library" {
		t.Errorf("pkg-config's part: %+v", got)
	}
	if len(p.Requires) != 1 {
		t.Errorf("requirements on other packages: %v", p.Requires)
	}
}

func TestTheModuleOfThePackagesNameIsTheDefault(t *testing.T) {
	p := derive(t, pcTree(), Options{Name: "bar"})
	if !slices.Equal(p.DefaultComponents, []string{"bar"}) || p.Version != "2.0" {
		t.Errorf("got %q, version %s", p.DefaultComponents, p.Version)
	}
}

// build runs a compiler in dir.
func build(t *testing.T, dir string, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

// write writes files given as name, content, …
func write(t *testing.T, dir string, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatASharedLibraryNeedsItsArchiveNeeds(t *testing.T) {
	dir := t.TempDir()
	write(t, dir,
		"core.c", "int core(void) { return 1; }",
		"foo.c", "#include <math.h>\nint core(void); double foo(double x) { return sqrt(x) + cos(x) + core(); }",
		"cxx.cc", "#include <string>\nextern \"C\" int size() { return static_cast<int>(std::string(\"abc\", 2).size()) + *new int(1); }",
		"lib/x", "")
	build(t, dir, "gcc", "-shared", "-fPIC", "-o", "lib/libcore.so.1.2", "-Wl,-soname,libcore.so.1", "core.c")
	for link, target := range map[string]string{"lib/libcore.so.1": "libcore.so.1.2", "lib/libcore.so": "libcore.so.1"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	build(t, dir, "gcc", "-shared", "-fPIC", "-o", "lib/libfoo.so", "-Wl,-soname,libfoo.so.3", "foo.c", "-Llib", "-lcore", "-lm")
	for _, object := range []string{"core.c", "foo.c", "cxx.cc"} {
		build(t, dir, "gcc", "-c", "-fPIC", object)
	}
	for _, name := range []string{"core", "foo", "cxx"} {
		build(t, dir, "ar", "rcs", "lib/lib"+name+".a", name+".o")
	}
	p := derive(t, os.DirFS(dir), Options{Name: "real"})
	want := "core-shared=lib/libcore.so.1,lib/libcore.so core-static=lib/libcore.a cxx=lib/libcxx.a foo-shared=lib/libfoo.so foo-static=lib/libfoo.a"
	if got := strings.Join(locations(p), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	static, shared := p.Components["foo-static"], p.Components["foo-shared"]
	if !slices.Equal(static.LinkLibraries, []string{"m"}) || !slices.Equal(static.LinkRequires, []string{":core"}) {
		t.Errorf("the archive needs %q and %q", static.LinkLibraries, static.LinkRequires)
	}
	if !slices.Equal(shared.DyldRequires, []string{":core"}) || shared.Soname != "libfoo.so.3" || len(shared.LinkLibraries) > 0 {
		t.Errorf("the shared library: %+v", shared)
	}
	if got := p.Components["cxx"].LinkLanguages; !slices.Equal(got, []string{"cpp"}) {
		t.Errorf("the C++ archive is in %q", got)
	}
	if got := static.LinkLanguages; got != nil {
		t.Errorf("the C archive is in %q", got)
	}
}

func TestAnInstallNameThatLeadsOutOfThePackageIsSaid(t *testing.T) {
	library, err := os.ReadFile("../binfmt/testdata/macho-amd64-dylib")
	if err != nil {
		t.Fatal(err)
	}
	for install, want := range map[string]string{"@rpath/libadd.dylib": "", "/usr/lib/libz.dylib": "", "/opt/x/libadd.dylib": "/opt/x/libadd.dylib", "@@HOMEBREW@@/dylibs": "@@HOMEBREW@@/dylibs"} {
		text := strings.Replace(string(library), "@rpath/libadd.dylib", install, 1)
		p := derive(t, fstest.MapFS{"lib/libadd.dylib": {Data: []byte(text)}}, Options{})
		if got := p.Components["add"].InstallName; got != want {
			t.Errorf("%s: got %q", install, got)
		}
	}
}

func TestWhatASharedLibraryLoadsIsRequiredBesideItsModule(t *testing.T) {
	dir := t.TempDir()
	write(t, dir,
		"bar.c", "int bar(void) { return 1; }",
		"foo.c", "int bar(void); int foo(void) { return bar(); }",
		"lib/x", "",
		"usr/lib/pkgconfig/foo.pc", "Name: foo\nDescription: d\nVersion: 1\nRequires.private: again\nLibs: -L/usr/lib -lfoo\n",
		"usr/lib/pkgconfig/again.pc", "Name: again\nDescription: d\nVersion: 1\nRequires.private: foo\nLibs: -L/usr/lib -lfoo\n")
	build(t, dir, "gcc", "-shared", "-fPIC", "-o", "lib/libbar.so.1", "-Wl,-soname,libbar.so.1", "bar.c")
	build(t, dir, "gcc", "-shared", "-fPIC", "-o", "usr/lib/libfoo.so", "-Wl,-soname,libfoo.so", "foo.c", "lib/libbar.so.1")
	p := derive(t, os.DirFS(dir), Options{})
	if got := p.Components["foo"].DyldRequires; !slices.Contains(got, ":bar") {
		t.Errorf("libfoo.so requires %q, and loads libbar.so.1: %q", got, locations(p))
	}
}

func TestTheProducersDependenciesLeaveTheOrderOfAModulesRequirements(t *testing.T) {
	fsys := add(files("lib/libssh.a"), "lib/pkgconfig/ssh.pc",
		"prefix=/usr\nName: ssh\nDescription: x\nVersion: 1\nLibs: -L${prefix}/lib -lssh\nRequires.private: ssl crypto z\n")
	p := derive(t, fsys, Options{Name: "ssh", Requires: []string{"gpg", "openssl", "z"}})
	want := []string{"gpg", "openssl", "ssl", "crypto", "z"}
	if got := p.Components["ssh"].LinkRequires; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestARequirementByReferenceGetsAName(t *testing.T) {
	fsys := add(files("lib/libf.a"), "lib/pkgconfig/f.pc",
		"prefix=/x\nName: f\nDescription: x\nVersion: 1\nLibs: -L${prefix}/lib -lf\nRequires.private: localhost:5000/acme/png:1.6 >= 1.6, ghcr.io/acme/gif@sha256:00\n")
	for want, require := range map[string]func(string) (string, error){
		"png gif":     nil,
		"my-pn my-gi": func(reference string) (string, error) { return "my-" + strings.Split(reference, "/")[2][:2], nil },
	} {
		p := derive(t, fsys, Options{Require: require})
		names := p.Components["f"].LinkRequires
		if strings.Join(names, " ") != want || !slices.Equal(p.Requires[names[0]].Constraints, []string{">= 1.6"}) {
			t.Errorf("got %q, want %s", names, want)
		}
	}
	refuse := func(string) (string, error) { return "", fmt.Errorf("no such name") }
	if _, err := Package(fsys, Options{Require: refuse}); err == nil || !strings.Contains(err.Error(), "f.pc: no such name") {
		t.Errorf("got %v", err)
	}
}

func TestTheProducersOtherNamesAreThoseOfTheComponent(t *testing.T) {
	tree := fstest.MapFS{"lib/libuv.a": {Data: []byte(archive)}, "include/uv.h": {}}
	p, err := Package(tree, Options{Names: map[string][]string{"libuv": {"libuv::uv_a"}, "uv": {"eventloop", "libuv::uv_a"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Components["uv"].Names; !slices.Equal(got, []string{"libuv::uv_a", "eventloop"}) {
		t.Errorf("the component is called %q", got)
	}
	if _, err = Package(tree, Options{Names: map[string][]string{"uvw": {"x"}}}); err == nil || !strings.Contains(err.Error(), "its components are uv") {
		t.Errorf("a name of no component: %v", err)
	}
}
