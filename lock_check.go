package ocipkg

import (
	"maps"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/project"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// checkLinks refuses a lock of which no program can be built, on any of its
// platforms: with two packages of one repository, or some that require each
// other.
func checkLinks(of *project.Project, lock *project.Lock) error {
	platforms := map[Platform]bool{}
	for _, p := range lock.Packages {
		for _, b := range p.Builds {
			// What a build for an older system takes, one for a newer does, too.
			on := b.Platform
			on.OSVersion, on.LibcVersion, on.CxxVersion, on.LibcEstimated = "", "", "", false
			platforms[on] = true
		}
	}
	for _, on := range slices.SortedFunc(maps.Keys(platforms), func(a, b Platform) int { return strings.Compare(a.String(), b.String()) }) {
		c := &linkCheck{project: of, lock: lock, on: on, chosen: map[string]linked{}, done: map[string]bool{}}
		for _, alias := range slices.Sorted(maps.Keys(of.Dependencies)) {
			if err := c.visit(alias, []string{alias}); err != nil {
				return err
			}
		}
	}
	return nil
}

// linkCheck is the check of a lock for one platform.
type linkCheck struct {
	project *project.Project
	lock    *project.Lock
	on      Platform
	chosen  map[string]linked // by repository
	done    map[string]bool   // by name
}

// linked is a package with the way to it.
type linked struct {
	ref    reference.Reference
	digest string
	path   []string
}

// visit looks at what a name stands for, and at all that it requires; path ends
// with who asks for it.
func (c *linkCheck) visit(name string, path []string) error {
	ref, err := c.project.Reference(name)
	if err != nil {
		return err
	}
	entry := c.lock.Find(ref)
	if entry == nil {
		return nil // which is for [project.Project.CheckLock] to say
	}
	build, err := entry.Choose(fixed(c.on))
	if err != nil {
		return nil // it is not there for the platform, which no other has to mind
	}
	if slices.Contains(path, entry.Name) {
		return nil // they need each other
	}
	path = append(path[:len(path):len(path)], entry.Name)
	before, ok := c.chosen[ref.Name()]
	if !ok {
		c.chosen[ref.Name()] = linked{ref, entry.Digest, path}
	} else if before.digest != entry.Digest || before.ref.Tag != ref.Tag && before.ref.Tag != "" && ref.Tag != "" {
		return errdef.Errorf(errdef.ErrUsage, "two packages of %s cannot be linked together, %s by way of %s, and %s by way of %s, on %s; choose one under [overrides] in %s: %q = %q",
			ref.Name(), before.ref, strings.Join(before.path, " → "), ref, strings.Join(path, " → "), c.on, project.FileName, ref.Name(), ref)
	}
	if c.done[entry.Name] {
		return nil
	}
	for _, required := range build.Requires {
		if err := c.visit(required, path); err != nil {
			return err
		}
	}
	c.done[entry.Name] = true
	return nil
}
