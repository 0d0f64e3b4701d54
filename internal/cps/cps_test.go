package cps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// sample has every kind of attribute, two spellings of definitions and keys that the specification does not know.
const sample = `{
  "name": "sample",
  "version": "1.2.0",
  "compat_version": "0.8.0",
  "cps_version": "0.13.0",
  "cps_path": "@prefix@/lib/cps",
  "x_acme_note": {"b": 1e3, "a": [true, null]},
  "platform": {"isa": "x86_64", "kernel": "linux", "jvm_version": "1.6"},
  "configurations": ["optimized", "debug"],
  "default_components": ["sample"],
  "requires": {"zlib": {"version": "1.2", "x_acme": 1}, "m4": null},
  "components": {
    "core": {"type": "interface", "definitions": ["SAMPLE", "LEVEL=2"], "includes": ["@prefix@/include"]},
    "sample": {
      "type": "archive",
      "definitions": {"*": {"STATIC": null, "EMPTY": ""}, "cpp": {"STATIC": "2"}},
      "includes": {"*": ["@prefix@/include"], "cpp": ["@prefix@/include/cpp"]},
      "compile_flags": ["-pthread"],
      "link_languages": ["cpp"],
      "requires": [":core", "zlib"],
      "configurations": {
        "optimized": {"location": "@prefix@/lib/libsample.a"},
        "debug": {"location": "@prefix@/lib/libsample_d.a", "compile_flags": null, "x_acme": "y"}
      }
    },
    "tool": {"type": "executable", "location": "@prefix@/bin/tool"},
    "java": {"type": "jar", "location": "@prefix@/share/sample.jar"}
  }
}`

