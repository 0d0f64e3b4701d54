package store

import (
	"os"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/reference"
)

// maxOwners is how many packages are noted to have one layer: when the latest
// goes, another has it still.
const maxOwners = 4

// LayerFile gives the path of the note that says which packages have a layer.
func (s *Store) LayerFile(digest string) string { return s.Path("layers", LockName(digest)) }

// LayerOwners gives the packages that are noted to have a layer, the latest
// first. They may be gone, and are to be looked at.
func (s *Store) LayerOwners(digest string) []string { return ReadOwners(s.LayerFile(digest)) }

// ReadOwners is [Store.LayerOwners] for the path of a note.
func ReadOwners(path string) []string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	// A note that was written halfway has a line that is no digest.
	return slices.DeleteFunc(strings.Split(string(raw), "\n"), func(line string) bool {
		_, _, ok := reference.SplitDigest(line)
		return !ok
	})
}

// NoteLayer notes that a package has a layer, before those that were noted. The
// directory of the notes must be there. Who cannot write the note does without.
func (s *Store) NoteLayer(digest, owner string, others []string) {
	others = slices.DeleteFunc(slices.Clone(others), func(other string) bool { return other == owner })
	WriteOwners(s.LayerFile(digest), append([]string{owner}, others...))
}

// WriteOwners writes a note over the one that is there: there are a hundred to be
// written after a get of which one layer is new. Who reads or writes it at the
// same time may lose an owner, or find a line that is none; the layer is then
// fetched.
func WriteOwners(path string, owners []string) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return
	}
	text := strings.Join(owners[:min(len(owners), maxOwners)], "\n") + "\n"
	if _, err := file.WriteString(text); err == nil {
		_ = file.Truncate(int64(len(text)))
	}
	file.Close()
}
