// Package project reads a project's own files: where its root is, and
// ocipkg.toml, which says what a package made here is called and described as,
// and what it depends on.
package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/near"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// FileName is the name of the project file.
const FileName = "ocipkg.toml"

// File is what a project file says. The zero value says nothing.
type File struct {
	// Annotations are those of the table [org.opencontainers.image], under
	// their whole names; nil for none.
	// https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md
	Annotations map[string]string
	Package     Package
	// Dependencies are the packages that this project links, by alias.
	Dependencies map[string]Dependency
	// Overrides say which package is linked in place of any of a repository,
	// by registry/repository: whatever tag the project, its source or another
	// package asks for.
	Overrides map[string]reference.Reference
	Trust     Trust
	// Shared is the key of the table [link]: how what the project links is linked, where the dependency does not say it.
	Shared Sharing
}

// Sharing is a value of the key shared: which libraries are linked. The empty value leaves it to whoever asks.
type Sharing string

const (
	Static Sharing = "false"
	Shared Sharing = "true"
	// Fallback is static libraries, and shared ones where there is no static one.
	Fallback Sharing = "fallback"
)

// sharing reads a value of the key shared.
func sharing(value any) (Sharing, error) {
	switch value {
	case nil:
		return "", nil
	case false:
		return Static, nil
	case true:
		return Shared, nil
	case string(Fallback):
		return Fallback, nil
	}
	return "", fmt.Errorf("shared is %v; set it to true, false or %q", value, Fallback)
}

// Trust is the table [trust]: what packages may do beyond what none can do any
// harm by.
type Trust struct {
	// AllowFlags are flags that packages may ask for, each to the letter.
	AllowFlags []string `toml:"allow-flags"`
}

// Package is the table [package]: what is not to be derived from the files.
type Package struct {
	Name       string   `toml:"name"`
	Version    string   `toml:"version"`
	SystemLibs []string `toml:"system-libs"` // libraries of the system, without -l
	CPS        string   `toml:"cps"`         // a CPS document beside the project file
	// Names are what components are called beside their own names, by component.
	Names map[string][]string `toml:"names"`
}

// Dependency is an entry of the table [dependencies]: a name, or a table.
type Dependency struct {
	// Image is registry/repository, which may carry a tag or a digest.
	Image string `toml:"image"`
	Tag   string `toml:"tag"`
	// CMake is the name that find_package calls it by; empty is the alias.
	CMake string `toml:"cmake"`
	// Shared says which libraries are linked; empty: what the project's [link] says.
	Shared Sharing `toml:"-"`
	// Modules are the components that are linked; empty: the one that is named as the alias, else the package's defaults.
	Modules []string `toml:"modules"`
}

// Reference gives the name of the package.
func (d Dependency) Reference() string {
	if d.Tag == "" {
		return d.Image
	}
	return d.Image + ":" + d.Tag
}

// Read reads the project file at path. A file that is not there is an error of
// kind [errdef.ErrNotFound]; one that does not parse says where and why.
func Read(path string) (File, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, errdef.Errorf(errdef.ErrNotFound, "%s does not exist; check the name", path)
	}
	if err != nil {
		return File{}, err
	}
	f, err := parse(raw)
	if err != nil {
		return File{}, errdef.Errorf(errdef.ErrUsage, "read %s: %w", path, err)
	}
	return f, nil
}

func parse(raw []byte) (File, error) {
	var doc struct {
		Org          map[string]any    `toml:"org"`
		Package      Package           `toml:"package"`
		Dependencies map[string]any    `toml:"dependencies"`
		Overrides    map[string]string `toml:"overrides"`
		Trust        Trust             `toml:"trust"`
		Link         struct {
			Shared any `toml:"shared"`
		} `toml:"link"`
	}
	decoder := toml.NewDecoder(strings.NewReader(string(raw))).DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil {
		return File{}, explain(err)
	}
	f := File{Package: doc.Package, Trust: doc.Trust}
	if len(doc.Org) > 0 {
		f.Annotations = map[string]string{}
		if err := flatten("org", doc.Org, f.Annotations); err != nil {
			return File{}, err
		}
	}
	var err error
	if f.Shared, err = sharing(doc.Link.Shared); err != nil {
		return File{}, fmt.Errorf("the table [link]: %w", err)
	}
	if f.Dependencies, err = dependencies(doc.Dependencies); err != nil {
		return File{}, err
	}
	f.Overrides, err = overrides(doc.Overrides)
	return f, err
}

