package jsonstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// document is what is read here value by value.
type document struct {
	List []int
	Text string
}

func read(text string) (d document, err error) {
	return d, Object(strings.NewReader(text), func(key string, decoder *json.Decoder) error {
		switch key {
		case "List":
			return List(decoder, func() error {
				var n int
				err := decoder.Decode(&n)
				d.List = append(d.List, n)
				return err
			})
		case "Text":
			return decoder.Decode(&d.Text)
		}
		return Skip(decoder)
	})
}

// What is read value by value is read, or refused, as encoding/json does at once.
func TestADocumentIsReadAsAWhole(t *testing.T) {
	for _, text := range []string{
		`{}`, ` { "List" : [ 1 , 2 ] , "Text" : "x" } `, `{"List":null}`, `{"List":[]}`, `{"other":{"List":[3],"a":[[{}]]},"List":[1]}`,
		`{"other":[1,{"x":"]}"}],"Text":"}"}`, "{\"List\":[1]}\n\n",
		``, ` `, `{`, `[`, `"x"`, `7`, `{]`, `[1]`, `{"List"`, `{"List":`, `{"List":[`, `{"List":[1`, `{"List":[1,`, `{"List":[1]`, `{"List":[1]]`,
		`{"List":[1}`, `{"List":[1,]}`, `{"List":[,1]}`, `{"List":[1 2]}`, `{"List":[1],}`, `{,"List":[1]}`, `{"List" [1]}`, `{"List":[1] "Text":"x"}`,
		`{List:[1]}`, `{"List":{}}`, `{"List":7}`, `{"List":["x"]}`, `{"Text":7}`, `{"other":}`, `{"other":[}`, `{"other":nul}`, `{1:2}`,
		`{}{}`, `{}x`, `{}]`, `{} ,`, `{}7`, "{}\x00",
	} {
		got, err := read(text)
		var want document
		wantErr := json.Unmarshal([]byte(text), &want)
		if (err == nil) != (wantErr == nil) || err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q is read as %v, %v; want %v, %v", text, got, err, want, wantErr)
		}
		if err == io.EOF {
			t.Errorf("%q seems to end as it should", text)
		}
		if after := strings.HasPrefix(text, "{}") && text != "{}"; errors.Is(err, ErrTrailing) != after {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// errReader fails after a text.
type errReader struct {
	io.Reader
	err error
}

func (r errReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		err = r.err
	}
	return n, err
}

func TestWhyADocumentCannotBeReadIsTold(t *testing.T) {
	broken := errors.New("the disk is broken")
	for _, text := range []string{``, `{`, `{"List"`, `{"List":[`, `{"List":[1,`, `{"List":[1]`, `{"x":[[`, `{}`} {
		err := Object(errReader{strings.NewReader(text), broken}, func(_ string, d *json.Decoder) error { return Skip(d) })
		if !errors.Is(err, broken) {
			t.Errorf("behind %q the error is %v", text, err)
		}
	}
}
