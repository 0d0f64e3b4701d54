package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

func parse(t testing.TB, name string) reference.Reference {
	t.Helper()
	ref, err := reference.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// written is a configuration file with the given text.
func written(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheLongestPrefixSaysWhereANameIsReadFrom(t *testing.T) {
	path := written(t, `[mirrors]
"ghcr.io" = "mirror.corp:5000/ghcr"
"ghcr.io/acme" = { at = ["oci:/srv/acme", "mirror.corp/acme"], fallback = false }
"ghcr.io/acme/big" = ["big.corp/large"]
"docker.io" = "hub.corp"
"*" = "oci:vendored"
`)
	rules, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	vendored := "oci:" + filepath.Join(filepath.Dir(path), "vendored")
	for _, c := range []struct{ name, at, first string }{
		{"ghcr.io/other/zstd:1.5", "mirror.corp:5000/ghcr", "mirror.corp:5000/ghcr/other/zstd:1.5"},
		{"ghcr.io/acme/zstd:1.5", "oci:/srv/acme mirror.corp/acme off", "mirror.corp/acme/zstd:1.5"},
		{"ghcr.io/acmes/zstd:1.5", "mirror.corp:5000/ghcr", "mirror.corp:5000/ghcr/acmes/zstd:1.5"},
		{"ghcr.io/acme/big:1", "big.corp/large", "big.corp/large:1"},
		{"ghcr.io/acme/big/part:1", "big.corp/large", "big.corp/large/part:1"},
		{"zstd:1.5", "hub.corp", "hub.corp/library/zstd:1.5"},
		{"quay.io/acme/zstd:1.5", vendored, ""},
	} {
		ref := parse(t, c.name)
		rule := rules.For(ref)
		var at []string
		first := ""
		for _, place := range rule.At {
			at = append(at, place.String())
			if place.Registry != "" && first == "" {
				name, err := rule.name(place, ref)
				if err != nil {
					t.Error(err)
				}
				first = name.String()
			}
		}
		if !rule.Fallback {
			at = append(at, "off")
		}
		if got := strings.Join(at, " "); got != c.at || first != c.first {
			t.Errorf("%s is read from %q, first as %q; want %q and %q", c.name, got, first, c.at, c.first)
		}
	}
}

func TestTheVariableNamesMirrorsForAll(t *testing.T) {
	here, err := filepath.Abs("/srv/v")
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		"oci:vendored":                     "[oci:vendored] true",
		"oci:vendored,off":                 "[oci:vendored] false",
		"oci-archive:v.tar, mirror.corp/x": "[oci-archive:v.tar mirror.corp/x] true",
		here + "," + here + ".tar,direct":  "[oci:" + here + " oci-archive:" + here + ".tar] true",
		"direct":                           "[] true",
		"localhost:5000":                   "[localhost:5000] true",
	} {
		rules, err := Parse(value)
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		rule := rules.For(parse(t, "ghcr.io/acme/zstd:1.5"))
		if got := fmt.Sprint(rule.At, rule.Fallback); got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
	rules, err := Parse("localhost:5000/all")
	if err != nil {
		t.Fatal(err)
	}
	ref := parse(t, "ghcr.io/acme/zstd:1.5")
	if name, err := rules[0].name(rules[0].At[0], ref); err != nil || name.String() != "localhost:5000/all/acme/zstd:1.5" {
		t.Errorf("the name in the mirror is %s, %v", name, err)
	}
	for value, word := range map[string]string{
		"off":                 "leaves nothing to ask",
		"off,oci:v":           "ends the list",
		"oci:v,,off":          "between two commas",
		"oci:v,":              "after the last",
		"oci:":                "names no file",
		"acme":                "is no mirror",
		"https://mirror.corp": "is no mirror",
		"mirror.corp/x:1":     "is no mirror",
		"mirror.corp/../x":    "is no mirror",
	} {
		if _, err := Parse(value); !errors.Is(err, errdef.ErrUsage) || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), Variable) {
			t.Errorf("%s: the error is %v, want one about %q", value, err, word)
		}
	}
}

func TestWhatAConfigurationGetsWrongIsNamedWithItsLine(t *testing.T) {
	for text, words := range map[string][]string{
		"[mirrors]\n\"ghcr.io\" = 3":                                     {"line 2", `"ghcr.io"`, "in quotes"},
		"[mirrors]\n\n\"ghcr.io\" = \"acme\"":                            {"line 3", "is no mirror"},
		"[mirrors]\nghcr.io = \"mirror.corp\"":                           {"line 2", `"ghcr"`, "in quotes"},
		"[mirrors]\n\"ghcr.io:1.5\" = \"mirror.corp\"":                   {"line 2"},
		"[mirrors]\n\"ghcr.io/acme:1\" = \"mirror.corp\"":                {"line 2", "without a tag"},
		"[mirrors]\n\"ghcr.io\" = { fallback = false }":                  {"line 2", "there is none"},
		"[mirrors]\n\"ghcr.io\" = { at = \"m.corp\", fall_back = true }": {"line 2", `"fall_back"`, "did you mean fallback?"},
		"[mirrors.\"ghcr.io\"]\nat = \"m.corp\"\nfallback = \"no\"":      {"line 3", "true or false"},
		"[mirrors.\"ghcr.io\"]\nat = \"m.corp\"\nurl = \"x\"":            {"line 3", `"url"`, "at and fallback"},
		"\n[mirror]\n\"ghcr.io\" = \"m.corp\"":                           {"line 2", `"mirror`, "write mirrors"},
		"[mirrors\n":                                                     {"line 1"},
		"[mirrors]\n\"ghcr.io\" = \"a.corp\"\n\"ghcr.io\" = \"b.corp\"":  {"line 3"},
	} {
		path := written(t, text)
		_, err := Read(path)
		if !errors.Is(err, errdef.ErrUsage) {
			t.Errorf("%q: the error is %v", text, err)
			continue
		}
		for _, word := range append(words, path) {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q: the error does not say %q: %v", text, word, err)
			}
		}
	}
}

func TestTheVariableCountsBeforeTheFile(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	t.Setenv("OCIPKG_CONFIG", "")
	t.Setenv(Variable, "")
	at := func() string {
		t.Helper()
		rules, err := Default()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(rules.For(parse(t, "ghcr.io/acme/zstd:1.5")).At)
	}
	if got := at(); got != "[]" {
		t.Errorf("without any, it is read from %s", got)
	}
	if err := os.Mkdir(filepath.Join(config, "ocipkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "ocipkg", "config.toml"), []byte("[mirrors]\n\"*\" = \"usual.corp\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := at(); got != "[usual.corp]" {
		t.Errorf("by the usual file, it is read from %s", got)
	}
	t.Setenv("OCIPKG_CONFIG", written(t, "[mirrors]\n\"*\" = \"named.corp\"\n"))
	if got := at(); got != "[named.corp]" {
		t.Errorf("by the file that is named, it is read from %s", got)
	}
	t.Setenv(Variable, "variable.corp")
	if got := at(); got != "[variable.corp]" {
		t.Errorf("by the variable, it is read from %s", got)
	}
	t.Setenv(Variable, "")
	t.Setenv("OCIPKG_CONFIG", filepath.Join(config, "none"))
	if _, err := Default(); !errors.Is(err, errdef.ErrNotFound) || !strings.Contains(err.Error(), "OCIPKG_CONFIG") {
		t.Errorf("a file that is named and not there gives %v", err)
	}
}

func TestAHostIsNoRepositoryOfItsOwn(t *testing.T) {
	rule := Rule{Prefix: "ghcr.io/acme/zstd", At: []Place{{Registry: "mirror.corp"}}}
	if name, err := rule.name(rule.At[0], parse(t, "ghcr.io/acme/zstd:1")); err == nil {
		t.Errorf("it is called %s", name)
	}
}

func FuzzAVariableIsReadOrRefused(f *testing.F) {
	for _, value := range []string{"oci:v,off", "mirror.corp/x,direct", ",", "off"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		rules, err := Parse(value)
		if err != nil {
			return
		}
		ref := reference.Reference{Registry: "ghcr.io", Repository: "acme/zstd", Tag: "1"}
		rule := rules.For(ref)
		for _, at := range rule.At {
			if at.Registry == "" {
				continue
			}
			name, err := rule.name(at, ref)
			if err == nil && name.Name() != at.Registry+"/acme/zstd" {
				t.Errorf("%q in %s is %s", ref, at, name)
			}
		}
	})
}
