package cps

// The configurations of a component that stands for a static and a shared library at once.
const (
	StaticConfiguration = "static"
	SharedConfiguration = "shared"
)

// AddTwins adds a library that may be there as an archive, as a dylib, or both, and returns the name it is added under,
// which is name unless that is taken. One kind alone becomes the component of that name. Both become NAME-static and NAME-shared
// below an interface NAME whose configurations "static" and "shared" require one of them each; static is the
// default. That is the specification's own pattern ("Configurations as Flags"). Either component may be nil, not both.
func (p *Package) AddTwins(name string, static, shared *Component) string {
	if p.Components == nil {
		p.Components = map[string]*Component{}
	}
	name = p.free(name)
	if static == nil || shared == nil {
		p.Components[name] = static
		if static == nil {
			p.Components[name] = shared
		}
		return name
	}
	chooser := &Component{Type: Interface, PkgConfig: static.PkgConfig, Description: static.Description}
	p.Components[name] = chooser
	staticName, sharedName := p.free(name+"-static"), p.free(name+"-shared")
	static.PkgConfig, shared.PkgConfig = nil, nil
	p.Components[staticName], p.Components[sharedName] = static, shared
	chooser.Requires = []string{":" + staticName}
	chooser.Configurations = map[string]*Attributes{
		StaticConfiguration: {Requires: []string{":" + staticName}},
		SharedConfiguration: {Requires: []string{":" + sharedName}},
	}
	p.Configurations = union(p.Configurations, []string{StaticConfiguration, SharedConfiguration})
	return name
}

// free is name with as many underscores after it as it takes to be no component's.
func (p *Package) free(name string) string {
	for p.Components[name] != nil {
		name += "_"
	}
	return name
}

// Twin names the component of the wanted type that is the same library as another one of the package: of the same
// library name, or of the same component name but for an ending such as -static or _shared. Empty when there is none.
// It serves documents made elsewhere; those of [Package.AddTwins] choose by configuration.
func (p *Package) Twin(component, wanted string) string {
	c := p.Components[component]
	if c == nil || c.Type == wanted {
		return component
	}
	library := p.libraryName(c)
	for _, name := range sortedKeys(p.Components) {
		other := p.Components[name]
		if other.Type != wanted {
			continue
		}
		if stem(name) == stem(component) || library != "" && p.libraryName(other) == library {
			return name
		}
	}
	return ""
}

func (p *Package) libraryName(c *Component) string {
	a := c.effective(p.Choose(c))
	if name := LibraryName(a.LinkLocation); name != "" {
		return name
	}
	return LibraryName(a.Location)
}
