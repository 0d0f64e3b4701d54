package derive

import (
	"path"
	"strings"

	"github.com/ocipkg/ocipkg/internal/pkgconf"
)

// nameReferences gives requirements by reference (registry/repository:tag) a name. Build systems write them into .pc files
// when a library was itself built with packages under such names; in a CPS document they could not stand.
func (d *derivation) nameReferences(dependencies []pkgconf.Dependency) error {
	for i := range dependencies {
		reference := dependencies[i].Name
		if !strings.Contains(reference, "/") {
			continue
		}
		name := path.Base(reference)
		name, _, _ = strings.Cut(name, "@")
		name, _, _ = strings.Cut(name, ":")
		if d.opts.Require != nil {
			var err error
			if name, err = d.opts.Require(reference); err != nil {
				return err
			}
		}
		dependencies[i].Name = name
	}
	return nil
}
