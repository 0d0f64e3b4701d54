// Package mirror says where packages are read from before their own registry is
// asked, by the user's configuration, and reads them from there.
//
// A mirror gives nothing that is not verified by its digest. What a tag stands
// for is believed of it, since that is what it is there for.
package mirror

import (
	"path/filepath"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// Place is a mirror.
type Place struct {
	// Layout is the path of an OCI image layout; empty for a registry.
	Layout string
	// Archive tells that the layout is an oci-archive.
	Archive bool
	// Registry is a registry, or a path in one, before the names of what is in
	// it.
	Registry string
}

// String writes the place as it is written in a configuration.
func (p Place) String() string {
	switch {
	case p.Archive:
		return "oci-archive:" + p.Layout
	case p.Layout != "":
		return "oci:" + p.Layout
	}
	return p.Registry
}

// Rule says where the packages are read from whose names begin in one way.
type Rule struct {
	// Prefix is a registry, or that and a beginning of a repository, up to a
	// slash; empty for all names.
	Prefix string
	// At are the mirrors in the order in which they are asked.
	At []Place
	// Fallback tells that the packages' own registry is asked for what no mirror
	// has.
	Fallback bool
	// Off says, for an error, what to change so that it is.
	Off string
}

// Rules are all that there are.
type Rules []Rule

// For gives the rule for the packages of a repository: that with the longest
// prefix. Without one they are read from their own registry.
func (r Rules) For(ref reference.Reference) Rule {
	best, found := Rule{Fallback: true}, false
	for _, rule := range r {
		if rule.covers(ref) && (!found || len(rule.Prefix) > len(best.Prefix)) {
			best, found = rule, true
		}
	}
	return best
}

func (r Rule) covers(ref reference.Reference) bool {
	rest, ok := strings.CutPrefix(ref.Name(), r.Prefix)
	return ok && (r.Prefix == "" || rest == "" || rest[0] == '/')
}

// name gives what a repository is called in a mirror that is a registry: what
// follows the prefix, or for all names the repository, below the mirror's path.
func (r Rule) name(at Place, ref reference.Reference) (reference.Reference, error) {
	rest := "/" + ref.Repository
	if r.Prefix != "" {
		rest = strings.TrimPrefix(ref.Name(), r.Prefix)
	}
	mirrored, err := reference.ParseRepository(at.Registry + rest)
	// A host alone would be read as a name of Docker Hub.
	if host, _, _ := strings.Cut(at.Registry, "/"); err == nil && mirrored.Registry != host {
		err = errdef.Errorf(errdef.ErrUsage, "the mirror %s of %s has no path, and so no repository; write one after it", at, r.Prefix)
	}
	mirrored.Tag, mirrored.Digest = ref.Tag, ref.Digest
	return mirrored, err
}

// parsePlace reads one place. A path that is not absolute is one from dir.
func parsePlace(text, dir string) (Place, error) {
	local := func(path string, archive bool) (Place, error) {
		if path == "" {
			return Place{}, errdef.Errorf(errdef.ErrUsage, "%q names no file; write it as oci:DIR or oci-archive:FILE", text)
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		return Place{Layout: filepath.Clean(path), Archive: archive}, nil
	}
	if path, ok := strings.CutPrefix(text, "oci-archive:"); ok {
		return local(path, true)
	}
	if path, ok := strings.CutPrefix(text, "oci:"); ok {
		return local(path, false)
	}
	if filepath.IsAbs(text) {
		return local(text, strings.HasSuffix(text, ".tar"))
	}
	host, _, _ := strings.Cut(text, "/")
	ref, err := reference.ParseRepository(text + "/x")
	if err != nil || ref.Registry != host || ref.Tag != "" || ref.Digest != "" {
		return Place{}, errdef.Errorf(errdef.ErrUsage, "%q is no mirror; write it as HOST/PATH for a registry, oci:DIR for a layout directory, or oci-archive:FILE", text)
	}
	return Place{Registry: text}, nil
}

// Variable is the name of the environment variable that names mirrors for all
// packages.
const Variable = "OCIPKG_MIRROR"

// Parse reads the value of [Variable]: places with commas between, in the order
// in which they are asked. A last word "off" says that nothing else is asked, and
// "direct", as does none, that the packages' own registry is.
func Parse(value string) (Rules, error) {
	rule := Rule{Fallback: true, Off: "let " + Variable + " end in ,direct in place of ,off"}
	words := strings.Split(value, ",")
	for i, word := range words {
		word = strings.TrimSpace(word)
		last := i == len(words)-1
		switch {
		case last && (word == "direct" || word == "off"):
			rule.Fallback = word == "direct"
		case word == "direct" || word == "off":
			return nil, errdef.Errorf(errdef.ErrUsage, "%s=%s: the word %s ends the list; write it last", Variable, value, word)
		case word == "":
			return nil, errdef.Errorf(errdef.ErrUsage, "%s=%s: there is nothing between two commas, or after the last; leave the comma out", Variable, value)
		default:
			place, err := parsePlace(word, ".")
			if err != nil {
				return nil, errdef.Errorf(errdef.ErrUsage, "%s=%s: %w", Variable, value, err)
			}
			rule.At = append(rule.At, place)
		}
	}
	if len(rule.At) == 0 && !rule.Fallback {
		return nil, errdef.Errorf(errdef.ErrUsage, "%s=%s names no mirror, and so leaves nothing to ask; to ask nothing, run offline", Variable, value)
	}
	return Rules{rule}, nil
}
