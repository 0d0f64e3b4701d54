package jsonstream

import (
	"io"
	"strings"
	"testing"
)

func TestADocumentEndsBeyondItsBounds(t *testing.T) {
	bounds := Bounds{Bytes: 60, Values: 8, Elements: 4, String: 9}
	for text, want := range map[string]string{
		`{"a": [1, 2, 3, 4], "b": "c"}`:     "",
		`["\"]},{[", "x"]`:                  "",
		`{"a": [1, 2, 3, 4, 5]}`:            "more than 4 values in one list",
		`{"a":1,"b":2,"c":3,"d":4,"e":5}`:   "more than 4 values in one list",
		`[[[[[[[[[]]]]]]]]]`:                "more than 8 values",
		`"` + strings.Repeat("x", 10) + `"`: "more than 9 bytes in a string",
		strings.Repeat(" ", 61):             "more than 60 bytes",
		`]]]]}}`:                            "",
	} {
		_, err := io.Copy(io.Discard, NewBounded(strings.NewReader(text), bounds, TooMuch))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	b := NewBounded(iotestOneByte{strings.NewReader(`[` + strings.Repeat("1,", 100) + `1]`)}, bounds, TooMuch)
	buffer := make([]byte, 1)
	for range 200 {
		if _, err := b.Read(buffer); err != nil {
			t.Fatal(err)
		}
		b.Reset()
	}
}

type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }
