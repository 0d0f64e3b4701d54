package jsonstream

import (
	"fmt"
	"io"
)

// Bounds are the most that a document may hold before a decoder has it: what is
// short on the wire may be large in memory, as each {} of a list is. Zero is no
// bound.
type Bounds struct {
	Bytes    int64 // of all, or since [Bounded.Reset]
	Values   int64 // of these, objects and lists included
	Elements int64 // of one list or object
	String   int64 // bytes of one string, as it is written
}

// Bounded is a document that ends in an error where it is beyond its bounds.
type Bounded struct {
	r      io.Reader
	bounds Bounds
	refuse func(what string, most int64) error

	bytes, values, inString int64
	quoted, escaped         bool
	elements                []int64 // of those lists and objects that are open
}

// NewBounded returns a reader of r, whose error beyond a bound is what refuse
// returns for what there is too much of.
func NewBounded(r io.Reader, bounds Bounds, refuse func(what string, most int64) error) *Bounded {
	return &Bounded{r: r, bounds: bounds, refuse: refuse}
}

// Reset begins to count anew: for who reads a long list one element at a time.
func (b *Bounded) Reset() {
	b.bytes, b.values = 0, 0
	clear(b.elements)
}

func (b *Bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	for _, c := range p[:n] {
		if refused := b.count(c); refused != nil {
			return 0, refused
		}
	}
	b.bytes += int64(n)
	if b.bounds.Bytes > 0 && b.bytes > b.bounds.Bytes {
		return 0, b.refuse("bytes", b.bounds.Bytes)
	}
	return n, err
}

func (b *Bounded) count(c byte) error {
	if b.quoted {
		if b.inString++; b.bounds.String > 0 && b.inString > b.bounds.String {
			return b.refuse("bytes in a string", b.bounds.String)
		}
		switch {
		case b.escaped:
			b.escaped = false
		case c == '\\':
			b.escaped = true
		case c == '"':
			b.quoted = false
		}
		return nil
	}
	switch c {
	case '"':
		b.quoted, b.inString = true, 0
		return nil
	case '{', '[':
		b.elements = append(b.elements, 0)
	case '}', ']':
		b.elements = b.elements[:max(len(b.elements)-1, 0)]
		return nil
	case ',':
	default:
		return nil
	}
	b.values++
	if b.bounds.Values > 0 && b.values > b.bounds.Values {
		return b.refuse("values", b.bounds.Values)
	}
	if open := len(b.elements); open > 0 && c == ',' {
		if b.elements[open-1]++; b.bounds.Elements > 0 && b.elements[open-1] >= b.bounds.Elements {
			return b.refuse("values in one list or object", b.bounds.Elements)
		}
	}
	return nil
}

// TooMuch is a plain error for [NewBounded].
func TooMuch(what string, most int64) error {
	return fmt.Errorf("it has more than %d %s", most, what)
}
