// Package near guesses at what was meant by a word that is not known.
package near

import "strings"

// Hint gives, for an error about a word that is not known, the one of those that
// are known that was meant, as in "; did you mean dependencies?". It is empty
// when none is near.
func Hint(word string, known ...string) string {
	word = strings.ToLower(word)
	best, near := 3, ""
	for _, k := range known {
		if d := distance(word, k); d < best && d < len(k) {
			best, near = d, k
		}
	}
	if near == "" {
		return ""
	}
	return "; did you mean " + near + "?"
}

// distance counts the characters to insert, remove and replace on the way from
// one word to the other.
// https://en.wikipedia.org/wiki/Levenshtein_distance
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
