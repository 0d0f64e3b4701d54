package cps

import (
	"errors"
	"strings"
	"testing"
)

func TestAComponentAnswersToItsNamesAndToWhatFollowsFromThem(t *testing.T) {
	p := &Package{Name: "libicu-dev", Components: map[string]*Component{
		"icu-uc": {Type: Archive}, "icu-i18n": {Type: Archive}, "libuv": {Type: Archive, Names: []string{"libuv::uv_a", "eventloop"}},
		"a-tool": {Type: "executable"}, "x-one": {Type: Archive}, "icu-ONE": {Type: Archive}, "libtwo": {Type: Archive}, "two_": {Type: Archive}, "icu-two_": {Type: Archive},
	}}
	for _, test := range []struct{ name, of, want string }{
		{"icu-uc", "", "icu-uc"},
		{"uc", "ICU", "icu-uc"},
		{"UC", "ICU", "icu-uc"},
		{"uc", "", "!no component"}, // the package's own name is another one
		{"i18n", "libicu", "icu-i18n"},
		{"uv", "", "libuv"},
		{"LibUV", "", "libuv"},
		{"eventloop", "", "libuv"},
		{"libuv::uv_a", "", "!no component"}, // a target of CMake's
		{"tool", "a", "!no component"},       // not one to link
		{"one", "icu", "icu-ONE"},
		{"two_", "icu", "two_"},
		{"TWO_", "icu", "!icu-two_, two_"},
		{"", "", "!no component"},
	} {
		got, err := p.Component(test.name, test.of)
		if want, fails := strings.CutPrefix(test.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q of %q: %q, %v; want an error with %q", test.name, test.of, got, err, want)
			}
		} else if got != want || err != nil {
			t.Errorf("%q of %q: %q, %v; want %q", test.name, test.of, got, err, want)
		}
	}
	var missing *MissingError
	if _, err := p.Component("nothing", ""); !errors.As(err, &missing) || !strings.Contains(err.Error(), "libuv, libuv::uv_a, eventloop") {
		t.Errorf("the error does not say which names there are: %v", err)
	}
}

func TestNamesThatNobodyCouldUseAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`"a": {"type": "interface", "x_ocipkg_names": ["A::a", "a.b+c-d_e"]}`:                                              "",
		`"a": {"type": "interface", "x_ocipkg_names": ["a b"]}`:                                                            `"a b"`,
		`"a": {"type": "interface", "x_ocipkg_names": ["::"]}`:                                                             `"::"`,
		`"a": {"type": "interface", "x_ocipkg_names": ["$<x>"]}`:                                                           `"$<x>"`,
		`"a": {"type": "interface", "x_ocipkg_names": ["b"]}, "b": {"type": "interface"}`:                                  "another component",
		`"a": {"type": "interface", "x_ocipkg_names": ["c"]}, "b": {"type": "interface", "x_ocipkg_names": ["c"]}`:         "another component",
		`"a": {"type": "interface", "x_ocipkg_names": ["c", "c"]}, "b": {"type": "interface", "x_ocipkg_names": ["c::c"]}`: "",
	} {
		p, err := Read(strings.NewReader(`{"name": "p", "cps_version": "0.13.0", "cps_path": "@prefix@", "components": {`+text+`}}`), "p.cps")
		if err == nil {
			err = p.Validate()
		}
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
