package cps

import (
	"fmt"
	"path"
	"strings"
)

// Substitute replaces [PrefixMarker] at the start of a path by prefix. Other paths come back as they are.
func Substitute(file, prefix string) string {
	if underPrefix(file) {
		return prefix + file[len(PrefixMarker):]
	}
	return file
}

// Anchor makes every path of the document begin with [PrefixMarker], given the slash-separated directory inside the
// package where the document was found ("." at the top): relative paths are relative to that directory, those under
// Prefix lose it, and where CPSPath says that the package's prefix is a directory below the top, it is put in front.
// Absolute paths outside of Prefix stay. Afterwards CPSPath is [PrefixMarker] and Prefix is empty.
func (p *Package) Anchor(dir string) error {
	top, err := p.prefixWithin(path.Clean(dir))
	if err != nil {
		return err
	}
	p.MapPaths(func(file string) string {
		switch {
		case file == "":
			return ""
		case underPrefix(file):
			return clean(top + file[len(PrefixMarker):])
		case p.Prefix != "" && under(file, p.Prefix):
			return clean(top + strings.TrimPrefix(file, strings.TrimRight(p.Prefix, "/")))
		case path.IsAbs(file), len(file) > 1 && file[1] == ':':
			return file
		}
		return clean(PrefixMarker + "/" + path.Clean(dir) + "/" + file)
	})
	p.CPSPath, p.Prefix = PrefixMarker, ""
	return nil
}

// prefixWithin is the marked directory that the package's own paths begin at.
func (p *Package) prefixWithin(dir string) (string, error) {
	if p.CPSPath == "" {
		return PrefixMarker, nil
	}
	own := strings.Trim(strings.TrimPrefix(p.CPSPath, PrefixMarker), "/")
	switch {
	case own == "" || own == ".":
		return clean(PrefixMarker + "/" + dir), nil
	case own == dir:
		return PrefixMarker, nil
	case strings.HasSuffix(dir, "/"+own):
		return PrefixMarker + "/" + strings.TrimSuffix(dir, "/"+own), nil
	}
	return "", p.fault(p.line, "cps_path is %q, but the file is in %q: the package's prefix cannot be told", p.CPSPath, dir)
}

// MapPaths replaces every path of the components: locations, includes, roots of file sets, and the paths among
// link_libraries, the directories in the flags and the pkg-config variables as far as they begin with [PrefixMarker].
func (p *Package) MapPaths(replace func(string) string) {
	marked := func(s string) string {
		if i := strings.Index(s, PrefixMarker); i >= 0 {
			return s[:i] + replace(s[i:])
		}
		return s
	}
	for _, c := range p.Components {
		c.Attributes.mapPaths(replace, marked)
		for _, f := range c.FileSets {
			if f.Root != "" {
				f.Root = replace(f.Root)
			}
		}
		for _, a := range c.Configurations {
			a.mapPaths(replace, marked)
		}
		if c.PkgConfig != nil {
			for name, value := range c.PkgConfig.Variables {
				c.PkgConfig.Variables[name] = marked(value)
			}
			for name, value := range c.PkgConfig.Fields {
				c.PkgConfig.Fields[name] = marked(value)
			}
		}
	}
}

func (a *Attributes) mapPaths(replace, marked func(string) string) {
	for _, place := range []*string{&a.Location, &a.LinkLocation, &a.CppModuleMetadata} {
		if *place != "" {
			*place = replace(*place)
		}
	}
	mapAll := func(list []string, replace func(string) string) {
		for i := range list {
			list[i] = replace(list[i])
		}
	}
	for _, list := range a.Includes {
		mapAll(list, replace)
	}
	for _, list := range a.CompileFlags {
		mapAll(list, marked)
	}
	mapAll(a.LinkFlags, marked)
	for i, library := range a.LinkLibraries {
		if strings.Contains(library, "/") && library[0] != '-' {
			a.LinkLibraries[i] = replace(library)
		}
	}
	mapAll(a.LinkItems, marked)
	for _, names := range a.Definitions {
		for name, value := range names {
			if value != nil {
				replaced := marked(*value)
				names[name] = &replaced
			}
		}
	}
}

// Place makes the document one of a package that is installed in the absolute directory root: every path is absolute.
func (p *Package) Place(root string) error {
	if !path.IsAbs(root) && !strings.Contains(root, ":") {
		return fmt.Errorf("place the package %s in %s: the directory is not absolute", p.Name, root)
	}
	p.MapPaths(func(file string) string { return Substitute(file, root) })
	p.CPSPath, p.Prefix = "", root
	return nil
}

func under(file, dir string) bool {
	dir = strings.TrimRight(dir, "/")
	return file == dir || strings.HasPrefix(file, dir+"/")
}

// clean is path.Clean for a marked path; one that leaves the package keeps its dots, for Validate to refuse.
func clean(file string) string {
	rest := path.Clean(strings.TrimPrefix(file, PrefixMarker+"/"))
	if file == PrefixMarker || rest == "." {
		return PrefixMarker
	}
	return PrefixMarker + "/" + rest
}
