package cps

import (
	"slices"
	"strings"
)

// Choose names the configuration of a component that a consumer gets: the first of prefer that the component
// has, else the first of the package's own preferences, else the first by name; "" for a component without any.
// Names are compared exactly first, then without case. See https://cps-org.github.io/cps/configurations.html.
func (p *Package) Choose(c *Component, prefer ...string) string {
	have := sortedKeys(c.Configurations)
	for _, want := range append(slices.Clone(prefer), p.Configurations...) {
		if slices.Contains(have, want) {
			return want
		}
		for _, name := range have {
			if strings.EqualFold(name, want) {
				return name
			}
		}
	}
	if len(have) > 0 {
		return have[0]
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
