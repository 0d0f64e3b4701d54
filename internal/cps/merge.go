package cps

import (
	"fmt"
	"reflect"
	"slices"
)

// Merge appends a supplement to the package: the components and configurations that a file such as NAME:extra.cps or
// NAME@debug.cps adds to NAME.cps. What both say must be the same, else the error names the component.
// See https://cps-org.github.io/cps/configurations.html.
func (p *Package) Merge(supplement *Package) error {
	if supplement.Name != p.Name {
		return fmt.Errorf("merge %s into the package %s: it describes the package %q", supplement.origin(), p.Name, supplement.Name)
	}
	if p.Components == nil {
		p.Components = map[string]*Component{}
	}
	for _, name := range sortedKeys(supplement.Components) {
		var err error
		if supplement.Configuration != "" {
			err = p.mergeConfiguration(name, supplement)
		} else {
			err = p.mergeComponent(name, supplement.Components[name])
		}
		if err != nil {
			return fmt.Errorf("merge %s into the package %s: %w", supplement.origin(), p.Name, err)
		}
	}
	if supplement.Configuration != "" {
		return nil
	}
	for name, r := range supplement.Requires {
		if p.Requires == nil {
			p.Requires = map[string]*Requirement{}
		}
		if p.Requires[name] == nil {
			p.Requires[name] = r
		}
	}
	p.Configurations = union(p.Configurations, supplement.Configurations)
	p.DefaultComponents = union(p.DefaultComponents, supplement.DefaultComponents)
	return nil
}

func (p *Package) origin() string {
	if p.file != "" {
		return p.file
	}
	return "a supplement"
}

// mergeConfiguration adds the component's attributes in a configuration-specific supplement as that configuration.
func (p *Package) mergeConfiguration(name string, supplement *Package) error {
	c := p.Components[name]
	if c == nil {
		return fmt.Errorf("there is no component %q: the components are %s", name, p.have())
	}
	added := &supplement.Components[name].Attributes
	old := c.Configurations[supplement.Configuration]
	if old != nil && !reflect.DeepEqual(old, added) {
		return fmt.Errorf("component %q has another configuration %q already", name, supplement.Configuration)
	}
	if c.Configurations == nil {
		c.Configurations = map[string]*Attributes{}
	}
	c.Configurations[supplement.Configuration] = added
	c.includeFileSets()
	return nil
}

func (p *Package) mergeComponent(name string, added *Component) error {
	c := p.Components[name]
	if c == nil {
		p.Components[name] = added
		return nil
	}
	if c.Type != added.Type && added.Type != "" || !reflect.DeepEqual(c.Attributes, added.Attributes) {
		return fmt.Errorf("it defines the component %q differently", name)
	}
	for configuration, a := range added.Configurations {
		if old := c.Configurations[configuration]; old != nil && !reflect.DeepEqual(old, a) {
			return fmt.Errorf("it defines the configuration %q of component %q differently", configuration, name)
		}
		if c.Configurations == nil {
			c.Configurations = map[string]*Attributes{}
		}
		c.Configurations[configuration] = a
	}
	c.includeFileSets()
	return nil
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
