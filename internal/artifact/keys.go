package artifact

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
)

// known are the keys of manifests and indexes that decide on what is read.
var known = []string{
	"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject",
	"digest", "size", "annotations", "platform",
}

// checkKeys refuses a valid document that another reader may take for another
// one: with a key that comes twice in an object, of which package json takes
// the last, or with a known key in other letters, which it takes all the same.
func checkKeys(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	return checkValue(decoder, false)
}

// checkValue reads one value. The keys of free are anybody's.
func checkValue(decoder *json.Decoder, free bool) error {
	token, err := decoder.Token()
	if err != nil {
		return errdef.Errorf(errdef.ErrVerification, "it is no valid document: %w", err)
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
				return errdef.Errorf(errdef.ErrVerification, "it is no valid document: %w", err)
			}
			key, _ = token.(string)
			if keys[key] {
				return errdef.Errorf(errdef.ErrVerification, "the key %q comes twice in it", key)
			}
			keys[key] = true
			if !free && slices.ContainsFunc(known, func(name string) bool { return name != key && strings.EqualFold(name, key) }) {
				return errdef.Errorf(errdef.ErrVerification, "the key %q in it is one of a manifest in other letters", key)
			}
		}
		if err := checkValue(decoder, key == "annotations"); err != nil {
			return err
		}
	}
	_, err = decoder.Token() // the end
	return err
}
