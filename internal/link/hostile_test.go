package link

import (
	"errors"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/store"
)

// interfaceOf is a package of one component without a file.
func interfaceOf(attributes cps.Attributes) *Package {
	return single("x", &cps.Component{Type: cps.Interface, Attributes: attributes})
}

func TestNothingThatAPackageSaysBecomesAnotherFlag(t *testing.T) {
	dylib := func(location, link string) *Package {
		return single("x", &cps.Component{Type: cps.Dylib, Attributes: cps.Attributes{Location: location, LinkLocation: link}})
	}
	for name, p := range map[string]*Package{
		"a comma in a library's path":      interfaceOf(cps.Attributes{LinkLibraries: []string{"@prefix@/lib,-plugin,@prefix@/evil.so,-L/libz.so"}}),
		"a comma in a dylib's location":    dylib("@prefix@/lib,-o,/tmp/victim/libz.so", ""),
		"one hidden by the link location":  dylib("@prefix@/lib,-o,/tmp/victim/libz.so", "@prefix@/lib/libz.so"),
		"a way out after the prefix":       interfaceOf(cps.Attributes{LinkLibraries: []string{"@prefix@/../../x/liby.a"}}),
		"LINKER: before a library":         interfaceOf(cps.Attributes{LinkFlags: []string{"LINKER:-plugin,@prefix@/evil.so,@prefix@/lib/libz.a"}}),
		"SHELL: before a library":          interfaceOf(cps.Attributes{LinkFlags: []string{"SHELL:-Wl,-plugin,@prefix@/evil.so @prefix@/lib/libz.a"}}),
		"SHELL: for the compiler":          interfaceOf(cps.Attributes{CompileFlags: cps.All("SHELL:-fplugin=@prefix@/evil.so @prefix@/lib/libz.a")}),
		"a library for the compiler":       interfaceOf(cps.Attributes{CompileFlags: cps.All("@prefix@/lib/libz.a")}),
		"a flag behind a library's name":   interfaceOf(cps.Attributes{LinkFlags: []string{"-lm -Wl,-plugin,@prefix@/evil.so"}}),
		"a command in a library's name":    interfaceOf(cps.Attributes{LinkLibraries: []string{"-lm`touch X`"}}),
		"a command in a bare name":         interfaceOf(cps.Attributes{LinkLibraries: []string{"m`touch X`"}}),
		"a command in a framework's name":  interfaceOf(cps.Attributes{LinkLibraries: []string{"-framework x`touch X`"}}),
		"a library by a path of -l":        interfaceOf(cps.Attributes{LinkFlags: []string{"-l:../../evil.a"}}),
		"source as a library":              interfaceOf(cps.Attributes{LinkLibraries: []string{"@prefix@/evil.c"}}),
		"a script as a library":            interfaceOf(cps.Attributes{LinkLibraries: []string{"@prefix@/m;touch X"}}),
		"a script as a location":           single("x", archive("@prefix@/evil.ld")),
		"source as a link location":        dylib("@prefix@/lib/libz.so", "@prefix@/evil.c"),
		"a path to a .pc as a requirement": interfaceOf(cps.Attributes{Requires: []string{"/tmp/evil.pc"}}),
		"an option as a requirement":       interfaceOf(cps.Attributes{Requires: []string{"--log-file=/tmp/x"}}),
	} {
		for _, shared := range []bool{false, true} {
			opts := Options{OS: "linux", Shared: shared}
			flags, err := Link([]*Package{p}, []Request{{Package: p}}, opts)
			if err == nil {
				t.Errorf("%s: linked as %s", name, flags.Shell(AllArgs))
			}
			if config, _, err := CMake([]*Package{p}, Request{Package: p}, CMakeOptions{Options: opts, Name: "X"}); err == nil {
				t.Errorf("%s: CMake gets %s", name, config)
			}
		}
	}
}

func TestALibraryThatProgramsLookForElsewhereIsNotLinked(t *testing.T) {
	attributes := cps.Attributes{Location: "@prefix@/lib/libz.1.dylib", LinkLocation: "@prefix@/lib/libz.dylib", InstallName: "/opt/z/lib/libz.1.dylib"}
	p := single("z", &cps.Component{Type: cps.Dylib, Attributes: attributes})
	for _, way := range []Options{{Shared: true}, {Fallback: true}} {
		for os, refused := range map[string]bool{"darwin": true, "linux": false} {
			way.OS = os
			_, err := Link([]*Package{p}, []Request{{Package: p}}, way)
			_, _, cmake := CMake([]*Package{p}, Request{Package: p}, CMakeOptions{Options: way, Name: "Z"})
			for _, err := range []error{err, cmake} {
				if refused != (err != nil) || refused && !strings.Contains(err.Error(), `libz.1.dylib is "/opt/z/lib/libz.1.dylib"`) {
					t.Errorf("%+v: %v", way, err)
				}
			}
		}
	}
}

