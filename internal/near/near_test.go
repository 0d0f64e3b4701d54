package near

import "testing"

func TestAHintNamesTheNearestWordThatIsKnown(t *testing.T) {
	known := []string{"at", "fallback", "dependencies", "package.name"}
	for word, want := range map[string]string{
		"fallbak": "fallback", "Fallback": "fallback", "dependancies": "dependencies", "package.naem": "package.name",
		"att": "at", "zz": "", "": "", "something": "",
	} {
		if want != "" {
			want = "; did you mean " + want + "?"
		}
		if got := Hint(word, known...); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