// overrides reads the table [overrides].
func overrides(table map[string]string) (map[string]reference.Reference, error) {
	if len(table) == 0 {
		return nil, nil
	}
	all := map[string]reference.Reference{}
	for of, by := range table {
		repository, err := reference.ParseRepository(of)
		if err == nil && (repository.Tag != "" || repository.Digest != "") {
			err = fmt.Errorf("leave the tag out: it stands for any; write %q = %q", repository.Name(), by)
		}
		if err != nil {
			return nil, fmt.Errorf("the override of %q: %w", of, err)
		}
		ref, err := reference.ParseRepository(by)
		if err == nil && ref.Tag == "" && ref.Digest == "" {
			err = fmt.Errorf("%q has neither a tag nor a digest; write the whole name, as in %q", by, repository.Name()+":1.0")
		}
		if err != nil {
			return nil, fmt.Errorf("the override of %q: %w", of, err)
		}
		all[repository.Name()] = ref
	}
	return all, nil
}

// checkAlias tells whether a dependency can go by that name in all build
// systems.
func checkAlias(alias string) error {
	if alias == "" || strings.ContainsAny(alias, "/ \"'\\$") || strings.ContainsFunc(alias, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.HasPrefix(alias, "-") {
		return errdef.Errorf(errdef.ErrUsage, "the dependency %q: an alias has no blank, slash or quote in it and does not begin with a dash", alias)
	}
	return nil
}

// dependencies reads the table [dependencies], whose values are names or tables.
func dependencies(table map[string]any) (map[string]Dependency, error) {
	if len(table) == 0 {
		return nil, nil
	}
	all := map[string]Dependency{}
	for alias, value := range table {
		d, err := dependency(value)
		if err != nil {
			return nil, fmt.Errorf("the dependency %q: %w", alias, err)
		}
		if err := checkAlias(alias); err != nil {
			return nil, err
		}
		all[alias] = d
	}
	return all, nil
}

func dependency(value any) (Dependency, error) {
	var d Dependency
	switch value := value.(type) {
	case string:
		d.Image = value
	case map[string]any:
		var err error
		if d.Shared, err = sharing(value["shared"]); err != nil {
			return d, err
		}
		delete(value, "shared")
		// Through TOML again, for the rules about keys and types.
		raw, err := toml.Marshal(value)
		if err != nil {
			return d, err
		}
		if err := toml.NewDecoder(strings.NewReader(string(raw))).DisallowUnknownFields().Decode(&d); err != nil {
			var unknown *toml.StrictMissingError
			if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
				key := strings.Join(unknown.Errors[0].Key(), ".")
				return d, fmt.Errorf("the key %q is not known%s; the keys are image, tag, cmake, shared and modules", key, near.Hint(key, "image", "tag", "cmake", "shared", "modules"))
			}
			return d, err
		}
	default:
		return d, fmt.Errorf(`it is neither a name nor a table; write it as "registry/repository:tag"`)
	}
	_, err := reference.Parse(d.Reference())
	return d, err
}

// explain gives the line of a TOML error, or the name of a key that is unknown,
// on one line.
func explain(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		line, _ := unknown.Errors[0].Position()
		key := strings.Join(unknown.Errors[0].Key(), ".")
		hint := near.Hint(key, "org.opencontainers.image", "package", "package.name", "package.version", "package.system-libs", "package.cps", "package.names", "dependencies", "overrides", "link", "link.shared", "trust", "trust.allow-flags")
		return fmt.Errorf("line %d: the key %q is not known%s; the tables are [org.opencontainers.image], [package], [dependencies], [link], [overrides] and [trust]", line, key, hint)
	}
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		line, column := syntax.Position()
		return fmt.Errorf("line %d, column %d: %s", line, column, strings.TrimPrefix(syntax.Error(), "toml: "))
	}
	return err
}

// flatten turns nested tables into dotted names.
func flatten(prefix string, table map[string]any, into map[string]string) error {
	for key, value := range table {
		name := prefix + "." + key
		switch value := value.(type) {
		case string:
			into[name] = value
		case map[string]any:
			if err := flatten(name, value, into); err != nil {
				return err
			}
		case time.Time:
			into[name] = value.Format(time.RFC3339Nano) // what the specification asks for
		default:
			return fmt.Errorf("the annotation %s is not a string; put it in quotes", name)
		}
	}
	return nil
}
