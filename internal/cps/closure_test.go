package cps

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// graph makes packages from lines such as "a:x requires :y b" or "a:x link_requires b:z"; each component named in front
// is made an interface.
func graph(t *testing.T, lines ...string) map[string]*Package {
	packages := map[string]*Package{}
	for _, line := range lines {
		words := strings.Fields(line)
		pkg, component, _ := strings.Cut(words[0], ":")
		p := packages[pkg]
		if p == nil {
			p = &Package{Name: pkg, Components: map[string]*Component{}}
			packages[pkg] = p
		}
		c := p.Components[component]
		if c == nil {
			c = &Component{Type: Interface}
			p.Components[component] = c
		}
		if len(words) == 1 {
			continue
		}
		place, ok := lookup(c.fields(), words[1]).(*[]string)
		if !ok {
			t.Fatalf("no attribute %s", words[1])
		}
		*place = append(*place, words[2:]...)
	}
	return packages
}

func closure(packages map[string]*Package, stage Stage, pkg, component string) (string, []string, error) {
	w := Walker{Find: func(_ *Package, name string) (*Package, string) { return packages[name], "" }}
	items, missed, err := w.Closure(stage, Root{Package: packages[pkg], Component: component})
	var names, missing []string
	for _, item := range items {
		name := item.String()
		if item.Circle != 0 {
			name += fmt.Sprintf("/%d", item.Circle)
		}
		names = append(names, name)
	}
	for _, m := range missed {
		missing = append(missing, m.Package)
	}
	return strings.Join(names, " "), missing, err
}

func TestDependentsComeBeforeWhatTheyNeed(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"a chain":                  {[]string{"p:a requires :b", "p:b requires :c", "p:c"}, "p:a p:b p:c"},
		"the order that is given":  {[]string{"p:a requires :b :c", "p:b", "p:c"}, "p:a p:b p:c"},
		"a diamond":                {[]string{"p:a requires :b :c", "p:b requires :d", "p:c requires :d", "p:d"}, "p:a p:b p:c p:d"},
		"a dependency given first": {[]string{"p:a requires :b :c", "p:b", "p:c requires :b"}, "p:a p:c p:b"},
		"two packages":             {[]string{"p:a requires q:x :b", "p:b requires q:y", "q:x", "q:y requires :x"}, "p:a p:b q:y q:x"},
		"a package's defaults":     {[]string{"p:a requires q", "q:x", "q:y requires :x"}, "p:a q:y q:x"},
		"a component by its name":  {[]string{"p:a requires b", "p:b"}, "p:a p:b"},
	} {
		got, _, err := closure(graph(t, test.lines...), Link, "p", "a")
		if err != nil || got != test.want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, test.want)
		}
	}
}

func TestEachStageFollowsItsOwnRequirements(t *testing.T) {
	packages := graph(t, "p:a requires :b", "p:a compile_requires :c", "p:a link_requires :d", "p:a dyld_requires :e",
		"p:b", "p:c", "p:d link_requires :f", "p:e", "p:f")
	for stage, want := range map[Stage]string{Compile: "p:a p:b p:c", Link: "p:a p:b p:d p:f", Load: "p:a p:b p:d p:f p:e"} {
		if got, _, err := closure(packages, stage, "p", "a"); got != want || err != nil {
			t.Errorf("stage %d: got %s, %v, want %s", stage, got, err, want)
		}
	}
}

func TestUnknownPackagesAreLeftToTheSystem(t *testing.T) {
	packages := graph(t, "p:a requires zlib :b m", "p:b requires m zlib")
	got, missing, err := closure(packages, Link, "p", "a")
	if got != "p:a p:b" || err != nil || !slices.Equal(missing, []string{"m", "zlib"}) && !slices.Equal(missing, []string{"zlib", "m"}) {
		t.Errorf("got %s, %q, %v", got, missing, err)
	}
}

func TestComponentsThatRequireEachOtherStandBesideEachOther(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"two":                 {[]string{"p:a requires :b", "p:b requires q:x", "q:x link_requires p:b", "q:x requires q:y", "q:y"}, "p:a p:b/1 q:x/1 q:y"},
		"the root":            {[]string{"p:a requires :b", "p:b requires :a"}, "p:a/1 p:b/1"},
		"itself":              {[]string{"p:a requires :a"}, "p:a"},
		"with one in between": {[]string{"p:a requires :c :b", "p:b requires :a", "p:c requires :d", "p:d"}, "p:a/1 p:b/1 p:c p:d"},
		"two circles":         {[]string{"p:a requires :b :c", "p:b requires :a", "p:c requires :d", "p:d requires :c"}, "p:a/2 p:b/2 p:c/1 p:d/1"},
		"one through another": {[]string{"p:a requires :b", "p:b requires :c", "p:c requires :a :b"}, "p:a/1 p:b/1 p:c/1"},
	} {
		got, _, err := closure(graph(t, test.lines...), Link, "p", "a")
		if err != nil || got != test.want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, test.want)
		}
	}
	packages := graph(t, "p:a requires :b", "p:b requires q:x", "q:x link_requires p:b")
	if got, _, err := closure(packages, Compile, "p", "a"); got != "p:a p:b q:x" || err != nil {
		t.Errorf("there is no circle for the compiler: got %s, %v", got, err)
	}
}

func TestAMissingComponentIsReportedWithThoseThatAreThere(t *testing.T) {
	packages := graph(t, "p:a requires q:none", "q:x", "q:y")
	packages["q"].Components["tool"] = &Component{Type: "executable"}
	_, _, err := closure(packages, Link, "p", "a")
	want := `package q has no component "none", which p:a requires: its components are x, y`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, _, err := closure(packages, Link, "p", "zz"); err == nil || err.Error() != `package p has no component "zz": its components are a` {
		t.Errorf("got %v", err)
	}
}

func TestDefaultsAreWhatNobodyElseNeeds(t *testing.T) {
	packages := graph(t, "p:a requires :b", "p:b", "p:c", "q:q", "q:x")
	packages["p"].Components["tool"] = &Component{Type: "executable"}
	if got := packages["p"].Defaults(); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("got %q", got)
	}
	if got := packages["q"].Defaults(); !slices.Equal(got, []string{"q"}) {
		t.Errorf("the component of the package's name: got %q", got)
	}
	circle := graph(t, "p:a requires :b", "p:b requires :a :c", "p:c requires :d", "p:d requires :c", "p:e requires :e")
	if got := circle["p"].Defaults(); !slices.Equal(got, []string{"a", "b", "e"}) {
		t.Errorf("a circle: got %q", got)
	}
	packages["p"].DefaultComponents = []string{"b"}
	if got := packages["p"].Defaults(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("what the package says: got %q", got)
	}
}

func TestARequirementMayNameAConfiguration(t *testing.T) {
	packages := graph(t, "p:a requires :b@debug", "p:b")
	packages["p"].Configurations = []string{"release"}
	packages["p"].Components["b"].Configurations = map[string]*Attributes{"debug": {}, "release": {}}
	var w Walker
	items, _, err := w.Closure(Link, Root{Package: packages["p"], Component: "a"})
	if err != nil || items[1].Configuration != "debug" {
		t.Errorf("got %v, %v", items, err)
	}
	packages["p"].Components["a"].Requires = []string{":b@@"}
	packages["p"].Components["a"].Configurations = map[string]*Attributes{"debug": {}}
	items, _, err = w.Closure(Link, Root{Package: packages["p"], Component: "a"})
	if err != nil || items[1].Configuration != "debug" {
		t.Errorf("the requiring component's own: got %v, %v", items, err)
	}
}
