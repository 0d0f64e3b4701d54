package artifact

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// keySet is what is known of the keys of a kind of document.
type keySet struct {
	known []string // those that decide on what is read
	free  []string // those below which the keys are anybody's
}

var (
	manifestKeys = keySet{
		known: []string{
			"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject",
			"digest", "size", "annotations", "platform",
		},
		free: []string{"annotations"},
	}
	configKeys = keySet{
		known: []string{"layers", "files", "platform", "cps", "requires", "path", "size", "mode", "digest", "target", "layer", "package", "image", "tag"},
		free:  []string{"layers", "cps"}, // digests, and a document with rules of its own
	}
)

// check refuses a valid document that another reader may take for another
// one: with a key that comes twice in an object, of which package json takes
// the last, or with a known key in other letters, which it takes all the same.
func (s keySet) check(document io.Reader) error {
	return s.checkValue(json.NewDecoder(document), false, 0)
}

// maxNesting is how deep values may stand in each other, as encoding/json has it
// for those that it decodes.
const maxNesting = 10_000

// maxKeys is how many keys one object may have, each of which is kept while it is
// read.
const maxKeys = 100_000

// checkValue reads one value. The keys in a free one are anybody's.
func (s keySet) checkValue(decoder *json.Decoder, free bool, depth int) error {
	if depth > maxNesting {
		return errdef.Errorf(errdef.ErrVerification, "values stand in each other more than %d deep in it", maxNesting)
	}
	token, err := decoder.Token()
	if err != nil {
		return invalid(err)
	}
	object := token == json.Delim('{')
	if !object && token != json.Delim('[') {
		return nil
	}
	keys := map[string]bool{}
	for decoder.More() {
		key := ""
		if object {
			token, err := decoder.Token()
			if err != nil {
				return invalid(err)
			}
			key, _ = token.(string)
			if keys[key] {
				return errdef.Errorf(errdef.ErrVerification, "the key %q comes twice in it", key)
			}
			if keys[key] = true; len(keys) > maxKeys {
				return tooMuch("keys in one object", maxKeys)
			}
			if !free && !slices.Contains(s.known, key) && slices.ContainsFunc(s.known, func(name string) bool { return strings.EqualFold(name, key) }) {
				return errdef.Errorf(errdef.ErrVerification, "the key %q in it is a known one in other letters", key)
			}
		}
		if err := s.checkValue(decoder, free || slices.Contains(s.free, key), depth+1); err != nil {
			return err
		}
	}
	if _, err = decoder.Token(); err != nil { // the end
		return invalid(err)
	}
	return nil
}
