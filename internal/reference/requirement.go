package reference

// Requirement is a package that another one needs.
type Requirement struct {
	// Package is the name that CPS and .pc requirements use.
	Package string `json:"package"`
	// Image is where it is: registry/repository.
	Image string `json:"image"`
	Tag   string `json:"tag,omitempty"`
	// BuiltWith is the digest of the index or manifest that was there when the
	// package was built. Beside a tag it informs; the consumer's lock decides.
	BuiltWith string `json:"builtWith,omitempty"`
}

// Reference gives what the requirement asks for.
func (r Requirement) Reference() (Reference, error) {
	name := r.Image
	switch {
	case r.Tag != "":
		name += ":" + r.Tag
	case r.BuiltWith != "": // it was asked for by digest, and is not the latest
		name += "@" + r.BuiltWith
	}
	return Parse(name)
}
