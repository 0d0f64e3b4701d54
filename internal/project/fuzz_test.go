package project

import (
	"errors"
	"reflect"
	"testing"
)

// FuzzFile looks for a project file that an edit changes in more than the one
// dependency, or that cannot be edited back.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"", "[dependencies]\nzlib = \"ghcr.io/acme/zlib:1.3\"\n",
		"# all\n[package]\nname = \"foo\"\nsystem-libs = [\"m\"]\n\n[dependencies]\npng = { image = \"ghcr.io/acme/libpng\", tag = \"1.6\", cmake = \"PNG\", shared = true }\n",
		"[org.opencontainers.image]\nurl = \"https://github.com/acme/foo\"\n[dependencies.new]\nimage = \"a.b/c\"\n",
		"dependencies = { new = \"a.b/c:1\" }\n[overrides]\n\"a.b/c\" = \"a.b/c:2\"\n",
		"dependencies.\"new\" = 'a.b/c:1' # old\r\n", "[dependencies]\nnew = \"\"\"a.b/c\"\"\"", "[[dependencies]]\n",
		"[dependencies]", "[dependencieS]\nnew = \"a.b/c\"\n",
	} {
		f.Add([]byte(text))
	}
	const alias, name = "new", "ghcr.io/acme/new:2"
	f.Fuzz(func(t *testing.T, text []byte) {
		before, err := parse(text)
		if err != nil {
			return
		}
		with, err := WithDependency(text, alias, name)
		if err != nil {
			return
		}
		after, err := parse(with)
		if err != nil {
			t.Fatalf("with the dependency it does not parse: %v\n%s", err, with)
		}
		if got := after.Dependencies[alias].Reference(); got != name {
			t.Fatalf("the dependency is %q\n%s", got, with)
		}
		without, err := WithoutDependency(with, alias)
		if errors.Is(err, errByHand) {
			return
		}
		if err != nil {
			t.Fatalf("what was added is not removed: %v\n%s", err, with)
		}
		last, err := parse(without)
		if err != nil {
			t.Fatalf("without the dependency it does not parse: %v\n%s", err, without)
		}
		delete(before.Dependencies, alias)
		if len(before.Dependencies) == 0 {
			before.Dependencies = nil
		}
		if !reflect.DeepEqual(last, before) {
			t.Fatalf("it was %+v, and is %+v\n%s", before, last, without)
		}
	})
}