func read(t testing.TB, text string) *Package {
	t.Helper()
	p, err := Read(strings.NewReader(text), "sample.cps")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func written(t testing.TB, p *Package) string {
	t.Helper()
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestADocumentKeepsWhatTheModelDoesNotKnow(t *testing.T) {
	p := read(t, sample)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	once := written(t, p)
	if twice := written(t, read(t, once)); twice != once {
		t.Errorf("written again it differs:\n%s\nfrom\n%s", twice, once)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(once), &got); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"x_acme_note":                                          `{"a":[true,null],"b":1000}`,
		"platform/jvm_version":                                 `"1.6"`,
		"requires/zlib/x_acme":                                 `1`,
		"requires/m4":                                          `{}`,
		"components/java/type":                                 `"jar"`,
		"components/core/definitions":                          `{"*":{"LEVEL":"2","SAMPLE":null}}`,
		"components/sample/includes":                           `{"*":["@prefix@/include"],"cpp":["@prefix@/include/cpp"]}`,
		"components/core/includes":                             `["@prefix@/include"]`,
		"components/sample/link_flags":                         `null`,
		"components/sample/configurations/debug/compile_flags": `null`,
		"components/sample/configurations/debug/x_acme":        `"y"`,
	} {
		var v any = got
		for key := range strings.SplitSeq(path, "/") {
			v = v.(map[string]any)[key]
		}
		if text, _ := json.Marshal(v); string(text) != want {
			t.Errorf("%s: got %s, want %s", path, text, want)
		}
	}
	debug := got["components"].(map[string]any)["sample"].(map[string]any)["configurations"].(map[string]any)["debug"].(map[string]any)
	if _, there := debug["compile_flags"]; !there {
		t.Error("the null of a configuration was dropped: it hides the component's own value")
	}
}

func TestADocumentIsReadWithinALargerOne(t *testing.T) {
	var outer struct{ CPS *Package }
	if err := json.Unmarshal([]byte(`{"cps": `+sample+`}`), &outer); err != nil {
		t.Fatal(err)
	}
	if got, want := written(t, outer.CPS), written(t, read(t, sample)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A decoder reuses its buffer, as [json.Unmarshaler] says it may.
func TestADocumentKeepsNothingOfTheTextItIsReadFrom(t *testing.T) {
	text := []byte(sample)
	p := new(Package)
	if err := p.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	for i := range text {
		text[i] = 'x'
	}
	if got, want := written(t, p), written(t, read(t, sample)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAnErrorNamesFileLineAndReason(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"cut short":         {"{\n\"name\": \"a\",\n", "read sample.cps:3: not JSON: "},
		"no JSON":           {"{\n\"name\" = 1}", "read sample.cps:2: not JSON: "},
		"not an object":     {"[]", "read sample.cps:1: a CPS document is an object, this is an array"},
		"text after it":     {"{}\n{}", "read sample.cps:2: not JSON: invalid character '{' after top-level value"},
		"a key twice":       {"{\"name\": \"a\",\n\"name\": \"b\"}", `read sample.cps:2: "name" stands twice in one object`},
		"a number as name":  {"{\n\n\"name\": 1}", "read sample.cps:3: name must be a string, it is a number"},
		"a list of numbers": {"{\"components\": {\"z\": {\n\"link_flags\": [\"-lm\",\n 2]}}}", "read sample.cps:3: components.z.link_flags[1] must be a string, it is a number"},
		"a null component":  {"{\"components\": {\n\"z\": null}}", "read sample.cps:2: components.z must be an object, it is null"},
		"a bad file set":    {"{\"components\": {\"z\": {\"file_sets\": [{},\n{\"root\": 1}]}}}", "read sample.cps:2: components.z.file_sets[1].root must be a string, it is a number"},
		"a bad definition":  {"{\"components\": {\"z\": {\"definitions\": {\"*\": {\n\"A\": []}}}}}", "read sample.cps:2: components.z.definitions.*.A must be a string, a number, true, false or null, it is an array"},
		"deep nesting":      {strings.Repeat("[", 200) + strings.Repeat("]", 200), "read sample.cps:1: values nest more than 100 deep"},
	} {
		_, err := Read(strings.NewReader(test.text), "sample.cps")
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
		var typed *Error
		if !errors.As(err, &typed) {
			t.Errorf("%s: the error is a %T", name, err)
		}
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct{ from, to, want string }{
		"no name":                {`"name": "sample"`, `"name": ""`, "sample.cps:1: name: a name is required"},
		"a name with a colon":    {`"name": "sample"`, `"name": "a:b"`, "has ':' in it"},
		"an old version":         {`"0.13.0"`, `"0.12.0"`, "cps_version: version 0.12.0 is not supported"},
		"a new major version":    {`"0.13.0"`, `"1.0"`, "cps_version: version 1.0 is not supported"},
		"no version":             {`"cps_version": "0.13.0",`, ``, "cps_version: it is required"},
		"no prefix":              {`"cps_path": "@prefix@/lib/cps",`, ``, "one of cps_path and prefix is required: neither"},
		"two prefixes":           {`"cps_path"`, `"prefix": "/usr", "cps_path"`, "one of cps_path and prefix is required: both"},
		"no type":                {`"type": "interface"`, `"description": "x"`, "sample.cps:13: components.core: type is required"},
		"no location":            {`{"location": "@prefix@/lib/libsample.a"}`, `{}`, `configuration "optimized" has none`},
		"a path outside":         {`@prefix@/include"]}`, `@prefix@/../include"]}`, "is outside of the package"},
		"a line break in a path": {`@prefix@/include"]}`, `@prefix@/a\nb"]}`, "has a control character in it"},
		"an unknown requirement": {`":core"`, `":kore"`, `it requires ":kore", which is not there: the components are core, java, sample, tool`},
		"an unknown default":     {`"default_components": ["sample"]`, `"default_components": ["simple"]`, `there is no component "simple"`},
		"a bad definition":       {`"SAMPLE"`, `"-x"`, `"-x" is not the name of a definition`},
	} {
		text := strings.Replace(sample, test.from, test.to, 1)
		if text == sample {
			t.Fatalf("%s: the sample has no %s", name, test.from)
		}
		if err := read(t, text).Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
}

func TestAConfigurationOverridesWhatItSays(t *testing.T) {
	p := read(t, sample)
	c := p.Components["sample"]
	for _, test := range []struct {
		prefer                []string
		want, location, flags string
	}{
		{nil, "optimized", "@prefix@/lib/libsample.a", "-pthread"},
		{[]string{"DEBUG"}, "debug", "@prefix@/lib/libsample_d.a", ""},
		{[]string{"release"}, "optimized", "@prefix@/lib/libsample.a", "-pthread"},
	} {
		name := p.Choose(c, test.prefer...)
		a := c.effective(name)
		if flags := strings.Join(a.CompileFlags.For("c"), " "); name != test.want || a.Location != test.location || flags != test.flags {
			t.Errorf("%q: got %s %s %q", test.prefer, name, a.Location, flags)
		}
	}
	if c.Location != "" {
		t.Error("choosing a configuration changed the component")
	}
}

func TestDebuggingIsForThoseWhoAskForIt(t *testing.T) {
	for _, test := range []struct {
		have, preferred, prefer string // separated by blanks; "." stands for a file of the component itself
		want                    string
	}{
		{"debug release", "", "", "release"},
		{"debug release", "", "static", "release"},
		{"debug release", "", "Debug", "debug"},
		{"debug release", "", "Release", "release"},
		{"debug release", "", "RelWithDebInfo", "release"},
		{"debug release", "", "MinSizeRel", "release"},
		{"debug release", "", "static Custom", "release"},
		{"debug release", "release debug", "", "release"},
		{"debug release", "debug release", "", "release"},
		{"debug release", "debug release", "debug", "debug"},
		{"debug release", "debug release", "MinSizeRel", "release"},
		{"Debug RelWithDebInfo", "", "Release", "RelWithDebInfo"},
		{"debug minsizerel relwithdebinfo", "", "", "relwithdebinfo"},
		{"debug minsizerel", "", "release", "minsizerel"},
		{"debug noconfig release", "", "", "noconfig"},
		{"debug noconfig release", "release", "", "release"},
		{"debug noconfig", "", "relwithdebinfo", "noconfig"},
		{"asan debug", "", "release", "asan"},
		{"debug debug-static", "", "Release", "debug"},
		{"debug", "", "Release", "debug"},
		{"debug", "release", "Release", "debug"},
		{"release", "", "Debug", "release"},
		{"RELEASE release", "", "release", "release"},
		{"release-debug x", "", "", "x"},
		{"", "release", "Debug", ""},
		{". debug", "", "Release", ""},
		{". debug", "", "Debug", "debug"},
		{". debug release", "", "noconfig", ""},
		{". debug release", "release", "", "release"},
		{". noconfig", "", "", "noconfig"},
	} {
		p, c := &Package{Configurations: strings.Fields(test.preferred)}, new(Component)
		for _, name := range strings.Fields(test.have) {
			if name == "." {
				c.Location = "@prefix@/lib/libz.a"
				continue
			}
			if c.Configurations == nil {
				c.Configurations = map[string]*Attributes{}
			}
			c.Configurations[name] = new(Attributes)
		}
		if got := p.Choose(c, strings.Fields(test.prefer)...); got != test.want {
			t.Errorf("of %q, preferred %q, %q gets %q, want %q", test.have, test.preferred, test.prefer, got, test.want)
		}
	}
}

func TestARequirementNamesAConfiguration(t *testing.T) {
	p := read(t, `{"name": "x", "cps_version": "0.13", "cps_path": "@prefix@", "components": {
		"a": {"type": "interface", "requires": [":z@noconfig", ":y@debug"]},
		"y": {"type": "interface", "configurations": {"debug": {}, "release": {}}},
		"z": {"type": "archive", "configurations": {"noconfig": {"location": "@prefix@/z.a"}, "release": {"location": "@prefix@/r.a"}}}}}`)
	p.Configurations = []string{"release"}
	items, _, err := new(Walker).Closure(Link, Root{Package: p, Component: "a"})
	if err != nil || len(items) != 3 || items[1].Configuration != "noconfig" || items[2].Configuration != "debug" {
		t.Errorf("got %v, %v", items, err)
	}
}

func TestValuesOfALanguageFollowThoseOfAll(t *testing.T) {
	c := read(t, sample).Components["sample"]
	if got := c.Includes.For("cpp"); !slices.Equal(got, []string{"@prefix@/include", "@prefix@/include/cpp"}) {
		t.Errorf("includes for C++: %q", got)
	}
	if got := c.Definitions.For("c"); got["STATIC"] != nil || *got["EMPTY"] != "" {
		t.Errorf("definitions for C: %v", got)
	}
	if got := c.Definitions.For("cpp"); *got["STATIC"] != "2" || len(got) != 2 {
		t.Errorf("definitions for C++: %v", got)
	}
}

func TestADefinitionIsTheTextOfItsValue(t *testing.T) {
	c := read(t, `{"components": {"z": {"type": "interface", "definitions": {"*": {"A": 42, "B": -1.50 , "C": true, "D": false, "E": "x", "F": null}}}}}`).Components["z"]
	got := c.Definitions.For("c")
	for name, want := range map[string]string{"A": "42", "B": "-1.50", "C": "true", "D": "false", "E": "x"} {
		if got[name] == nil || *got[name] != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
	if value, there := got["F"]; !there || value != nil {
		t.Errorf("F is %v, want no value", value)
	}
}

func TestLanguagesHaveTheNamesOfTheSpecification(t *testing.T) {
	c := read(t, `{"components": {"z": {"type": "archive", "link_languages": ["C", "CXX", "cpp"],
		"includes": {"C++": ["a", "b"], "cxx": ["b", "c"], "FORTRAN": ["f"]},
		"compile_flags": {"Cxx": ["-x"]},
		"definitions": {"c++": {"A": "1", "B": "1"}, "cpp": {"A": "2", "C": "2"}},
		"configurations": {"r": {"link_languages": ["c++"]}}}}}`).Components["z"]
	a := c.effective("r")
	for name, lists := range map[string][2][]string{
		"link_languages":          {c.LinkLanguages, {"c", "cpp"}},
		"those of r":              {a.LinkLanguages, {"cpp"}},
		"includes":                {a.Includes.For("cpp"), {"a", "b", "c"}},
		"includes for Fortran":    {a.Includes.For("fortran"), {"f"}},
		"compile_flags":           {a.CompileFlags.For("cpp"), {"-x"}},
		"names of definitions":    {sortedKeys(a.Definitions.For("cpp")), {"A", "B", "C"}},
		"a definition said twice": {{*a.Definitions.For("cpp")["A"]}, {"1"}},
	} {
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s: got %q, want %q", name, lists[0], lists[1])
		}
	}
}

func TestASupplementIsMerged(t *testing.T) {
	base := func() *Package { return read(t, sample) }
	p := base()
	err := p.Merge(read(t, `{"name": "sample", "configuration": "profile", "components": {"sample": {"location": "@prefix@/lib/libsample_p.a"}}}`))
	if err != nil || p.Components["sample"].effective("profile").Location != "@prefix@/lib/libsample_p.a" {
		t.Errorf("a configuration was not added: %v", err)
	}
	p = base()
	if err := p.Merge(read(t, `{"name": "sample", "components": {"extra": {"type": "interface"}}, "default_components": ["extra"]}`)); err != nil {
		t.Error(err)
	}
	if !slices.Equal(p.DefaultComponents, []string{"sample", "extra"}) || p.Components["extra"] == nil {
		t.Errorf("a component was not added: %v", p.DefaultComponents)
	}
	for want, text := range map[string]string{
		`describes the package "other"`:                   `{"name": "other", "components": {}}`,
		`defines the component "core" differently`:        `{"name": "sample", "components": {"core": {"type": "archive"}}}`,
		`there is no component "none"`:                    `{"name": "sample", "configuration": "x", "components": {"none": {}}}`,
		`has another configuration "debug" already`:       `{"name": "sample", "configuration": "debug", "components": {"sample": {}}}`,
		`the configuration "debug" of component "sample"`: `{"name": "sample", "components": {"sample": ` + sampleWithOtherDebug(t) + `}}`,
	} {
		if err := base().Merge(read(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// sampleWithOtherDebug is the component "sample" of the sample with a debug configuration that says something else.
func sampleWithOtherDebug(t *testing.T) string {
	p := read(t, strings.Replace(sample, "libsample_d.a", "other.a", 1))
	value, err := objectValue(p.Components["sample"])
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnchorMakesPathsBeginAtThePackage(t *testing.T) {
	for name, test := range map[string]struct {
		head, location, dir, want string
	}{
		"the documented place":  {`"cps_path": "@prefix@/lib/cps"`, "@prefix@/lib/libz.a", "lib/cps", "@prefix@/lib/libz.a"},
		"a prefix further down": {`"cps_path": "@prefix@/lib/cps"`, "@prefix@/lib/libz.a", "opt/z/lib/cps", "@prefix@/opt/z/lib/libz.a"},
		"beside the document":   {`"cps_path": "@prefix@/lib/cps"`, "../libz.a", "lib/cps", "@prefix@/lib/libz.a"},
		"at the top":            {`"cps_path": "@prefix@"`, "libz.a", ".", "@prefix@/libz.a"},
		"a fixed prefix":        {`"prefix": "/usr/local"`, "/usr/local/lib/libz.a", "lib/cps", "@prefix@/lib/libz.a"},
		"outside of it":         {`"prefix": "/usr/local"`, "/usr/local2/libz.a", "lib/cps", "/usr/local2/libz.a"},
	} {
		p := read(t, `{"name": "z", "cps_version": "0.13", `+test.head+`, "components": {"z": {"type": "archive", "location": "`+test.location+`"}}}`)
		if err := p.Anchor(test.dir); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := p.Components["z"].Location; got != test.want || p.CPSPath != "@prefix@" || p.Prefix != "" {
			t.Errorf("%s: got %s (%s, %s), want %s", name, got, p.CPSPath, p.Prefix, test.want)
		}
	}
	p := read(t, sample)
	if err := p.Anchor("share/cps"); err == nil || !strings.Contains(err.Error(), "the package's prefix cannot be told") {
		t.Errorf("a document in the wrong place: %v", err)
	}
}

// CMake 4.4 writes the headers of a target as file sets.
func TestDirectoriesOfFileSetsAreIncluded(t *testing.T) {
	p := read(t, `{"name": "q", "cps_version": "0.15.0", "cps_path": "@prefix@/cps", "components": {"q": {"type": "archive", "location": "@prefix@/q.a",
		"includes": {"cpp": ["@prefix@/cpp"]}, "configurations": {"debug": {"includes": ["@prefix@/d"]}, "release": {}},
		"file_sets": [{"type": "includes", "root": "@prefix@/include/q", "files": ["q.h"], "extensions": {"cmake": {"name@v1": "HEADERS"}}},
			{"type": "other", "root": "@prefix@/o"}, {"type": "includes"}]}}}`)
	if err := p.Merge(read(t, `{"name": "q", "configuration": "more", "components": {"q": {"includes": ["@prefix@/m"]}}}`)); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := p.Anchor("opt/cps"); err != nil {
		t.Fatal(err)
	}
	text := written(t, p)
	for range 2 {
		c := p.Components["q"]
		for configuration, want := range map[string][]string{"": {"include/q", "cpp"}, "debug": {"d", "include/q"}, "release": {"include/q", "cpp"}, "more": {"m", "include/q"}} {
			for i := range want {
				want[i] = "@prefix@/opt/" + want[i]
			}
			if got := c.effective(configuration).Includes.For("cpp"); !slices.Equal(got, want) {
				t.Errorf("%q includes %q, want %q", configuration, got, want)
			}
		}
		if sets := c.FileSets; len(sets) != 3 || sets[0].Root != "@prefix@/opt/include/q" || sets[0].Files[0] != "q.h" || string(sets[0].Extra["extensions"]) == "" || sets[1].Type != "other" {
			t.Errorf("the file sets are %+v", sets)
		}
		p = read(t, text)
	}
	p.Components["q"].FileSets[1].Root = "@prefix@/../o"
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "components.q.file_sets") {
		t.Errorf("a root outside of the package: %v", err)
	}
}

func TestWhatIsWrittenSaysTheVersionThatItsAttributesCameWith(t *testing.T) {
	for component, want := range map[string]string{
		`"requires": [], "link_requires": []`:                                      "0.13.0",
		`"compile_requires": ["z"]`:                                                "0.14.0",
		`"configurations": {"r": {"compile_requires": ["z"]}}`:                     "0.14.0",
		`"dyld_requires": ["z"], "compile_requires": ["z"]`:                        "0.14.1",
		`"configurations": {"r": {"dyld_requires": []}}`:                           "0.14.1",
		`"file_sets": [{"type": "includes", "root": "a"}], "dyld_requires": ["z"]`: "0.15.0",
	} {
		p := read(t, `{"name": "a", "components": {"a": {"type": "interface", `+component+`}}}`)
		if got := read(t, written(t, p)).CPSVersion; got != want {
			t.Errorf("%s is written as %s, want %s", component, got, want)
		}
		p.CPSVersion = "0.13"
		if got := read(t, written(t, p)).CPSVersion; got != "0.13" {
			t.Errorf("the producer's own version became %s", got)
		}
	}
}

func TestPlaceGivesAbsolutePaths(t *testing.T) {
	p := read(t, sample)
	p.Components["core"].LinkFlags = []string{"-F@prefix@/lib"}
	if err := p.Place("/store/x"); err != nil {
		t.Fatal(err)
	}
	if text := written(t, p); strings.Contains(text, "@prefix@") || !strings.Contains(text, `"-F/store/x/lib"`) || !strings.Contains(text, `"prefix": "/store/x"`) {
		t.Errorf("got %s", text)
	}
	if err := read(t, sample).Place("here"); err == nil {
		t.Error("a relative directory was taken")
	}
}

func TestTwinsAreChosenByConfiguration(t *testing.T) {
	p := &Package{Name: "z", CPSPath: PrefixMarker, CPSVersion: Version}
	archive, dylib := &Component{Type: Archive}, &Component{Type: Dylib}
	archive.Location, dylib.Location = "@prefix@/lib/libz.a", "@prefix@/lib/libz.so"
	if name := p.AddTwins("z", archive, dylib); name != "z" {
		t.Errorf("the name is %s", name)
	}
	if name := p.AddTwins("z", &Component{Type: Interface}, nil); name != "z_" {
		t.Errorf("the second name is %s", name)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for configuration, want := range map[string]string{"static": "z:z-static", "shared": "z:z-shared", "": "z:z-static"} {
		w := Walker{Prefer: []string{configuration}}
		items, _, err := w.Closure(Link, Root{Package: p, Component: "z"})
		if err != nil || len(items) != 2 || items[1].String() != want {
			t.Errorf("%q: got %v, %v", configuration, items, err)
		}
	}
}

func TestTwinsOfOtherDocumentsAreFoundByName(t *testing.T) {
	p := &Package{Components: map[string]*Component{
		"libzstd_static": {Type: Archive, Attributes: Attributes{Location: "@prefix@/lib/zs.lib"}},
		"libzstd_shared": {Type: Dylib, Attributes: Attributes{Location: "@prefix@/bin/zstd.dll"}},
		"a":              {Type: Archive, Attributes: Attributes{Location: "@prefix@/lib/libfoo.a"}},
		"b":              {Type: Dylib, Attributes: Attributes{Location: "@prefix@/lib/libfoo.so.1"}},
		"c":              {Type: Dylib, Attributes: Attributes{Location: "@prefix@/lib/libbar.so"}},
	}}
	for from, want := range map[string]string{"libzstd_shared": "libzstd_static", "b": "a", "a": "a", "c": ""} {
		if got := p.Twin(from, Archive); got != want {
			t.Errorf("%s: got %q, want %q", from, got, want)
		}
	}
}

func TestLibraryNames(t *testing.T) {
	for file, want := range map[string]string{
		"lib/libz.a": "z", "libz.so": "z", "libz.so.1.2": "z", "libz.dylib": "z", "z.lib": "z", "z.dll": "z", "libz.dll.a": "z",
		"libstdc++.so.6": "stdc++", "libpython3.11.so.1.0": "python3.11", `C:\x\foo.lib`: "foo", "lib.a": "lib",
		"libz.txt": "", "foo.so.conf": "", "": "",
	} {
		if got := LibraryName(file); got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"name": "a", "components": {"b": {"type": "interface", "requires": ["c", ":b@@"]}}}`))
	f.Add([]byte(`{"components": {"a": {"definitions": [], "includes": {}, "configurations": {"x": null}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Read(bytes.NewReader(text), "fuzz.cps")
		if err != nil {
			return
		}
		once := written(t, p)
		again, err := Read(strings.NewReader(once), "again.cps")
		if err != nil {
			t.Fatalf("what was written does not read: %v\n%s", err, once)
		}
		if twice := written(t, again); twice != once {
			t.Fatalf("written again it differs:\n%s\nfrom\n%s", twice, once)
		}
		if p.Validate() != nil || p.Anchor(".") != nil {
			return
		}
		var roots []Root
		for name := range p.Components {
			roots = append(roots, Root{Package: p, Component: name})
		}
		var w Walker
		items, _, err := w.Closure(Load, roots...)
		if err == nil && len(items) < len(p.Components) {
			t.Fatalf("%d components, %d in the closure", len(p.Components), len(items))
		}
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	b.SetBytes(int64(len(sample)))
	for b.Loop() {
		if err := new(Package).UnmarshalJSON([]byte(sample)); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWhatAPackageDescribesIsBounded(t *testing.T) {
	document := func(components, includes int) *Package {
		p := &Package{Name: "x", CPSVersion: "0.13.0", CPSPath: PrefixMarker, Components: map[string]*Component{}}
		for i := range components {
			p.Components[fmt.Sprint("c", i)] = &Component{Type: Interface, Attributes: Attributes{Includes: All(slices.Repeat([]string{"@prefix@/include"}, includes)...)}}
		}
		return p
	}
	for want, p := range map[string]*Package{"": document(MaxComponents, MaxEntries/MaxComponents), "there are 1001": document(MaxComponents+1, 0), "20001 entries": document(1, MaxEntries+1)} {
		if err := p.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}
