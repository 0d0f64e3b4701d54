package link

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/cps"
)

// buildTypes are those that CMake defines. See https://cmake.org/cmake/help/latest/variable/CMAKE_BUILD_TYPE.html.
var buildTypes = []string{"Debug", "Release", "RelWithDebInfo", "MinSizeRel"}

// byBuildType writes a target that users name. Where packages have other libraries for one build type than for another, that is
// a target of its own for each, and the one that is named chooses by [chosen].
func (c *cmakeConfig) byBuildType(name string, roots []cps.Root) error {
	usual, known, others, err := c.variants(roots)
	if err != nil || len(others) == 0 {
		if err != nil {
			return err
		}
		return c.publicTarget(name, roots)
	}
	defer func() { c.variant, c.collector.opts.configuration = "", "" }()
	var entries, conditions []string
	write := func(choices string, types []string) error {
		c.variant, c.collector.opts.configuration = choices, types[0]
		target := "ocipkg::" + strings.Map(plainRune, name) + "-" + types[0]
		condition := "$<NOT:$<OR:" + strings.Join(conditions, ",") + ">>"
		if types[0] != "" {
			condition = chosen(types, known)
			conditions = append(conditions, condition)
		}
		entries = append(entries, "$<"+condition+":"+target+">")
		return c.publicTarget(target, roots)
	}
	for _, choices := range slices.Sorted(maps.Keys(others)) {
		if err := write(choices, others[choices]); err != nil {
			return err
		}
	}
	if err := write(usual, []string{""}); err != nil {
		return err
	}
	c.open(name, "INTERFACE")
	c.body.properties(name, "INTERFACE_LINK_LIBRARIES", entries)
	c.body.line("endif()")
	return nil
}

// chosen returns the expression for a configuration that is one of types. $<CONFIG:…> is true for the configuration that is built,
// and for those that MAP_IMPORTED_CONFIG_<CONFIG> has in its place, which count.
func chosen(types, known []string) string {
	var built, others []string
	for _, t := range known {
		if slices.Contains(types, t) {
			built = append(built, "$<STREQUAL:$<CONFIG>,"+t+">")
		} else {
			others = append(others, t)
		}
	}
	here := "$<CONFIG:" + strings.Join(types, ",") + ">"
	if len(others) == 0 {
		return here
	}
	return "$<AND:" + here + ",$<NOT:$<AND:$<OR:" + strings.Join(built, ",") + ">,$<CONFIG:" + strings.Join(others, ",") + ">>>>"
}

// variants returns what is chosen of the packages for a build type that is none of CMake's, and the build types for which it
// is something else, by what that is. Known are all build types that were looked at.
func (c *cmakeConfig) variants(roots []cps.Root) (usual string, known []string, others map[string][]string, err error) {
	configured := map[string]bool{}
	if usual, err = c.choices(roots, "", configured); err != nil || len(configured) == 0 {
		return "", nil, nil, err
	}
	known = slices.Clone(buildTypes)
	for _, configuration := range slices.Sorted(maps.Keys(configured)) {
		isKnown := slices.ContainsFunc(known, func(t string) bool { return strings.EqualFold(t, configuration) })
		if !isKnown && cmakeName(configuration) {
			known = append(known, configuration)
		}
	}
	others = map[string][]string{}
	for _, t := range known {
		choices, err := c.choices(roots, t, nil)
		if err != nil {
			return "", nil, nil, err
		}
		if choices != usual {
			others[choices] = append(others[choices], t)
		}
	}
	return usual, known, others, nil
}

// choices returns which configurations of the components that roots need are chosen for a build type, as a text. configured,
// unless nil, is filled with the configurations that there are, but for those of a static and a shared library.
func (c *cmakeConfig) choices(roots []cps.Root, buildType string, configured map[string]bool) (string, error) {
	before := c.collector.opts.configuration
	c.collector.opts.configuration = buildType
	defer func() { c.collector.opts.configuration = before }()
	items, err := c.closureItems(roots)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, item := range items {
		for configuration := range item.Package.Components[item.Component].Configurations {
			if configured != nil && configuration != cps.StaticConfiguration && configuration != cps.SharedConfiguration {
				configured[configuration] = true
			}
		}
		fmt.Fprintf(&text, "%s:%s@%s\n", c.of[item.Package].Root, item.Component, item.Configuration)
	}
	return text.String(), nil
}
