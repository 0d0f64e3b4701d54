package binfmt

import (
	"strings"
)

// higherVersion gives the higher of two dotted versions, compared number by number: 2.9 is below 2.28. An empty one is lowest.
func higherVersion(a, b string) string {
	if compareVersions(a, b) < 0 {
		return b
	}
	return a
}

// compareVersions compares two versions made of digits and dots. A missing number is below 0: 2.2 is below 2.2.0.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := compareNumbers(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// compareNumbers compares two numbers of any length without converting them.
func compareNumbers(a, b string) int {
	if a == "" || b == "" {
		return len(a) - len(b)
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// isVersion says whether s is made of numbers with single dots between them.
func isVersion(s string) bool {
	for number := range strings.SplitSeq(s, ".") {
		if number == "" || strings.Trim(number, "0123456789") != "" {
			return false
		}
	}
	return true
}

// symbolVersion gives the version in a symbol version's name with this prefix, "" for another: of GLIBC_2.28 it is 2.28, of
// GLIBC_PRIVATE none.
func symbolVersion(name, prefix string) string {
	version, ok := strings.CutPrefix(name, prefix)
	if !ok || !isVersion(version) {
		return ""
	}
	return version
}
