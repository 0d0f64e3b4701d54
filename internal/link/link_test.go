package link

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/project"
)

// twins is a package with libNAME.a and libNAME.so, whose components are as the function leaves them.
func twins(name string, change func(static, shared *cps.Component)) *Package {
	p := &cps.Package{Name: name, CPSPath: cps.PrefixMarker, CPSVersion: cps.Version}
	static, shared := &cps.Component{Type: cps.Archive}, &cps.Component{Type: cps.Dylib}
	static.Location = "@prefix@/lib/lib" + name + ".a"
	shared.Location, shared.LinkLocation = "@prefix@/lib/lib"+name+".so.1", "@prefix@/lib/lib"+name+".so"
	for _, c := range []*cps.Component{static, shared} {
		c.Includes = cps.All("@prefix@/include")
	}
	if change != nil {
		change(static, shared)
	}
	p.AddTwins(name, static, shared)
	return &Package{Name: name, Root: "/s/" + name, StaticView: "/s/" + name + "/static", SharedView: "/s/" + name + "/shared", CPS: p}
}

// single is a package of one component.
func single(name string, c *cps.Component) *Package {
	return &Package{Name: name, Root: "/s/" + name, CPS: &cps.Package{Name: name, Components: map[string]*cps.Component{name: c}}}
}

func archive(location string) *cps.Component {
	c := &cps.Component{Type: cps.Archive}
	c.Location = location
	return c
}

// png needs zlib as libpng does.
func png() *Package {
	p := twins("png", func(static, shared *cps.Component) {
		static.LinkLibraries = []string{"m", "z", "m"}
		static.LinkRequires, static.CompileRequires = []string{"zlib"}, []string{"zlib"}
		shared.CompileRequires, shared.DyldRequires = []string{"zlib"}, []string{"zlib"}
	})
	p.CPS.Requires = map[string]*cps.Requirement{"zlib": {Constraints: []string{">= 1.2"}}}
	return p
}

func zlib() *Package {
	p := twins("z", nil)
	p.Name, p.CPS.Version = "zlib", "1.2.13"
	return p
}

