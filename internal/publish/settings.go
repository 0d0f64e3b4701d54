package publish

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/near"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// settings is the table [package.metadata.ocipkg] of a Cargo.toml.
type settings struct {
	registry string   // image repository without tag; empty when not given
	include  []string // files, directories or globs relative to the package, slash-separated
}

var settingKeys = []string{"include", "registry"}

// settings reads the table; a package without it has the zero settings.
func (p *cargoPackage) settings() (settings, error) {
	var s settings
	fail := func(format string, args ...any) (settings, error) {
		return settings{}, errdef.Errorf(errdef.ErrUsage, "reading [package.metadata.ocipkg] of %s: %s", p.ManifestPath, fmt.Sprintf(format, args...))
	}
	var metadata map[string]json.RawMessage
	if json.Unmarshal(p.Metadata, &metadata) != nil || metadata["ocipkg"] == nil {
		return s, nil // other tools' metadata may have any form
	}
	raw := metadata["ocipkg"]
	var table map[string]json.RawMessage
	if err := json.Unmarshal(raw, &table); err != nil {
		return fail("it must be a table, not %s", jsonKind(raw))
	}
	for key := range table {
		if !slices.Contains(settingKeys, key) {
			return fail("%s", unknownKey(key, settingKeys))
		}
	}
	if raw, ok := table["registry"]; ok {
		if err := json.Unmarshal(raw, &s.registry); err != nil {
			return fail("registry must be a string such as \"ghcr.io/OWNER/%s\", not %s", p.Name, jsonKind(raw))
		}
		if ref, err := reference.ParseRepository(s.registry); err != nil {
			return fail("registry: %v", err)
		} else if ref.Tag != "" || ref.Digest != "" {
			return fail("registry %q has a tag, but the tag is made from the git commit; write it as %q", s.registry, ref.Name())
		}
	}
	if raw, ok := table["include"]; ok {
		var entries []json.RawMessage
		if err := json.Unmarshal(raw, &entries); err != nil {
			return fail("include must be a list such as [\"include/%s.h\"], not %s", p.Name, jsonKind(raw))
		}
		s.include = make([]string, len(entries))
		for i, entry := range entries {
			if err := json.Unmarshal(entry, &s.include[i]); err != nil {
				return fail("entry %d of include must be a string, not %s", i+1, jsonKind(entry))
			}
		}
	}
	for _, entry := range s.include {
		if err := checkInclude(entry); err != nil {
			return fail("include entry %q: %v", entry, err)
		}
	}
	return s, nil
}

// checkInclude refuses entries that could not mean the same on every machine.
func checkInclude(entry string) error {
	switch {
	case entry == "":
		return fmt.Errorf("it is empty; name a file, a directory or a glob")
	case strings.Contains(entry, `\`):
		return fmt.Errorf("write / between directories, on Windows too")
	case path.IsAbs(entry) || len(entry) > 1 && entry[1] == ':':
		return fmt.Errorf("it is absolute; write it relative to the package's directory")
	}
	for segment := range strings.SplitSeq(entry, "/") {
		if _, err := path.Match(segment, ""); err != nil {
			return fmt.Errorf("%q is not a valid glob: %w", segment, err)
		}
	}
	return nil
}

// jsonKind names the TOML type behind a JSON value, with its article.
func jsonKind(raw json.RawMessage) string {
	switch strings.TrimSpace(string(raw))[0] {
	case '{':
		return "a table"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	}
	return "a number"
}

// unknownKey says which known key was probably meant.
func unknownKey(key string, known []string) string {
	if hint := near.Hint(key, known...); hint != "" {
		return fmt.Sprintf("unknown key %q%s", key, hint)
	}
	return fmt.Sprintf("unknown key %q; the known ones are %s", key, strings.Join(known, ", "))
}