func TestAConstraintOfARequirementIsOne(t *testing.T) {
	for constraint, good := range map[string]bool{">= 1.2": true, "= 1:2": false, ">= 1.2 evil": false, "": false, ">= /tmp/x.pc": false} {
		p := interfaceOf(cps.Attributes{Requires: []string{"zlib"}})
		p.CPS.Requires = map[string]*cps.Requirement{"zlib": {Constraints: []string{constraint}}}
		_, err := Link([]*Package{p}, []Request{{Package: p}}, Options{OS: "linux"})
		if _, cps := CPS(p, Options{}); (cps == nil) != good {
			t.Errorf("%q: for readers of CPS: %v", constraint, cps)
		}
		if (err == nil) != good || err != nil && !errors.Is(err, errdef.ErrVerification) {
			t.Errorf("%q: %v", constraint, err)
		}
	}
}

func TestACircleOfInterfacesEnds(t *testing.T) {
	circle := func(to string) *cps.Component {
		return &cps.Component{Type: cps.Interface, Attributes: cps.Attributes{Requires: []string{to}}}
	}
	p := &Package{Name: "openssl", Root: "/s/o", CPS: &cps.Package{Name: "openssl", Components: map[string]*cps.Component{
		"crypto": archive("@prefix@/lib/libcrypto.a"), "ssl": archive("@prefix@/lib/libssl.a"), "a": circle(":b"), "b": circle(":a"),
	}, DefaultComponents: []string{"ssl"}}}
	text, _, err := CMake([]*Package{p}, Request{Package: p}, CMakeOptions{Options: Options{OS: "linux"}, Name: "OpenSSL"})
	if err != nil || !strings.Contains(text, "OpenSSL::a") || !strings.Contains(text, "OpenSSL::SSL") {
		t.Errorf("got %v, %s", err, text)
	}
}

func TestOnlyNamesOfModulesAreLeftToTheRealPkgConfig(t *testing.T) {
	for name, want := range map[string]bool{
		"zlib": true, "gtk+-3.0": true, "libstdc++": true, "a.b": true,
		"": false, ".": false, "-x": false, "--libs": false, "a b": false, "a,b": false, "a\nb": false, "evil.pc": false, "/tmp/evil.pc": false,
		"../evil": false, `a\b`: false, "a>=1": false, "a:b": false, "a\u009bb": false,
	} {
		if got := IsModule(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestWhatMustNotComeBeforeALinkerIsNotLinked(t *testing.T) {
	for _, test := range []struct {
		bad     store.Unlinkable
		allowed []string
		good    bool
	}{
		{store.Unlinkable{Path: "lib/libz.so", Reason: "is a linker script"}, nil, false},
		{store.Unlinkable{Path: "lib/libz.so", Reason: "is a linker script"}, []string{IRFlag}, false},
		{store.Unlinkable{Path: "lib/libz.a", Reason: "has a member z.o that is IR", IR: true}, nil, false},
		{store.Unlinkable{Path: "lib/libz.a", Reason: "has a member z.o that is IR", IR: true}, []string{IRFlag}, true},
	} {
		p := single("z", archive("@prefix@/lib/libz.a"))
		p.Unlinkable = &test.bad
		opts := Options{OS: "linux", AllowFlags: test.allowed}
		_, err := Link([]*Package{p}, []Request{{Package: p}}, opts)
		_, _, cmake := CMake([]*Package{p}, Request{Package: p}, CMakeOptions{Options: opts, Name: "Z"})
		_, document := CPS(p, opts)
		for way, err := range map[string]error{"link": err, "CMake": cmake, "CPS": document} {
			if test.good != (err == nil) || err != nil && (!errors.Is(err, errdef.ErrVerification) || !strings.Contains(err.Error(), test.bad.Reason)) {
				t.Errorf("%s, %v: %v", way, test.bad, err)
			}
		}
	}
}