func TestLinkGivesTheFlagsOfTheWholeClosure(t *testing.T) {
	for name, test := range map[string]struct {
		packages []*Package
		opts     Options
		want     string
	}{
		"static": {[]*Package{png(), zlib()}, Options{},
			"-I/s/png/include -I/s/z/include -L/s/png/static -L/s/z/static -lpng -lm -lz"},
		"shared": {[]*Package{png(), zlib()}, Options{Shared: true},
			"-I/s/png/include -I/s/z/include -L/s/png/shared -Wl,--disable-new-dtags -Wl,-rpath,/s/png/lib -Wl,-rpath,/s/z/lib -lpng"},
		"shared on macOS": {[]*Package{png(), zlib()}, Options{Shared: true, OS: "darwin"},
			"-I/s/png/include -I/s/z/include -L/s/png/shared -Wl,-rpath,/s/png/lib -Wl,-rpath,/s/z/lib -lpng"},
		"shared on Windows": {[]*Package{png(), zlib()}, Options{Shared: true, OS: "windows"},
			"-I/s/png/include -I/s/z/include -L/s/png/shared -lpng"},
		"a dependency of the system": {[]*Package{png()}, Options{},
			"-I/s/png/include -L/s/png/static -lpng -lm -lz -lm"},
		"static without views": {[]*Package{twins("z", func(static, _ *cps.Component) { static.LinkFlags = []string{"-pthread"} })}, Options{OS: "-"},
			"-I/s/z/include -L/s/z/static -lz -pthread"},
		"one kind only": {[]*Package{single("z", archive("@prefix@/lib/libz.a"))}, Options{}, "-L/s/z/lib -lz"},
		"one kind only, shared build": {[]*Package{single("z", archive("@prefix@/lib/libz.a"))}, Options{Shared: true},
			"-L/s/z/lib -lz"},
		"another file name": {[]*Package{single("z", archive("@prefix@/lib/zs.a"))}, Options{}, "/s/z/lib/zs.a"},
		"C++": {[]*Package{single("z", func() *cps.Component {
			c := archive("@prefix@/lib/libz.a")
			c.LinkLanguages, c.LinkLibraries = []string{"cpp"}, []string{"stdc++", "m"}
			return c
		}())}, Options{}, "-L/s/z/lib -lz -lstdc++ -lm"},
		"C++ with musl": {[]*Package{single("z", func() *cps.Component {
			c := archive("@prefix@/lib/libz.a")
			c.LinkLanguages = []string{"cpp"}
			return c
		}())}, Options{Env: "musl"}, "-L/s/z/lib -lz -lstdc++"},
		"C++ on macOS": {[]*Package{single("z", func() *cps.Component {
			c := archive("@prefix@/lib/libz.a")
			c.LinkLanguages, c.LinkLibraries = []string{"cpp"}, []string{"-framework Security"}
			return c
		}())}, Options{OS: "darwin"}, "-L/s/z/lib -lz -framework Security -lc++"},
		"definitions and flags": {[]*Package{single("z", func() *cps.Component {
			value := `"a b"`
			c := &cps.Component{Type: cps.Interface}
			c.Definitions = cps.Definitions{"*": {"B": nil, "A": &value}}
			c.CompileFlags = cps.All("-pthread", "-isystem", "@prefix@/sys", "-pthread")
			c.LinkFlags = []string{"-L@prefix@/more", "-Wl,-z,now"}
			return c
		}())}, Options{}, `-DA=\"a\ b\" -DB -pthread -isystem /s/z/sys -L/s/z/more -Wl,-z,now`},
		"directories of the system's kind": {[]*Package{single("z", func() *cps.Component {
			c := &cps.Component{Type: cps.Interface}
			c.Includes, c.CompileFlags = cps.All("@prefix@/a", "@prefix@/b", "@prefix@/c"), cps.All("-isystem", "@prefix@/b", "-isystem", "@prefix@/a")
			return c
		}())}, Options{}, "-I/s/z/c -isystem /s/z/b -isystem /s/z/a"},
		"directories of the system's kind, of MSVC": {[]*Package{single("z", func() *cps.Component {
			c := &cps.Component{Type: cps.Interface}
			c.Includes, c.CompileFlags = cps.All("@prefix@/a", "@prefix@/b"), cps.All("-isystem", "@prefix@/b")
			return c
		}())}, Options{OS: "windows", Env: "msvc"}, "-I/s/z/a -I/s/z/b"},
		"a library of the package by path": {[]*Package{single("z", func() *cps.Component {
			c := archive("@prefix@/lib/libz.a")
			c.LinkLibraries = []string{"@prefix@/lib/libcore.a", "m"}
			return c
		}())}, Options{}, "-L/s/z/lib -lz -lcore -lm"},
		"a group": {[]*Package{single("z", func() *cps.Component {
			c := &cps.Component{Type: cps.Interface}
			c.LinkLibraries = []string{"-Wl,--start-group", "@prefix@/lib/liba.a", "@prefix@/lib/libb.a", "-Wl,--end-group"}
			return c
		}())}, Options{}, "-L/s/z/lib -Wl,--start-group -la -lb -Wl,--end-group"},
	} {
		f, err := Link(test.packages, []Request{{Package: test.packages[0]}}, test.opts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := f.Shell(AllArgs); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

func TestEachRequestIsLinkedAsItSays(t *testing.T) {
	needs := &cps.Component{Type: cps.Dylib}
	needs.Location, needs.DyldRequires = "@prefix@/lib/libneeds.so", []string{"zlib"}
	only := single("needs", needs)
	above := single("above", archive("@prefix@/lib/libabove.a"))
	above.CPS.Components["above"].LinkRequires = []string{"needs"}
	p, z := png(), zlib()
	all := []*Package{only, above, p, z}
	const rpaths = "-Wl,--disable-new-dtags -Wl,-rpath,/s/needs/lib -Wl,-rpath,/s/z/lib"
	for name, test := range map[string]struct {
		requests []Request
		opts     Options
		want     string
		files    string
	}{
		"fallback, of both kinds":               {[]Request{{Package: p}}, Options{Fallback: true}, "-L/s/png/static -L/s/z/static -lpng -lm -lz", ""},
		"fallback, of a shared library":         {[]Request{{Package: only}}, Options{Fallback: true}, "-L/s/needs/lib " + rpaths + " -lneeds", "/s/needs/lib/libneeds.so /s/z/lib/libz.so.1"},
		"fallback, of what requires one":        {[]Request{{Package: above}}, Options{Fallback: true}, "-L/s/above/lib -L/s/needs/lib " + rpaths + " -labove -lneeds", "/s/needs/lib/libneeds.so /s/z/lib/libz.so.1"},
		"static and fallback":                   {[]Request{{Package: z, Shared: project.Static}, {Package: only, Shared: project.Fallback}}, Options{}, "-L/s/z/static -L/s/needs/lib " + rpaths + " -lz -lneeds", "/s/needs/lib/libneeds.so /s/z/lib/libz.so.1"},
		"static and shared, of one library":     {[]Request{{Package: p, Shared: project.Shared}, {Package: z}}, Options{}, "-L/s/z/static -L/s/png/shared -Wl,--disable-new-dtags -Wl,-rpath,/s/png/lib -Wl,-rpath,/s/z/lib -lz -lpng", "/s/png/lib/libpng.so.1 /s/z/lib/libz.so.1"},
		"a request goes before the options":     {[]Request{{Package: z, Shared: project.Static}}, Options{Shared: true}, "-L/s/z/static -lz", ""},
		"by path, where static ones are linked": {[]Request{{Package: only, Shared: project.Fallback}}, Options{ByPath: true}, rpaths + " /s/needs/lib/libneeds.so", "/s/needs/lib/libneeds.so /s/z/lib/libz.so.1"},
		"by name, where shared ones are linked": {[]Request{{Package: only, Shared: project.Shared}}, Options{ByPath: true}, "-L/s/needs/lib " + rpaths + " -lneeds", "/s/needs/lib/libneeds.so /s/z/lib/libz.so.1"},
	} {
		f, err := Link(all, test.requests, test.opts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, files := f.Shell(LinkArgs), strings.Join(f.RuntimeFiles, " "); got != test.want || files != test.files {
			t.Errorf("%s:\n got %s, files %s\nwant %s, files %s", name, got, files, test.want, test.files)
		}
	}
	if _, err := Link(all, []Request{{Package: z}, {Package: above}, {Package: only, Shared: project.Fallback}}, Options{}); err == nil || !strings.Contains(err.Error(), `set shared = "fallback"`) {
		t.Errorf("what is to be static and is not: %v", err)
	}
}

func TestASharedLibraryByItsPathIsThatOfItsView(t *testing.T) {
	c := &cps.Component{Type: cps.Dylib}
	c.Location, c.Soname = "@prefix@/lib/libz.so.1.2", "libz.so.1"
	p := single("z", c)
	p.SharedView = "/s/z/shared"
	f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{Fallback: true, ByPath: true})
	if want := "-Wl,--disable-new-dtags -Wl,-rpath,/s/z/shared /s/z/shared/libz.so"; err != nil || f.Shell(LinkArgs) != want {
		t.Errorf("got %s, %v", f.Shell(LinkArgs), err)
	}
}

func TestWithoutViewsAnArchiveBesideItsTwinIsGivenByPath(t *testing.T) {
	p := twins("z", nil)
	p.StaticView, p.SharedView = "", ""
	for shared, want := range map[bool]string{
		false: "/s/z/lib/libz.a",
		true:  "-L/s/z/lib -Wl,--disable-new-dtags -Wl,-rpath,/s/z/lib -lz",
	} {
		f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{Shared: shared})
		if err != nil || f.Shell(LinkArgs) != want {
			t.Errorf("shared %v: got %s, %v", shared, f.Shell(LinkArgs), err)
		}
	}
}

func TestSharedLibrariesAreTakenFromTheirViewWhereTheyLackAName(t *testing.T) {
	named := func(location, soname string) *cps.Component {
		c := &cps.Component{Type: cps.Dylib}
		c.Location, c.Soname = location, soname
		return c
	}
	beside := &cps.Component{Type: cps.Interface}
	beside.LinkLibraries = []string{"@prefix@/lib/libz.so"}
	for name, c := range map[string]struct {
		component *cps.Component
		want      string
	}{
		"a soname that no file has": {named("@prefix@/lib/libz.so", "libz.so.1"), "-L/s/z/lib -Wl,--disable-new-dtags -Wl,-rpath,/s/z/shared -lz"},
		"a runtime file alone":      {named("@prefix@/lib/libz.so.1.2", "libz.so.1"), "-L/s/z/shared -Wl,--disable-new-dtags -Wl,-rpath,/s/z/shared -lz"},
		"beside a component":        {beside, "-L/s/z/lib -Wl,--disable-new-dtags -Wl,-rpath,/s/z/shared -lz"},
	} {
		p := single("z", c.component)
		p.StaticView, p.SharedView = "", "/s/z/shared"
		f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{Shared: true})
		if err != nil || f.Shell(LinkArgs) != c.want {
			t.Errorf("%s: got %s, %v", name, f.Shell(LinkArgs), err)
		}
	}
}

func TestAViewHasTheLibraryThatIsNotForDebugging(t *testing.T) {
	c := &cps.Component{Type: cps.Dylib}
	c.Configurations = map[string]*cps.Attributes{"debug": {Location: "@prefix@/debug/lib/libz.so"}, "release": {Location: "@prefix@/lib/libz.so"}}
	p := single("z", c)
	p.SharedView = "/s/z/shared"
	if release, debug := p.viewOf(Shared, "@prefix@/lib/libz.so"), p.viewOf(Shared, "@prefix@/debug/lib/libz.so"); release == "" || debug != "" {
		t.Errorf("that for release is in %q, that for debugging in %q", release, debug)
	}
}

func TestTheWantedKindIsSearchedFirst(t *testing.T) {
	needing := func(file string, others ...*cps.Component) *Package {
		p := twins("z", func(static, shared *cps.Component) {
			static.LinkLibraries, shared.LinkLibraries = []string{file}, []string{file}
		})
		for _, c := range others {
			p.CPS.Components["core"] = c
		}
		return p
	}
	for name, test := range map[string]struct {
		p      *Package
		shared bool
		want   string
	}{
		"static, with a shared library": {needing("@prefix@/lib/libcore.so"), false, "-L/s/z/static -L/s/z/shared -Wl,--disable-new-dtags -Wl,-rpath,/s/z/shared -lz -lcore"},
		"shared, with an archive":       {needing("@prefix@/lib/libcore.a"), true, "-L/s/z/shared -L/s/z/static -Wl,--disable-new-dtags -Wl,-rpath,/s/z/lib -lz -lcore"},
		"static, with a shared library that has a twin": {needing("@prefix@/lib/libcore.so", archive("@prefix@/lib/libcore.a")), false,
			"-L/s/z/static -Wl,--disable-new-dtags -Wl,-rpath,/s/z/shared -lz /s/z/lib/libcore.so"},
	} {
		flags, err := Link([]*Package{test.p}, []Request{{Package: test.p}}, Options{OS: "linux", Shared: test.shared})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := flags.Shell(LinkArgs); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestTheSystemsLibraryOfOurNameIsOurs(t *testing.T) {
	z := zlib()
	sqlite := single("sqlite", func() *cps.Component {
		c := archive("@prefix@/lib/libsqlite.a")
		c.LinkLibraries = []string{"z"}
		return c
	}())
	f, err := Link([]*Package{z, sqlite}, []Request{{Package: z}, {Package: sqlite}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Shell(LibraryArgs); got != "-lsqlite -lz" || f.Items[1].Kind != Static {
		t.Errorf("got %s, %+v", got, f.Items)
	}
}

func TestWhatNoPackageAnswersToIsLeftToTheSystem(t *testing.T) {
	p := png()
	f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.System) != 1 || f.System[0].Name != "zlib" || !slices.Equal(f.System[0].Constraints, []string{">= 1.2"}) || !f.System[0].Compile || !f.System[0].Link {
		t.Errorf("static: got %+v", f.System)
	}
	f, err = Link([]*Package{p}, []Request{{Package: p}}, Options{Shared: true})
	if err != nil || len(f.System) != 1 || !f.System[0].Compile || f.System[0].Link {
		t.Errorf("shared: got %+v, %v", f.System, err)
	}
}

func TestArchivesThatNeedEachOtherAreSearchedTogether(t *testing.T) {
	freetype, harfbuzz := single("freetype", archive("@prefix@/lib/libft.a")), single("harfbuzz", archive("@prefix@/lib/libhb.a"))
	freetype.CPS.Components["freetype"].LinkRequires = []string{"harfbuzz"}
	freetype.CPS.Components["freetype"].LinkLibraries = []string{"m"}
	harfbuzz.CPS.Components["harfbuzz"].Requires = []string{"freetype"}
	for env, want := range map[string]string{
		"gnu":  "-L/s/freetype/lib -L/s/harfbuzz/lib -Wl,--start-group -lft -lhb -Wl,--end-group -lm",
		"msvc": "/s/freetype/lib/libft.a m.lib /s/harfbuzz/lib/libhb.a",
	} {
		f, err := Link([]*Package{freetype, harfbuzz}, []Request{{Package: freetype}}, Options{Env: env})
		if got := f.Shell(LinkArgs); err != nil || env == "gnu" && got != want || env == "msvc" && strings.Contains(got, "group") {
			t.Errorf("%s: got %s, %v, want %s", env, got, err, want)
		}
	}
	itself := archive("@prefix@/lib/libz.a")
	itself.LinkRequires = []string{":z"}
	if f, err := Link([]*Package{single("z", itself)}, []Request{{Package: single("z", itself)}}, Options{}); err != nil || f.Shell(LibraryArgs) != "-lz" {
		t.Errorf("one that requires itself: %v", err)
	}
}

// ordered is a package of one component with a link interface whose order is said.
func ordered(name string, items ...string) *Package {
	c := &cps.Component{Type: cps.Interface}
	c.LinkItems = items
	return single(name, c)
}

func TestTheOrderOfALinkInterfaceIsKept(t *testing.T) {
	const a, b = "@prefix@/lib/liba.a", "@prefix@/lib/libb.a"
	for name, test := range map[string]struct {
		items      []string
		want, only string // all arguments for the linker, and those of libraries alone
	}{
		"a group":           {[]string{"-Wl,--start-group", a, b, "-Wl,--end-group", "-lm"}, "-Wl,--start-group -la -lb -Wl,--end-group -lm", "-la -lb -la -lb -lm"},
		"without an end":    {[]string{"-Wl,--start-group", a, b}, "-Wl,--start-group -la -lb -Wl,--end-group", "-la -lb -la -lb"},
		"whole archives":    {[]string{"-lm", "-Wl,--whole-archive", a, b, "-Wl,--no-whole-archive", b}, "-lm -Wl,--whole-archive,/s/x/lib/liba.a,/s/x/lib/libb.a,--no-whole-archive -lb", "-lm -lb"},
		"a setting":         {[]string{"-Wl,-Bstatic", "-lz", "-Wl,-Bdynamic", "-lz"}, "-Wl,-Bstatic -lz -Wl,-Bdynamic -lz", "-lz -lz"},
		"one that holds on": {[]string{"-Wl,--as-needed", a, "-lm"}, "-Wl,--as-needed -la -lm", "-la -lm"},
		"pushed and popped": {[]string{"-Wl,--push-state", "-Wl,-Bstatic", "-lz", "-Wl,--pop-state", a}, "-Wl,--push-state -Wl,-Bstatic -lz -Wl,--pop-state -la", "-lz -la"},
		"repeats":           {[]string{a, b, a}, "-la -lb -la", "-la -lb -la"},
		"a group in another component's": {
			[]string{"-Wl,--start-group", a, "-Wl,--start-group", b, "-Wl,--end-group", "-Wl,--end-group"},
			"-Wl,--start-group -la -Wl,--start-group -lb -Wl,--end-group -Wl,--end-group", "-la -lb -lb -la -lb -lb",
		},
	} {
		p := ordered("x", test.items...)
		f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := f.Shell(LibraryArgs | OtherLink); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
		if got := f.Shell(LibraryArgs); got != test.only {
			t.Errorf("%s, libraries alone: got %s, want %s", name, got, test.only)
		}
	}
}

func TestLaterMentionsDoNotReachIntoWhatHoldsLibraries(t *testing.T) {
	const a, b = "@prefix@/lib/liba.a", "@prefix@/lib/libb.a"
	for name, test := range map[string]struct {
		first, then []string
		want        string
	}{
		"a group":         {[]string{"-Wl,--start-group", a, b, "-Wl,--end-group"}, []string{a}, "-Wl,--start-group -la -lb -Wl,--end-group -la"},
		"a setting":       {[]string{"-Wl,-Bstatic", "-lz", "-Wl,-Bdynamic"}, []string{"-lz"}, "-Wl,-Bstatic -lz -Wl,-Bdynamic -lz"},
		"repeats":         {[]string{a, b, a}, []string{a}, "-la -lb -la"},
		"one of many":     {[]string{a, b, "-lm"}, []string{b, "-lm"}, "-la -lb -lm"},
		"flags":           {[]string{"-pthread", a}, []string{b, "-pthread"}, "-la -lb -pthread"},
		"a whole archive": {[]string{"-Wl,--whole-archive", a, "-Wl,--no-whole-archive"}, []string{a}, "-Wl,--whole-archive,/s/p/lib/liba.a,--no-whole-archive -la"},
		"a whole archive again": {[]string{"-Wl,--whole-archive", a, "-Wl,--no-whole-archive", "-lm"}, []string{"-Wl,--whole-archive", a, "-Wl,--no-whole-archive"},
			"-lm -Wl,--whole-archive,/s/p/lib/liba.a,--no-whole-archive"},
		"a library before": {[]string{"-lz", a}, []string{"-Wl,-Bstatic", "-lz", "-Wl,-Bdynamic"}, "-lz -la -Wl,-Bstatic -lz -Wl,-Bdynamic"},
	} {
		first, then := &cps.Component{Type: cps.Interface}, &cps.Component{Type: cps.Interface}
		first.LinkItems, then.LinkItems, first.Requires = test.first, test.then, []string{":then"}
		p := single("p", first)
		p.CPS.Components["then"] = then
		f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{})
		if err != nil || f.Shell(LibraryArgs|OtherLink) != test.want {
			t.Errorf("%s: got %s, %v, want %s", name, f.Shell(LibraryArgs|OtherLink), err, test.want)
		}
	}
}

func TestALibraryIsSearchedAgainBehindWhatNeedsIt(t *testing.T) {
	x, y := archive("@prefix@/lib/libx.a"), archive("@prefix@/lib/liby.a")
	x.LinkRequires, y.LinkLibraries = []string{":y"}, []string{"@prefix@/lib/libx.a"}
	p := single("x", x)
	p.CPS.Components["y"] = y
	f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{})
	if err != nil || f.Shell(LibraryArgs) != "-lx -ly -lx" {
		t.Errorf("got %s, %v", f.Shell(LibraryArgs), err)
	}
}

func TestARequirementFindsItsPackage(t *testing.T) {
	p, z := png(), zlib()
	z.Name = "our-zlib"
	p.Requires = map[string]string{"zlib": "our-zlib"}
	f, err := Link([]*Package{p, z}, []Request{{Package: p}}, Options{})
	if err != nil || len(f.System) != 0 {
		t.Errorf("by the package's own table: %+v, %v", f.System, err)
	}
	p.Requires = nil
	z.CPS.Components["zlib"] = &cps.Component{Type: cps.Interface, Attributes: cps.Attributes{Requires: []string{":z"}}}
	f, err = Link([]*Package{p, z}, []Request{{Package: p}}, Options{})
	if err != nil || len(f.System) != 0 {
		t.Errorf("by a component's name: %+v, %v", f.System, err)
	}
}

func TestARequirementIsOfThePackagesThatAreRequiredOrOfTheSystem(t *testing.T) {
	make := func(name string, requires map[string]string, components ...string) *Package {
		p := single(name, archive("@prefix@/lib/lib"+name+".a"))
		for _, c := range components {
			p.CPS.Components[c] = archive("@prefix@/lib/lib" + c + ".a")
		}
		p.Requires = requires
		return p
	}
	for what, test := range map[string]struct {
		requires map[string]string
		name     string
		system   bool
	}{
		"by what it lists":                              {map[string]string{"ssl": "openssl"}, "ssl", false},
		"a component of what it lists":                  {map[string]string{"ssl": "openssl"}, "libcrypto", false},
		"what it lists, by its own name":                {map[string]string{"ssl": "openssl"}, "openssl", false},
		"a component of its own":                        {map[string]string{}, "own", false},
		"a component of a package that it lists not":    {map[string]string{}, "libcrypto", true},
		"a package that it lists not":                   {map[string]string{"x": "other"}, "openssl", true},
		"a component, for one that says nothing":        {nil, "libcrypto", false},
		"a package, for one that says nothing":          {nil, "openssl", false},
		"neither, for one that says nothing":            {nil, "libz", true},
		"a component of its own, where it says nothing": {nil, "own", false},
	} {
		p := make("app", test.requires, "own")
		p.CPS.Components["app"].Requires = []string{test.name}
		openssl, other := make("openssl", nil, "libcrypto"), make("other", nil)
		f, err := Link([]*Package{p, openssl, other}, []Request{{Package: p}, {Package: openssl}}, Options{})
		if err != nil || (len(f.System) == 1) != test.system {
			t.Errorf("%s: of the system are %+v, %v", what, f.System, err)
		}
	}
}

func TestARequirementIsAnsweredByTheVersionThatItSays(t *testing.T) {
	const refused, unsaid = "the version of zlib is 1.3.1", "zlib does not say which version it is"
	for name, test := range map[string]struct {
		requirement     cps.Requirement
		version, compat string
		module          bool // zlib is described by a .pc file
		want            string
	}{
		"at least, and more":         {cps.Requirement{Constraints: []string{">= 1.2"}}, "1.3.1", "", true, ""},
		"at least, and less":         {cps.Requirement{Constraints: []string{">= 1.2", ">= 2.0"}}, "1.3.1", "", true, refused},
		"less than":                  {cps.Requirement{Constraints: []string{"< 1.3"}}, "1.3.1", "", true, refused},
		"not that one":               {cps.Requirement{Constraints: []string{"!= 1.3.1"}}, "1.3.1", "", true, refused},
		"unknown":                    {cps.Requirement{Constraints: []string{">= 1.2"}}, "", "", false, unsaid},
		"unknown, less than":         {cps.Requirement{Constraints: []string{"< 2"}}, "", "", true, unsaid},
		"unknown, and nothing asked": {cps.Requirement{}, "", "", false, ""},
		"the same":                   {cps.Requirement{Version: "1.3.1"}, "1.3.1", "", false, ""},
		"not compatible":             {cps.Requirement{Version: "1.2"}, "1.3.1", "", false, refused},
		"compatible":                 {cps.Requirement{Version: "1.2"}, "1.3.1", "1.0", false, ""},
		"older than compatible":      {cps.Requirement{Version: "0.9"}, "1.3.1", "1.0", false, refused},
		"newer than it is":           {cps.Requirement{Version: "1.4"}, "1.3.1", "1.0", false, refused},
		"a module is compatible":     {cps.Requirement{Version: "1.2"}, "1.3.1", "", true, ""},
	} {
		p, z := png(), zlib()
		p.CPS.Requires["zlib"] = &test.requirement
		z.CPS.Version, z.CPS.CompatVersion = test.version, test.compat
		if test.module {
			z.CPS.Components["z"].PkgConfig = &cps.PkgConfig{Version: test.version}
		}
		_, err := Link([]*Package{p, z}, []Request{{Package: p}}, Options{})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestLibrariesThatNoDescriptionNamesAreNotCalledNone(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a/libz.a", "a/._libz.a", "b/libz.so.1", "b/README"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := &Package{Name: "z", Root: filepath.ToSlash(root), CPS: &cps.Package{Name: "z"}}
	_, err := Link([]*Package{p}, []Request{{Package: p}}, Options{})
	if err == nil || !strings.Contains(err.Error(), "(a/libz.a, b/libz.so.1)") || strings.Contains(err.Error(), "no libraries") {
		t.Errorf("the error is %v", err)
	}
}

func TestWhatCannotBeLinkedIsSaid(t *testing.T) {
	sharedOnly := &cps.Component{Type: cps.Dylib}
	sharedOnly.Location = "@prefix@/lib/libz.so"
	outside := archive("@prefix@/../libz.a")
	other := single("other", archive("@prefix@/lib/libz.a"))
	z := zlib()
	for want, test := range map[string]struct {
		packages  []*Package
		component string
	}{
		`link z statically: its component "z" is only there as a shared library: link with --shared`:                            {[]*Package{single("z", sharedOnly)}, ""},
		`link z: the package has no libraries and no headers`:                                                                   {[]*Package{single("z", &cps.Component{Type: "executable"})}, ""},
		`package png has no component "jpg": its components are png`:                                                            {[]*Package{png()}, "jpg"},
		`its component "z" asks for "@prefix@/../libz.a", which is not on the list of harmless flags with paths in the package`: {[]*Package{single("z", outside)}, ""},
		`both packages have a library of the name "z": make them require the same package`:                                      {[]*Package{z, other}, ""},
	} {
		var requests []Request
		for _, p := range test.packages {
			r := Request{Package: p}
			if test.component != "" {
				r.Components = []string{test.component}
			}
			requests = append(requests, r)
		}
		if _, err := Link(test.packages, requests, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if f, err := Link([]*Package{single("z", sharedOnly)}, []Request{{Package: single("z", sharedOnly)}}, Options{Shared: true}); err != nil || len(f.RPathDirs) != 1 {
		t.Errorf("the same with --shared: %v", err)
	}
}

func TestASharedLibraryWithoutALocationIsLinkedOnlyIfItHasAFileToLink(t *testing.T) {
	without, fromSystem, imported := &cps.Component{Type: cps.Dylib}, &cps.Component{Type: cps.Dylib}, &cps.Component{Type: cps.Dylib}
	fromSystem.Location, fromSystem.DyldRequires = "@prefix@/lib/libz.so", []string{":loaded"}
	imported.LinkLocation = "@prefix@/lib/z.lib"
	p := single("z", fromSystem)
	p.CPS.Components["loaded"] = without
	f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{Shared: true, OS: "linux"})
	if err != nil || len(f.RPathDirs) != 1 || len(f.RuntimeFiles) != 1 {
		t.Errorf("one that is only loaded: %+v, %v", f, err)
	}
	p = single("z", imported)
	f, err = Link([]*Package{p}, []Request{{Package: p}}, Options{Shared: true, OS: "windows", Env: "msvc"})
	if err != nil || len(f.Items) != 1 || len(f.RuntimeFiles) != 0 {
		t.Errorf("an import library: %+v, %v", f, err)
	}
	p = single("z", without)
	_, err = Link([]*Package{p}, []Request{{Package: p}}, Options{Shared: true})
	if err == nil || !strings.Contains(err.Error(), `link z: its component "z" is a library, and the package's CPS document names no file for it`) {
		t.Errorf("one without a file: %v", err)
	}
}

func TestPartsAreThoseOfPkgConfig(t *testing.T) {
	p, z := png(), zlib()
	f, err := Link([]*Package{p, z}, []Request{{Package: p}}, Options{Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	f.CFlags, f.SystemDirs = append(f.CFlags, []string{"-pthread"}), []string{"/s/z/include"}
	for part, want := range map[Part]string{
		CompileArgs:  "-I/s/png/include -isystem /s/z/include -pthread",
		IncludeArgs:  "-I/s/png/include -I/s/z/include", // for who takes directories and flags apart
		OtherCompile: "-pthread",
		SearchArgs:   "-L/s/png/shared",
		LibraryArgs:  "-lpng",
		OtherLink:    "-Wl,--disable-new-dtags -Wl,-rpath,/s/png/lib -Wl,-rpath,/s/z/lib",
	} {
		if got := f.Shell(part); got != want {
			t.Errorf("part %d: got %s, want %s", part, got, want)
		}
	}
}

func TestCargoGetsDirectives(t *testing.T) {
	p, z := png(), zlib()
	z.CPS.Components["z-static"].LinkFlags = []string{"-pthread", "-Wl,-z,now"}
	z.CPS.Components["z-static"].LinkLibraries = []string{"@prefix@/odd.a", "-framework Foo", ":libq.so.1"}
	f, err := Link([]*Package{p, z}, []Request{{Package: p}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := `cargo:rerun-if-changed=/s/link.json
cargo:rustc-link-search=native=/s/png/static
cargo:rustc-link-search=native=/s/z/static
cargo:rustc-link-search=native=/s/z
cargo:rustc-link-lib=static=png
cargo:rustc-link-lib=dylib=m
cargo:rustc-link-lib=static=z
cargo:rustc-link-lib=static:+verbatim=odd.a
cargo:rustc-link-lib=framework=Foo
cargo:rustc-link-lib=dylib:+verbatim=libq.so.1
cargo:rustc-link-lib=dylib=pthread
cargo:rustc-link-arg=-Wl,-z,now
cargo:include=/s/png/include:/s/z/include
cargo:root=/s/png
`
	if got, err := f.Cargo(CargoOptions{RerunIfChanged: []string{"/s/link.json"}}); err != nil || got != want {
		t.Errorf("static: got\n%s\nwant\n%s\n%v", got, want, err)
	}
	f, err = Link([]*Package{z}, []Request{{Package: z}}, Options{Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	want = `cargo:rustc-link-search=native=/s/z/shared
cargo:rustc-link-lib=dylib=z
cargo:rustc-link-arg=-Wl,--disable-new-dtags
cargo:rustc-link-arg=-Wl,-rpath,/s/z/lib
cargo:include=/s/z/include
cargo:root=/s/z
`
	if got, err := f.Cargo(CargoOptions{}); err != nil || got != want {
		t.Errorf("shared: got\n%s\nwant\n%s\n%v", got, want, err)
	}
}

func TestCargoKeepsWhatItCanOfTheOrder(t *testing.T) {
	const a, b = "@prefix@/lib/liba.a", "@prefix@/lib/libb.a"
	for name, test := range map[string]struct {
		items []string
		want  string
	}{
		"a group": {[]string{"-Wl,--start-group", a, b, "-Wl,--end-group"}, "lib=static=a lib=static=b lib=static:+verbatim=liba.a lib=static:+verbatim=libb.a"},
		"repeats": {[]string{a, b, a}, "lib=static=a lib=static=b lib=static:+verbatim=liba.a"},
		"a group of three": {[]string{"-Wl,--start-group", a, b, "@prefix@/lib/libc1.a", "-Wl,--end-group"},
			"lib=static=a lib=static=b lib=static=c1 lib=static:+verbatim=liba.a lib=static:+verbatim=libb.a lib=static:+verbatim=libc1.a " +
				"arg=-Wl,--start-group arg=/s/x/lib/liba.a arg=/s/x/lib/libb.a arg=/s/x/lib/libc1.a arg=-Wl,--end-group"},
		"a group and again":          {[]string{"-Wl,--start-group", a, b, "-Wl,--end-group", a}, "lib=static=a lib=static=b lib=static:+verbatim=libb.a lib=static:+verbatim=liba.a"},
		"whole archives":             {[]string{"-Wl,--whole-archive", a, "-Wl,--no-whole-archive", b}, "lib=static:+whole-archive=a lib=static=b"},
		"a setting for the system's": {[]string{a, "-Wl,-Bstatic", "-lz", "-Wl,-Bdynamic"}, "lib=static=a arg=-Wl,-Bstatic arg=-lz arg=-Wl,-Bdynamic"},
		"a setting for its own":      {[]string{"-Wl,--as-needed", a, "-lm"}, "lib=static=a lib=dylib=m"},
	} {
		p := ordered("x", test.items...)
		f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, d := range cargoItems(f.Items) {
			got = append(got, strings.TrimPrefix(d.key, "rustc-link-")+"="+d.value)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %s, want %s", name, strings.Join(got, " "), test.want)
		}
	}
}

func TestJSONHasNoNulls(t *testing.T) {
	p := single("z", &cps.Component{Type: cps.Interface})
	f, err := Link([]*Package{p}, []Request{{Package: p}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.JSON()
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("got %s, %v", text, err)
	}
	var got struct{ Root string }
	if err := json.Unmarshal(text, &got); err != nil || got.Root != "/s/z" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTheDocumentIsGivenWithRealPaths(t *testing.T) {
	z := zlib()
	text, err := CPS(z, Options{})
	if err != nil || strings.Contains(string(text), "@prefix@") || !strings.Contains(string(text), `"/s/z/lib/libz.a"`) {
		t.Errorf("got %s, %v", text, err)
	}
	if z.CPS.Components["z-static"].Location != "@prefix@/lib/libz.a" {
		t.Error("the package was changed")
	}
}

func TestViewsHoldOneKindEach(t *testing.T) {
	p := twins("z", func(static, shared *cps.Component) {
		static.LinkLibraries = []string{"@prefix@/lib/libcore.a", "m"}
		shared.Location, shared.LinkLocation, shared.Soname = "@prefix@/lib/libz.so", "", "libz.so.1"
	})
	p.CPS.Components["only"] = &cps.Component{Type: cps.Dylib, Attributes: cps.Attributes{Location: "@prefix@/x/libonly.so.2"}}
	static, shared := p.CPS.Views()
	if want := []cps.ViewEntry{{Name: "libcore.a", Target: "lib/libcore.a"}, {Name: "libz.a", Target: "lib/libz.a"}}; !slices.Equal(static, want) {
		t.Errorf("static: got %v", static)
	}
	want := []cps.ViewEntry{{Name: "libonly.so", Target: "x/libonly.so.2"}, {Name: "libonly.so.2", Target: "x/libonly.so.2"}, {Name: "libz.so", Target: "lib/libz.so"}, {Name: "libz.so.1", Target: "lib/libz.so"}}
	if !slices.Equal(shared, want) {
		t.Errorf("shared: got %v", shared)
	}
}

func TestTheRuntimeFilesAreTheSharedLibrariesOfTheWholeClosure(t *testing.T) {
	core := single("core", func() *cps.Component {
		c := &cps.Component{Type: cps.Dylib}
		c.Location, c.LinkLocation = "@prefix@/bin/core.dll", "@prefix@/lib/libcore.dll.a"
		c.LinkLibraries = []string{"@prefix@/lib/libmore.so"}
		return c
	}())
	packages := []*Package{png(), zlib(), core}
	requests := []Request{{Package: packages[0]}, {Package: core}}
	for _, os := range []string{"linux", "windows", "darwin"} {
		f, err := Link(packages, requests[:1], Options{OS: os})
		if err != nil || len(f.RuntimeFiles) != 0 {
			t.Errorf("static: got %q, %v", f.RuntimeFiles, err)
		}
		if f, err = Link(packages, requests, Options{OS: os, Shared: true}); err != nil {
			t.Fatal(err)
		}
		want := []string{"/s/png/lib/libpng.so.1", "/s/z/lib/libz.so.1", "/s/core/bin/core.dll", "/s/core/lib/libmore.so"}
		if !slices.Equal(f.RuntimeFiles, want) {
			t.Errorf("%s: got %q, want %q", os, f.RuntimeFiles, want)
		}
	}
}

func TestAnArchiveThatStandsAmongFlagsIsTakenFromItsView(t *testing.T) {
	// As a .pc file with positional flags gives it: an interface that keeps the order.
	p := &Package{Name: "z", Root: "/s/z/root", StaticView: "/s/z/static", SharedView: "/s/z/shared", CPS: &cps.Package{
		Name: "z",
		Components: map[string]*cps.Component{"z": {Type: cps.Interface, Attributes: cps.Attributes{
			LinkLibraries: []string{"-Wl,--as-needed", "@prefix@/lib/libz.a"},
		}}},
	}}
	flags, err := Link([]*Package{p}, []Request{{Package: p}}, Options{OS: "linux"})
	if err != nil {
		t.Fatal(err)
	}
	if got := flags.Shell(SearchArgs | LibraryArgs); got != "-L/s/z/static -lz" {
		t.Errorf("got %s", got)
	}
}
