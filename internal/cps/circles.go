package cps

import "slices"

// circles numbers the nodes that lead back to themselves by way of others, from 1, with one number for all of a circle. It
// finds the strongly connected components of more than one node, by Tarjan's algorithm.
func circles[K comparable](nodes []K, next func(K) []K) map[K]int {
	c := circling[K]{next: next, visits: map[K]*visit{}, circles: map[K]int{}}
	for _, node := range nodes {
		if c.visits[node] == nil {
			c.visit(node)
		}
	}
	return c.circles
}

// visit is where the search has come to with a node: its number in the order of first visits, and the lowest number of a
// node in a circle with it that is known so far.
type visit struct {
	number, lowest int
	depth          int  // its place among the open nodes
	left           bool // all that is in a circle with it is known
}

type circling[K comparable] struct {
	next    func(K) []K
	visits  map[K]*visit
	open    []K // visited and not left, in the order of the visits
	count   int
	circles map[K]int
}

func (c *circling[K]) visit(node K) *visit {
	v := &visit{number: len(c.visits), lowest: len(c.visits), depth: len(c.open)}
	c.visits[node] = v
	c.open = append(c.open, node)
	for _, to := range c.next(node) {
		seen := c.visits[to]
		if seen == nil {
			seen = c.visit(to)
		}
		if !seen.left {
			v.lowest = min(v.lowest, seen.lowest)
		}
	}
	if v.lowest == v.number {
		c.leave(node)
	}
	return v
}

// leave closes the circle that was entered at node, or node alone.
func (c *circling[K]) leave(node K) {
	first := c.visits[node].depth
	circle := c.open[first:]
	if len(circle) > 1 {
		c.count++
	}
	for _, member := range circle {
		c.visits[member].left = true
		if len(circle) > 1 {
			c.circles[member] = c.count
		}
	}
	c.open = c.open[:first]
}

// Unrequired returns those of names that no other requires but one that it requires in turn, by way of any number of
// others. Requires returns what one requires.
func Unrequired(names []string, requires func(name string) []string) []string {
	circles := circles(names, requires)
	required := map[string]bool{}
	for _, name := range names {
		for _, to := range requires(name) {
			if to != name && (circles[to] == 0 || circles[to] != circles[name]) {
				required[to] = true
			}
		}
	}
	// One that is required from outside of its circle brings all of it.
	brought := map[int]bool{}
	for name := range required {
		brought[circles[name]] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return required[name] || circles[name] != 0 && brought[circles[name]]
	})
}
