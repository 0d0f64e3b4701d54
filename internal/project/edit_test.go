package project

import (
	"strings"
	"testing"
)

func TestADependencyIsAddedAndRemovedAndNothingElseChanges(t *testing.T) {
	const z = "ghcr.io/acme/zlib:1.3"
	for name, c := range map[string]struct{ before, alias, name, after string }{
		"to an empty file": {"", "zlib", z, "[dependencies]\nzlib = \"" + z + "\"\n"},
		"after a table without a newline at its end": {
			"[package]\nname = 'x' # mine", "zlib", z,
			"[package]\nname = 'x' # mine\n\n[dependencies]\nzlib = \"" + z + "\"\n",
		},
		"to a table that ends the file without a newline": {"[dependencies]", "zlib", z, "[dependencies]\nzlib = \"" + z + "\"\n"},
		"after one that ends the file without a newline": {
			"[dependencies]\npng = \"a.b/png:1\"", "zlib", z,
			"[dependencies]\npng = \"a.b/png:1\"\nzlib = \"" + z + "\"\n",
		},
		"among others, with comments": {
			"# top\n[dependencies] # what we link\n# png is old\npng = \"a.b/png:1\" # pinned\n\n# later\n[package]\nname = \"x\"\n", "zlib", z,
			"# top\n[dependencies] # what we link\n# png is old\npng = \"a.b/png:1\" # pinned\nzlib = \"" + z + "\"\n\n# later\n[package]\nname = \"x\"\n",
		},
		"to a table with nothing in it": {"[dependencies]\n[overrides]\n", "zlib", z, "[dependencies]\nzlib = \"" + z + "\"\n[overrides]\n"},
		"in place of another version":   {"[dependencies]\nzlib = 'a.b/zlib:1' # old\n", "zlib", z, "[dependencies]\nzlib = \"" + z + "\" # old\n"},
		"in a table in one line": {
			"[dependencies]\nzlib = { tag = \"1\", image = \"a.b/zlib\", shared = true }\n", "zlib", z,
			"[dependencies]\nzlib = { tag = \"1.3\", image = \"ghcr.io/acme/zlib\", shared = true }\n",
		},
		"in a table of its own": {
			"[dependencies.zlib]\nimage = \"a.b/zlib:1\"\ncmake = \"ZLIB\"\n", "zlib", z,
			"[dependencies.zlib]\nimage = \"" + z + "\"\ncmake = \"ZLIB\"\n",
		},
		"with a name to quote":  {"[dependencies]\n", "c++", z, "[dependencies]\n\"c++\" = \"" + z + "\"\n"},
		"with lines of Windows": {"[dependencies]\r\npng = \"a.b/png:1\"\r\n", "zlib", z, "[dependencies]\r\npng = \"a.b/png:1\"\r\nzlib = \"" + z + "\"\n"},
		"beside a table of its own": {
			"[dependencies.png]\nimage = \"a.b/png:1\"\n", "zlib", z,
			"[dependencies.png]\nimage = \"a.b/png:1\"\n\n[dependencies]\nzlib = \"" + z + "\"\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := WithDependency([]byte(c.before), c.alias, c.name)
			if err != nil || string(after) != c.after {
				t.Errorf("%v\n%q, want\n%q", err, after, c.after)
			}
		})
	}
	for name, c := range map[string]struct{ before, after string }{
		"the only one":          {"[dependencies]\nzlib = \"a.b/z:1\" # old\n", "[dependencies]\n"},
		"at the end of a file":  {"[dependencies]\nzlib = \"a.b/z:1\"", "[dependencies]\n"},
		"among others":          {"[dependencies]\n# one\na = \"a.b/a:1\"\nzlib = \"a.b/z:1\"\nb = \"a.b/b:1\" # two\n", "[dependencies]\n# one\na = \"a.b/a:1\"\nb = \"a.b/b:1\" # two\n"},
		"a table of its own":    {"[dependencies.zlib]\nimage = \"a.b/z:1\"\n# of it\nshared = true\n\n[package]\nname = \"x\"\n", "# of it\n\n[package]\nname = \"x\"\n"},
		"dotted":                {"dependencies.zlib.image = \"a.b/z:1\"\ndependencies.zlib.tag = \"1\"\n[package]\nname = \"x\"\n", "[package]\nname = \"x\"\n"},
		"a string of two lines": {"[dependencies]\nzlib = \"\"\"\na.b/z:1\"\"\"\nb = \"a.b/b:1\"\n", "[dependencies]\nb = \"a.b/b:1\"\n"},
	} {
		t.Run("without "+name, func(t *testing.T) {
			before := strings.Replace(c.before, "image = \"a.b/z:1\"\ndependencies", "image = \"a.b/z\"\ndependencies", 1)
			after, err := WithoutDependency([]byte(before), "zlib")
			if err != nil || string(after) != c.after {
				t.Errorf("%v\n%q, want\n%q", err, after, c.after)
			}
		})
	}
	if _, err := WithDependency([]byte("dependencies = { png = \"a.b/png:1\" }\n"), "zlib", z); err == nil || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("an inline table of all: %v", err)
	}
	if _, err := WithDependency([]byte("[dependencies]\nz = { image = \"a.b/z\", tag = \"1\" }\n"), "z", "a.b/z@"+blob(1).Digest); err == nil || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("a digest in place of a tag: %v", err)
	}
}
