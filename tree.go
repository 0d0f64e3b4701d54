package ocipkg

import (
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
)

// TreeNode is a package that a project links, or one that such a package
// requires.
type TreeNode struct {
	// Alias is what the project calls it; empty for what a package requires.
	Alias string `json:"alias,omitempty"`
	// Name is that of the package, whole.
	Name string `json:"name"`
	// Digest is that of the index, or of the manifest of the only build.
	Digest digest.Digest `json:"digest"`
	Builds []TreeBuild   `json:"builds"`
	// Requires are those of all builds, sorted by name.
	Requires []*TreeNode `json:"requires,omitempty"`
	// Seen tells that the package is in the tree before, where it has what it
	// requires.
	Seen bool `json:"seen,omitempty"`
}

// TreeBuild is a package for one platform.
type TreeBuild struct {
	Platform Platform      `json:"platform"`
	Digest   digest.Digest `json:"digest"`
	// Size is that of what is fetched, compressed, in bytes.
	Size int64 `json:"size"`
}

// Tree gives the dependencies of the project that the working directory is part
// of as its lock has them, sorted by alias. A lock that is missing or stale is
// an error of kind [ErrLock].
func (c *Client) Tree() ([]*TreeNode, error) {
	roots, err := tree()
	if err != nil {
		return nil, fmt.Errorf("tree: %w", err)
	}
	return roots, nil
}

func tree() ([]*TreeNode, error) {
	of, err := here()
	if err != nil {
		return nil, err
	}
	if err := of.CheckLock(); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var roots []*TreeNode
	for _, alias := range slices.Sorted(maps.Keys(of.Dependencies)) {
		node, err := treeNode(of, alias, seen)
		if err != nil {
			return nil, err
		}
		node.Alias = alias
		roots = append(roots, node)
	}
	return roots, nil
}

// treeNode gives what a name stands for with all that it requires. The lock has
// no circles that are followed here: of what was seen there is no more.
func treeNode(of *project.Project, name string, seen map[string]bool) (*TreeNode, error) {
	ref, err := of.Reference(name)
	if err != nil {
		return nil, err
	}
	entry, err := of.Locked(ref)
	if err != nil {
		return nil, err
	}
	if entry == nil {
		return nil, errdef.Errorf(errdef.ErrLock, "%s does not have %s; run: ocipkg lock", of.LockPath(), ref)
	}
	node := &TreeNode{Name: entry.Name, Digest: digest.Digest(entry.Digest), Seen: seen[entry.Name]}
	seen[entry.Name] = true
	required := map[string]bool{}
	for _, b := range entry.Builds {
		size := b.Size + b.Config.Size
		for _, layer := range b.Layers {
			size += layer.Size
		}
		node.Builds = append(node.Builds, TreeBuild{b.Platform, digest.Digest(b.Digest), size})
		for _, name := range b.Requires {
			required[name] = true
		}
	}
	if node.Seen {
		return node, nil
	}
	for _, name := range slices.Sorted(maps.Keys(required)) {
		child, err := treeNode(of, name, seen)
		if err != nil {
			return nil, err
		}
		node.Requires = append(node.Requires, child)
	}
	return node, nil
}
