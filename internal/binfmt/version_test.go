package binfmt

import "testing"

func TestVersionsAreComparedNumberByNumber(t *testing.T) {
	for _, c := range []struct{ low, high string }{
		{"2.9", "2.28"},
		{"", "2.0"},
		{"2.2", "2.2.5"},
		{"2.2.5", "2.3"},
		{"3.4.9", "3.4.30"},
		{"2.99999999999999999999", "2.100000000000000000000"},
	} {
		if got := higherVersion(c.low, c.high); got != c.high {
			t.Errorf("higherVersion(%q, %q) = %q", c.low, c.high, got)
		}
		if got := higherVersion(c.high, c.low); got != c.high {
			t.Errorf("higherVersion(%q, %q) = %q", c.high, c.low, got)
		}
	}
	if got := compareVersions("2.028", "2.28"); got != 0 {
		t.Errorf(`compareVersions("2.028", "2.28") = %d, want 0`, got)
	}
}

func TestOnlyNumberedSymbolVersionsAreFloors(t *testing.T) {
	for name, want := range map[string]string{
		"GLIBC_2.28":        "2.28",
		"GLIBC_2.2.5":       "2.2.5",
		"GLIBC_PRIVATE":     "",
		"GLIBC_ABI_DT_RELR": "2.36",
		"GLIBC_":            "",
		"GLIBC_2.":          "",
		"GLIBCXX_3.4":       "",
		"GCC_3.0":           "",
	} {
		if got := glibcVersion(name); got != want {
			t.Errorf("glibcVersion(%q) = %q, want %q", name, got, want)
		}
	}
}
