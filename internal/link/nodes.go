package link

import (
	"path/filepath"

	"github.com/ocipkg/ocipkg/internal/cps"
	"github.com/ocipkg/ocipkg/internal/resolve"
)

// FromNodes prepares a resolved closure for [Link]: all its packages, and the
// requests for those that were asked for.
func FromNodes(roots []resolve.Root, all []*resolve.Node) (packages []*Package, requests []Request) {
	made := map[*resolve.Node]*Package{}
	for _, n := range all {
		document := n.Package.CPS
		if document == nil {
			document = &cps.Package{Name: n.Name} // of a package with nothing to link
		}
		p := &Package{
			Name:       n.Name,
			Root:       filepath.ToSlash(n.Package.Root),
			StaticView: filepath.ToSlash(n.Package.Static),
			SharedView: filepath.ToSlash(n.Package.Shared),
			CPS:        document,
			CXX:        n.Package.Platform.Cxx,
			Unlinkable: n.Package.Unlinkable,
		}
		// One that its producer did not describe cannot say what it requires.
		if !n.Package.Derived || len(n.Requires) > 0 {
			p.Requires = map[string]string{}
		}
		for requirement, needed := range n.Requires {
			p.Requires[requirement] = needed.Name
		}
		made[n] = p
		packages = append(packages, p)
	}
	for _, root := range roots {
		request := Request{Package: made[root.Node], Shared: root.Shared}
		for _, module := range root.Modules {
			if component, err := request.Package.CPS.Component(module, root.Name); err == nil { // else Link says it
				module = component
			}
			request.Components = append(request.Components, module)
		}
		requests = append(requests, request)
	}
	return packages, requests
}
