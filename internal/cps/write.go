package cps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Write writes the document as indented JSON with sorted keys: equal packages give equal bytes.
func (p *Package) Write(w io.Writer) error {
	value, err := p.value()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// MarshalJSON gives the document on one line with sorted keys.
func (p *Package) MarshalJSON() ([]byte, error) {
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimRight(text.Bytes(), "\n"), nil
}

func (p *Package) value() (map[string]any, error) {
	value, err := objectValue(p)
	if err != nil {
		return nil, fmt.Errorf("write the CPS document of %s: %w", p.Name, err)
	}
	if p.CPSVersion == "" && p.Configuration == "" {
		value["cps_version"] = p.MinVersion()
	}
	if p.Components == nil {
		value["components"] = map[string]any{}
	}
	return value, nil
}

// MinVersion returns the oldest version of the specification that has all attributes of the package.
func (p *Package) MinVersion() string {
	version := Version
	for _, c := range p.Components {
		if len(c.FileSets) > 0 {
			return "0.15.0"
		}
		attributes := append(slices.Collect(maps.Values(c.Configurations)), &c.Attributes)
		if slices.ContainsFunc(attributes, func(a *Attributes) bool { return a.CompileRequires != nil }) {
			version = max(version, "0.14.0")
		}
		if slices.ContainsFunc(attributes, func(a *Attributes) bool { return a.DyldRequires != nil }) {
			version = max(version, "0.14.1")
		}
	}
	return version
}

// objectValue makes the JSON object of o without its absent attributes.
func objectValue(o object) (map[string]any, error) {
	value := map[string]any{}
	for name, raw := range *o.extra() {
		parsed, err := parseExtra(raw)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		value[name] = parsed
	}
	if a, ok := o.(*Attributes); ok {
		for _, name := range a.Unset {
			value[name] = nil
		}
	}
	for _, f := range o.fields() {
		v, err := fieldValue(f.place)
		if err != nil {
			return nil, err
		}
		if v != nil {
			value[f.name] = v
		}
	}
	return value, nil
}

// parseExtra reads an unknown attribute, so that its keys are written sorted like all others.
func parseExtra(raw json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

// fieldValue is the JSON value of a field, or nil when the attribute is absent.
func fieldValue(place any) (any, error) {
	switch place := place.(type) {
	case *string:
		return nonEmpty(*place, *place != ""), nil
	case *[]string:
		return nonEmpty(*place, *place != nil), nil
	case *languages:
		return nonEmpty(*place, *place != nil), nil
	case *ByLanguage:
		if list, ok := (*place)[AnyLanguage]; ok && len(*place) == 1 {
			return list, nil
		}
		return nonEmpty(map[string][]string(*place), *place != nil), nil
	case *Definitions:
		return nonEmpty(*place, *place != nil), nil
	case *map[string]string:
		return nonEmpty(*place, *place != nil), nil
	case **Platform:
		if *place != nil {
			return objectValue(*place)
		}
	case **PkgConfig:
		if *place != nil {
			return objectValue(*place)
		}
	case *[]*FileSet:
		return listValue(*place)
	case *map[string]*Requirement:
		return mapValue(*place)
	case *map[string]*Component:
		return mapValue(*place)
	case *map[string]*Attributes:
		return mapValue(*place)
	default:
		panic(fmt.Sprintf("cps: no writer for %T", place))
	}
	return nil, nil
}

func nonEmpty(v any, there bool) any {
	if !there {
		return nil
	}
	return v
}

func mapValue[V object](m map[string]V) (any, error) {
	if m == nil {
		return nil, nil
	}
	values := map[string]any{}
	for name, o := range m {
		v, err := objectValue(o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values[name] = v
	}
	return values, nil
}

func listValue[V object](list []V) (any, error) {
	if list == nil {
		return nil, nil
	}
	values := make([]any, len(list))
	for i, o := range list {
		v, err := objectValue(o)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// Strip takes out what others may read more into than this model does: attributes that it does not know, and the directories
// where requirements may be found.
func (p *Package) Strip() {
	p.Extra = nil
	if p.Platform != nil {
		p.Platform.Extra = nil
	}
	for _, r := range p.Requires {
		r.Extra, r.Hints = nil, nil
	}
	for _, c := range p.Components {
		c.Extra, c.FileSets = nil, nil // whose directories are among the includes
		for _, a := range c.Configurations {
			a.Extra = nil
		}
		if c.PkgConfig != nil {
			c.PkgConfig.Extra = nil
		}
	}
}
