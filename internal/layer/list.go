package layer

// Listing lists the files of layers, applied one after the other, without
// unpacking them.
type Listing struct{ *Tree }

// NewListing starts a listing.
func NewListing() *Listing { return &Listing{NewTree(nil, DefaultLimits)} }
