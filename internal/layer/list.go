package layer

import "github.com/ocipkg/ocipkg/internal/limit"

// Listing lists the files of layers, applied one after the other, without
// unpacking them.
type Listing struct{ *Tree }

// NewListing starts a listing.
func NewListing(limits limit.Limits) *Listing { return &Listing{NewTree(nil, limits)} }
