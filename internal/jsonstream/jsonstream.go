// Package jsonstream reads JSON documents that are too large to be held in memory
// as a whole, such as the lists of the files of large packages: one value at a
// time. Keys that come twice and keys in other letters are the caller's concern.
package jsonstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrTrailing tells of data after the end of a document.
var ErrTrailing = errors.New("it has data after its end")

// Object reads r, an object and nothing else, and calls value for each of its
// keys. That reads the value off the decoder, by one of its methods, [List], or
// [Skip].
func Object(r io.Reader, value func(key string, d *json.Decoder) error) error {
	d := json.NewDecoder(r)
	if err := next(d, json.Delim('{')); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return whole(err)
		}
		if err := value(key.(string), d); err != nil { // a key is one, or no token
			return whole(err)
		}
	}
	if err := next(d, json.Delim('}')); err != nil {
		return err
	}
	switch _, err := d.Token(); err {
	case io.EOF:
		return nil
	case nil:
		return ErrTrailing
	default:
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			return ErrTrailing
		}
		return err
	}
}

// List reads a list, or null, which is an empty one, and calls element for each
// of its elements. That reads it off the decoder.
func List(d *json.Decoder, element func() error) error {
	token, err := d.Token()
	if err != nil || token == nil {
		return whole(err)
	}
	if token != json.Delim('[') {
		return fmt.Errorf("there is no list, but %v", token)
	}
	for d.More() {
		if err := element(); err != nil {
			return whole(err)
		}
	}
	return next(d, json.Delim(']'))
}

// Skip reads a value, whatever it is.
func Skip(d *json.Decoder) error { return d.Decode(&skipped{}) }

type skipped struct{}

func (*skipped) UnmarshalJSON([]byte) error { return nil }

// next reads a token that must be next.
func next(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err == nil && token != want {
		err = fmt.Errorf("there is %v in place of %v", token, want)
	}
	return whole(err)
}

// whole gives the error for a document that ends too early, which a decoder
// between two values takes for the end.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
