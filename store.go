package ocipkg

import (
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/upkeep"
)

// List lists the packages in the store by name, those without a name last. A
// package that has several names comes once for each.
func (c *Client) List() ([]Package, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	catalog, err := upkeep.Read(c.store)
	if err != nil {
		return nil, fmt.Errorf("list the store %s: %w", c.store.Dir(), err)
	}
	packages := make([]Package, 0, max(len(catalog.Refs), len(catalog.Packages)))
	add := func(name string, p *upkeep.Package) {
		if !p.Damaged {
			packages = append(packages, Package{Name: name, Digest: digest.Digest(p.Digest), Directory: catalog.Root(p), Platform: *p.Platform, Size: p.Size, LastUsed: p.LastUsed})
		}
	}
	for _, r := range catalog.Refs {
		for _, p := range catalog.Of(r.Digest) {
			add(r.Name, p)
		}
	}
	for i := range catalog.Packages {
		if p := &catalog.Packages[i]; len(p.Names) == 0 {
			add("", p)
		}
	}
	return packages, nil
}
