package cps

import "slices"

// Direct lists the components that item requires itself at a stage, in the order of its requirements, and the names of the
// packages among them that Find does not know: one step of [Walker.Closure], for build systems that take the graph and not
// its order. Errors are *[MissingError] and those of Replace.
func (w *Walker) Direct(stage Stage, item Item) (items []Item, missing []Missing, err error) {
	for _, requirement := range item.requirements(stage) {
		pkg, s := w.target(item, requirement)
		if pkg == nil {
			if !slices.ContainsFunc(missing, func(m Missing) bool { return m.Package == s.Package }) {
				missing = append(missing, Missing{Package: s.Package, By: item})
			}
			continue
		}
		more, err := w.choose(pkg, s, item.String())
		if err != nil {
			return nil, nil, err
		}
		for _, child := range more {
			if !slices.ContainsFunc(items, child.same) {
				items = append(items, child)
			}
		}
	}
	return items, missing, nil
}

// Roots lists the components that a root stands for, without what they require. Errors are as those of Direct.
func (w *Walker) Roots(roots ...Root) ([]Item, error) {
	var items []Item
	for _, root := range roots {
		more, err := w.choose(root.Package, Spec{Component: root.Component}, "")
		if err != nil {
			return nil, err
		}
		items = append(items, more...)
	}
	return items, nil
}

func (i Item) same(other Item) bool {
	return i.Package == other.Package && i.Component == other.Component && i.Configuration == other.Configuration
}
