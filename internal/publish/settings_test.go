package publish

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func packageWith(metadata string) *cargoPackage {
	return &cargoPackage{Name: "foo", ManifestPath: "/src/Cargo.toml", Metadata: []byte(metadata)}
}

func TestSettingsAreRead(t *testing.T) {
	for metadata, want := range map[string]settings{
		`null`:            {},
		`5`:               {},
		`{"docs.rs": {}}`: {},
		`{"ocipkg": {}}`:  {},
		`{"ocipkg": {"registry": "ghcr.io/acme/foo", "include": ["a.h", "**/*.h"]}}`: {
			registry: "ghcr.io/acme/foo", include: []string{"a.h", "**/*.h"}},
	} {
		got, err := packageWith(metadata).settings()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s gives %+v (%v), want %+v", metadata, got, err, want)
		}
	}
}

func TestMistakesInSettingsAreExplained(t *testing.T) {
	for metadata, words := range map[string][]string{
		`{"ocipkg": "x"}`:                               {"must be a table, not a string"},
		`{"ocipkg": {"registery": "x"}}`:                {`unknown key "registery"`, `did you mean registry?`},
		`{"ocipkg": {"includes": []}}`:                  {`did you mean include?`},
		`{"ocipkg": {"colour": 1}}`:                     {`unknown key "colour"`, "include, registry"},
		`{"ocipkg": {"registry": ["x"]}}`:               {"registry must be a string", "not a list"},
		`{"ocipkg": {"registry": "https://ghcr.io/a"}}`: {"registry", "https://"},
		`{"ocipkg": {"registry": "ghcr.io/a/b:1"}}`:     {"has a tag", `"ghcr.io/a/b"`},
		`{"ocipkg": {"registry": ""}}`:                  {"registry", "empty"},
		`{"ocipkg": {"include": "a.h"}}`:                {"include must be a list", "not a string"},
		`{"ocipkg": {"include": ["a.h", 3]}}`:           {"entry 2 of include", "not a number"},
		`{"ocipkg": {"include": ["/usr/include/a.h"]}}`: {"absolute"},
		`{"ocipkg": {"include": ["C:/a.h"]}}`:           {"absolute"},
		`{"ocipkg": {"include": ["include\\a.h"]}}`:     {"/ between directories"},
		`{"ocipkg": {"include": [""]}}`:                 {"empty"},
		`{"ocipkg": {"include": ["a[.h"]}}`:             {"not a valid glob"},
	} {
		_, err := packageWith(metadata).settings()
		if err == nil {
			t.Errorf("%s was accepted", metadata)
			continue
		}
		wantWords(t, err, append(words, "/src/Cargo.toml")...)
	}
}

func TestAPackageWithoutRegistryAsksForOne(t *testing.T) {
	dir := greetCrate(t)
	writeFile(t, filepath.Join(dir, "Cargo.toml"), strings.Replace(greetManifest, "registry = ", "#", 1))
	wantWords(t, cargoError(t, CargoOptions{Dir: dir}), "registry =", "[package.metadata.ocipkg]", "-t NAME")
}

func TestHeadersKeepWhatFollowsInclude(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"crate/Cargo.toml":           "",
		"crate/include/foo.h":        "",
		"crate/include/foo/deep.h":   "",
		"crate/include/.hidden":      "",
		"crate/src/foo.h":            "",
		"crate/src/ffi/bar.h":        "",
		"crate/src/ffi/sub/baz.hpp":  "",
		"crate/cpp/include/x/y.h":    "",
		"crate/target/debug/out/t.h": "",
		"shared/include/s.h":         "",
	})
	for entry, want := range map[string]string{
		"include/foo.h":         "include/foo.h",
		"include":               "include/foo.h include/foo/deep.h",
		"./include/":            "include/foo.h include/foo/deep.h",
		"include/foo":           "include/foo/deep.h",
		"include/*.h":           "include/foo.h",
		"include/**/*.h":        "include/foo.h include/foo/deep.h",
		"src/foo.h":             "include/foo.h",
		"src/*.h":               "include/foo.h",
		"src/ffi":               "include/bar.h include/sub/baz.hpp",
		"src/**":                "include/ffi/bar.h include/ffi/sub/baz.hpp include/foo.h",
		"cpp/include/x/y.h":     "include/x/y.h",
		"cpp":                   "include/x/y.h",
		"**/*.hpp":              "include/src/ffi/sub/baz.hpp",
		"**/[ty].h":             "include/x/y.h",
		"../shared/include/s.h": "include/s.h",
	} {
		crate := filepath.Join(dir, "crate")
		files, err := collectHeaders(filepath.Join(crate, "Cargo.toml"), filepath.Join(crate, "target"), []string{entry})
		var dests []string
		for _, f := range sortFiles(files) {
			dests = append(dests, f.Dest)
		}
		if got := strings.Join(dests, " "); err != nil || got != want {
			t.Errorf("%s gives %q (%v), want %q", entry, got, err, want)
		}
	}
}

func TestHeadersThatCannotBePackedAreRefused(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"Cargo.toml":    "",
		"include/foo.h": "",
		"src/foo.h":     "",
	})
	if err := os.Symlink("../src", filepath.Join(dir, "include", "link")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ entries, words []string }{
		{[]string{"none.h"}, []string{`"none.h"`, "Cargo.toml", "no such file"}},
		{[]string{"src/*.hpp"}, []string{`"src/*.hpp"`, "no file matches"}},
		{[]string{"src/foo.h/*"}, []string{"not a directory"}},
		{[]string{"include/foo.h", "src/foo.h"}, []string{filepath.Join("src", "foo.h"), "would both become include/foo.h"}},
		{[]string{"include"}, []string{filepath.Join("include", "link"), "not a regular file"}},
	} {
		files, err := collectHeaders(filepath.Join(dir, "Cargo.toml"), filepath.Join(dir, "target"), tc.entries)
		if err == nil {
			t.Errorf("%q gives %v", tc.entries, files)
			continue
		}
		wantWords(t, err, tc.words...)
	}
}

func TestAHeaderNamedTwiceIsPackedOnce(t *testing.T) {
	dir := writeTree(t, map[string]string{"Cargo.toml": "", "include/foo.h": ""})
	files, err := collectHeaders(filepath.Join(dir, "Cargo.toml"), filepath.Join(dir, "target"), []string{"include", "include/*.h"})
	if err != nil || len(files) != 1 {
		t.Errorf("files %v (%v), want one", files, err)
	}
}

func FuzzSettingsNeverPanic(f *testing.F) {
	for _, seed := range []string{`{"ocipkg": {"registry": "ghcr.io/a/b", "include": ["**/*.h"]}}`, `{"ocipkg": {"include": [null, "["]}}`, `{"ocipkg": null}`, `null`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, metadata string) {
		s, err := packageWith(metadata).settings()
		if err != nil && (s.registry != "" || s.include != nil) {
			t.Errorf("settings %+v come with error %v", s, err)
		}
		for _, entry := range s.include {
			splitGlob(entry)
			matchGlob(strings.Split(entry, "/"), []string{"a", "b.h"})
		}
	})
}
