package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestAnAxisHoldsAllAndHasRoundTicks(t *testing.T) {
	for _, test := range []struct {
		values []float64
		ticks  []float64 // nil are not looked at
	}{
		{[]float64{0.3, 4.1}, []float64{0.2, 0.5, 1, 2, 5}},
		{[]float64{1, 10}, []float64{1, 2, 5, 10}},
		{[]float64{7}, nil},
		{[]float64{2}, nil},
		{nil, []float64{1, 2, 5, 10}},
	} {
		a := newAxis(test.values, 0, 600, 44)
		if got := a.ticks(); test.ticks != nil && !slices.Equal(rounded(got), rounded(test.ticks)) {
			t.Errorf("%v: ticks %v, want %v", test.values, got, test.ticks)
		}
		for _, v := range test.values {
			if at := a.at(v); at < 0 || at > 600 {
				t.Errorf("%v is at %v, outside", v, at)
			}
		}
	}
}

func rounded(values []float64) []string {
	var text []string
	for _, v := range values {
		text = append(text, tick(v))
	}
	return text
}

func TestNumbersHaveThreeDigitsThatCount(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.01234: "0.0123", 0.5: "0.500", 4.056: "4.06", 29.46: "29.5", 100: "100", 1005: "1,005", 200000: "200,000", 1234567: "1,234,567"} {
		if got := Number(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}

func TestPicturesAreWellFormed(t *testing.T) {
	for _, svg := range [][]byte{
		Dots("a < b", "seconds", []string{"push", "pull"}, []Row{{"x & y", true, []Span{{1, 2, 3}, {0, 0, 0}}}}),
		Lines("a < b", "files", "seconds", []Line{{"push", []Point{{1, 2}, {10, 20}}}, {"get", []Point{{1, 2}, {10, 20}}}}),
	} {
		d := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in\n%s", err, svg)
			}
		}
		if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("not a number in\n%s", svg)
		}
	}
}
