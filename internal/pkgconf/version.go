package pkgconf

import "strings"

// CompareVersions orders two versions as pkgconf does, whose rule is rpm's: runs of digits are compared as numbers, runs
// of letters as text, a number is newer than letters, ~ sorts before everything, also the end. The result is -1, 0 or 1.
func CompareVersions(a, b string) int {
	if strings.EqualFold(a, b) {
		return 0
	}
	for a != "" || b != "" {
		a, b = strings.TrimLeftFunc(a, separator), strings.TrimLeftFunc(b, separator)
		tildeA, tildeB := strings.HasPrefix(a, "~"), strings.HasPrefix(b, "~")
		switch {
		case tildeA && tildeB:
			a, b = a[1:], b[1:]
			continue
		case tildeA:
			return -1
		case tildeB:
			return 1
		}
		if a == "" || b == "" {
			break
		}
		var runA, runB string
		numeric := digit(rune(a[0]))
		if numeric {
			runA, a = span(a, digit)
			runB, b = span(b, digit)
		} else {
			runA, a = span(a, alpha)
			runB, b = span(b, alpha)
		}
		if runB == "" {
			if numeric {
				return 1
			}
			return -1
		}
		if order := compareRuns(runA, runB, numeric); order != 0 {
			return order
		}
	}
	switch {
	case a == "" && b == "":
		return 0
	case a == "":
		return -1
	}
	return 1
}

func compareRuns(a, b string, numeric bool) int {
	if numeric {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if len(a) != len(b) {
			if len(a) < len(b) {
				return -1
			}
			return 1
		}
	}
	return strings.Compare(a, b)
}

func span(s string, in func(rune) bool) (run, rest string) {
	rest = strings.TrimLeftFunc(s, in)
	return s[:len(s)-len(rest)], rest
}

func digit(r rune) bool     { return r >= '0' && r <= '9' }
func alpha(r rune) bool     { return r < 0x80 && letter(byte(r)) }
func separator(r rune) bool { return !digit(r) && !alpha(r) && r != '~' }
