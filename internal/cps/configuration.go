package cps

import (
	"cmp"
	"slices"
	"strings"
)

// NoConfiguration names the configuration of a build without a build type. A component that has a file of its own beside
// its configurations, and none of this name, is this configuration itself.
const NoConfiguration = "noconfig"

// released are the configurations that are not for debugging, as CMake names them, the one to take first.
var released = []string{"release", "relwithdebinfo", "minsizerel"}

// IsDebug reports whether a configuration is one for debugging, by its name.
func IsDebug(configuration string) bool {
	name := strings.ToLower(configuration)
	return strings.Contains(name, "debug") && !strings.Contains(name, "relwithdebinfo")
}

// Choose returns the configuration of a component that a consumer gets, "" for the component as it stands. It is the first
// that the component has of prefer, of the package's own preferences, of [NoConfiguration] and the released ones, else the
// first by name. A configuration for debugging is for consumers that prefer one, or for all where there is no other, whatever
// the package prefers. Build types of CMake may be in prefer. Names are compared exactly first,
// then without case. See https://cps-org.github.io/cps/configurations.html.
func (p *Package) Choose(c *Component, prefer ...string) string {
	have := sortedKeys(c.Configurations)
	if c.Location+c.LinkLocation != "" && find(have, NoConfiguration) == "" {
		have = append(have, NoConfiguration)
	}
	others := slices.DeleteFunc(slices.Clone(have), IsDebug)
	if len(others) == 0 {
		others = have
	}
	preferred := others
	if slices.ContainsFunc(prefer, IsDebug) {
		preferred = have
	}
	name := cmp.Or(find(have, prefer...), find(preferred, p.Configurations...), find(others, NoConfiguration), find(others, released...))
	if name == "" && len(others) > 0 {
		name = others[0]
	}
	if c.Configurations[name] == nil {
		return ""
	}
	return name
}

// find returns the first of the wanted names that is there; empty: none.
func find(have []string, wanted ...string) string {
	for _, want := range wanted {
		if slices.Contains(have, want) {
			return want
		}
		for _, name := range have {
			if strings.EqualFold(name, want) {
				return name
			}
		}
	}
	return ""
}

// effective gives the component's attributes in a configuration, "" for none: the configuration's where it has them,
// the component's own elsewhere. The result shares memory with the component.
func (c *Component) effective(configuration string) *Attributes {
	override := c.Configurations[configuration]
	if override == nil {
		return &c.Attributes
	}
	merged := c.Attributes
	from, to := override.fields(), merged.fields()
	for i := range from {
		if slices.Contains(override.Unset, from[i].name) {
			clearField(to[i].place)
		} else {
			copyField(to[i].place, from[i].place)
		}
	}
	return &merged
}

// includeFileSets adds the directories of the component's headers to all includes that it has.
func (c *Component) includeFileSets() {
	for _, f := range c.FileSets {
		if f.Type != "includes" || f.Root == "" {
			continue
		}
		if c.Includes == nil {
			c.Includes = ByLanguage{}
		}
		c.Includes[AnyLanguage] = union(c.Includes[AnyLanguage], []string{f.Root})
		for _, a := range c.Configurations {
			if a.Includes != nil {
				a.Includes[AnyLanguage] = union(a.Includes[AnyLanguage], []string{f.Root})
			}
		}
	}
}

func clearField(place any) {
	switch place := place.(type) {
	case *string:
		*place = ""
	case *[]string:
		*place = nil
	case *languages:
		*place = nil
	case *ByLanguage:
		*place = nil
	case *Definitions:
		*place = nil
	}
}

// copyField copies a value that is there.
func copyField(to, from any) {
	switch to := to.(type) {
	case *string:
		if v := *from.(*string); v != "" {
			*to = v
		}
	case *[]string:
		if v := *from.(*[]string); v != nil {
			*to = v
		}
	case *languages:
		if v := *from.(*languages); v != nil {
			*to = v
		}
	case *ByLanguage:
		if v := *from.(*ByLanguage); v != nil {
			*to = v
		}
	case *Definitions:
		if v := *from.(*Definitions); v != nil {
			*to = v
		}
	}
}
